"""Run the tests of graded cells outside of the box, and compare what they find.

The test's code and the expected values are in this process only. Of the box it sees values, which
the student's code may have made up: they are worth points only where they equal the solution's.
"""

from __future__ import annotations

import ast
import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nbformat import NotebookNode

from ... import checking
from ..remote.codec import Codec
from ..remote.proxy import Gone, Remote, RemoteError, Session
from .apart import copies, random_state, restore_random_state
from .cells import by_name, hidden_lines, is_boxed, is_test, meta
from .inspection import forbidden_by_test
from .statements import Failure, Statements

#: Largest number of comparisons of one cell; a test of ours has far fewer.
MAX_COMPARISONS = 1000
#: Largest number of problems of one cell that are told.
MAX_PROBLEMS = 20

Result = TypeVar("Result")


class AuthorError(RuntimeError):
    """A test would be unjust or does not work with the solution. The message is for its author."""


@dataclass(frozen=True)
class Comparison:
    """One comparison of a test.

    Attributes:
        name: what messages call it.
        value: plain copy of what was computed, or None.
        problem: why there is no such copy.
        target: plain copy of what is expected, or None where the test does not say.
        rtol: relative tolerance.
        atol: absolute tolerance.
        public: whether students see the test.
    """

    name: str
    value: Any
    problem: str
    target: Any
    rtol: float
    atol: float
    public: bool


