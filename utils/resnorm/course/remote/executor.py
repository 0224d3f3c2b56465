"""Carries out requests beside the student's code, in the box.

It is loaded before the first cell of the student, and is not in the student's namespace. The
student's code can still reach and change it, and see every argument that comes in. It never sees
what a result is compared with.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import operator
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ..sandbox.journal import LOADED
from ..sandbox.observation import observed
from ..sandbox.operators import watch
from . import FIELD, MIME
from .codec import Codec, CodecError, contents, read, written

#: The name of the module in which the tests' own functions are, beside the student's.
BOXED = "__boxed__"
#: The largest number of items that are taken from an iterator.
MAX_ITEMS = 10_000


class Executor(Codec):
    """Carries out requests, one after another.

    What results is kept for the rest of the notebook, so that it can come back as an argument and
    is then the very object.

    Args:
        student: the namespace of the student's notebook.
    """

    def __init__(self, student: dict[str, Any]):
        self.student = student
        self.private: dict[str, Any] = {"__name__": BOXED}
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.passed: list[Any] = []
        self.leaves: dict[int, torch.Tensor] = {}
        self.dtype = torch.get_default_dtype()
        self.operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "names": self._names,
            "define": self._define,
            "apply": self._apply,
            "backward": self._backward,
        }

    def answer(self, text: str) -> str:
        """Carry out one request.

        Args:
            text: the request, as the proxy wrote it.

        Returns:
            The reply. An error that the request raises is a reply, too.
        """
        try:
            request = read(text)
            self.dtype = torch.get_default_dtype()
            with _circumstances(request), contextlib.redirect_stdout(_Nowhere()):
                return written(self.operations[request["do"]](request))
        except BaseException as error:  # SystemExit and the like must not end the kernel
            return written({"error": described(error)})

    def _names(self, request: dict[str, Any]) -> dict[str, Any]:
        """What some names stand for at this moment, and the student's default type."""
        boxed, self.passed = request["boxed"], []
        space = self.private if boxed else self.student
        found = []
        for name in request["names"]:
            if name in space:
                value = space[name]
                # A collection of a boxed cell, in which it may take notes, is no copy.
                whole = boxed and type(value) in (list, dict, set)
                found.append([name, self.opaque(value) if whole else self.encode(value)])
        return {"value": found, "dtype": self.encode(self.dtype)}

    def _define(self, request: dict[str, Any]) -> dict[str, Any]:
        """Execute code of the instructor's in a namespace of its own."""
        exec(compile(request["source"], "<boxed>", "exec"), self.private)
        return {"value": None}

    def _apply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Apply an operation to its arguments."""
        self.passed, self.leaves = [], {}
        with observed(request["forbidden"], exempt=self.private) as used:
            arguments = [self.decode(data) for data in request["arguments"]]
            options = {name: self.decode(data) for name, data in request["options"].items()}
            before = [contents(value) for value in self.passed]
            value = OPERATIONS[request["operation"]](*arguments, **options)
            # An object of the student's may compute only when it is looked at.
            after = [contents(value) for value in self.passed]
            result = self.encode(value)
        changes = enumerate(zip(before, after, strict=True))
        return {
            "value": result,
            "changed": [[index, new] for index, (old, new) in changes if old != new],
            "leaves": [[index, self._number(leaf)] for index, leaf in self.leaves.items()],
            "used": used,
        }

    def _backward(self, request: dict[str, Any]) -> dict[str, Any]:
        """Add up the gradients of an output in all leaves, and give back those of arguments."""
        leaves = [self.objects[number] for number in request["leaves"]]
        self.passed = []
        for leaf in leaves:
            leaf.grad = None
        output, gradient = self.objects[request["output"]], self.decode(request["gradient"])
        torch.autograd.backward(output, gradient, retain_graph=True)
        gradients = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        return {"value": [None if g is None else contents(g.detach()) for g in gradients]}

    def _number(self, value: Any) -> int:
        """The number under which an object is kept."""
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return self.numbers[id(value)]

    def reference(self, value: Any) -> dict[str, Any] | None:
        """Name an argument that came back as it is.

        Args:
            value: any object that is to be sent.
        """
        for index, argument in enumerate(self.passed):
            if argument is value:
                return {"type": "argument", "index": index, "number": self._number(value)}
        return None

    def opaque(self, value: Any) -> dict[str, Any]:
        """Keep an object here, and send its number.

        Args:
            value: the object.
        """
        name = getattr(type(value), "__name__", "object")
        return {"type": "object", "number": self._number(value), "class": str(name)[:80]}

    def encode(self, value: Any, depth: int = 0) -> Any:
        """Turn a result into something that JSON can hold, and keep tensors.

        Args:
            value: any object.
            depth: how deep it is nested in the result.
        """
        data = super().encode(value, depth)
        if type(data) is dict and data["type"] == "tensor":
            data["number"] = self._number(value)
        return data

    def resolve(self, data: dict[str, Any]) -> Any:
        """Find the object that comes back as an argument.

        Args:
            data: its number.
        """
        value = self.objects[data["number"]]
        if contents(value) is not None:
            self.passed.append(value)
        return value

    def arrived(self, value: Any, data: dict[str, Any]) -> Any:
        """Note an argument that the student's code can change.

        Args:
            value: the tensor, array or generator.
            data: its text.
        """
        if isinstance(value, torch.Tensor) and value.requires_grad:
            self.leaves[len(self.passed)] = value
            if not data["leaf"]:
                with torch.enable_grad():
                    value = value.clone()
        self.passed.append(value)
        return value


class _Nowhere(io.TextIOBase):
    """Takes what the student's functions print while they are tested."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def _items(values: Any) -> list[Any]:
    items = list(itertools.islice(iter(values), MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        raise CodecError(f"more than {MAX_ITEMS:,} items")
    return items


def _call(function: Any, /, *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "getattr": getattr,
    "getitem": operator.getitem,
    "len": len,
    "iterate": _items,
}


@contextlib.contextmanager
def _circumstances(request: dict[str, Any]) -> Iterator[None]:
    """Use the caller's defaults and random numbers of our own, then the student's again.

    The default type stays the student's where the caller names none.
    """
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.set_default_dtype(Codec().decode(request["dtype"]) or dtype)
    torch.set_grad_enabled(request["gradients"])
    # torch.manual_seed would also leave the seed to GPUs that are not here, with a formatted stack
    # for each, which takes longer than most answers.
    torch.default_generator.manual_seed(request["seed"])
    np.random.seed(request["seed"])
    random.seed(request["seed"])
    try:
        with contextlib.ExitStack() as stack:
            if {request["device"], _default_device()} != {"cpu"}:
                stack.enter_context(torch.device(request["device"]))
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def _default_device() -> str:
    """The type of the student's default device, which may be one that is not here."""
    try:
        return torch.get_default_device().type
    except Exception:  # it creates a tensor there
        return "not here"


def described(error: BaseException) -> dict[str, Any]:
    """The names of an error's types, most special first, and its message.

    Args:
        error: of the student's code; asking for its message may raise anything.

    Returns:
        ``kind``, ``kinds`` (those that Python has) and ``message``, at most 2,000 characters.
    """
    try:
        message = str(error)[:2000]
    except BaseException:
        message = "(its message cannot be read)"
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    return {"kind": type(error).__name__, "kinds": kinds, "message": message}


def load() -> None:
    """Get ready in the kernel, before the first cell of the student."""
    from IPython import get_ipython

    global _executor
    _executor = Executor(get_ipython().user_ns)
    # Python has no way to take an audit hook away, so that of the kernel keeps what watches.
    sys.audit(LOADED, watch(_executor.private), observed.__wrapped__.__code__)  # type: ignore[attr-defined]


def serve() -> None:
    """Answer the request in the kernel's current message, as an output of this type."""
    from IPython import get_ipython

    shell = get_ipython()
    assert _executor is not None
    text = shell.kernel.get_parent("shell")["content"][FIELD]
    shell.display_pub.publish({MIME: _executor.answer(text)})


_executor: Executor | None = None
