"""Notice which forbidden functions a student's function uses while it runs.

An answer can reach ``F.batch_norm`` in many ways: by an alias, by ``getattr``, through
``torch.ops`` or through a module that calls it. So use is noticed where it happens: in calls of
Python and C functions, by a profile function; in calls of modules; in what torch hands to its
modes; and in the operators that torch records for its profiler (``record``). ``operators`` adds
what these do not see.

Operators alone would not do: much of what assignments forbid is plain Python, such as
``scipy.stats.kendalltau`` or ``resnorm.probes``, and computes by operators that every answer uses.
And without the profile function an answer that runs torch's profiler would end in an error, because
only a profile function sees that profile before it begins, so that the record can make room.

This runs beside the student's code, which can switch it off. What it finds is a reason for a person
to look at the answer, and what it does not find proves nothing. It raises and lowers no mark.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .forbidden_names import AUTOGRAD, is_own, listed_by_plain_name, modules_around, plain
from .journal import BEGUN, UNSEEN, USED
from .record import ENGINE_STEP, Record, is_recorded

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
#: Modules of progress bars, each of which starts a thread that runs only its own code.
_MONITORS = {"tqdm._monitor"}


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
    if sys.gettrace() is not None:  # which runs where no profile function sees it
        observer.note({UNSEEN})

    step, harmless = observer.record.step, observer.harmless

    class Mode(TorchFunctionMode):  # is passed with each property of a tensor, too: keep it short
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = "run_backward" if func is backward else getattr(func, "__name__", "")
            if type(name) is not str or name not in harmless:
                observer.operator(name)
            step()
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


class _Observer:
    """Collects the forbidden names among those that it is told."""

    def __init__(self, names: Iterable[str], exempt: dict[str, Any] | None):
        self.names, self.exempt = frozenset(names), exempt
        self.by_plain_name = dict(listed_by_plain_name(self.names))
        if AUTOGRAD in self.names:
            self.by_plain_name |= dict.fromkeys({*ENGINE, ENGINE_STEP}, AUTOGRAD)
        self.by_plain_name |= dict.fromkeys({*SWITCHES, UNSEEN}, UNSEEN)
        self.found: list[str] = []
        self.record = Record(self._ran, is_recorded(self.names))
        # The function of the tests that runs and has not returned.
        self.theirs: FrameType | None = None
        # What was looked at once. A profile function is called too often to look again.
        self.harmless: set[CodeType | str] = set()

    def operator(self, name: str) -> None:
        """Note a function in C, which may work for a function of another name."""
        self.note({self.by_plain_name.get(name), self.listed(name)})
        if self.theirs is None and type(name) is str and name not in SWITCHES | PROFILERS:
            self.harmless.add(name)

    def listed(self, name: str) -> str | None:
        """The forbidden name of what this function works for, if there is one."""
        return self.by_plain_name.get(plain(name))

    def code(self, name: str, module: str) -> None:
        """Note a Python function or a class, and the module that it is from."""
        if isinstance(module, str) and not is_own(module):
            # The package torch.autograd also holds what switches autograd off.
            parts = {name, *module.split(".")} & self.names - {AUTOGRAD}
            # Torch also has its operators in Python, such as native_batch_norm_backward.
            self.note({*parts, *modules_around(module, self.names), self.listed(name)})

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
    Record._begin.__code__,
    Record._end.__code__,
}
