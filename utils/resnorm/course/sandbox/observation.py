"""Notice which forbidden functions a student's function uses while it runs.

An answer can reach ``F.batch_norm`` in many ways: by an alias, by ``getattr``, through
``torch.ops`` or through a module that calls it. So use is noticed where it happens, in calls of
Python and C functions, in calls of modules, and in what torch hands to its modes.

This runs beside the student's code, which can switch it off. What it finds is a reason for a person
to look at the answer, and what it does not find proves nothing. It raises and lowers no mark.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Any

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
#: What is yielded besides names if a part of the use could not be seen.
UNSEEN = "(unseen)"
#: The threads from before the student's first cell, in which this module is imported.
_THREADS = set(sys._current_frames())
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
def observed(names: Iterable[str], exempt: str = "") -> Iterator[list[str]]:
    """Notice which of some names are used while the body of the ``with`` statement runs.

    A function, a class or a module of a library counts as used when its code runs, in this thread
    or in one that starts meanwhile. What the notebook defines itself under such a name does not
    count.

    Args:
        names: forbidden names, such as ``batch_norm``, ``BatchNorm2d``, ``models``,
            ``resnorm.blocks`` or ``autograd``.
        exempt: name of the module whose functions may use them, and what these call. Such are
            functions of the tests that the student's function calls back, as a loss.

    Yields:
        The names that were used so far, each once. The list grows while the body runs. At its end
        ``UNSEEN`` is added if the code has switched the observation off, or if a thread runs that
        was started before the body.
    """
    if not (names := list(names)):
        yield []
        return

    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.overrides import TorchFunctionMode

    observer, backward = _Observer(names, exempt), torch.Tensor.backward

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            observer.operator("run_backward" if func is backward else getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    def before_forward(module: Any, _: Any) -> None:
        for kind in type(module).__mro__:
            observer.code(kind.__name__, kind.__module__)

    known = _THREADS | {threading.get_ident()}
    others = [
        frame
        for thread, frame in sys._current_frames().items()
        if thread not in known and not _is_monitor(frame)
    ]
    before = sys.getprofile(), threading.getprofile()
    hook = register_module_forward_pre_hook(before_forward)
    try:
        # torch.compile would trace the mode together with the answer, and get other numbers.
        with torch.compiler.set_stance("force_eager"), Mode():
            threading.setprofile(observer.profile)
            sys.setprofile(observer.profile)
            yield observer.found
            if others or sys.getprofile() != observer.profile:
                observer.found.append(UNSEEN)
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])
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

    def __init__(self, names: Iterable[str], exempt: str = ""):
        self.names, self.exempt = frozenset(names), exempt
        self.by_plain_name = dict(listed_by_plain_name(self.names))
        if AUTOGRAD in self.names:
            self.by_plain_name |= dict.fromkeys(ENGINE, AUTOGRAD)
        self.found: list[str] = []
        # The function of the tests that runs and has not returned.
        self.theirs: FrameType | None = None
        # What was looked at once. A profile function is called too often to look again.
        self.harmless: set[CodeType | str] = set()

    def operator(self, name: str) -> None:
        """Note a function in C, which may work for a function of another name."""
        self._note({self.by_plain_name.get(name), self.by_plain_name.get(plain(name))})

    def code(self, name: str, module: str) -> None:
        """Note a Python function or a class, and the module that it is from."""
        if module != "__main__" and isinstance(module, str):
            # The package torch.autograd also holds what switches autograd off.
            parts = {name, *module.split(".")} & self.names - {AUTOGRAD}
            self._note(parts | modules_around(module, self.names))

    def _note(self, names: Iterable[str | None]) -> None:
        if self.theirs is None:
            self.found += sorted(name for name in names if name and name not in self.found)

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """Look at a call; this is a profile function of Python."""
        if event == "c_call":
            name = getattr(argument, "__name__", "")
            if type(name) is not str or name in self.harmless:
                return
            seen: CodeType | str = name
            self.operator(name)
        elif event == "call":
            seen = frame.f_code
            if seen in self.harmless:
                return
            module = frame.f_globals.get("__name__", "")
            if self.exempt and module == self.exempt:
                self.theirs = self.theirs or frame
            self.code(frame.f_code.co_name, module)
        else:
            if event == "return" and frame is self.theirs:
                self.theirs = None
            return
        if self.theirs is None:
            self.harmless.add(seen)
