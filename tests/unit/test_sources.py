"""The sources of the book: what a notebook and a page must hold. Each check is shown to find a bad example."""

import copy
import json
import re
from pathlib import Path

import pytest

import notebooks as tool

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = (ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8").rstrip("\n")
NOTEBOOKS = {
    path.relative_to(ROOT).as_posix(): json.loads(path.read_text("utf-8"))
    for path in tool.all_notebooks()
}
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted((ROOT / "book").rglob("*.md"))
}
MAX_LINES = 30  # of a code cell: a screen
MAX_FOLDED_LINES = 45  # of a cell that is folded: plotting, solutions
MAX_IGNORED = (
    20  # trainings differ in the last digits from machine to machine; their cells assert instead
)


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def prose(notebook):
    return "\n\n".join(
        source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )


def outputs(notebook):
    return [
        (number, cell, output)
        for number, cell in enumerate(code(notebook), 1)
        for output in cell["outputs"]
    ]


def heading(cell):
    lines = source(cell).strip().splitlines()
    return f"{lines[0][:60]!r}" if lines else "an empty cell"


# --- the checks: each yields a sentence for every fault ---------------------------------------------


def first_cell_is_the_setup(notebook):
    if source(code(notebook)[0]) != BOOTSTRAP:
        yield "the first code cell differs from tools/bootstrap_cell.py.txt: copy that file's text into it"


def kernel_is_python3(notebook):
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "its kernelspec is not python3: run make notebooks"


def metadata_is_the_same_on_every_machine(notebook):
    if notebook["metadata"] != tool.METADATA:
        yield f"its metadata is {sorted(notebook['metadata'])}: run make notebooks, which keeps what is the same everywhere"


def cells_ran_in_order(notebook):
    counts = [cell["execution_count"] for cell in code(notebook) if source(cell).strip()]
    if counts != list(range(1, len(counts) + 1)):
        yield f"its code cells were executed as {counts[:8]}…, not 1, 2, 3, …: run make notebooks"


def outputs_are_stored(notebook):
    if not outputs(notebook):
        yield "no cell has an output: run make notebooks"


def no_cell_failed(notebook):
    for number, cell, output in outputs(notebook):
        if output["output_type"] == "error":
            yield f"code cell {number} ({heading(cell)}) stores a {output['ename']}: mend it, then run make notebooks"


def nothing_went_to_stderr(notebook):
    for number, cell, output in outputs(notebook):
        if output.get("name") == "stderr":
            yield f"code cell {number} ({heading(cell)}) stores a warning or a progress bar: silence its cause"


def cells_have_ids_of_their_own(notebook):
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        yield "its cells lack ids of their own: run make notebooks"


def pictures_have_alternative_text(notebook):
    for number, cell, output in outputs(notebook):
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                alt = output["metadata"].get(kind, {}).get("alt", "")
                if len(alt.split()) < 4:
                    yield (
                        f"the picture of code cell {number} ({heading(cell)}) has no alternative text: "
                        "end the cell with figures.show(fig, alt='what the figure shows')"
                    )


def widgets_go_through_explore(notebook):
    for number, cell in enumerate(code(notebook), 1):
        if re.search(r"\bipywidgets\b|\binteract(?:ive)?\(", source(cell)):
            yield f"code cell {number} uses ipywidgets, which the built page cannot show: use resnorm.explore"
    for number, _, output in outputs(notebook):
        if any("widget-view" in kind for kind in output.get("data", {})):
            yield f"code cell {number} stores a widget, which no page can show: run make notebooks"


def outputs_are_the_same_on_every_machine(notebook):
    for number, cell, output in outputs(notebook):
        data = output.get("data", {})
        text = "".join(output.get("text", "")) + "".join(
            "".join(v) for k, v in data.items() if k.startswith("text/")
        )
        if found := re.search(
            r"0x[0-9a-f]{6,}|/(?:tmp|root|home|Users|usr)/\S+|\b\d+(?:\.\d+)? ?(?:µs|ms) (?:per|±)",
            text,
        ):
            if "nbval-ignore-output" not in tags(cell) or "/" in found[0]:
                yield f"code cell {number} prints {found[0]!r}, which another machine would not: print it rounded, or not at all"


def code_cells_fit_on_a_screen(notebook):
    for number, cell in enumerate(code(notebook), 1):
        most = MAX_FOLDED_LINES if {"hide-input", "solution"} & set(tags(cell)) else MAX_LINES
        if (lines := len(source(cell).splitlines())) > most:
            yield f"code cell {number} ({heading(cell)}) has {lines} lines, more than {most}: split it, or move plotting into resnorm.figures"


