"""A class has conventions of its own: its answers are right there, and in no other variant."""

import contextlib
import functools
import io
import os
import sys
from itertools import permutations, product
from pathlib import Path

import harness
import nbformat
import pytest
import small_course
import torch
from nbgrader.apps import NbGraderAPI
from small_course import NOTEBOOK
from test_folder import SOLUTION, TEST, assignment, hand_in
from test_mutants import SOURCES
from traitlets.config.loader import PyFileConfigLoader

import release
from resnorm.course import cli, variants
from resnorm.course.folder import VARIANTS, Course, CourseError, make
from resnorm.course.gradebook import Gradebook
from resnorm.course.grading import fingerprints
from resnorm.course.grading.cells import hidden_lines, is_test, meta, public_text
from resnorm.course.runs import grade_class
from resnorm.course.sandbox import bubblewrap

COVERED = [name for name, path in SOURCES.items() if (path.parent / VARIANTS).is_file()]
PUBLISHED = "published"
SEED = 204871365


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A course with the assignments of this checkout."""
    folder = tmp_path_factory.mktemp("variants") / "course"
    make(folder, release.SOURCE)
    return Course(folder)


@functools.cache
def conventions(here, name):
    return variants.read_conventions(here, name)


@functools.cache
def two_seeds(here, name):
    """The first two numbers whose variants differ in every convention."""
    options = {
        seed: variants.chosen(conventions(here, name), name, seed)
        for seed in range(SEED, SEED + 99)
    }
    for one, other in product(options, options):
        if all(options[one][each] != options[other][each] for each in options[one]):
            return one, other
    raise AssertionError("there are none")


def with_seed(here, seed):
    """The instructor's notebooks of a course with this number, or of the published variant."""
    path = here.root / "variant-seed"
    path.unlink(missing_ok=True)
    if seed != PUBLISHED:
        here.keep_variant_seed(seed)
    return here


@functools.cache
def source(here, name, seed):
    return variants.instructors_notebook(with_seed(here, seed), name)


@functools.cache
def expected(here, name, seed):
    return harness.reference(source(here, name, seed))


def answers(notebook):
    return {task: harness.solution(notebook, task) for task in harness.tests_of(notebook)}


def concerned(here, name):
    """Tasks that a convention changes."""
    cells = {
        cell
        for options in conventions(here, name).values()
        for edits in options.values()
        for cell in edits
    }
    return [task for task in harness.tests_of(source(here, name, PUBLISHED)) if task in cells]


def lost(here, name, seed, given):
    """Task -> share of its points that some answers lose."""
    made = source(here, name, seed)
    found = harness.verdicts(made, expected(here, name, seed), given)
    return {
        task: 1 - sum(found[t].points for t in tests) / sum(found[t].possible for t in tests)
        for task, tests in harness.tests_of(made).items()
    }


@pytest.mark.parametrize("name", COVERED)
def test_the_reference_of_each_variant_has_full_marks(here, name):
    for seed in two_seeds(here, name):
        assert set(lost(here, name, seed, {}).values()) == {0}


@pytest.mark.parametrize("name", COVERED)
def test_the_answers_of_one_variant_lose_the_tasks_concerned_in_another(here, name):
    """At least half of each, also the published answers; the other tasks keep their points."""
    tasks = concerned(here, name)
    assert len(tasks) >= 4
    for made, graded in permutations([PUBLISHED, *two_seeds(here, name)], 2):
        losses = lost(here, name, graded, answers(source(here, name, made)))
        assert all(losses[task] >= 0.5 for task in tasks), (made, graded, losses)
        others = [task for task in losses if task not in tasks]
        assert all(losses[task] == 0 for task in others), (made, graded, losses)


@pytest.mark.parametrize("name", COVERED)
def test_code_of_a_variant_fits_its_cell_and_its_text_speaks_of_it(here, name):
    for seed in two_seeds(here, name):
        changed = [
            (mine, cell)
            for mine, cell in zip(
                source(here, name, seed).cells, source(here, name, PUBLISHED).cells, strict=True
            )
            if mine.source != cell.source
        ]
        assert {mine.cell_type for mine, _ in changed} == {"code", "markdown"}
        for mine, cell in changed:
            assert mine.metadata == cell.metadata and mine.id == cell.id
            if mine.cell_type == "code":
                compile(mine.source, mine.id, "exec")
                assert max(map(len, mine.source.splitlines())) <= 88, mine.source


@pytest.mark.parametrize("name", COVERED)
def test_the_guide_names_every_option(here, name):
    guide = (release.ROOT / "book" / "grading.md").read_text(encoding="utf-8")
    rows = guide[guide.index(f"| {name} | 1 |") :].split("\n\n")[0]
    for options in conventions(here, name).values():
        assert len(options) >= 2
        assert all(f"*{option}*" in rows for option in options)


