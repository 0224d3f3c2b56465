"""What an instructor should look at: names that an assignment forbids, and replaced functions.

Both are hints for a person. A name can be hidden from whoever reads the code, and what a notebook
says about itself comes from beside the student's code. Neither raises nor lowers a mark.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from nbformat import NotebookNode

from ..sandbox.forbidden_names import AUTOGRAD
from ..sandbox.incidents import Incident
from ..sandbox.journal import BEGUN, UNSEEN
from .cells import is_test, meta, ours
from .definitions import UNREADABLE
from .names import DEFINITIONS, Names, parse

#: How the last cell hands over the names of what was replaced.
PATCHED = "application/vnd.resnorm.patched+json"
#: What is said of use that was noticed while a test ran.
HINT = "noticed while it ran, beside the student's code: a hint, not evidence"
#: Code of a cell that runs after the last one and lists what the notebook has put into the
#: libraries. It runs beside the student's code, so its answer is a hint and not evidence.
PROBE = f"""
def _probe():
    import sys
    from IPython.display import publish_display_data
    names = ("builtins", "numpy", "torch", "torch.nn", "torch.nn.functional", "resnorm.checking")
    owners = {{name: sys.modules[name] for name in names if name in sys.modules}}
    if "torch" in owners:
        torch = owners["torch"]
        owners |= {{"torch.Tensor": torch.Tensor, "torch.nn.Module": torch.nn.Module}}
    found = [
        f"{{owner}}.{{name}}"
        for owner, space in owners.items()
        for name, value in vars(space).items()
        if getattr(value, "__module__", None) == "__main__"
    ]
    publish_display_data({{"{PATCHED}": found[:20]}})
_probe()
"""


def patched(probe: NotebookNode) -> list[Incident]:
    """Report what a submission has replaced in the libraries.

    Args:
        probe: the cell with the code ``PROBE``, after it ran.
    """
    names = [name for output in probe.outputs for name in output.get("data", {}).get(PATCHED, [])]
    return [
        Incident(-1, "patched", f"{str(name)[:80]} was replaced by the submission's own")
        for name in names[:20]
    ]


def forbidden(notebook: NotebookNode) -> list[Incident]:
    """Report answers whose code refers to a name that the assignment asks to write by hand.

    What the assignment asks for counts, and what it refers to in all cells of the student. The
    student's own tests do not count, also in the cell of an answer.

    Args:
        notebook: its metadata list the forbidden names, such as ``batch_norm``, under ``resnorm``
            and ``forbidden``; so can the metadata of an answer, for this task alone.
    """
    trees = {
        index: tree
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and not is_test(cell) and (tree := parse(cell.source))
    }
    names = Names(trees.values())
    cell_of = {id(node): index for index, tree in trees.items() for node in ast.walk(tree)}
    answers = [index for index in trees if meta(notebook.cells[index]).get("solution")]
    # What is put in the place of a part of something else is followed by the name of that. Of
    # setattr, exec and the like nobody can read what they change, so it may be an answer.
    replacing = [
        node
        for index, tree in trees.items()
        if not meta(notebook.cells[index]) or index in answers
        for node in tree.body
        if _is_replacing(node)
    ]
    passes = [(_listed(notebook), answers)]
    passes += [(_listed(notebook.cells[index]), [index]) for index in answers]
    found: set[tuple[int, str]] = set()
    for wanted, cells in passes:
        roots: list[ast.AST] = []
        for index in cells:
            asked = ours(notebook.cells[index]).get("asked")
            own = [each.name for each in trees[index].body if isinstance(each, DEFINITIONS)]
            # Answers may stand in cells of the student's own.
            roots += [node for name in asked or own for node in names.definitions.get(name, [])]
            roots += [] if asked else [trees[index]]
        for node, variables in names.reached([*roots, *replacing]) if wanted else ():
            place = cell_of[id(node)]
            if not meta(notebook.cells[place]) or meta(notebook.cells[place]).get("solution"):
                found |= {(place, name) for name in names.used(node, wanted, variables)}
    return [Incident(index, "forbidden", f"uses {_asked(name)}") for index, name in sorted(found)]


def forbidden_by_test(source: NotebookNode) -> dict[str, list[str]]:
    """List what an answer must not use while its test runs, for the observation of the run.

    Args:
        source: the instructor's notebook.

    Returns:
        Name of a graded cell -> names that are forbidden to the answer before it.
    """
    names, answer = {}, source
    for cell in source.cells:
        if cell.cell_type == "code" and meta(cell).get("solution"):
            answer = cell
        elif is_test(cell):
            names[meta(cell)["grade_id"]] = sorted(_listed(source) | _listed(answer))
    return names


def used(observed: Mapping[str, Iterable[str]], source: NotebookNode) -> list[Incident]:
    """Report what answers were seen to use while their tests ran.

    Args:
        observed: name of a graded cell -> names that were used. They come from beside the student's
            code, so anything but a name that the source lists is dropped.
        source: the instructor's notebook.
    """
    tests: dict[str, list[str]] = {}
    for test, names in forbidden_by_test(source).items():
        for name in [*names, *[UNSEEN] * bool(names)]:
            if name in observed.get(test, ()):
                tests.setdefault(name, []).append(test)
    return [
        Incident(-1, "forbidden", f"uses {_asked(name)} ({', '.join(found)}; {HINT})")
        for name, found in tests.items()
    ]


def noticed(
    found: Mapping[str, Iterable[str]], journal: Mapping[str, Iterable[str]], earning: Iterable[str]
) -> dict[str, set[str]]:
    """Put together what the box says was used and what its journal says.

    Args:
        found: name of a graded cell -> names, by the replies of the box.
        journal: the same by its journal, with what was used beside the call. There, each
            observation says that it has begun.
        earning: names of the graded cells that earned points, with answers that must have run.

    Returns:
        Name of a graded cell -> names, with ``UNSEEN`` where no observation began.
    """
    earning = set(earning)
    return {
        test: {*found.get(test, ()), *journal.get(test, ())}
        | ({UNSEEN} if test in earning and BEGUN not in journal.get(test, ()) else set())
        for test in {*found, *journal, *earning}
    }


def _is_replacing(node: ast.stmt) -> bool:
    """Whether a statement may put something in the place of anything else."""
    called = (
        node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    )
    return isinstance(called, ast.Name) and called.id in UNREADABLE


def _asked(name: str) -> str:
    """A forbidden name, and why it is forbidden."""
    if name == UNSEEN:
        return (
            "a thread or a process of its own, or switches observation off, as torch's profiler "
            "does: what it uses is not seen"
        )
    if name == AUTOGRAD:
        return "autograd, where the task asks to derive the gradient by hand"
    return f"{name}, which the assignment asks to write by hand"


def _listed(owner: NotebookNode) -> frozenset[str]:
    """The names that a notebook or a cell forbids."""
    return frozenset(ours(owner).get("forbidden", []))
