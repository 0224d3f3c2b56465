"""Whether something that an assignment asks for is written, begun or still as handed out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .names import FUNCTIONS

#: Classes from which nothing is inherited that could be an answer.
PLAIN_BASES = {"Module", "object"}


def is_open(node: ast.stmt) -> bool:
    """Say whether nothing is written yet into a function or class, or a variable has no value.

    Args:
        node: a statement.
    """
    if isinstance(node, ast.ClassDef):
        return any(map(_is_left, _methods(node))) or is_empty(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return is_empty(node) or _is_left(node)
    return is_empty(node)


def is_empty(node: ast.stmt) -> bool:
    """Say whether a function consists of ``pass``, a docstring, ``return None`` and the like.

    So do all methods of an empty class, unless it inherits the answer from another class, and a
    variable without a value is empty.

    Args:
        node: a statement.
    """
    if isinstance(node, ast.ClassDef):
        methods = _methods(node)
        others = [each for each in node.body if each not in methods and not _says_nothing(each)]
        is_heir = _inherits(node) and all(map(_hands_on, methods))
        return not others and all(map(is_empty, methods)) and not is_heir
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return all(map(_says_nothing, node.body))
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return value is not None and _is_nothing(value)


def _inherits(node: ast.ClassDef) -> bool:
    """Whether a class has a base that may do what is asked for, and is not as handed out."""
    names = {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
    return not names <= PLAIN_BASES and not any(map(_is_stub, node.body))


def _hands_on(function: ast.FunctionDef) -> bool:
    """Whether the last thing that a method does is to call the one that it inherits."""
    last = function.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)


def _is_left(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function still ends as it was handed out, and returns nothing before that."""
    own = [node for each in function.body for node in inside(each)]
    returns = any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in own)
    return _is_stub(function.body[-1]) and not returns


def _is_stub(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Raise):
        return False
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):  # super().__init__() is a part of what is handed out
        called = node.value.func if isinstance(node.value, ast.Call) else node.value
        is_start = isinstance(called, ast.Attribute) and called.attr == "__init__"
        return isinstance(node.value, ast.Constant) or is_start
    if isinstance(node, ast.Return):
        return node.value is None or _is_nothing(node.value)
    return isinstance(node, ast.Pass) or _is_stub(node)


def _is_nothing(value: ast.expr) -> bool:
    if isinstance(value, ast.Name):
        return value.id == "NotImplemented"
    return isinstance(value, ast.Constant) and value.value in (None, ...)


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [each for each in node.body if isinstance(each, ast.FunctionDef)]


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below a statement of a function, without those of functions in it.

    Args:
        node: the statement; it comes first, unless it is a function itself.
    """
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, FUNCTIONS):
            yield node
            waiting += ast.iter_child_nodes(node)