def executed(notebook):
    """The names of a solved notebook, without its tests."""
    space = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and not is_test(cell):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, cell.id, "exec"), space)
    return space


def test_the_experiment_of_a1_trains_with_the_norm_of_the_variant(here):
    for seed in two_seeds(here, "A1"):
        space = executed(source(here, "A1", seed))
        own, library = (
            space["train"](space[norm], 1, 0.04, 7, steps=12)
            for norm in ("own_norm", "library_norm")
        )
        assert own == pytest.approx(library, rel=1e-3)
        assert own != space["train"](space["no_norm"], 1, 0.04, 7, steps=12)


def test_the_network_of_a3_compares_with_torchvision_in_each_variant(here):
    for seed in two_seeds(here, "A3"):
        space = executed(source(here, "A3", seed))
        assert "computes what torchvision's computes" in space["compare_with_torchvision"]()


def test_the_experiment_of_a5_measures_the_answers_of_each_variant(here):
    """What a block keeps is what the formula says, and the exchange finds what comes across."""
    for seed in two_seeds(here, "A5"):
        space = executed(source(here, "A5", seed))
        for wiring in (space["everything"], space["powers"]):
            reads, x = wiring(5), torch.randn(2, 10, 8, 8)
            kept = space["maps_kept"](space["DenseBlock"](10, 5, reads), x)
            assert kept == space["kept_maps"](10, 5, reads)
            assert space["training_mib"](wiring, 2, 4, images=2) > 0
        cat = space["train"](space["own"], "cat", 0.01, 7, seed=2)
        exchanged = space["exchanged_iou"](cat, [0, 1, 2], 7)
        assert space["iou"](cat, 7, "test") > exchanged + 0.3


def test_no_constant_is_what_the_u_net_of_a5_computes(here):
    """With random weights, ReLUs may cut a small network off from its input."""
    for seed in (PUBLISHED, *two_seeds(here, "A5")):
        made = source(here, "A5", seed)
        found = harness.run(made, made, strict=True, only={"test_unet", "test_joins"})
        values = [(each.name, each.value) for out in found.values() for each in out.comparisons]
        assert len(values) == 14
        for name, value in values:
            if "gradients" in name:
                assert value.min() > 0, (seed, name)
            else:
                assert value.flatten(2).std(2).min() > 0.005, (seed, name)


@pytest.mark.parametrize("name", SOURCES)
def test_hidden_tests_draw_numbers_of_their_own_and_students_see_none_of_it(here, name):
    """Of two classes with the same options, only the hidden parts differ."""
    seed = SEED
    options = variants.chosen(conventions(here, name), name, seed)
    twin = next(
        other
        for other in range(seed + 1, seed + 2000)
        if variants.chosen(conventions(here, name), name, other) == options
    )
    pairs = list(zip(source(here, name, seed).cells, source(here, name, twin).cells, strict=True))
    assert all(public_text(one.source) == public_text(other.source) for one, other in pairs)
    drawing = [
        (one, other)
        for one, other in pairs
        if is_test(one)
        and any("torch.rand" in one.source.splitlines()[n - 1] for n in hidden_lines(one.source))
        and "torch.manual_seed" in one.source
    ]
    assert all(one.source != other.source for one, other in drawing)
    assert drawing or name == "A6"


