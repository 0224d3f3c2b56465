"""Variants of an assignment: the conventions of one class, chosen by its private number.

Beside a source notebook may lie a file ``variants.py``. It defines ``CONVENTIONS``, a dictionary
from the name of a convention to its options, from the name of an option to the cells that it
changes, and from the name of a cell to its edits. A cell is named by nbgrader's ``grade_id`` or
else by its ``id``. Its edits are a whole new text, or a list of pairs: a text that stands in the
cell, and what takes its place wherever it stands. The texts are those of the source notebook,
which is the published variant and is none of the options. So text, stub, tests and solution change
together, and the source stays a notebook that can be edited and run.

The number of a course (``Course.variant_seed``) chooses one option of each convention. It also
seeds the hidden part of each test anew, so the inputs of the hidden tests are those of one class.
Nothing that is released depends on the number itself, but only on the options that it chooses.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, TypeAlias

import nbformat
from nbformat import NotebookNode

from .folder import VARIANTS, Course, CourseError
from .grading.cells import BEGIN_HIDDEN, END_HIDDEN, is_test, meta, public_text
from .grading.matching import same
from .sandbox.incidents import Incident

#: What changes in a cell: its whole text, or pairs of an old text and a new one.
Edits: TypeAlias = str | list[tuple[str, str]]
#: Convention -> option -> cell -> edits.
Conventions: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Edits]]]

FORM = "{convention: {option: {cell: [(old, new), …] or a new text}}}"
#: Folder of a course with its variants, solutions and hidden tests included.
FOLDER = "variant"
_HIDDEN = re.compile(rf"(?m)^{BEGIN_HIDDEN}\n(.*?)^{END_HIDDEN}", re.DOTALL)
_SEED = re.compile(r"torch\.manual_seed\((\d+)\)")


def instructors_notebook(course: Course, name: str) -> NotebookNode:
    """Read the notebook of an assignment, with solutions, in the variant of this course.

    Args:
        course: the course's folder.
        name: of the assignment.

    Raises:
        CourseError: there is no such assignment, or its variants cannot be used.
    """
    notebook = nbformat.read(course.assignment(name).notebook, as_version=4)
    if (seed := course.variant_seed) is None:
        return notebook
    conventions = read_conventions(course, name)
    made = varied(notebook, conventions, chosen(conventions, name, seed), _file(name))
    _seed_hidden_tests(made, name, seed)
    return made


def write_variant(course: Course, name: str) -> str:
    """Write the variant of this course for nbgrader, and for the instructor to read.

    Args:
        course: the course's folder.
        name: of the assignment.

    Returns:
        Name of the course's folder that now holds it; empty without a variant.

    Raises:
        CourseError: there is no such assignment, or its variants cannot be used.
    """
    if course.variant_seed is None:
        return ""
    assignment, made = course.assignment(name), instructors_notebook(course, name)
    folder = course.root / FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        assignment.notebook.parent, folder, ignore=shutil.ignore_patterns(VARIANTS, "*.ipynb")
    )
    nbformat.write(made, folder / assignment.notebook.name)
    return FOLDER


def described(course: Course, name: str) -> str:
    """Say in one sentence which variant of an assignment this course has.

    Args:
        course: the course's folder.
        name: of the assignment.
    """
    if (seed := course.variant_seed) is None:
        return "Variant: the published one."
    options = chosen(read_conventions(course, name), name, seed)
    parts = [f"{convention}: {option}" for convention, option in options.items()]
    parts = parts or ["the published conventions"]
    return f"Variant: {'; '.join(parts)}; hidden tests with inputs of your own."


def read_conventions(course: Course, name: str) -> Conventions:
    """Read the conventions of an assignment; there are none without a file ``variants.py``.

    Args:
        course: the course's folder.
        name: of the assignment.

    Raises:
        CourseError: the file cannot be executed, or does not define ``CONVENTIONS`` in its form.
    """
    path = course.assignment(name).notebook.parent / VARIANTS
    if not path.is_file():
        return {}
    space: dict[str, Any] = {"__name__": "variants", "__file__": str(path)}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    except Exception as problem:  # it is the instructor's own code
        raise CourseError(
            f"{_file(name)} cannot be executed: {type(problem).__name__}: {problem}. Correct it, "
            "or remove it if all classes have the published variant"
        ) from None
    if "CONVENTIONS" not in space:
        raise CourseError(
            f"{_file(name)} defines {_listed(_defined(space))}, but not CONVENTIONS: "
            f"it must be a dictionary {FORM}"
        )
    if fault := _fault(space["CONVENTIONS"]):
        raise CourseError(f"CONVENTIONS of {_file(name)} must be {FORM}, but {fault}")
    return space["CONVENTIONS"]


def chosen(conventions: Conventions, name: str, seed: int) -> dict[str, str]:
    """Choose one option of each convention.

    Args:
        conventions: those of the assignment.
        name: of the assignment.
        seed: the number of the course.

    Returns:
        Convention -> option.
    """
    return {
        convention: list(options)[_number(seed, name, convention) % len(options)]
        for convention, options in conventions.items()
    }


def varied(
    source: NotebookNode, conventions: Conventions, options: Mapping[str, str], file: str = VARIANTS
) -> NotebookNode:
    """Copy a source notebook with some options in place of the published conventions.

    Args:
        source: the instructor's notebook.
        conventions: those of the assignment.
        options: convention -> option; what is not named stays as it is published.
        file: what messages call the file with the conventions.

    Raises:
        CourseError: an option names a cell or a text that is not there.
    """
    made = copy.deepcopy(source)
    cells = {_name(cell): cell for cell in made.cells}
    for convention, option in options.items():
        for name, edits in conventions[convention][option].items():
            place = f"{file}: option {option!r} of {convention!r}"
            if name not in cells:
                raise CourseError(
                    f"{place} changes a cell {name!r}, which the notebook does not have: give the "
                    f"grade_id or the id of one of its cells, such as {_listed(list(cells)[:4])}"
                )
            cells[name].source = _edited(cells[name].source, edits, f"{place}, cell {name}")
    return made


def from_another_variant(submitted: NotebookNode, course: Course, name: str) -> list[Incident]:
    """Report a submission whose tests are those of another variant than this course hands out.

    Args:
        submitted: the student's notebook.
        course: the course's folder.
        name: of the assignment.
    """
    if course.variant_seed is None:
        return []
    source = nbformat.read(course.assignment(name).notebook, as_version=4)
    ours, found, published = instructors_notebook(course, name), [], True
    conventions = read_conventions(course, name)
    code = (cell.source for cell in submitted.cells if cell.cell_type == "code")
    theirs = [public_text(text) for text in code]  # of the source, too, which is public
    agree = 0
    for cell, mine in zip(source.cells, ours.cells, strict=True):
        others = _other_texts(cell, mine, conventions)
        if not others:
            continue
        if any(same(text, public_text(mine.source)) for text in theirs):
            agree += 1
        elif other := [each for each in others if any(same(text, each) for text in theirs)]:
            found.append(_name(cell))
            published &= same(other[0], public_text(cell.source))
    if len(found) <= agree:
        return []
    which = "the published variant" if published else "the variant of another class"
    message = (
        f"this notebook was made from {which} of {name}, and this course hands out its own: "
        f"{_listed(found)} are those of the other. It is graded by the conventions of this course, "
        "so what follows others loses points. Ask where the notebook comes from"
    )
    return [Incident(-1, "variant", message)]


def _other_texts(cell: NotebookNode, mine: NotebookNode, conventions: Conventions) -> list[str]:
    """What students see of a test in the published variant and in all others but ours."""
    if not is_test(cell):
        return []
    changes = [
        [edits[_name(cell)] for edits in options.values() if _name(cell) in edits]
        for options in conventions.values()
    ]
    texts = []
    for combination in product(*[[[], *edits] for edits in changes if edits]):
        with contextlib.suppress(CourseError):  # nobody was handed what cannot be made
            text = cell.source
            for edits in combination:
                text = _edited(text, edits, _name(cell))
            texts.append(public_text(text))
    return [text for text in texts if not same(text, public_text(mine.source))]


def _edited(text: str, edits: Edits, place: str) -> str:
    """The text of a cell after some edits."""
    if isinstance(edits, str):
        return edits
    for old, new in edits:
        if old not in text:
            raise CourseError(
                f"{place}: {old!r} does not stand there, so nothing can take its place. "
                f"Give a text that the cell of the source notebook has"
            )
        text = text.replace(old, new)
    return text


def _seed_hidden_tests(notebook: NotebookNode, name: str, seed: int) -> None:
    """Let the hidden part of each test draw other numbers than in any other class."""
    for cell in filter(is_test, notebook.cells):
        place, seeded = _name(cell), _SEED.search(cell.source)

        def drawn(match: re.Match[str], place: str = place) -> str:
            return f"torch.manual_seed({_number(seed, name, place, match[1]) % 10**9})"

        def hidden(match: re.Match[str], place: str = place, seeded: Any = seeded) -> str:
            code = _SEED.sub(drawn, match[1])
            if seeded and "torch.rand" in code and not _SEED.match(code):
                code = f"torch.manual_seed({_number(seed, name, place) % 10**9})\n{code}"
            return f"{BEGIN_HIDDEN}\n{code}{END_HIDDEN}"

        cell.source = _HIDDEN.sub(hidden, cell.source)


def _number(*parts: object) -> int:
    """A number that depends on all parts. Only trying finds a part again, so it has to be long."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def _name(cell: NotebookNode) -> str:
    """The name of a cell: nbgrader's, or else its id."""
    return meta(cell).get("grade_id") or cell.get("id", "")


def _file(name: str) -> str:
    return f"source/{name}/{VARIANTS}"


def _defined(space: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in space if not name.startswith("__"))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _fault(found: Any) -> str:
    """What is wrong with the form of the conventions, or nothing."""
    if not isinstance(found, Mapping):
        return f"it is of the type {type(found).__name__}"
    for convention, options in found.items():
        if not isinstance(options, Mapping) or not options:
            return f"the convention {convention!r} has no dictionary of options"
        for option, cells in options.items():
            if not isinstance(cells, Mapping) or not cells:
                return f"the option {option!r} of {convention!r} has no dictionary of cells"
            for cell, edits in cells.items():
                pairs = [(edits, edits)] if isinstance(edits, str) else edits
                if not isinstance(pairs, (list, tuple)) or not all(map(_is_pair, pairs)):
                    return f"the edits of the cell {cell!r} ({option!r}) are no pairs of texts"
    return ""


def _is_pair(edit: Any) -> bool:
    return (
        isinstance(edit, tuple) and len(edit) == 2 and all(isinstance(text, str) for text in edit)
    )
