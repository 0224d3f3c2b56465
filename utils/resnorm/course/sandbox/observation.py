"""Notice which forbidden functions a student's function uses while it runs.

An answer can reach ``F.batch_norm`` in many ways: by an alias, by ``getattr``, through
``torch.ops`` or through a module that calls it. So use is noticed where it happens, in calls of
Python and C functions, in calls of modules, in what torch hands to its modes, and in the operators
that torch records for its profiler. ``operators`` adds what these do not see.

This runs beside the student's code, which can switch it off. What it finds is a reason for a person
to look at the answer, and what it does not find proves nothing. It raises and lowers no mark.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .journal import BEGUN, UNSEEN, USED

#: The name that forbids gradients by autograd, where a task asks to derive them by hand.
AUTOGRAD = "autograd"
#: Functions in C++ through which the ways to a gradient go: the backward pass, forward mode, and
#: the transforms of ``torch.func``.
ENGINE = {
    "run_backward",
    "_make_dual",
    "_enter_dual_level",
    "_grad_increment_nesting",
    "_jvp_increment_nesting",
}
#: Functions that switch parts of the observation off, or pass by what is watched.
SWITCHES = {
    "setprofile",
    "_disable_profiler_legacy",
    "_enable_record_function",
    "redispatch",
}
#: Functions that begin a profile of the student's own, as ``torch.profiler`` calls them. Torch
#: keeps one profile per thread and refuses a second one.
PROFILERS = {"_prepare_profiler", "_enable_profiler", "_enable_profiler_legacy"}
#: How torch's profiler names a step of the backward pass.
_ENGINE_STEP = "autograd::engine::evaluate_function"
#: Calls of torch's functions after which the record of operators is looked at and begun anew.
_RECORD = 2000


def _processes() -> set[str]:
    """The processes of the box that run; none are told apart where there is no box."""
    found = set()
    with contextlib.suppress(OSError):
        if Path("/proc/1/comm").read_text() != "bwrap\n":
            return set()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                # The state follows the name: 7 (python) S. One that has ended is Z for a while.
                state = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[0]
                found |= {name} if state not in "ZX" else set()
    return found


#: The threads from before the student's first cell, in which this module is imported.
_THREADS = set(sys._current_frames())
#: The processes from before it.
_PROCESSES = _processes()
#: Modules of which each starts a thread that runs nothing but its own code: of progress bars.
_MONITORS = {"tqdm._monitor"}
_PREFIXES = ("native_", "cudnn_", "miopen_", "mkldnn_", "fused_")
_SUFFIXES = ("_backward", "_legit", "_functional", "_no_training", "_impl_index", "_with_update")


def plain(name: str) -> str:
    """Reduce the name of an operator of torch to that of the function that it works for.

    Args:
        name: such as ``_native_batch_norm_legit``.

    Returns:
        Such as ``batch_norm``. The name of anything else is returned as it is.
    """
    before = ""
    while before != name:
        before, name = name, name.strip("_") or name
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
    return name


@functools.cache
def listed_by_plain_name(names: frozenset[str]) -> dict[str, str]:
    """Index names by what :func:`plain` makes of them.

    Args:
        names: those of an assignment.

    Returns:
        Plain name -> name, the shortest of several.
    """
    return {plain(name): name for name in sorted(names, key=lambda name: (-len(name), name))}


def modules_around(path: str, names: Iterable[str]) -> set[str]:
    """Say which of some names are modules that something is in, or are its own full name.

    Args:
        path: such as ``resnorm.blocks.postact``.
        names: those with a dot are modules, such as ``resnorm.blocks``; others are ignored.
    """
    return {name for name in names if "." in name and f"{path}.".startswith(f"{name}.")}


@contextlib.contextmanager
def observed(names: Iterable[str], exempt: dict[str, Any] | None = None) -> Iterator[list[str]]:
    """Notice which of some names are used while the body of the ``with`` statement runs.

    A function, a class or a module of a library counts as used when its code runs, in this thread
    or in one that starts meanwhile. What the notebook defines itself under such a name does not
    count.

    Args:
        names: forbidden names, such as ``batch_norm``, ``BatchNorm2d``, ``models``,
            ``resnorm.blocks`` or ``autograd``.
        exempt: namespace whose functions may use them, and what these call. Such are functions of
            the tests that the student's function calls back, as a loss.

    Yields:
        The names that were used so far, each once. The list grows while the body runs. ``UNSEEN``
        is added if the code switches the observation off or profiles itself, or if a thread or a
        process runs that was started before the body.
    """
    if not (names := list(names)):
        yield []
        return

    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.overrides import TorchFunctionMode

    sys.audit(BEGUN)
    observer, backward = _Observer(names, exempt), torch.Tensor.backward
    before = sys.getprofile(), threading.getprofile()
    outer = getattr(before[0], "__self__", None)
    if type(outer) is _Observer:  # which sees nothing until this one ends
        outer.note({UNSEEN})

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            observer.operator("run_backward" if func is backward else getattr(func, "__name__", ""))
            observer.record.step()
            return func(*args, **(kwargs or {}))

    def before_forward(module: Any, _: Any) -> None:
        for kind in type(module).__mro__:
            observer.code(kind.__name__, kind.__module__)

    known = _THREADS | {threading.get_ident()}
    if _processes() - _PROCESSES or any(
        thread not in known and not _is_monitor(frame)
        for thread, frame in sys._current_frames().items()
    ):
        observer.note({UNSEEN})
    hook = register_module_forward_pre_hook(before_forward)
    try:
        # torch.compile would trace the mode together with the answer, and get other numbers.
        with torch.compiler.set_stance("force_eager"), Mode(), observer.record:
            try:
                threading.setprofile(observer.profile)
                sys.setprofile(observer.profile)
                yield observer.found
                if sys.getprofile() != observer.profile:
                    observer.note({UNSEEN})
            finally:
                sys.setprofile(before[0])
                threading.setprofile(before[1])
    finally:
        hook.remove()


def _is_monitor(frame: FrameType | None) -> bool:
    """Whether a thread is in the code of a module of ``_MONITORS``, and in no other's."""
    modules = set()
    while frame is not None:
        modules.add(str(frame.f_globals.get("__name__")))
        frame = frame.f_back
    return bool(modules & _MONITORS) and modules <= _MONITORS | {"threading"}