def test_a_hidden_seed_tells_nothing_of_the_number(here):
    text = "".join(cell.source for cell in source(here, "A1", SEED).cells)
    assert str(SEED) not in text


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.fixture
def run(monkeypatch, capfd):
    monkeypatch.setattr(sys, "warnoptions", [])

    def command(*arguments):
        """Exit code, and what was printed."""
        monkeypatch.setattr(sys, "argv", ["resnorm-course", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capfd.readouterr()
        return end.value.code or 0, printed.out + printed.err

    return command


@pytest.mark.parametrize("name", ["A1"])
def test_release_with_and_without_a_number(run, tmp_path, name):
    """Without one it is the committed release; with one, neither it nor an answer gets out."""
    path = release.RELEASE / name / SOURCES[name].name
    for seed in (PUBLISHED, SEED):
        folder = tmp_path / str(seed)
        variant = [] if seed == PUBLISHED else ["--variant", seed]
        assert run("init", folder, *variant)[0] == 0
        code, printed = run("release", name, "-c", folder)
        assert code == 0
        assert files(folder / "release") == [f"{name}/{path.name}"]
        made = nbformat.read(folder / "release" / name / path.name, as_version=4)
        if seed == PUBLISHED:
            assert nbformat.writes(made, indent=1) + "\n" == path.read_text(encoding="utf-8")
            assert "Variant" not in printed
    assert "Variant: " in printed and "hand out its folder" in printed.lower()
    options = variants.chosen(variants.read_conventions(Course(folder), name), name, SEED)
    assert all(f"{each}: {option}" in printed for each, option in options.items())
    assert str(SEED).encode() not in read(folder / "release") + read(folder / "variant")
    mine = release.secrets(folder / "variant" / name / path.name)
    handed_out = release.squeezed("".join(cell.source for cell in made.cells))
    assert len(mine) >= 10 and not any(secret in handed_out for secret in mine)
    assert not any(path.name == VARIANTS for path in (folder / "variant").rglob("*"))


OPTION = """
    "{option}": {{
        "double": [("2 * x", "{factor} * x")],
        "test_double": [("of two'", "of two, times {factor}'")],
    }},"""
OPTIONS = OPTION.format(option="three", factor=3) + OPTION.format(option="four", factor=4)
FACTORS = f'CONVENTIONS = {{"factor": {{{OPTIONS}\n}}}}\n'


@pytest.fixture
def small(tmp_path):
    people = ["id,name,email,lms_id", *(f"{name},{name},," for name in ("ann", "bo", "cy"))]
    made = small_course.made(tmp_path, assignment(), people)
    (made.root / "source" / "T1" / VARIANTS).write_text(FACTORS)
    return made


def seed_of(option):
    """A number that chooses an option of T1."""
    factors = {"factor": {"three": {}, "four": {}}}
    return next(n for n in range(99) if variants.chosen(factors, "T1", n) == {"factor": option})


def test_a_class_is_graded_by_its_variant_and_work_from_another_is_named(small, missing):
    if reason := bubblewrap.unavailable():
        missing(reason)
    small.keep_variant_seed(seed_of("three"))
    Gradebook(small).release("T1")
    handed_out = nbformat.read(small.root / "release" / "T1" / NOTEBOOK, as_version=4)
    right, wrong = SOLUTION.replace("2 * x", "3 * x"), SOLUTION.replace("2 * x", "4 * x")
    handed_out.cells[0].source = right
    hand_in(small, "ann", handed_out)
    hand_in(small, "bo", assignment())  # with the published answer
    test = public_text(TEST).replace("of two", "of two, times 4")
    hand_in(small, "cy", assignment(wrong, test))

    reports = {report.student: report for report in grade_class(small, "T1")}
    assert {name: report.points for name, report in reports.items()} == {"ann": 2, "bo": 0, "cy": 0}
    found = {
        name: [each.message for each in report.incidents if each.kind == "variant"]
        for name, report in reports.items()
    }
    assert found["ann"] == []
    (bo,), (cy,) = found["bo"], found["cy"]
    assert "from the published variant of T1" in bo and "test_double" in bo
    assert "from the variant of another class of T1" in cy and "Ask where" in cy


def test_nbgraders_own_release_does_not_hand_out_the_conventions(small, monkeypatch):
    """The button *Generate* reads the configuration of the course, and nothing else."""
    programs = [str(Path(sys.executable).parent), os.environ["PATH"]]  # nbgrader calls alembic
    monkeypatch.setenv("PATH", os.pathsep.join(programs))
    config = PyFileConfigLoader("nbgrader_config.py", path=str(small.root)).load_config()
    config.CourseDirectory.root = str(small.root)
    made = NbGraderAPI(config=config).generate_assignment("T1", force=True, create=True)
    assert made["success"], made
    assert files(small.root / "release") == [f"T1/{NOTEBOOK}"]


def test_options_that_exclude_each_other_do_not_stop_the_grading(small):
    """This class has others; what its work is compared with leaves such a variant out."""
    both = """CONVENTIONS = {
        "one": {"a": {"test_double": [("of two'", "of 2'")]}, "b": {"double": [("2 *", "3 *")]}},
        "other": {"c": {"test_double": [("of two'", "of II'")]}},
    }"""
    (small.root / "source" / "T1" / VARIANTS).write_text(both)
    found = variants.read_conventions(small, "T1")
    seed = next(n for n in range(99) if variants.chosen(found, "T1", n)["one"] == "b")
    small.keep_variant_seed(seed)
    assert variants.from_another_variant(assignment(), small, "T1")[0].kind == "variant"


def test_the_variant_is_in_the_fingerprint(small):
    found = []
    for option in (None, "three", "four"):
        (small.root / "variant-seed").unlink(missing_ok=True)
        if option:
            small.keep_variant_seed(seed_of(option))
        found.append(fingerprints.of_assignment(variants.instructors_notebook(small, "T1")))
    assert len({*found}) == 3


def test_without_a_number_the_conventions_are_not_even_read(small):
    (small.root / "source" / "T1" / VARIANTS).write_text("1 / 0")
    published = variants.instructors_notebook(small, "T1")
    assert [cell.source for cell in published.cells] == [SOLUTION, TEST]
    assert small.assignment("T1").files == ()


FACTOR = "CONVENTIONS = {'factor': {'three': {'double': [('2 * x', '3 * x')]}}}"


@pytest.mark.parametrize(
    "written, message",
    [
        ("1 / 0", r"source/T1/variants.py cannot be executed: ZeroDivisionError.* Correct it"),
        ("CONVENTIONS = {", "cannot be executed: SyntaxError"),
        ("OPTIONS = {}", "defines OPTIONS, but not CONVENTIONS: it must be a dictionary {conv"),
        ("", "defines nothing, but not CONVENTIONS"),
        ("CONVENTIONS = []", "must be {convention: .*, but it is of the type list"),
        ("CONVENTIONS = {'factor': {}}", "'factor' has no dictionary of options"),
        (
            "CONVENTIONS = {'factor': {'three': 3}}",
            "'three' of 'factor' has no dictionary of cells",
        ),
        (FACTOR.replace("[('2 * x', '3 * x')]", "[('2 * x',)]"), "'double' .* no pairs of texts"),
        (FACTOR.replace("[('2 * x', '3 * x')]", "3"), "'double' .* no pairs of texts"),
        (
            FACTOR.replace("double", "triple"),
            "'three' of 'factor' changes a cell 'triple', which the notebook does not have: "
            "give .* such as double, test_double",
        ),
        (
            FACTOR.replace("2 * x", "2 * y"),
            "'three' of 'factor', cell double: '2 [*] y' does not stand there.* Give a text that",
        ),
    ],
)
def test_what_is_wrong_with_the_conventions_is_told(run, small, written, message):
    (small.root / "source" / "T1" / VARIANTS).write_text(written)
    small.keep_variant_seed(SEED)
    with pytest.raises(CourseError, match=message) as told:
        variants.instructors_notebook(small, "T1")
    code, printed = run("release", "T1", "-c", small.root)
    assert code == 2 and str(told.value) in printed
    assert not (small.root / "release").exists()


@pytest.mark.parametrize("content", ["", "seven", "-3", "1.5", "3 4", "9" * 101])
def test_a_number_that_is_none_is_told(run, small, content):
    (small.root / "variant-seed").write_text(content)
    with pytest.raises(CourseError, match="must hold one whole number.*it holds.*Write the number"):
        small.variant_seed  # noqa: B018
    code, printed = run("release", "T1", "-c", small.root)
    assert code == 2 and "variant-seed must hold one whole number" in printed


def test_the_number_of_a_course_does_not_change(run, small):
    assert run("release", "T1", "--variant", SEED, "-c", small.root)[0] == 0
    assert small.variant_seed == SEED
    assert run("release", "T1", "--variant", SEED, "-c", small.root)[0] == 0
    code, printed = run("release", "T1", "--variant", SEED + 1, "-c", small.root)
    assert code == 2 and "a variant of its own already" in printed and "remove the file" in printed
    assert small.variant_seed == SEED
    for given in ("-3", "seven", "9" * 101):
        code, printed = run("release", "T1", "--variant", given, "-c", small.root)
        assert code == 2 and "--variant" in printed


def test_what_is_handed_out_does_not_get_a_variant_afterwards(run, small):
    assert run("release", "T1", "-c", small.root)[0] == 0
    code, printed = run("release", "T1", "--variant", SEED, "-c", small.root)
    assert code == 2 and "T1 is released in the published variant" in printed
    assert small.variant_seed is None


def test_sources_can_be_private(run, tmp_path, small):
    """A folder of one's own, with assignments and options that are nowhere else."""
    course = tmp_path / "again"
    given = "--from", tmp_path / "sources", "--variant", seed_of("four")
    (tmp_path / "sources" / "T1" / VARIANTS).write_text(FACTORS)
    assert run("init", course, *given)[0] == 0
    code, printed = run("release", "T1", "-c", course)
    assert code == 0 and "factor: four" in printed
    made = nbformat.read(course / "release" / "T1" / NOTEBOOK, as_version=4)
    tests = {meta(cell)["grade_id"]: cell.source for cell in made.cells}
    assert "of two, times 4" in tests["test_double"] and files(course / "release" / "T1") == [
        NOTEBOOK
    ]
