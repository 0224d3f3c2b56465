"""A forward pass that is run again in the backward pass must do the same, and leave no trace."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn


class Repetition(AbstractContextManager[None]):
    """Inside, a module computes what it computed after this object was made; then all is as before.

    It draws the same noise, reads the same running statistics and counts no batch a second time.
    ``torch.utils.checkpoint`` restores nothing but torch's global generators by itself.

    Args:
        module: What is run again, such as a norm. A generator of its own is an attribute named
            ``generator`` of the module or of a part of it.
    """

    def __init__(self, module: nn.Module):
        found = (getattr(part, "generator", None) for part in module.modules())
        self.generators = [g for g in found if isinstance(g, torch.Generator)]
        self.first_states = self._states()
        self.parts = list(module.modules())
        self.first_buffers = [_copied(part) for part in self.parts]

    def __enter__(self) -> None:
        """Go back to the noise and the buffers of the first pass."""
        self.states = self._states()
        self._set_states(self.first_states)
        # The module's own buffers are set aside, not overwritten: other passes may still read them.
        self.buffers = [dict(part._buffers) for part in self.parts]
        for part, first in zip(self.parts, self.first_buffers, strict=True):
            part._buffers.update({name: buffer.clone() for name, buffer in first.items()})

    def __exit__(self, *error: object) -> None:
        """Restore generators and buffers."""
        self._set_states(self.states)
        for part, own in zip(self.parts, self.buffers, strict=True):
            part._buffers.update(own)

    def _states(self) -> list[torch.Tensor]:
        return [generator.get_state() for generator in self.generators]

    def _set_states(self, states: list[torch.Tensor]) -> None:
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)


def _copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in module._buffers.items() if buffer is not None}