def tags_are_known(notebook):
    known = {"hide-input", "nbval-ignore-output", "solution"}
    for cell in notebook["cells"]:
        if unknown := set(tags(cell)) - known:
            yield f"the cell {heading(cell)} has the tag {sorted(unknown)}; known are {sorted(known)} (hiding a whole cell keeps it from the reader)"


def few_outputs_are_ignored(notebook):
    ignored = [heading(cell) for cell in code(notebook) if "nbval-ignore-output" in tags(cell)]
    if len(ignored) > MAX_IGNORED:
        yield f"{len(ignored)} cells have the tag nbval-ignore-output ({'; '.join(ignored)}); at most {MAX_IGNORED} may: print what every machine prints"


def exercises(text):
    """(title, label, body) of each exercise directive."""
    for fence, title, body in re.findall(
        r"^(:{3,}|`{3,})\{exercise\} ?(.*?)\n(.*?)^\1\s*$", text, re.MULTILINE | re.DOTALL
    ):
        label = re.search(r"^:label: *(\S+)", body, re.MULTILINE)
        yield title, label and label[1], body


def exercises_have_stars_label_and_hint(notebook):
    for title, label, body in exercises(prose(notebook)):
        if not re.match(r"★{1,3} \w|★{1,3} \$", title):
            yield f"the exercise {title!r} must begin with one to three stars and a name"
        if not label:
            yield f"the exercise {title!r} has no :label:"
        if not re.search(r"\{dropdown\} *Hint", body):
            yield f"the exercise {title!r} has no hint: add :::{{dropdown}} Hint"


def exercises_have_solutions(notebook):
    labels = [label for _, label, _ in exercises(prose(notebook)) if label]
    solved = re.findall(r"\{solution(?:-start)?\} *(\S+)", prose(notebook))
    if wrong := set(labels) ^ set(solved):
        yield f"exercises and solutions do not match: {sorted(wrong)}"
    if len(solved) != len(set(solved)):
        yield "an exercise has two solutions"
    starts, ends = (
        len(re.findall(rf"\{{solution-{word}\}}", prose(notebook))) for word in ("start", "end")
    )
    if starts != ends:
        yield f"{starts} solutions start and {ends} end"


def solutions_are_checked(notebook):
    inside, checked, label = False, True, ""
    for cell in notebook["cells"]:
        text = source(cell)
        if found := re.search(r"\{solution-start\} *(\S+)", text):
            inside, checked, label, any_code = True, False, found[1], False
        if inside and cell["cell_type"] == "code":
            any_code = True
            checked = checked or bool(re.search(r"\bassert\b|checking\.|gradcheck", text))
            if "solution" not in tags(cell):
                yield f"a code cell of the solution {label} lacks the tag solution"
        if inside and "{solution-end}" in text:
            inside = False
            if any_code and not checked:
                yield f"the code of the solution {label} checks nothing: add an assert"


def shape_is_that_of_a_chapter(notebook):
    start = source(notebook["cells"][0])
    if not re.match(r"\(ch-[\w-]+\)=\n# \d\.\d ", start):
        yield "the first cell must begin with (ch-name)= and '# 2.1 Title'"
    text = prose(notebook)
    for wanted in (
        "After this chapter you can",
        "**Time",
        "## What practitioners do",
        "## Summary",
        "## Exercises",
        "## Further reading",
        "## Solutions",
    ):
        if wanted not in text:
            yield f"it lacks {wanted!r}: every chapter has the same shape"
    if not re.search(r"\bpredict", text, re.IGNORECASE):
        yield "it never asks the reader to predict"


