"""The operators that run in one thread, as torch records them for its profiler."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from .forbidden_names import AUTOGRAD
from .journal import UNSEEN

#: How torch's profiler names a step of the backward pass.
ENGINE_STEP = "autograd::engine::evaluate_function"
#: Calls of torch's functions after which the record is looked at and begun anew.
LENGTH = 2000


class Record:
    """The operators that run in this thread, as torch records them for its profiler.

    They show TorchScript and the backward pass, whoever starts it. A profile of the student's own
    takes the record's place.

    Args:
        look: is called with the names of what ran, of some part of it at a time.
        wanted: whether to record anything.
    """

    def __init__(self, look: Callable[[set[str]], None], wanted: bool):
        self.look_at, self.runs, self.steps = look, wanted, 0
        self.thread = threading.get_ident()

    def __enter__(self) -> Record:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def step(self) -> None:
        """Keep the record short; it holds kilobytes for each operator."""
        self.steps += 1
        if self.steps % LENGTH == 0:
            self.look()

    def look(self) -> None:
        """Look at what ran since the last look."""
        if self.runs and threading.get_ident() == self.thread:
            self._end()
            self._begin()

    def step_aside(self) -> None:
        """Leave torch's profiler to the student's code, which is about to begin a profile."""
        if self.runs and threading.get_ident() == self.thread:
            self._end()
            self.runs = False
            self.look_at({UNSEEN})

    def _begin(self) -> None:
        if not self.runs:
            return
        try:
            import torch._C._profiler
            from torch.autograd import _enable_profiler_legacy

            settings: Any = torch._C._profiler
            nothing_else = [False] * 5  # no shapes, memory, stacks, operations and modules
            _enable_profiler_legacy(
                settings.ProfilerConfig(
                    settings.ProfilerState.CPU, *nothing_else, settings._ExperimentalConfig()
                )
            )
        except (ImportError, AttributeError, TypeError):
            self.runs = False  # a version of torch that has another profiler
        except RuntimeError:  # an earlier cell has begun a profile and not ended it
            self.runs = False
            self.look_at({UNSEEN})

    def _end(self) -> None:
        if not self.runs:
            return
        from torch.autograd import _disable_profiler_legacy

        try:
            threads = _disable_profiler_legacy()
        except RuntimeError:  # somebody else has ended it
            self.look_at({UNSEEN})
        else:
            self.look_at({event.name() for events in threads for event in events})


@functools.cache
def is_recorded(names: frozenset[str]) -> bool:
    """Whether some of these names are those of operators, or of what the record shows of autograd.

    A record costs some microseconds for each operator.

    Args:
        names: the last parts of forbidden names, such as ``"batch_norm"``.
    """
    import torch

    return AUTOGRAD in names or any(hasattr(torch.ops.aten, name) for name in names)
