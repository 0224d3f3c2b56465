"""Strict nbval must fail on what is stale, and what it executed must serve the book."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
from PIL import Image, ImageDraw

import notebooks as tool
import pictures

ROOT = Path(__file__).resolve().parents[2]
matplotlib.use("agg")

#: Leaves a mark for every execution, so that kernels can be counted.
COUNT = "with open('executions', 'a') as file:\n    _ = file.write('{name}\\n')"
DRAW = """\
import base64, io
from IPython.display import display
from PIL import Image, ImageDraw
picture = Image.new("RGB", (200, 100), "white")
ImageDraw.Draw(picture).line([(0, 50), (200, 50)], fill="blue", width=3)
buffer = io.BytesIO()
picture.save(buffer, "PNG")
png = base64.b64encode(buffer.getvalue()).decode()
display(
    {"image/png": png, "text/html": "<b>frames</b>", "text/plain": "<A line>"},
    metadata={"image/png": {"alt": "A blue line"}},
    raw=True,
)"""


def drawn(height: int, text: str = "") -> str:
    """The picture of ``DRAW`` with its line at another height, as base64 text."""
    picture = Image.new("RGB", (200, 100), "white")
    ImageDraw.Draw(picture).line([(0, height), (200, height)], fill="blue", width=3)
    ImageDraw.Draw(picture).text((20, 10), text, fill="black")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def write(path: Path, *, printed="the sum is 6\n", png=None, tags=(), alt="A blue line"):
    """A notebook of three cells as it would be stored, with the outputs that are given."""
    new_output = nbformat.v4.new_output
    figure = new_output(
        "display_data",
        data={"image/png": png or drawn(50), "text/plain": "<A line>"},
        metadata={"image/png": {"alt": alt}},
    )
    sources = [
        COUNT.format(name=path.stem),
        "total = sum(range(4))\nprint(f'the sum is {total}')",
        DRAW,
    ]
    stored = [[], [new_output("stream", name="stdout", text=printed)], [figure]]
    cells = [
        nbformat.v4.new_code_cell(
            source, execution_count=number, outputs=outputs, metadata={"tags": list(tags)}
        )
        for number, (source, outputs) in enumerate(zip(sources, stored), start=1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=tool.METADATA), path)
    return path


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A repository with the real tools and a handful of made-up chapters."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "conftest.py", root)
    (root / "utils" / "resnorm").mkdir(parents=True)
    (root / "utils" / "resnorm" / "__init__.py").write_text("")
    (root / "requirements.txt").write_text("torch==2\n")
    chapters = root / "notebooks" / "1-part"
    write(chapters / "good.ipynb")
    write(chapters / "stale_number.ipynb", printed="the sum is 7\n")
    write(chapters / "stale_picture.ipynb", png=drawn(80))
    write(chapters / "other_machine.ipynb", png=drawn(51))
    write(chapters / "varies.ipynb", png=drawn(53), tags=["picture-varies"])
    write(chapters / "stale_varies.ipynb", png=drawn(80), tags=["picture-varies"])
    write(chapters / "ignored.ipynb", printed="7", png=drawn(80), tags=["nbval-ignore-output"])
    write(chapters / "typo.ipynb", printed="the sum is 7\n", tags=["nbval-ignored-output"])
    return root


def run(course, *arguments):
    settings = "import executed, json; print(json.dumps(executed.SETTINGS))"
    found = subprocess.run(
        [sys.executable, "-c", settings], cwd=course / "tools", capture_output=True, text=True
    )
    environment = os.environ | json.loads(found.stdout)
    return subprocess.run(
        [sys.executable, *arguments], cwd=course, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def nbval(course):
    """What strict nbval says of the made-up chapters."""
    options = ["-q", "-rA", "--nbval", "--nbval-cell-timeout=120", "-p", "no:cacheprovider"]
    return run(course, "-m", "pytest", *options, "-n", "0", "notebooks")


def failed_cells(nbval, name):
    lines = [
        line
        for line in nbval.stdout.splitlines()
        if line.startswith(("PASSED", "FAILED")) and f"/{name}.ipynb::Cell" in line
    ]
    assert len(lines) == 3, nbval.stdout + nbval.stderr
    return [line.split("::Cell ")[1][0] for line in lines if line.startswith("FAILED")]


def test_a_stale_number_fails_and_both_numbers_are_shown(nbval):
    assert nbval.returncode == 1
    assert failed_cells(nbval, "stale_number") == ["1"]
    assert "the sum is 7" in nbval.stdout and "the sum is 6" in nbval.stdout


def test_a_stale_picture_fails_and_the_way_out_is_named(nbval):
    assert failed_cells(nbval, "stale_picture") == ["2"]
    assert "a stored picture is not what the code draws" in nbval.stdout
    assert "make notebooks ONLY=stale_picture.ipynb" in nbval.stdout


def test_what_is_right_passes_also_with_a_line_one_pixel_away(nbval):
    assert failed_cells(nbval, "good") == []
    assert failed_cells(nbval, "other_machine") == []


def test_a_picture_that_varies_is_compared_by_its_look(nbval):
    assert failed_cells(nbval, "varies") == []
    assert failed_cells(nbval, "stale_varies") == ["2"]


def test_the_tag_for_what_may_differ_is_the_only_way_around(nbval):
    assert failed_cells(nbval, "ignored") == []
    assert failed_cells(nbval, "typo") == ["1"]


def executions(course):
    marks = (course / "notebooks" / "1-part" / "executions").read_text().split()
    return {name: marks.count(name) for name in set(marks)}


def test_the_book_executes_only_what_nbval_did_not_pass(course, nbval):
    before = executions(course)
    assert set(before.values()) == {1}
    code = (
        "import sys; sys.path.insert(0, 'tools'); import build_book as b; p = b.all_notebooks(); "
        "print('executed', b.execute_missing(p, jobs=2), b.execute_missing(p, jobs=2)); "
        "b.fill_cache(p); cache = b.get_cache(b.BUILD / '.jupyter_cache'); "
        "print(len(cache.list_cache_records()))"
    )
    result = run(course, "-c", code)
    assert result.stdout.split() == ["executed", "4", "0", "8"], result.stderr
    after = executions(course)
    assert {name for name in after if after[name] > before[name]} == {
        "stale_number",
        "stale_picture",
        "stale_varies",
        "typo",
    }
    kept = course / "_build" / "executed" / "notebooks" / "1-part" / "good.ipynb"
    figure = nbformat.read(kept, as_version=4).cells[2].outputs[0]
    assert figure.data["text/html"] == "<b>frames</b>" and figure.data["image/png"] == drawn(50)


@pytest.mark.parametrize(
    "name, text, needed",
    [
        ("requirements.txt", "torch==3\n", True),
        ("utils/resnorm/norms.py", "x = 1\n", True),
        ("utils/resnorm/course/cli.py", "x = 1\n", False),  # no chapter grades
        ("book/index.md", "# Prose\n", False),
    ],
)
def test_what_decides_the_outputs_asks_for_a_new_execution(course, nbval, name, text, needed):
    ask = (
        "import sys; sys.path.insert(0, 'tools'); import executed; from pathlib import Path; "
        "print(executed.load(Path('notebooks/1-part/good.ipynb')) is None)"
    )
    file = course / name
    before = file.read_text() if file.exists() else None
    assert run(course, "-c", ask).stdout == "False\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    try:
        assert run(course, "-c", ask).stdout == f"{needed}\n"
    finally:
        file.unlink() if before is None else file.write_text(before)


def test_prose_may_change_and_a_damaged_file_counts_as_missing(course, nbval, monkeypatch):
    import executed

    monkeypatch.setattr(executed, "ROOT", course)
    monkeypatch.setattr(executed, "EXECUTED", course / "_build" / "executed")
    path = course / "notebooks" / "1-part" / "other_machine.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("A new sentence."))
    nbformat.write(notebook, path)
    merged = executed.load(path)
    assert [cell.cell_type for cell in merged.cells] == ["code", "markdown", "code", "code"]
    assert merged.cells[2].outputs[0].text == "the sum is 6\n"
    notebook.cells[2].source += "\nprint('more')"
    nbformat.write(notebook, path)
    assert executed.load(path) is None
    good = course / "notebooks" / "1-part" / "good.ipynb"
    for damage in ("", "{}", "[1]", '{"cells": []}'):
        executed.place(good).write_text(damage)
        assert executed.load(good) is None


def test_what_was_edited_while_it_ran_is_not_kept(course, nbval, monkeypatch):
    import executed

    monkeypatch.setattr(executed, "ROOT", course)
    monkeypatch.setattr(executed, "EXECUTED", course / "_build" / "executed")
    path = course / "notebooks" / "1-part" / "ignored.ipynb"
    notebook = executed.load(path)
    executed.place(path).unlink()
    before = executed.fingerprint(notebook)
    package = course / "utils" / "resnorm" / "__init__.py"
    package.write_text("edited = True\n")
    executed.save(path, notebook, before, by="a test")
    assert not executed.place(path).exists()
    package.write_text("")
    executed.save(path, notebook, before, by="a test")
    assert executed.load(path) is not None


# --- make notebooks -------------------------------------------------------------------------------


def test_executing_mends_a_stale_notebook_and_twice_gives_the_same_file(tmp_path):
    path = write(tmp_path / "stale.ipynb", printed="the sum is 7\n", png=drawn(80))
    tool.execute(path)
    first = path.read_bytes()
    cells = json.loads(first)["cells"]
    assert cells[1]["outputs"][0]["text"] == ["the sum is 6\n"]
    figure = cells[2]["outputs"][0]["data"]
    assert figure.keys() == {"image/png", "text/plain"}  # the frames are the book's
    assert pictures.difference(figure["image/png"], drawn(50)) is None
    tool.execute(path)
    assert path.read_bytes() == first


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    path = write(tmp_path / "broken.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(notebook, path)
    before = path.read_bytes()
    good = write(tmp_path / "good.ipynb", printed="stale")
    with pytest.raises(SystemExit, match="broken.ipynb: a cell failed; nothing was stored") as exit:
        tool.main(["execute", str(path), str(good)])
    assert "ZeroDivisionError" in str(exit.value)
    assert path.read_bytes() == before and list(tmp_path.glob("*.part")) == []
    assert "the sum is 6" in good.read_text()  # the others are executed all the same


def test_a_path_that_is_no_notebook_is_named(tmp_path):
    with pytest.raises(SystemExit, match="nowhere.ipynb is no file"):
        tool.main(["execute", str(tmp_path / "nowhere.ipynb")])


def test_tidying_keeps_code_and_outputs(tmp_path):
    path = write(tmp_path / "a.ipynb")
    before = json.loads(path.read_text())["cells"]
    tool.main(["tidy", str(path)])
    after = json.loads(path.read_text())["cells"]
    for cell in (*before, *after):
        cell.pop("id")
    assert after == before


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [49, 50, 51])
def test_a_line_may_move_by_a_pixel(height):
    assert pictures.difference(drawn(50), drawn(height)) is None


@pytest.mark.parametrize("height", [47, 53])
def test_where_pictures_vary_a_line_may_move_further(height):
    assert "24 x 24 pixels" in pictures.difference(drawn(50), drawn(height))
    assert pictures.difference(drawn(50), drawn(height), varies=True) is None


@pytest.mark.parametrize("height, text", [(53, "0.31"), (50, ""), (50, "0.31 loss"), (20, "0.31")])
def test_another_picture_is_found_from_both_sides(height, text):
    stored, other = drawn(50, "0.31"), drawn(height, text)
    assert "differ; at most 8 may" in pictures.difference(stored, other)
    assert "differ; at most 8 may" in pictures.difference(other, stored)


def plotted(marker="o", labels=("plain", "residual"), digit=1, dashed=True):
    """A figure as chapters draw them, as base64 text."""
    from resnorm import figures

    fig, ax = plt.subplots(figsize=(7.2, 3.0))
    for offset, label in zip((0.0, 0.4), labels, strict=True):
        ax.plot(range(6), [offset + x / 9 for x in range(6)], marker=marker, label=label)
    if dashed:
        ax.axhline(0.5, ls=":", lw=0.9)
    ax.set_title(f"error 0.3{digit}")
    ax.legend()
    return base64.b64encode(figures.to_bytes(fig)).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"marker": "s"},
        {"labels": ("residual", "plain")},
        {"digit": 7},
        {"dashed": False},
    ],
)
def test_a_change_that_a_reader_would_see_is_found_in_a_plot(change):
    assert pictures.difference(plotted(), plotted()) is None
    assert pictures.difference(plotted(), plotted(**change)) is not None


def test_another_size_is_told():
    buffer = io.BytesIO()
    Image.new("RGB", (200, 101), "white").save(buffer, "PNG")
    found = pictures.difference(drawn(50), base64.b64encode(buffer.getvalue()).decode())
    assert found == "the stored picture has (200, 100) pixels, the new one (200, 101)"