CHECKS = [
    first_cell_is_the_setup, kernel_is_python3, metadata_is_the_same_on_every_machine, cells_ran_in_order, outputs_are_stored,
    no_cell_failed, nothing_went_to_stderr, cells_have_ids_of_their_own, pictures_have_alternative_text, widgets_go_through_explore,
    outputs_are_the_same_on_every_machine, code_cells_fit_on_a_screen, tags_are_known, few_outputs_are_ignored,
    exercises_have_stars_label_and_hint, exercises_have_solutions, solutions_are_checked, shape_is_that_of_a_chapter,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_passes(name, check):
    faults = list(check(NOTEBOOKS[name]))
    assert not faults, "\n".join(f"{name}: {fault}" for fault in faults)


# --- a made-up chapter, and what each check must find in it -----------------------------------------

EXERCISE = (
    "::::{exercise} ★ A sum\n:label: ex-a\n\nHow much?\n\n:::{dropdown} Hint\nAdd.\n:::\n::::"
)


def markdown(text, number):
    return {"cell_type": "markdown", "id": f"m{number}", "metadata": {}, "source": text}


def a_code(text, number, outputs=(), **metadata):
    return {
        "cell_type": "code",
        "id": f"c{number}",
        "metadata": metadata,
        "source": text,
        "execution_count": number,
        "outputs": list(outputs),
    }


PICTURE = {
    "output_type": "display_data",
    "data": {"image/png": "iVBO", "text/plain": "<Figure>"},
    "metadata": {"image/png": {"alt": "A line that rises slowly"}},
}
GOOD = {
    "metadata": json.loads(json.dumps(tool.METADATA)),
    "nbformat": 4,
    "nbformat_minor": 5,
    "cells": [
        markdown(
            "(ch-x)=\n# 2.1 Title\nAfter this chapter you can add.\n**Time.** Predict first.", 1
        ),
        a_code(BOOTSTRAP, 1),
        a_code(
            "print(1)", 2, [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}, PICTURE]
        ),
        markdown(
            f"## What practitioners do\n## Summary\n## Exercises\n{EXERCISE}\n## Further reading\n## Solutions",
            2,
        ),
        markdown("```{solution-start} ex-a\n:class: dropdown\n```", 3),
        a_code("assert 1 + 1 == 2", 3, tags=["solution"]),
        markdown("```{solution-end}\n```", 4),
    ],
}


def changed(change):
    notebook = copy.deepcopy(GOOD)
    change(notebook, notebook["cells"])
    return notebook


def printing(text):
    return lambda nb, cells: cells[2]["outputs"][0].update(text=[text])


BAD = [
    (
        first_cell_is_the_setup,
        lambda nb, cells: cells[1].update(source=BOOTSTRAP.replace("-q", "-qq")),
    ),
    (kernel_is_python3, lambda nb, cells: nb["metadata"]["kernelspec"].update(name="my-env")),
    (metadata_is_the_same_on_every_machine, lambda nb, cells: nb["metadata"].update(widgets={})),
    (cells_ran_in_order, lambda nb, cells: cells[2].update(execution_count=7)),
    (cells_ran_in_order, lambda nb, cells: cells[2].update(execution_count=None)),
    (outputs_are_stored, lambda nb, cells: cells[2].update(outputs=[])),
    (
        no_cell_failed,
        lambda nb, cells: cells[2]["outputs"].append(
            {"output_type": "error", "ename": "NameError"}
        ),
    ),
    (nothing_went_to_stderr, lambda nb, cells: cells[2]["outputs"][0].update(name="stderr")),
    (cells_have_ids_of_their_own, lambda nb, cells: cells[3].update(id="c1")),
    (cells_have_ids_of_their_own, lambda nb, cells: cells[3].pop("id")),
    (pictures_have_alternative_text, lambda nb, cells: cells[2]["outputs"][1].update(metadata={})),
    (
        pictures_have_alternative_text,
        lambda nb, cells: cells[2]["outputs"][1]["metadata"]["image/png"].update(alt="a plot"),
    ),
    (
        widgets_go_through_explore,
        lambda nb, cells: cells[2].update(source="import ipywidgets as w\nw.IntSlider()"),
    ),
    (
        widgets_go_through_explore,
        lambda nb, cells: cells[2]["outputs"][1]["data"].update(
            {"application/vnd.jupyter.widget-view+json": {}}
        ),
    ),
    (outputs_are_the_same_on_every_machine, printing("<Module at 0x7f3aa01b2c10>")),
    (outputs_are_the_same_on_every_machine, printing("/" + "tmp/ipykernel_1/2.py")),
    (
        code_cells_fit_on_a_screen,
        lambda nb, cells: cells[2].update(source="\n".join(["x = 1"] * 31)),
    ),
    (
        code_cells_fit_on_a_screen,
        lambda nb, cells: cells[2].update(
            source="\n".join(["x = 1"] * (MAX_FOLDED_LINES + 1)), metadata={"tags": ["hide-input"]}
        ),
    ),
    (tags_are_known, lambda nb, cells: cells[2]["metadata"].update(tags=["remove-cell"])),
    (
        few_outputs_are_ignored,
        lambda nb, cells: cells.extend(
            a_code("t", 9, tags=["nbval-ignore-output"]) for _ in range(21)
        ),
    ),
    (
        exercises_have_stars_label_and_hint,
        lambda nb, cells: cells[3].update(source=EXERCISE.replace("★", "Easy:")),
    ),
    (
        exercises_have_stars_label_and_hint,
        lambda nb, cells: cells[3].update(source=EXERCISE.replace(":label: ex-a\n", "")),
    ),
    (
        exercises_have_stars_label_and_hint,
        lambda nb, cells: cells[3].update(source=EXERCISE.replace("Hint", "Note")),
    ),
    (
        exercises_have_solutions,
        lambda nb, cells: cells[4].update(source="```{solution-start} ex-b\n```"),
    ),
    (exercises_have_solutions, lambda nb, cells: cells.pop()),
    (exercises_have_solutions, lambda nb, cells: cells.extend(cells[4:7])),
    (solutions_are_checked, lambda nb, cells: cells[5].update(source="print(2)")),
    (solutions_are_checked, lambda nb, cells: cells[5].update(metadata={})),
    (
        shape_is_that_of_a_chapter,
        lambda nb, cells: cells[0].update(source=cells[0]["source"].replace("(ch-x)=\n", "")),
    ),
    (
        shape_is_that_of_a_chapter,
        lambda nb, cells: cells[3].update(source=cells[3]["source"].replace("## Summary", "")),
    ),
    (
        shape_is_that_of_a_chapter,
        lambda nb, cells: cells[0].update(source=cells[0]["source"].replace("Predict", "Run")),
    ),
]


