"""The commands that chapters print, as a student gives them: in an empty folder, then the tables.

Each command runs word for word, with experiments that are made tiny, one seed and one arm (three
rates where rates are compared) and random images. Its record must land in the student's folder, and
the chapter's own cell must then show it below the record of the course.
"""

import re
import shlex
from pathlib import Path

import nbformat
import pytest
from small_experiments import tiny, write_images

import notebooks as tool
from resnorm import data, figures, ledger
from resnorm.experiments import budget, cifar
from resnorm.experiments.__main__ import main

FOLDER = tool.ROOT / "notebooks" / "4-cifar"
COMMAND = re.compile(r"^!python -m resnorm\.experiments (.*)$", re.MULTILINE)


def cells_of(path, kind):
    notebook = nbformat.read(path, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def commands_of(path):
    """The words of each command, without its comment."""
    text = "\n".join(cells_of(path, "markdown"))
    return [shlex.split(line, comments=True) for line in COMMAND.findall(text)]


CHAPTERS = [path for path in sorted(FOLDER.glob("*.ipynb")) if commands_of(path)]


def shortened(words):
    """The same command with the first of its seeds and arms; without a list of seeds, seed 0."""
    short, skipping = [], False
    for before, word in zip(["", *words], words, strict=False):
        if word.startswith("--"):
            skipping = False
        elif before in ("--seeds", "--arms"):
            short.append(word)
            skipping = True
            continue
        if not skipping:
            short.append(word)
    return short if "--seeds" in short else [*short, "--seeds", "0"]


def first_arms(name, words):
    """The arms to keep: the first that the command names, or else the first, at three rates."""
    if "--arms" in words:
        return [words[words.index("--arms") + 1]]
    arms = list(cifar.EXPERIMENTS[name].arms)
    same = [arm for arm in arms if arm.split(", rate")[0] == arms[0].split(", rate")[0]]
    return same[:3]


def let_the_middle_rate_win(record):
    """On random images any rate is best, and --tuned refuses one at the edge of the search."""
    for i, run in enumerate(record.runs):
        run["results"]["test error"] = 80.0 if i == 1 else 90.0
    ledger.write(record, record.path)


def tables_of(path, monkeypatch):
    """What the cells of a chapter show that read a leaderboard; its imports are run before."""
    shown = []
    monkeypatch.setattr(figures, "show_table", lambda header, *rows: shown.extend(rows))
    code = cells_of(path, "code")
    names = {}
    (imports,) = (cell for cell in code if "from resnorm import" in cell)
    exec(imports, names)
    for cell in code:
        if "ledger.leaderboard(" in cell:
            exec(cell, names)
    return shown


@pytest.fixture
def student(tmp_path, monkeypatch):
    """An empty folder with random images in ``data``, as --download would leave real ones."""
    monkeypatch.delenv("RESNORM_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    # The chapters hold 500 images per class out; the random ones are six per class.
    monkeypatch.setattr(data.cifar.Cifar10.validation_indices, "__defaults__", (2,))
    write_images(tmp_path / "data")
    return tmp_path


def shipped_files():
    files = (path for path in ledger.RESULTS.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def test_the_chapters_print_commands():
    assert [path.stem[0] for path in CHAPTERS] == ["1", "2", "3", "4", "5"]
    found = [words for path in CHAPTERS for words in commands_of(path)]
    assert len(found) >= 17 and all("--data" in words for words in found)
    assert shortened(["a", "--seeds", "1", "2", "--arms", "x y", "z", "--download"]) == [
        *("a", "--seeds", "1", "--arms", "x y", "--download")
    ]
    assert shortened(["a", "--data", "d"]) == ["a", "--data", "d", "--seeds", "0"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_command_lands_in_the_students_folder_and_is_compared(path, student, monkeypatch):
    before, recorded = shipped_files(), set()
    experiments = dict(cifar.EXPERIMENTS)
    for words in commands_of(path):
        name = words[0]
        if "--only" in words:
            name = words[words.index("--only") + 1]
        elif name == "record":
            # The first experiment of the list for a CPU stands for all of them.
            name = budget.ORDER["cpu"][0]
            monkeypatch.setitem(budget.ORDER, "cpu", (name,))
        monkeypatch.setattr(cifar, "EXPERIMENTS", dict(experiments))
        small = tiny(name, *first_arms(name, words), epochs=1, batch_size=8)
        monkeypatch.setitem(cifar.EXPERIMENTS, name, small)
        searches = words[0] == "record" and cifar.is_search(small)
        # On random images the best rate may be the last of the three.
        assert main(shortened(words)) in ((0, 1) if searches else (0,)), words
        stems = [f"{name}.validation"] if "--validation" in words else [name]
        if searches:
            stems = [f"{name}.validation", *([] if small.chooses else [name])]
            let_the_middle_rate_win(ledger.own(f"{name}.validation"))
            assert main(shortened(words)) == 0, words  # now it can choose
        for stem in stems:
            record = ledger.own(stem)
            assert record is not None and record.runs, words
            assert Path("resnorm-runs", f"{stem}.json").resolve().is_relative_to(student)
        recorded |= set(stems)
        if "--validation" in words:
            let_the_middle_rate_win(record)
    assert {file.stem for file in Path("resnorm-runs").glob("*.json")} == recorded
    assert shipped_files() == before
    if path.stem.startswith("1"):
        return  # 4.1 shows no table; its command is that of 4.5.
    rows = tables_of(path, monkeypatch)
    for stem in recorded:
        if stem.endswith(".validation"):
            continue  # A search is read by --tuned, and not by the chapter.
        arms = {run["arm"] for run in ledger.own(stem).runs}
        mine = [row for row in rows if any(row[0].startswith(f"{arm} (yours") for arm in arms)]
        assert mine, f"{path.stem} does not show the student's {stem}"
        if (ledger.RESULTS / f"{stem}.json").exists():
            # A chapter may show more of a run than the leaderboard, as 4.2 does its training error.
            for line in ledger.leaderboard(stem):
                assert any(line[0] == row[0] and set(line) <= set(row) for row in rows), line


def test_a_recipe_of_the_students_own_enters_the_race(student, monkeypatch):
    """Chapter 4.5: the cells that a student edits and runs, and then the table with the entry."""
    (path,) = (path for path in CHAPTERS if path.stem.startswith("5"))
    before, names = shipped_files(), {}
    for name, arm in (("six-minutes", "SpeedNet with shortcuts"), ("time-to-94", "SpeedNet")):
        small = tiny(name, arm, epochs=1, batch_size=8)
        monkeypatch.setitem(cifar.EXPERIMENTS, name, small)
    for cell in cells_of(path, "code"):
        if any(mark in cell for mark in ("from resnorm import", "def enter(", "start = cifar.")):
            exec(cell, names)
        if "entered = enter(" in cell:
            real = cell.replace('real = scale() == "full"', "real = True")
            assert real != cell and real != real.replace('"validation"', '"test"')
            exec(real, names)
            exec(real.replace('"validation"', '"test"'), names)
    written = sorted(file.name for file in Path("resnorm-runs").glob("*.json"))
    assert written == ["my-mine.test.json", "my-mine.validation.json"]
    assert shipped_files() == before
    labels = [row[0] for row in tables_of(path, monkeypatch)]
    for part in ("validation", "test"):
        data_of = ledger.read(f"resnorm-runs/my-mine.{part}.json").data
        assert f"mine (yours; {data_of})" in labels
