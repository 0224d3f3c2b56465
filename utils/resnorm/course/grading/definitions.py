"""What the code of a cell defines, and which names each definition needs, without running it."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import symtable
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from .names import DEFINITIONS, FUNCTIONS, parse
from .plain_python import as_python

#: In place of a name: code that may define any name, such as ``from answers import *``.
ANYTHING = "*"
#: Functions that can define names which nobody can read in the code.
UNREADABLE = {"exec", "globals", "locals", "vars", "get_ipython", "setattr"}
#: Magics that run the cell below them in the notebook's own namespace.
PLAIN_MAGICS = {"time", "capture", "prun"}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Definition:
    """One statement outside of functions that binds a name, or a part of what it stands for.

    Attributes:
        name: what it binds, or :data:`ANYTHING`.
        node: the statement.
        at_once: names of the notebook that the statement itself looks up when it runs.
        uses: these, and the names that what it defines looks up later, when it is called.
        is_open: whether there is nothing in it yet, as in what is handed out, or a part is missing.
        is_empty: whether there is nothing in any part of it.
        is_part: whether it only sets a part of what the name stands for, as in ``A.forward = f``.
    """

    name: str
    node: ast.stmt = field(compare=False)
    at_once: frozenset[str]
    uses: frozenset[str]
    is_open: bool = False
    is_empty: bool = False
    is_part: bool = False

    @property
    def is_import(self) -> bool:
        """Whether the name is imported."""
        return isinstance(self.node, ast.Import | ast.ImportFrom)

    @property
    def shape(self) -> str:
        """The syntax of the statement, without its layout."""
        return _shape(self.node)

    @property
    def lines(self) -> range:
        """The numbers of the lines on which the statement stands, from 0."""
        first = _first_line(self.node)
        return range(first - 1, self.node.end_lineno or first)


def definitions(source: str) -> list[Definition]:
    """List what the code of a cell defines when it runs, in the order of the code.

    Args:
        source: text of the cell. What Python does not run defines nothing.
    """
    magic = re.match(r"\s*%%(\w*)", source)
    tree = parse(source) if not magic or magic[1] in PLAIN_MAGICS else None
    if tree is None:
        return []
    found = []
    for node, looked_up in zip(tree.body, _looked_up(source, tree), strict=True):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        at_once = _at_once(node)
        about = (node, at_once, at_once | looked_up)
        left = (is_open(node), _is_empty(node))
        found += [Definition(name, *about, *left) for name in sorted(_bound(node))]
        found += [Definition(name, *about, is_part=True) for name in sorted(_changed(node))]
        if _is_unreadable(node):
            found.append(Definition(ANYTHING, *about))
    if run := re.search(r"^[ \t]*%run\b", source, re.MULTILINE):
        line = source.count("\n", 0, run.start()) + 1
        node = ast.Pass(lineno=line, end_lineno=line)
        found.append(Definition(ANYTHING, node, frozenset(), frozenset()))
    return found


def is_read(source: str) -> bool:
    """Say whether the code of a cell can be read, or is none that Python runs.

    Args:
        source: text of the cell.
    """
    magic = re.match(r"\s*%%(\w*)", source)
    return bool(magic and magic[1] not in PLAIN_MAGICS) or as_python(source) is not None


def names_in(source: str) -> set[str]:
    """List the names that code looks up, in whatever scope.

    Args:
        source: text of a cell.
    """
    nodes = ast.walk(parse(source) or ast.Module([], []))
    return {each.id for each in nodes if isinstance(each, ast.Name)}


def is_open(node: ast.stmt) -> bool:
    """Say whether nothing is written yet into a function or class, or a variable has no value.

    Args:
        node: a statement.
    """
    if isinstance(node, ast.ClassDef):
        return any(map(_is_left, _methods(node))) or _is_empty(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _is_empty(node) or _is_left(node)
    return _is_empty(node)


def without(source: str, lines: set[int]) -> str:
    """Take lines out of a cell.

    Args:
        source: text of the cell.
        lines: their numbers, from 0.
    """
    kept = (line for number, line in enumerate(source.split("\n")) if number not in lines)
    return "\n".join(kept).strip("\n")


@functools.lru_cache(maxsize=1000)
def _shape(node: ast.stmt) -> str:
    try:
        return ast.dump(node)
    except (RecursionError, MemoryError):
        return ""


def _first_line(node: ast.stmt) -> int:
    """The number of the line on which a statement, or its first decorator, begins."""
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])


def _is_empty(node: ast.stmt) -> bool:
    """Whether a function consists of ``pass``, a docstring, ``return None`` and the like.

    So do all methods of an empty class, and a variable without a value is empty.
    """
    if isinstance(node, ast.ClassDef):
        methods = _methods(node)
        others = [each for each in node.body if each not in methods and not _says_nothing(each)]
        return not others and all(map(_is_empty, methods))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return all(map(_says_nothing, node.body))
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return value is not None and _is_nothing(value)


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [each for each in node.body if isinstance(each, ast.FunctionDef)]


def _is_left(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function still ends as it was handed out, and returns nothing before that."""
    own = [node for each in function.body for node in _inside(each)]
    returns = any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in own)
    return _is_stub(function.body[-1]) and not returns


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below a statement of a function, without those of functions in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, FUNCTIONS):
            yield node
            waiting += ast.iter_child_nodes(node)


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


