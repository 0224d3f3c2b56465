"""What the code of a notebook refers to, read without running it.

Names are followed through imports, assignments, ``getattr`` with a literal and the like. What is
composed while the code runs is not seen here; see ``sandbox.observation``.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from typing import Any

from ..sandbox.forbidden_names import AUTOGRAD, listed_by_plain_name, modules_around, plain
from .plain_python import as_python

#: Parts of torch that compute gradients, by the package that they are in.
GRADIENTS = {
    "torch.autograd": {"grad", "backward", "functional", "forward_ad", "Variable"},
    "torch.func": {"grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian"},
    "functorch": {"grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian"},
}
#: What defines a function or a class.
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
#: The longest name that is followed, in parts between dots.
MAX_PARTS = 20


def parse(source: str) -> ast.Module | None:
    """Parse the code of a cell, in which lines of IPython may stand.

    Args:
        source: text of the cell.

    Returns:
        The syntax tree; None for what Python does not run, either.
    """
    text = as_python(source)
    return None if text is None else ast.parse(text)


@functools.lru_cache(maxsize=1000)
def is_library(module: str) -> bool:
    """Say whether a module is installed, so that it does not lie beside the notebook.

    Args:
        module: its name, with those of the packages around it.
    """
    try:
        return importlib.util.find_spec(module.split(".")[0]) is not None
    except (ImportError, ValueError):
        return False


class Names:
    """The names of a notebook, and what they stand for.

    Args:
        trees: the code of its cells, in order.
    """

    def __init__(self, trees: Iterable[ast.Module]):
        self.origins: dict[str, str] = {}
        self.stars: set[str] = set()
        self.own: set[str] = set()
        self.own_attributes: set[str] = set()
        self.definitions: dict[str, list[ast.AST]] = defaultdict(list)
        aliases: list[tuple[str, ast.expr]] = []
        for tree in trees:
            for node in ast.walk(tree):
                self._bind(node)
            for node in _outside_functions(tree):
                self._define(node, aliases)
        for _ in range(3):  # an alias of an alias of an alias
            for name, value in aliases:
                if origin := self.origin(value):
                    self.origins.setdefault(name, origin)

    def _bind(self, node: ast.AST) -> None:
        """Note what a node binds, in whatever scope."""
        if isinstance(node, ast.Import):
            for each in node.names:
                top = each.name.split(".")[0]
                self.origins[each.asname or top] = each.name if each.asname else top
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                self.origins[each.asname or each.name] = f"{node.module or ''}.{each.name}"
                self.stars |= {node.module or ""} if each.name == "*" else set()
        elif isinstance(node, DEFINITIONS):
            self.own.add(node.name)
            self.own_attributes.add(node.name)
            if isinstance(node, ast.ClassDef):  # its fields
                self.own_attributes |= {name for each in node.body for name in _field(each)}
        elif isinstance(node, ast.arg):
            self.own.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.own.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            self.own_attributes.add(node.attr)

    def _define(self, node: ast.AST, aliases: list[tuple[str, ast.expr]]) -> None:
        """Note what the name of a function, a class or a variable stands for in all cells.

        A statement such as ``F.relu = f`` or ``Block.forward.__code__ = c`` is a part of that.
        """
        if isinstance(node, DEFINITIONS):
            self.definitions[node.name].append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (part for target in targets for part in ast.walk(target)):
                if isinstance(name, ast.Name):
                    self.definitions[name.id].append(node)
                    if isinstance(name.ctx, ast.Store):
                        aliases.append((name.id, node.value))

    def origin(self, node: ast.AST, variables: Set[str] = frozenset()) -> str:
        """Say where an expression comes from, such as ``torch.nn.functional``; empty if unknown.

        Args:
            node: the expression.
            variables: names that the function around it uses for its own.
        """
        path: list[str] = []
        current: Any = node
        for _ in range(MAX_PARTS):
            if isinstance(current, ast.Name):
                start = "" if current.id in variables else self.origins.get(current.id, "")
                return ".".join([start, *reversed(path)]) if start else ""
            name = ""
            if isinstance(current, ast.Attribute):
                current, name = current.value, current.attr
            elif isinstance(current, ast.Subscript):
                base, name = _without_dict(current.value), _text(current.slice)
                if isinstance(base, ast.Attribute) and base.attr == "modules":
                    return ".".join([name, *reversed(path)])  # sys.modules["torch"]
                current = base
            elif isinstance(current, ast.Call) and current.args:
                called = _called(current)
                if called in ("import_module", "__import__"):
                    return ".".join([_text(current.args[0]), *reversed(path)])
                if called == "getattr" and len(current.args) > 1:
                    current, name = current.args[0], _text(current.args[1])
            if not name:
                return ""
            path.append(name)
        return ""

    def reached(self, roots: Iterable[ast.AST]) -> Iterator[tuple[ast.AST, Set[str]]]:
        """Walk through some code, and through the definitions of the names that it uses.

        Args:
            roots: where to begin.

        Yields:
            Nodes of the syntax trees, each once, with the variables of the function around it.
        """
        nothing: frozenset[str] = frozenset()
        waiting, seen = [(node, nothing) for node in roots], set()
        followed: set[str] = set()  # a name may be defined, and used, ten thousand times
        while waiting:
            node, variables = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, FUNCTIONS):
                variables |= _variables(node)
            if isinstance(node, ast.Name) and node.id not in variables and node.id not in followed:
                followed.add(node.id)
                waiting += [
                    (definition, nothing) for definition in self.definitions.get(node.id, [])
                ]
            yield node, variables
            waiting += [(child, variables) for child in ast.iter_child_nodes(node)]

    def used(
        self, node: ast.AST, names: frozenset[str], variables: Set[str] = frozenset()
    ) -> set[str]:
        """Say which of some names a node of a syntax tree refers to.

        Args:
            node: any node; what is below it is not looked at.
            names: such as ``batch_norm``, ``models``, ``resnorm.blocks`` or ``autograd``. One with
                a dot is a module, and nothing else of its last name counts.
            variables: names that the function around it uses for its own.
        """
        by_plain_name = listed_by_plain_name(names - {AUTOGRAD})
        origins = [self.origin(node, variables)]
        if isinstance(node, ast.Import):
            origins = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            origins = [f"{node.module or ''}.{each.name}" for each in node.names]
        if any(origins):
            # A file beside the notebook may define anything under such a name.
            origins = [each for each in origins if is_library(each)]
            found = {by_plain_name.get(plain(part), "") for o in origins for part in o.split(".")}
            found |= {name for origin in origins for name in modules_around(origin, names)}
            gradient = any(map(_is_gradient, origins))
            return (found | ({AUTOGRAD} & names if gradient else set())) - {""}
        if isinstance(node, ast.Name):
            unknown = node.id not in self.own and isinstance(node.ctx, ast.Load)
            unknown = unknown and all(map(is_library, self.stars))
            found = {node.id} & names if unknown else set()  # after "from ... import *"
            if node.id not in variables and node.id not in self.definitions:
                found |= {n for s in self.stars for n in modules_around(f"{s}.{node.id}", names)}
            return found
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if node.attr == "backward" and "backward" not in self.own_attributes:
                return {AUTOGRAD} & names
            listed = by_plain_name.get(plain(node.attr), "")
            return {listed} - {""} if node.attr not in self.own_attributes else set()
        if isinstance(node, ast.Call):
            called = _called(node)
            texts = {_text(argument) for argument in node.args}
            if called in ("getattr", "attrgetter", "methodcaller"):
                return {by_plain_name.get(plain(part), "") for part in texts} - {""}
            if called in ("exec", "eval", "compile"):
                return self._used_in_text(texts, names)
        if isinstance(node, ast.Subscript) and _without_dict(node.value) is not node.value:
            return {by_plain_name.get(plain(_text(node.slice)), "")} - {""}
        return set()

    def _used_in_text(self, texts: Iterable[str], names: frozenset[str]) -> set[str]:
        """What literal code that is handed to ``exec`` refers to."""
        trees = [tree for text in texts if (tree := parse(text))]
        inside = Names(trees)
        inside.origins = self.origins | inside.origins
        return {
            name for tree in trees for node in ast.walk(tree) for name in inside.used(node, names)
        }


def _field(node: ast.stmt) -> set[str]:
    """The names that a statement in the body of a class gives a value or a type."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return {each.id for each in targets if isinstance(each, ast.Name)}


def _outside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when the cell does, not when one of its functions is called."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            waiting += ast.iter_child_nodes(node)


def _variables(function: ast.AST) -> set[str]:
    """The arguments and variables of a function."""
    nodes = list(ast.walk(function))
    stored = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    outer = {
        name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
    }
    return {node.arg for node in nodes if isinstance(node, ast.arg)} | stored - outer


def _is_gradient(origin: str) -> bool:
    """Whether this is a part of torch that computes gradients."""
    return any(
        origin.startswith(f"{package}.") and origin.split(".")[package.count(".") + 1] in parts
        for package, parts in GRADIENTS.items()
    )


def _called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def _text(node: ast.AST) -> str:
    """The value of a literal text, empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _without_dict(node: ast.expr) -> ast.expr:
    """The module in ``module.__dict__`` and ``vars(module)``; anything else as it is."""
    if isinstance(node, ast.Attribute) and node.attr == "__dict__":
        return node.value
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "vars" and node.args:
        return node.args[0]
    return node