@dataclass
class Outcome:
    """What one test found.

    Attributes:
        comparisons: in their order.
        failures: statements that raised an error.
        used: names that the assignment forbids and that the answers used, by what the box says.
        dtype: the default type with which the answers ran, where it was the notebook's own.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    dtype: str = ""


class Judge:
    """Runs the cells of an assignment that are the instructor's, outside of the box.

    Args:
        ask: sends the text of a request into the box and returns the reply.
        source: the instructor's notebook.
        strict: whether to refuse tests that are unjust, in the run of the solution.
    """

    def __init__(self, ask: Callable[[str], Any], source: NotebookNode, *, strict: bool = False):
        self.session, self.strict = Session(ask), strict
        self.cells = by_name(source)
        code = [cell for cell in self.cells.values() if cell.cell_type == "code"]
        answers = [cell.source for cell in code if meta(cell).get("solution")]
        boxed = [cell.source for cell in code if is_boxed(cell)]
        self.answers, self.boxed = _defined_by(answers), _defined_by(boxed)
        self.space: dict[str, Any] = {"__name__": "__test__"}
        self.forbidden = forbidden_by_test(source)

    def run(self, name: str) -> Outcome | None:
        """Run a cell of the instructor's: a test, or what the tests need.

        What the tests need, such as imports, is executed here as well as in the box, beside the
        student's code but in a namespace of its own. A boxed cell is executed only there.

        Args:
            name: nbgrader's name of the cell.

        Returns:
            What a test found; None for other cells.

        Raises:
            AuthorError: in the run of the solution, the cell fails or a test is unjust.
        """
        cell = self.cells[name]
        if is_test(cell):
            self.session.forbidden = self.forbidden[name]
            return self.test(cell.source)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if not is_boxed(cell):
                    exec(compile(cell.source, "<shared>", "exec"), self.space)
                self.session.define(cell.source)
        except (Gone, Exception) as error:  # then the names are not there when a test needs them
            if self.strict:
                raise AuthorError(f"{type(error).__name__}: {error}") from None
        return None

    def test(self, source: str) -> Outcome:
        """Run the test of a graded cell, from which no other test sees anything.

        Args:
            source: the instructor's code, with the hidden part.

        Raises:
            AuthorError: the test is unjust, in the run of the solution.
        """
        outcome, hidden = Outcome(), hidden_lines(source)
        trial = _Trial(self.space, self.session, self.strict)

        def record(name: str, value: Any, target: Any, rtol: float, atol: float) -> None:
            if len(outcome.comparisons) >= MAX_COMPARISONS:
                raise RuntimeError(f"more than {MAX_COMPARISONS} comparisons")
            plain, problem = _plain(value, name)
            target = None if target is None else _plain(target, name)[0]
            public = trial.line not in hidden
            outcome.comparisons.append(Comparison(name, plain, problem, target, rtol, atol, public))

        outcome.failures, quiet = trial.failures, contextlib.redirect_stdout(io.StringIO())
        with self._apart(), checking.recorded(record), quiet:
            try:
                self.space |= self.session.names(self.answers)
                self.space |= self.session.names(self.boxed, boxed=True)
                trial.run(ast.parse(source).body)
            except Gone:
                return outcome
            except Exception as error:  # whatever the box said; it is not the machine's failure
                if self.strict and not isinstance(error, RemoteError):
                    raise
                trial.failures.append(Failure(0, f"{type(error).__name__}: {error}", error))
        changed, outcome.used = self.session.changed(), sorted(self.session.used)
        self.session.forget()
        if self.strict and changed:
            raise AuthorError("a tensor from the box is changed in place: clone it first")
        return outcome

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        """Undo what a test does to the names, values and random states that shared cells left.

        The namespace is the same one, because the functions of shared cells look up names in it.
        """
        shared, state = dict(self.space), random_state()
        for name in (*self.answers, *self.boxed):
            self.space.pop(name, None)
        self.space |= copies(self.space)
        self.session.requests = 0  # on which the random numbers in the box depend
        try:
            yield
        finally:
            self.space.clear()
            self.space |= shared
            restore_random_state(state)


class _Trial(Statements):
    """Checks, in the run of the solution, that inputs do not depend on what a student does."""

    def __init__(self, space: dict[str, Any], session: Session, strict: bool):
        super().__init__(space)
        self.session, self.strict = session, strict

    def step(self, line: int, work: Callable[[], Result]) -> Result:
        if not self.strict:
            return work()
        requests, state = self.session.requests, random_state()
        result = work()
        if self.session.requests != requests and random_state() != state:
            raise AuthorError(
                f"line {line} draws random numbers and calls an answer: if the call "
                "failed, later inputs would differ. Draw them in a statement before"
            )
        return result


def _plain(value: Any, name: str) -> tuple[Any, str]:
    """A copy of a value that can be compared, or why there is none."""
    if type(value) in checking.NUMBERS:
        return value, ""
    try:
        return checking.plain(value, name), ""
    except (AssertionError, NotImplementedError) as error:
        problem = str(error)
        if type(value) is Remote:
            problem = f"{name} must be a tensor, an array or a number, but is {value._kind}"
        return None, problem


def expected(outcome: Outcome) -> list[dict[str, Any]]:
    """Turn what a test found with the solution into what it expects.

    Args:
        outcome: from the run of the solution.

    Returns:
        JSON data, one entry per comparison.

    Raises:
        AuthorError: a statement failed, or the solution's own value is not as expected.
    """
    if outcome.failures:
        first = outcome.failures[0]
        if isinstance(first.error, AuthorError):
            raise first.error
        raise AuthorError(f"line {first.line}: {first.reason}")
    entries = []
    for found in outcome.comparisons:
        if found.problem:
            raise AuthorError(found.problem)
        target = found.value if found.target is None else found.target
        problem = checking.difference(
            found.value, target, name=found.name, rtol=found.rtol, atol=found.atol
        )
        if problem:
            raise AuthorError(problem)
        target = checking.plain(target, found.name)
        fields = {"name": found.name, "rtol": found.rtol, "atol": found.atol}
        entries.append(fields | {"public": found.public, "value": Codec().encode(target)})
    return entries


def compare(outcome: Outcome, entries: Sequence[dict[str, Any]]) -> tuple[int, list[str]]:
    """Count the comparisons that agree with the solution's, and say what is wrong with the others.

    A comparison is found by its name, and by how many of that name came before it. What students
    cannot see is not told: of hidden comparisons no value. If there are hidden comparisons and none
    of them agrees, then no other counts either, because what those expect can be looked up.

    Args:
        outcome: what the test found.
        entries: from :func:`expected`.

    Returns:
        The number that agree, and sentences.
    """
    found: dict[str, list[Comparison]] = {}
    for comparison in outcome.comparisons:
        found.setdefault(comparison.name, []).append(comparison)
    agree, missing, unseen = 0, 0, 0
    problems = [failure.reason[:500] for failure in outcome.failures]
    for entry in entries:
        if not found.get(entry["name"]):
            missing += 1
            continue
        comparison = found[entry["name"]].pop(0)
        problem = comparison.problem or checking.difference(
            comparison.value,
            Codec().decode(entry["value"]),
            name=entry["name"],
            rtol=entry["rtol"],
            atol=entry["atol"],
            numbers=entry["public"],
        )
        agree += not problem
        unseen += not problem and not entry["public"]
        problems += [problem] if problem else []
    problems = list(dict.fromkeys(problems))
    if more := problems[MAX_PROBLEMS:]:
        problems[MAX_PROBLEMS:] = [f"and {len(more)} more"]
    if missing:
        problems.append(f"{missing} of {len(entries)} comparisons did not run")
    if agree and not unseen and not all(entry["public"] for entry in entries):
        agree = 0
        problems.append("only values that can be looked up agree: no points without a hidden one")
    return agree, problems


def _defined_by(sources: Iterable[str]) -> list[str]:
    """The names that some cells define, sorted."""
    names: set[str] = set()
    for statement in (statement for source in sources for statement in ast.parse(source).body):
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
        else:
            names |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return sorted(names)