def _bound(node: ast.AST) -> set[str]:
    """The names that a statement binds outside of functions and classes."""
    bound: set[str] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue  # an annotation alone
        if isinstance(node, DEFINITIONS):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {(each.asname or each.name).split(".")[0] for each in node.names}
            bound |= names - {"*"}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef, *COMPREHENSIONS)):
            waiting += ast.iter_child_nodes(node)
    return bound


def _changed(node: ast.stmt) -> set[str]:
    """The names of what a statement sets a part of, or sets when a function in it is called.

    What a decorator gets as an argument, as in ``@add_to_class(Block)``, may be changed by it.
    """
    targets = [each for each in _running(node) if isinstance(each, ast.Attribute | ast.Subscript)]
    owners: list[ast.expr] = [each.value for each in targets if isinstance(each.ctx, ast.Store)]
    calls = [each for each in getattr(node, "decorator_list", []) if isinstance(each, ast.Call)]
    owners += [argument for call in calls for argument in call.args]
    changed: set[str] = set()
    for owner in owners:
        while isinstance(owner, ast.Attribute | ast.Subscript):
            owner = owner.value
        changed |= {owner.id} if isinstance(owner, ast.Name) else set()
    shared = [each for each in ast.walk(node) if isinstance(each, ast.Global)]
    return changed.union(*(each.names for each in shared))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement that run with it, not when a function is called."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, FUNCTIONS):
            waiting += getattr(node, "decorator_list", [])
            waiting += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        else:
            waiting += ast.iter_child_nodes(node)


def _at_once(node: ast.stmt) -> frozenset[str]:
    """The names that a statement looks up in the notebook when it runs."""
    nodes = list(_running(node))
    names = [each for each in nodes if isinstance(each, ast.Name)]
    inner = [each for each in nodes if isinstance(each, (ast.ClassDef, *COMPREHENSIONS))]
    own: set[str] = set()
    if inner:  # what a class or a comprehension sets is not looked up in the notebook
        own = {name.id for name in names if isinstance(name.ctx, ast.Store)} - _bound(node)
    return frozenset(name.id for name in names if isinstance(name.ctx, ast.Load)) - own


def _looked_up(source: str, tree: ast.Module) -> list[set[str]]:
    """For each statement, the names of the notebook that functions in it look up."""
    found: list[set[str]] = [set() for _ in tree.body]
    starts = [_first_line(node) for node in tree.body]
    try:
        children = symtable.symtable(as_python(source) or "", "<cell>", "exec").get_children()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return found
    for child in children:
        place = bisect_right(starts, child.get_lineno()) - 1
        if place >= 0:
            found[place] |= _globals(child)
    return found


def _globals(table: symtable.SymbolTable) -> set[str]:
    """The global names that a function or class and all functions inside of it look up."""
    waiting, names = [table], set()
    while waiting:
        table = waiting.pop()
        symbols = table.get_symbols()
        names |= {each.get_name() for each in symbols if each.is_global() and each.is_referenced()}
        waiting += table.get_children()
    return names


def _is_unreadable(node: ast.stmt) -> bool:
    """Whether a statement may define names that cannot be read in the code."""
    for each in _inside(node):
        if isinstance(each, ast.ImportFrom) and any(name.name == "*" for name in each.names):
            return not _is_library(each.module or "")
        if isinstance(each, ast.Call) and getattr(each.func, "id", "") in UNREADABLE:
            return True
    return False


def _is_library(module: str) -> bool:
    """Whether a module is installed, so that it does not lie beside the notebook."""
    try:
        return importlib.util.find_spec(module.split(".")[0]) is not None
    except (ImportError, ValueError):
        return False