class _Record:
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

    def __enter__(self) -> _Record:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def step(self) -> None:
        """Keep the record short; it holds kilobytes for each operator."""
        self.steps += 1
        if self.steps % _RECORD == 0:
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
def _is_recorded(names: frozenset[str]) -> bool:
    """Whether some of these names are those of operators, or of what the record shows of autograd.

    A record costs some microseconds for each operator.
    """
    import torch

    return AUTOGRAD in names or any(hasattr(torch.ops.aten, name) for name in names)


class _Observer:
    """Collects the forbidden names among those that it is told."""

    def __init__(self, names: Iterable[str], exempt: dict[str, Any] | None):
        self.names, self.exempt = frozenset(names), exempt
        self.by_plain_name = dict(listed_by_plain_name(self.names))
        if AUTOGRAD in self.names:
            self.by_plain_name |= dict.fromkeys({*ENGINE, _ENGINE_STEP}, AUTOGRAD)
        self.by_plain_name |= dict.fromkeys({*SWITCHES, UNSEEN}, UNSEEN)
        self.found: list[str] = []
        self.record = _Record(self._ran, _is_recorded(self.names))
        # The function of the tests that runs and has not returned.
        self.theirs: FrameType | None = None
        # What was looked at once. A profile function is called too often to look again.
        self.harmless: set[CodeType | str] = set()

    def operator(self, name: str) -> None:
        """Note a function in C, which may work for a function of another name."""
        self.note({self.by_plain_name.get(name), self.by_plain_name.get(plain(name))})

    def code(self, name: str, module: str) -> None:
        """Note a Python function or a class, and the module that it is from."""
        if module != "__main__" and isinstance(module, str):
            # The package torch.autograd also holds what switches autograd off.
            parts = {name, *module.split(".")} & self.names - {AUTOGRAD}
            self.note(parts | modules_around(module, self.names))

    def note(self, names: Iterable[str | None]) -> None:
        """Note what is used, here and in the journal, unless the tests use it themselves."""
        if self.theirs is None:
            new = sorted({name for name in names if name} - {*self.found})
            self.found += new
            for name in new:
                sys.audit(USED, name)

    def _ran(self, names: set[str]) -> None:
        """Note what the record shows."""
        for name in names:
            # Of the engine's steps, what follows the colon is the function whose derivative it is.
            self.operator(name.removeprefix("aten::").partition(": ")[0])

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """Look at a call; this is a profile function of Python."""
        if event == "c_call":
            name = getattr(argument, "__name__", "")
            if type(name) is not str or name in self.harmless:
                return
            if name in SWITCHES | PROFILERS and not OWN.isdisjoint(_callers(frame)):
                return
            if name in PROFILERS:
                self.record.step_aside()
                return
            seen: CodeType | str = name
            self.operator(name)
        elif event == "call":
            seen, module = frame.f_code, frame.f_globals.get("__name__", "")
            if seen in self.harmless:
                return
            if self.exempt is not None and frame.f_globals is self.exempt and self.theirs is None:
                self.record.look()
                self.theirs = frame
            if module == "torch._ops" and seen.co_name in SWITCHES:
                self.note({UNSEEN} if OWN.isdisjoint(_callers(frame)) else ())
                return
            self.code(seen.co_name, module)
        else:
            if event == "return" and frame is self.theirs:
                self.record.look()
                self.theirs = None
            return
        if self.theirs is None:
            self.harmless.add(seen)


def _callers(frame: FrameType) -> set[CodeType]:
    """The code that calls, and the code that called this."""
    return {frame.f_code} | ({frame.f_back.f_code} if frame.f_back else set())


#: The code of this package that calls what is noted as a switch.
OWN = {
    observed.__wrapped__.__code__,  # type: ignore[attr-defined]
    _Record._begin.__code__,
    _Record._end.__code__,
}
