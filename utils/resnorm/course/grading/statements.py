"""Execute a test statement by statement, so that one that fails takes only what needs it along."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A statement that raised an error.

    Attributes:
        line: where it begins.
        reason: type and message of the error, or of the one that is behind it.
        error: what was raised.
    """

    line: int
    reason: str
    error: Exception


class Statements:
    """Executes statements in a namespace and goes on after errors.

    The bodies of loops, of ``with`` and of ``if`` are executed statement by statement, too. A
    ``try`` is one statement, in which errors are what they always are. The names that a failed
    statement would have set are removed, and so are the arguments of a call that was made for its
    effect, because they are in an unknown state. What needs them fails for the same reason.

    Args:
        space: the namespace.
    """

    def __init__(self, space: dict[str, Any]):
        self.space = space
        self.line = 0
        self.failures: list[Failure] = []
        self._lost: dict[str, str] = {}

    def run(self, statements: Iterable[ast.stmt]) -> None:
        """Execute some statements; errors are added to ``failures``.

        Args:
            statements: in their order.
        """
        for statement in statements:
            self.line = statement.lineno
            try:
                self._run(statement)
            except Exception as error:
                self._failed(statement, error)

    def _run(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.For) and not _leaves_early(statement):
            for item in self._items(statement.iter):
                self._assign(statement.target, item)
                self.run(statement.body)
        elif isinstance(statement, ast.With):
            with contextlib.ExitStack() as stack:
                for item in statement.items:
                    value = stack.enter_context(self._value(item.context_expr))
                    if item.optional_vars is not None:
                        self._assign(item.optional_vars, value)
                self.run(statement.body)
        elif isinstance(statement, ast.If):
            self.run(statement.body if self._value(statement.test) else statement.orelse)
        else:
            self.execute(statement)

    def execute(self, statement: ast.stmt) -> None:
        """Execute one statement as a whole.

        Args:
            statement: any one.
        """
        code = compile(ast.Module([statement], []), "<test>", "exec")
        self.step(statement.lineno, lambda: exec(code, self.space))
        self._found(statement)

    def step(self, line: int, work: Callable[[], Result]) -> Result:
        """Do what is done as a whole: a statement, a header, or the next item of a loop.

        Args:
            line: where it stands.
            work: does it.

        Returns:
            What ``work`` returns.
        """
        return work()

    def _value(self, expression: ast.expr) -> Any:
        code = compile(ast.Expression(expression), "<test>", "eval")
        return self.step(expression.lineno, lambda: eval(code, self.space))

    def _items(self, expression: ast.expr) -> Iterator[Any]:
        values = self._value(expression)
        items, end = self.step(expression.lineno, lambda: iter(values)), object()
        while (item := self.step(expression.lineno, lambda: next(items, end))) is not end:
            yield item

    def _assign(self, target: ast.expr, value: Any) -> None:
        place = "__item__"
        self.space[place] = value
        source = ast.Name(place, ast.Load(), lineno=target.lineno, col_offset=target.col_offset)
        assignment = ast.Assign([target], source, lineno=target.lineno, col_offset=0)
        exec(compile(ast.Module([assignment], []), "<test>", "exec"), self.space)
        del self.space[place]
        self._found(assignment)

    def _found(self, statement: ast.stmt) -> None:
        """Forget why the names that a statement has now set were lost before.

        A loop is more than one statement: what failed in its body is still lost after it.
        """
        for name in _set_by(statement):
            self._lost.pop(name, None)

    def _failed(self, statement: ast.stmt, error: Exception) -> None:
        missing = error.name if isinstance(error, NameError) else None
        reason = self._lost.get(missing or "") or f"{type(error).__name__}: {error}"
        self.failures.append(Failure(statement.lineno, reason, error))
        for name in _set_by(statement) | _arguments(statement):
            self.space.pop(name, None)
            self._lost[name] = reason


def _leaves_early(loop: ast.For) -> bool:
    return bool(loop.orelse) or any(
        isinstance(node, (ast.Break, ast.Continue)) for node in ast.walk(loop)
    )


def _set_by(statement: ast.stmt) -> set[str]:
    """The names that a statement sets."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    own: set[str] = set()
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.comprehension):
            own |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names - own


def _arguments(statement: ast.stmt) -> set[str]:
    """The names that a call which is made for its effect gets; a comparison has no effect."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return set()
    call = statement.value
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("close", "emit"):
        return set()
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return {value.id for value in values if isinstance(value, ast.Name)}
