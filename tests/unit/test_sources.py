"""Every chapter passes the checks of its source, and each check is shown to find a bad example."""

import copy
import json
from pathlib import Path

import pytest

import notebooks as tool
from notebook_checks import (
    BOOTSTRAP,
    CHECKS,
    MAX_COLUMNS,
    MAX_FOLDED_LINES,
    MAX_IGNORED,
    MAX_LINES,
    cells_have_ids_of_their_own,
    cells_ran_in_order,
    code_cells_fit_on_a_screen,
    code_lines_fit_the_page,
    equations_have_at_most_two_relations_per_line,
    exercises_have_solutions,
    exercises_have_stars_label_and_hint,
    few_outputs_are_ignored,
    figures_keep_what_they_read,
    first_cell_is_the_setup,
    kernel_is_python3,
    metadata_is_the_same_on_every_machine,
    no_cell_failed,
    nothing_went_to_stderr,
    outputs_are_stored,
    outputs_are_the_same_on_every_machine,
    outputs_are_what_strict_nbval_compares,
    pictures_have_alternative_text,
    shape_is_that_of_a_chapter,
    solutions_are_checked,
    tags_are_known,
    widgets_go_through_explore,
)

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {
    path.relative_to(ROOT).as_posix(): json.loads(path.read_text("utf-8"))
    for path in tool.all_notebooks()
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_passes(name, check):
    faults = list(check(NOTEBOOKS[name]))
    assert not faults, "\n".join(f"{name}: {fault}" for fault in faults)


# --- a made-up chapter that is good ---------------------------------------------------------------

EXERCISE = (
    "::::{exercise} ★ A sum\n:label: ex-a\n\nHow much?\n\n:::{dropdown} Hint\nAdd.\n:::\n::::"
)
HEAD = "(ch-x)=\n# 2.1 Title\nAfter this chapter you can add.\n**Time.** Predict first."
TAIL = (
    "## What practitioners do\n## Summary\n## Exercises\n"
    f"{EXERCISE}\n## Further reading\n## Solutions"
)
PRINTED = {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
PICTURE = {
    "output_type": "display_data",
    "data": {"image/png": "iVBO", "text/plain": "<Figure>"},
    "metadata": {"image/png": {"alt": "A line that rises slowly"}},
}
ERROR = {"output_type": "error", "ename": "NameError"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def markdown_cell(text, number):
    return {"cell_type": "markdown", "id": f"m{number}", "metadata": {}, "source": text}


def code_cell(text, number, outputs=(), **metadata):
    return {
        "cell_type": "code",
        "id": f"c{number}",
        "metadata": metadata,
        "source": text,
        "execution_count": number,
        "outputs": list(outputs),
    }


GOOD = {
    "metadata": tool.METADATA,
    "nbformat": 4,
    "nbformat_minor": 5,
    "cells": [
        markdown_cell(HEAD, 1),
        code_cell(BOOTSTRAP, 1),
        code_cell("print(1)", 2, [PRINTED, PICTURE]),
        markdown_cell(TAIL, 2),
        markdown_cell("```{solution-start} ex-a\n:class: dropdown\n```", 3),
        code_cell("assert 1 + 1 == 2", 3, tags=["solution"]),
        markdown_cell("```{solution-end}\n```", 4),
    ],
}
FIRST, SETUP, SHOWN, EXERCISES, START, SOLUTION, _ = range(len(GOOD["cells"]))

# --- changes that make it bad: functions of the notebook and its cells ----------------------------


def cell_with(number, **values):
    """Other values in one of the cells."""
    return lambda notebook, cells: cells[number].update(values)


def text_with(number, old, new):
    """Another text in one of the cells."""

    def change(notebook, cells):
        assert old in cells[number]["source"]
        cells[number]["source"] = cells[number]["source"].replace(old, new)

    return change


def printing(text):
    """Another printed output."""
    return lambda notebook, cells: cells[SHOWN]["outputs"][0].update(text=[text])


def picture_with(**values):
    """Another picture."""
    return lambda notebook, cells: cells[SHOWN]["outputs"][1].update(values)


def lines(number, tags=()):
    """A code cell of so many lines."""
    return cell_with(SHOWN, source="\n".join(["x = 1"] * number), metadata={"tags": list(tags)})


def ignored(number):
    """So many cells whose output is ignored."""
    return lambda notebook, cells: cells.extend(
        code_cell("t", 9, tags=["nbval-ignore-output"]) for _ in range(number)
    )


def figure_then(text, drawn="value(n)", held="value = lambda x: x + m", head="n"):
    """A figure with a control that reads ``m`` through a function, and what comes later."""
    figure = f"m = 1\n{held}\ndef draw({head}):\n    return {drawn}\nexplore(draw, {{}})"
    return lambda notebook, cells: cells.extend([code_cell(figure, 4), code_cell(text, 5)])


BAD = [
    (first_cell_is_the_setup, text_with(SETUP, "-q", "-qq")),
    (kernel_is_python3, lambda nb, cells: nb["metadata"]["kernelspec"].update(name="my-env")),
    (metadata_is_the_same_on_every_machine, lambda nb, cells: nb["metadata"].update(widgets={})),
    (cells_ran_in_order, cell_with(SHOWN, execution_count=7)),
    (cells_ran_in_order, cell_with(SHOWN, execution_count=None)),
    (outputs_are_stored, cell_with(SHOWN, outputs=[])),
    (no_cell_failed, cell_with(SHOWN, outputs=[PRINTED, ERROR])),
    (nothing_went_to_stderr, cell_with(SHOWN, outputs=[PRINTED | {"name": "stderr"}])),
    (cells_have_ids_of_their_own, cell_with(EXERCISES, id="c1")),
    (cells_have_ids_of_their_own, lambda nb, cells: cells[EXERCISES].pop("id")),
    (pictures_have_alternative_text, picture_with(metadata={})),
    (pictures_have_alternative_text, picture_with(metadata={"image/png": {"alt": "a plot"}})),
    (widgets_go_through_explore, cell_with(SHOWN, source="import ipywidgets as w")),
    (widgets_go_through_explore, picture_with(data={WIDGET: {}})),
    (figures_keep_what_they_read, figure_then("for m in range(3):\n    print(m)")),
    (figures_keep_what_they_read, figure_then("def value(x):\n    return 2 * x")),
    (figures_keep_what_they_read, figure_then("value, other = 1, 2")),
    (figures_keep_what_they_read, figure_then("m = 2", "held[0](n)", "held = [lambda x: x + m]")),
    (figures_keep_what_they_read, figure_then("m = 2", "[m for n in (1, 2)]")),
    (figures_keep_what_they_read, figure_then("m = 2", "sum([m for m in (1, 2)]) + m")),
    (outputs_are_what_strict_nbval_compares, cell_with(SHOWN, source="display(1, display_id=2)")),
    (outputs_are_what_strict_nbval_compares, cell_with(SHOWN, source="clear_output()")),
    (outputs_are_what_strict_nbval_compares, picture_with(data={"image/jpeg": "AAAA"})),
    (outputs_are_the_same_on_every_machine, printing("<Module at 0x7f3aa01b2c10>")),
    (outputs_are_the_same_on_every_machine, printing("/" + "tmp/ipykernel_1/2.py")),
    (outputs_are_the_same_on_every_machine, printing("1.25 ms ± 3 µs per loop")),
    (code_cells_fit_on_a_screen, lines(MAX_LINES + 1)),
    (code_cells_fit_on_a_screen, lines(MAX_FOLDED_LINES + 1, ["hide-input"])),
    (code_cells_fit_on_a_screen, lines(MAX_FOLDED_LINES + 1, ["solution"])),
    (code_lines_fit_the_page, cell_with(SHOWN, source="x = 1\n#" + "-" * MAX_COLUMNS)),
    (tags_are_known, cell_with(SHOWN, metadata={"tags": ["remove-cell"]})),
    (few_outputs_are_ignored, ignored(MAX_IGNORED + 1)),
    (exercises_have_stars_label_and_hint, text_with(EXERCISES, "★", "Easy:")),
    (exercises_have_stars_label_and_hint, text_with(EXERCISES, ":label: ex-a\n", "")),
    (exercises_have_stars_label_and_hint, text_with(EXERCISES, "Hint", "Note")),
    (exercises_have_solutions, text_with(START, "ex-a", "ex-b")),
    (exercises_have_solutions, lambda nb, cells: cells.pop()),
    (exercises_have_solutions, lambda nb, cells: cells.extend(cells[START:])),
    (solutions_are_checked, cell_with(SOLUTION, source="print(2)")),
    (solutions_are_checked, cell_with(SOLUTION, metadata={})),
    (shape_is_that_of_a_chapter, text_with(FIRST, "(ch-x)=\n", "")),
    (shape_is_that_of_a_chapter, text_with(EXERCISES, "## Summary", "")),
    (shape_is_that_of_a_chapter, text_with(FIRST, "Predict", "Run")),
    (equations_have_at_most_two_relations_per_line, text_with(FIRST, "you", "$$a=b=c=d$$")),
]  # fmt: skip
#: What just passes.
GOOD_CHANGES = [
    (figures_keep_what_they_read, figure_then("%matplotlib inline\nk = [m for m in (1, 2)]")),
    (figures_keep_what_they_read, figure_then("def other(m):\n    value = m\n    return value")),
    (figures_keep_what_they_read, figure_then("m = 2", "2 * n")),
    (figures_keep_what_they_read, figure_then("m = 2", "k * n", head="n, k=m")),  # read once
    (code_cells_fit_on_a_screen, lines(MAX_LINES)),
    (code_cells_fit_on_a_screen, lines(MAX_FOLDED_LINES, ["hide-input"])),
    (code_lines_fit_the_page, cell_with(SHOWN, source="#" * MAX_COLUMNS)),
    (few_outputs_are_ignored, ignored(MAX_IGNORED)),
    (
        equations_have_at_most_two_relations_per_line,
        text_with(FIRST, "you", r"$$\begin{aligned}a&=b_{i=1}\\&=c\le d\end{aligned}$$"),
    ),
]


def changed(change):
    notebook = copy.deepcopy(GOOD)
    change(notebook, notebook["cells"])
    return notebook


def test_there_is_a_bad_example_for_every_check():
    assert {check for check, _ in BAD} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_check_finds_no_fault_in_a_good_chapter(check):
    assert list(check(GOOD)) == []


@pytest.mark.parametrize("check, change", GOOD_CHANGES)
def test_the_check_finds_no_fault_at_the_limit(check, change):
    assert list(check(changed(change))) == []


@pytest.mark.parametrize("check, change", BAD)
def test_the_check_finds_the_fault(check, change):
    assert list(check(changed(change)))
