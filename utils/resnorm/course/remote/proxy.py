"""Stand-ins for what lives in the box, in the process that tests it."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ..sandbox.journal import UNSEEN
from .codec import Codec, CodecError, read, written

#: Errors that a test may catch by their type, besides those derived from them.
ERRORS = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, (StopIteration, StopAsyncIteration, UnicodeError, Warning))
}


class RemoteError(Exception):
    """The student's code raised an error, or replied with what cannot be read."""


class Gone(BaseException):
    """The box is gone, so that no test can go on. No test catches this."""


class Remote:
    """An object in the box: its attributes, calls, items and length are asked for there.

    Tensors, arrays and other plain values that it gives are copies.

    Args:
        session: the way to the box.
        number: under which the box keeps the object.
        kind: name of its class, for messages.
    """

    __slots__ = ("_kind", "_number", "_session")

    def __init__(self, session: Session, number: int, kind: str):
        self._session, self._number, self._kind = session, number, kind

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{name} of an object in the box")
        return self._session.apply("getattr", self, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the object in the box."""
        return self._session.apply("call", self, *arguments, **options)

    def __getitem__(self, key: Any) -> Any:
        return self._session.apply("getitem", self, key)

    def __len__(self) -> int:
        return self._session.expect(int, self._session.apply("len", self))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._session.expect(list, self._session.apply("iterate", self)))

    def __bool__(self) -> bool:
        raise TypeError(f"the truth of a {self._kind} is not asked for in the box")

    def __repr__(self) -> str:
        return f"<{self._kind} in the box>"


class Session(Codec):
    """A conversation with the executor in one box.

    Args:
        ask: sends the text of a request and returns the text of the reply.

    Attributes:
        forbidden: names whose use in the box is to be noticed.
        used: those of them that were used, by what the box says.
        dtype: the default type of the notebook when names were last asked for, by what the box
            says.
        keeps_dtype: whether code in the box runs with that one, and not with that of this process.
    """

    def __init__(self, ask: Callable[[str], Any]):
        self.ask = ask
        self.forbidden: list[str] = []
        self.used: set[str] = set()
        self.dtype = torch.get_default_dtype()
        self.keeps_dtype = False
        self.requests = 0
        self.passed: list[Any] = []
        self.leaves: dict[int, int] = {}
        self.received: list[Any] = []

    def names(self, names: list[str], *, boxed: bool = False) -> dict[str, Any]:
        """Get what some names stand for at this moment, without those that stand for nothing.

        Args:
            names: the names.
            boxed: whether they are those of boxed cells, and not the student's.
        """
        reply = self._exchange({"do": "names", "names": names, "boxed": boxed})
        found = self._decoded(reply, {})
        try:
            self.dtype = self.expect(torch.dtype, Codec().decode(reply.get("dtype")))
        except CodecError as problem:
            raise RemoteError(f"the reply cannot be read: {problem}") from None
        pairs = [pair for pair in self.expect(list, found) if type(pair) is list and len(pair) == 2]
        return {name: value for name, value in pairs if type(name) is str and name in names}

    def define(self, source: str) -> None:
        """Execute code of the instructor's in the box, in a namespace of its own.

        Args:
            source: the code.

        Raises:
            RemoteError: it failed.
        """
        self._exchange({"do": "define", "source": source})

    def apply(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Apply an operation to arguments in the box, and copy back what it changed in them.

        Args:
            operation: one of the executor's.
            *arguments: plain values, and objects of the box.
            **options: likewise.

        Returns:
            A plain value, or a :class:`Remote`.

        Raises:
            RemoteError: the operation raised an error, or the reply cannot be read. If the error's
                type is built into Python, then this one has that type, too.
            TypeError: an argument cannot be sent.
        """
        self.passed = []
        try:
            request = {
                "do": "apply",
                "operation": operation,
                "arguments": [self.encode(value) for value in arguments],
                "options": {name: self.encode(value) for name, value in options.items()},
                "forbidden": self.forbidden,
            }
        except CodecError as problem:
            raise TypeError(f"{problem}: define it in a boxed cell of the assignment") from None
        passed = self.passed
        reply = self._exchange(request)
        try:
            for index, data in reply["changed"]:
                _replace(passed[index], Codec().decode(data))
            leaves = dict(reply["leaves"])
            self.used |= set(reply["used"]) & {*self.forbidden, UNSEEN}
        except (CodecError, LookupError, TypeError, ValueError, RuntimeError):
            raise RemoteError("the reply about changed arguments cannot be read") from None
        return self._decoded(reply, leaves)

    def gradients(self, output: int, gradient: torch.Tensor, leaves: list[int]) -> list[Any]:
        """Run the backward pass of an output in the box.

        Args:
            output: number of the output.
            gradient: of the loss with respect to the output.
            leaves: numbers of the tensors whose gradients are wanted.

        Returns:
            A tensor or None for each of them. Parameters in the box have theirs in ``grad``.
        """
        request = {"do": "backward", "output": output, "leaves": leaves}
        reply = self._exchange(request | {"gradient": Codec().encode(gradient.detach())})
        found = self.expect(list, self._decoded(reply, {}))
        if len(found) != len(leaves):
            raise RemoteError("the reply has another number of gradients")
        return [None if value is None else self.expect(torch.Tensor, value) for value in found]

    def expect(self, kind: type, value: Any) -> Any:
        """Give a value of this type.

        Args:
            kind: the type.
            value: from the box.

        Raises:
            RemoteError: it is of another type.
        """
        if type(value) is not kind:
            raise RemoteError(f"{kind.__name__} expected, not {type(value).__name__}")
        return value

    def changed(self) -> list[torch.Tensor]:
        """List tensors from the box that were changed in place here, which the box never sees."""
        return [value for value in self.received if value._version != value._remote[2]]

    def forget(self) -> None:
        """Let go of what came from the box; a test that has it keeps it."""
        self.received, self.passed, self.used = [], [], set()

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request with the state of this process, and read the reply."""
        self.requests += 1
        request["dtype"] = None if self.keeps_dtype else self.encode(torch.get_default_dtype())
        request["gradients"] = torch.is_grad_enabled()
        request["device"] = torch.get_default_device().type
        request["seed"] = self.requests
        try:
            reply = read(self.ask(written(request)))
        except CodecError as problem:
            raise RemoteError(f"the reply cannot be read: {problem}") from None
        if type(reply) is not dict:
            raise RemoteError("the reply cannot be read")
        if "error" in reply:
            raise _error(reply["error"])
        return reply

    def _decoded(self, reply: dict[str, Any], leaves: dict[int, int]) -> Any:
        self.leaves = leaves
        try:
            return self.decode(reply.get("value"))
        except CodecError as problem:
            raise RemoteError(f"the reply cannot be read: {problem}") from None

    def reference(self, value: Any) -> dict[str, Any] | None:
        """Name an object of the box.

        Args:
            value: any object that is to be sent.
        """
        if type(value) is Remote and value._session is self:
            return {"type": "object", "number": value._number}
        if type(value) in (torch.Tensor, torch.nn.Parameter, np.ndarray, torch.Generator):
            self.passed.append(value)
        known = getattr(value, "_remote", None) if type(value) is torch.Tensor else None
        if known and known == (known[0], self, value._version, value.requires_grad):
            return {"type": "object", "number": known[0]}
        return None

    def resolve(self, data: dict[str, Any]) -> Any:
        """Give a stand-in for an object of the box, or the argument that came back.

        Args:
            data: from a reply.

        Raises:
            CodecError: it is neither.
        """
        number, kind = data.get("number"), data.get("class", "object")
        if data.get("type") == "object" and type(number) is int and type(kind) is str:
            return Remote(self, number, kind[:80])
        index = data.get("index")
        if data.get("type") == "argument" and type(index) is int and 0 <= index < len(self.passed):
            argument = self.passed[index]
            if type(argument) is torch.Tensor and type(number) is int:
                tensor: Any = argument
                if index in self.leaves:
                    tensor._sources = {self.leaves[index]: tensor}
                tensor._remote = (number, self, tensor._version, tensor.requires_grad)
            return argument
        raise CodecError("neither a value nor an object")

    def arrived(self, value: Any, data: dict[str, Any]) -> Any:
        """Connect a tensor with the one in the box: as an argument, and for autograd.

        Args:
            value: as decoded.
            data: its text.
        """
        number = data.get("number")
        if type(value) is not torch.Tensor or type(number) is not int:
            return value
        if value.requires_grad and data.get("leaf") is not True:
            sources = {}
            for index, argument in enumerate(self.passed):
                if index in self.leaves:
                    sources[self.leaves[index]] = argument
                sources |= getattr(argument, "_sources", {})
            start = torch.zeros((), device="cpu", requires_grad=True)
            with torch.enable_grad():
                value = _Attached.apply(
                    self, number, list(sources), [value.detach()], start, *sources.values()
                )
            value._sources = sources
        value._remote = (number, self, value._version, value.requires_grad)
        self.received.append(value)
        return value


class _Attached(torch.autograd.Function):
    """A tensor whose graph is in the box."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> torch.Tensor:
        ctx.session, ctx.number, ctx.leaves, (value,), *_ = arguments
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        return (*[None] * 5, *ctx.session.gradients(ctx.number, gradient, ctx.leaves))


def _replace(target: Any, value: Any) -> None:
    """Give an argument the content that it has in the box."""
    if isinstance(target, torch.Tensor):
        if not isinstance(value, torch.Tensor) or value.dtype != target.dtype:
            raise TypeError
        with torch.no_grad():
            if value.shape != target.shape:
                target.data = value.detach()
            elif not target.is_meta:
                target.copy_(value)
        if target.is_leaf and target.requires_grad:
            target.grad = value.grad
        if known := getattr(target, "_remote", None):
            target._remote = (*known[:2], target._version, target.requires_grad)  # type: ignore[attr-defined]
    elif isinstance(target, np.ndarray):
        target[...] = value
    else:
        target.set_state(value.get_state())


@functools.cache
def _error_type(name: str, base: str) -> type[RemoteError]:
    bases = (RemoteError, ERRORS[base]) if base in ERRORS else (RemoteError,)
    return type(name, bases, {})


def _error(data: Any) -> RemoteError:
    """The error that a reply describes."""
    try:
        name, kinds, message = str(data["kind"])[:80], data["kinds"], str(data["message"])[:2000]
        base = next((kind for kind in kinds if kind in ERRORS), "")
        return _error_type(name, base)(message)
    except (LookupError, TypeError, ValueError):
        return RemoteError("an error that cannot be read")
