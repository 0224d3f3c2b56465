"""A forward pass that is run again in the backward pass must do the same, and leave no trace."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn


class Repetition(AbstractContextManager[None]):
    """Inside, a module draws the same noise as after this object was made; then all is as before.

    ``torch.utils.checkpoint`` restores torch's global generators by itself. This also serves
    generators that a layer has of its own, and undoes the second change of the running statistics.

    Args:
        module: What is run again, such as a norm. A generator of its own is an attribute named
            ``generator`` of the module or of a part of it.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        found = (getattr(part, "generator", None) for part in module.modules())
        self.generators = [g for g in found if isinstance(g, torch.Generator)]
        self.first = [generator.get_state() for generator in self.generators]

    def __enter__(self) -> None:
        """Go back to the noise of the first pass."""
        self.buffers = [buffer.clone() for buffer in self.module.buffers()]
        self.states = [generator.get_state() for generator in self.generators]
        self._set_states(self.first)

    def __exit__(self, *error: object) -> None:
        """Restore generators and buffers."""
        self._set_states(self.states)
        with torch.no_grad():
            for buffer, value in zip(self.module.buffers(), self.buffers, strict=True):
                buffer.copy_(value)

    def _set_states(self, states: list[torch.Tensor]) -> None:
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)