def test_there_is_a_bad_example_for_every_check():
    assert {check for check, _ in BAD} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_check_finds_no_fault_in_a_good_chapter(check):
    assert list(check(GOOD)) == []


@pytest.mark.parametrize("check, change", BAD, ids=lambda part: getattr(part, "__name__", ""))
def test_the_check_finds_the_fault(check, change):
    assert list(check(changed(change)))


# --- labels and citations, over notebooks and pages together ----------------------------------------

SOURCES = {**PAGES, **{name: prose(notebook) for name, notebook in NOTEBOOKS.items()}}


def labels(text):
    text = re.sub(
        r"^(`{3,})(?:\{code\b.*?|[a-z]*)\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL
    )
    yield from re.findall(r"^\(([\w-]+)\)=\s*$", text, re.MULTILINE)
    yield from re.findall(r"^:(?:label|name): *(\S+)", text, re.MULTILINE)
    yield from re.findall(r"^\$\$ *\(([\w-]+)\)", text, re.MULTILINE)


def repeated(sources):
    seen = {}
    for name, text in sources.items():
        for label in labels(text):
            seen.setdefault(label, []).append(name)
    return {label: names for label, names in seen.items() if len(names) > 1}


def test_every_label_is_given_once():
    assert repeated(SOURCES) == {}


def test_a_label_given_twice_is_found():
    assert repeated({"a": "(x)=\n# A\n$$a$$ (eq)", "b": ":label: x\n\n$$\nb\n$$ (eq-b)"}) == {
        "x": ["a", "b"]
    }
    assert repeated({"a": "$$\na\n$$ (eq-b)", "b": "$$\nb\n$$ (eq-b)"}) == {"eq-b": ["a", "b"]}


def bibliography(text):
    return re.findall(r"^@\w+\{\s*([^,\s]+),", text, re.MULTILINE)


def unknown_citations(sources, keys):
    """A sentence for every citation that the bibliography does not hold."""
    for name, text in sources.items():
        for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text):
            for key in (part.strip() for part in group.split(",")):
                if key not in keys:
                    yield f"{name} cites {key}, which book/references.bib does not hold: add the entry, or mend the key"


KEYS = bibliography((ROOT / "book" / "references.bib").read_text("utf-8"))


def test_every_citation_is_in_the_bibliography():
    faults = list(unknown_citations(SOURCES, KEYS))
    assert not faults, "\n".join(faults)


def test_every_bibliography_key_is_given_once():
    assert len(KEYS) == len(set(KEYS))


def test_a_citation_that_does_not_resolve_is_found_and_the_mend_named():
    sources = {"book/x.md": "{cite:t}`he2016deep, hee2016deep` and {cite}`he2016deep`"}
    (fault,) = unknown_citations(sources, bibliography("@article{he2016deep,\n title={x}}"))
    assert "book/x.md cites hee2016deep" in fault and "add the entry" in fault


def missing_chapters(toc, exists):
    return [
        name
        for name in re.findall(r"^\s*(?:- )?(?:file|root): *(\S+)", toc, re.MULTILINE)
        if not exists(name)
    ]


def test_every_page_of_the_table_of_contents_exists_and_every_notebook_is_in_it():
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    assert (
        missing_chapters(
            toc, lambda name: any((ROOT / (name + end)).exists() for end in (".md", ".ipynb"))
        )
        == []
    )
    forgotten = [name for name in NOTEBOOKS if name.removesuffix(".ipynb") not in toc]
    assert not forgotten, f"add to _toc.yml: {forgotten}"


def test_a_missing_page_of_the_table_of_contents_is_found():
    assert missing_chapters("root: a\nchapters:\n  - file: b\n", {"a"}.__contains__) == ["b"]
