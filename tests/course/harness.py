"""Grade in this process: the judge of the grader, its proxy and the executor, but no sandbox.

Only for answers that we wrote.
"""

import contextlib
import copy
import io
import traceback

import nbformat
import torch

from resnorm.course.grading.apart import random_state, restore_random_state
from resnorm.course.grading.cells import graded_cells, is_test, meta
from resnorm.course.grading.execution import inside_the_box
from resnorm.course.grading.judge import Judge, compare, expected
from resnorm.course.grading.own_dtype import better_outcome, may_gain
from resnorm.course.grading.plain_python import as_python
from resnorm.course.grading.verdicts import verdict
from resnorm.course.remote.executor import Executor, described


def run(notebook, source, *, strict=False, only=None, wanted=None):
    """Graded cell -> what its test finds, for the answers in a notebook.

    Only these tests are run, if they are given. No test needs another one. What is wanted of each
    test decides whether it runs again with the notebook's default type.
    """
    space = {"__name__": "__main__"}
    torch.manual_seed(0)
    dtype, kept = torch.get_default_dtype(), [random_state()]
    executor, theirs = Executor(space), [dtype]

    def ask(text):
        torch.set_default_dtype(theirs[0])
        try:
            return executor.answer(text)
        finally:
            torch.set_default_dtype(dtype)

    judge = Judge(ask, source, strict=strict)
    found = {}
    try:
        inside, places = inside_the_box(notebook)
        for cell, place in zip(inside.cells, places, strict=True):
            if cell.cell_type != "code":
                continue
            name = meta(cell).get("grade_id")
            if is_test(cell) and only is not None and name not in only:
                continue
            if name in judge.cells and (meta(cell).get("grade") or meta(cell).get("locked")):
                theirs[0] = torch.get_default_dtype()
                with outside(dtype, kept):
                    found[name] = judge.run(name)
                    if wanted and found[name] and may_gain(judge, found[name], wanted[name]):
                        found[name] = better_outcome(judge, name, found[name], wanted[name])
            text = as_python(cell.source) or cell.source
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(text, "cell", "exec"), space)
            except (Exception, SystemExit) as error:
                notebook.cells[place].outputs = [_told(error)]
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(True)
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def _told(error):
    """An error as the kernel tells it."""
    lines = [
        n for at, n in traceback.walk_tb(error.__traceback__) if at.f_code.co_name == "<module>"
    ]
    told = [f"Cell \x1b[32mIn[1]\x1b[39m, line {n}" for n in lines]
    return nbformat.v4.new_output(
        "error", ename=type(error).__name__, evalue=described(error)["message"], traceback=told
    )


@contextlib.contextmanager
def outside(dtype, kept):
    """The state of another process, in which the student's code changes nothing."""
    theirs = torch.get_default_dtype(), torch.is_grad_enabled(), random_state()
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(True)
    restore_random_state(kept.pop())
    try:
        yield
    finally:
        kept.append(random_state())
        torch.set_default_dtype(theirs[0])
        torch.set_grad_enabled(theirs[1])
        restore_random_state(theirs[2])


def reference(source):
    """What the tests find with the solution; they must not fail."""
    found = run(source, source, strict=True)
    return {name: expected(outcome) for name, outcome in found.items()}


def verdicts(source, wanted, answers, only=None, *, again=False):
    """Graded cell -> verdict, for the source with some answers replaced; of all tests, or these.

    Where points are lost, they may run again with the notebook's default type.
    """
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        name = meta(cell).get("grade_id")
        if name in answers:
            cell.source = answers[name]
    found = run(notebook, source, only=only, wanted=wanted if again else None)
    marks = {}
    for cell in graded_cells(source):
        name = meta(cell)["grade_id"]
        if (only is None or name in only) and not _weighed(cell):  # which no answer decides
            agree, problems = compare(found[name], wanted[name])
            marks[name] = verdict(cell, agree, len(wanted[name]), problems)
    return marks


def tests_of(source):
    """Answer -> the graded cells that follow it, up to the next answer."""
    found, current = {}, None
    for cell in source.cells:
        about = meta(cell)
        if about.get("solution") and not about.get("grade"):
            current = found.setdefault(about["grade_id"], [])
        elif about.get("grade") and not about.get("solution") and not _weighed(cell):
            current.append(about["grade_id"])
    return found


def tests_below(source, answers):
    """The graded cells below the first of some answers.

    Those above have run before it is there, so they find what they find with the solution.
    """
    by_task = tests_of(source)
    tasks = list(by_task)
    first = min(map(tasks.index, answers))
    return [test for task in tasks[first:] for test in by_task[task]]


def _weighed(cell):
    return bool(cell.metadata.get("resnorm", {}).get("weights"))


def solution(source, name):
    """The answer cell of the instructor, without its marks."""
    cell = next(cell for cell in source.cells if meta(cell).get("grade_id") == name)
    return "\n".join(line for line in cell.source.splitlines() if "### " not in line)


def edited(text, edit):
    """Whole code, or one edit of the solution."""
    if isinstance(edit, str):
        return edit
    old, new = edit
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the solution"
    return text.replace(old, new)
