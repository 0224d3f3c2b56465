"""What the code of a cell defines, and which names each definition needs, without running it."""

from __future__ import annotations

import ast
import functools
import re
import symtable
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from .names import DEFINITIONS, FUNCTIONS, is_library, parse
from .plain_python import as_python
from .unfinished import inside, is_empty, is_open

#: In place of a name: code that may define any name, such as ``from answers import *``.
ANYTHING = "*"
#: Functions that can define names which nobody can read in the code.
UNREADABLE = {"exec", "globals", "locals", "vars", "get_ipython", "setattr"}
#: Magics that run the cell below them in the notebook's own namespace.
PLAIN_MAGICS = {"time", "capture", "prun"}
#: Methods by which a statement changes a collection, as ``LAYERS.append(3)`` does.
CHANGING = {"add", "append", "extend", "insert", "setdefault", "update"}
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
        is_part: whether it only changes a part of what the name stands for, as ``A.forward = f``
            and ``a.append(3)`` do.
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
    tree = _run_here(source)
    if tree is None:
        return []
    found = []
    for node, looked_up in zip(tree.body, _looked_up(source, tree), strict=True):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        at_once = _at_once(node)
        about = (node, at_once, at_once | looked_up)
        left = (is_open(node), is_empty(node))
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


def stars(source: str) -> list[str]:
    """List the modules of which code outside of functions imports all names.

    Args:
        source: text of a cell.
    """
    tree = _run_here(source) or ast.Module([], [])
    return [
        each.module
        for node in tree.body
        for each in inside(node)
        if isinstance(each, ast.ImportFrom) and each.names[0].name == "*"
        if each.module and not each.level
    ]


def _run_here(source: str) -> ast.Module | None:
    """The syntax tree of a cell that runs in the notebook's own namespace."""
    magic = re.match(r"\s*%%(\w*)", source)
    return parse(source) if not magic or magic[1] in PLAIN_MAGICS else None


def names_in(source: str) -> set[str]:
    """List the names that code looks up, in whatever scope.

    Args:
        source: text of a cell.
    """
    nodes = ast.walk(parse(source) or ast.Module([], []))
    return {each.id for each in nodes if isinstance(each, ast.Name)}


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

    What a decorator gets as an argument, as in ``@add_to_class(Block)``, may be changed by it, and
    so may the type of the first argument of what it decorates, as in ``def forward(self: Block)``.
    """
    owners: list[ast.expr] = []
    for each in _running(node):
        if isinstance(each, ast.Attribute | ast.Subscript) and isinstance(each.ctx, ast.Store):
            owners.append(each.value)
        elif isinstance(each, ast.Expr) and isinstance(each.value, ast.Call):
            called = each.value.func
            owners += [called] if getattr(called, "attr", "") in CHANGING else []
    decorators = getattr(node, "decorator_list", [])
    owners += [value for each in decorators if isinstance(each, ast.Call) for value in each.args]
    if decorators and isinstance(node, ast.FunctionDef):
        owners += [each.annotation for each in node.args.args[:1] if each.annotation]
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
    # What is added to, as in AXES += (1,), has been looked up as well.
    added = {getattr(each.target, "id", "") for each in nodes if isinstance(each, ast.AugAssign)}
    inner = [each for each in nodes if isinstance(each, (ast.ClassDef, *COMPREHENSIONS))]
    own: set[str] = set()
    if inner:  # what a class or a comprehension sets is not looked up in the notebook
        own = {name.id for name in names if isinstance(name.ctx, ast.Store)} - _bound(node)
    loaded = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    return frozenset((loaded | added) - own - _set_first(node) - {""})


def _set_first(node: ast.stmt) -> set[str]:
    """The names that a loop or a ``with`` sets before anything in it can look them up."""
    if isinstance(node, ast.For | ast.AsyncFor):
        pairs: list[tuple[ast.expr | None, ast.expr]] = [(node.target, node.iter)]
    elif isinstance(node, ast.With | ast.AsyncWith):
        pairs = [(item.optional_vars, item.context_expr) for item in node.items]
    else:
        return set()
    targets = [name for target, _ in pairs if target for name in ast.walk(target)]
    first = {name.id for name in targets if isinstance(name, ast.Name)}
    given = [name for _, value in pairs for name in ast.walk(value)]
    return first - {name.id for name in given if isinstance(name, ast.Name)}


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
    for each in inside(node):
        if isinstance(each, ast.ImportFrom) and any(name.name == "*" for name in each.names):
            return not is_library(each.module or "")
        if isinstance(each, ast.Call) and getattr(each.func, "id", "") in UNREADABLE:
            return True
    return False
