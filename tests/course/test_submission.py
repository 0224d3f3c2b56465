"""Answers in several cells or in the wrong ones, and what is no edit of a cell of ours."""

import copy
import json

import nbformat
import pytest
from odd_notebooks import (
    WRITTEN,
    answers,
    code,
    each,
    failing,
    graded,
    handed_in,
    named,
    pasted,
    place_of,
    released,
    source,
    text,
    windows,
)

from resnorm.course.grading.cells import meta
from resnorm.course.grading.definitions import ANYTHING, definitions
from resnorm.course.grading.inspection import forbidden


def split_in_two_functions(content):
    named(content, "forward")["source"] = "def my_shape(v):\n    return v.view(1, -1, 1, 1)"
    answer = answers()["forward"].replace("mean.view(1, -1, 1, 1)", "my_shape(mean)")
    return pasted(content, "forward", answer)


def first_try_and_better_one(content):
    wrong = answers()["forward"].replace("return y,", "return 2 * y,")
    named(content, "forward")["source"] = wrong
    return pasted(content, "forward", answers()["forward"])


def later_copy_at_the_end(content):
    named(content, "forward")["source"] = "helper = 3"
    copied = copy.deepcopy(named(content, "forward")) | {"source": answers()["forward"]}
    content["cells"].append(copied)
    return content


def helper_between(content):
    named(content, "forward")["source"] = "import math"
    content["cells"].insert(place_of(content, "forward") + 1, code("unit = math.exp(0)"))
    answer = answers()["forward"].replace("return y,", "return unit * y,")
    return pasted(content, "forward", answer, after=1)


def empty_second_half(content):
    return pasted(content, "forward", "\n")


def three_times(content):
    return pasted(pasted(content, "forward", answers()["forward"]), "forward", "unused = 1")


@pytest.mark.parametrize(
    "change",
    [
        split_in_two_functions,
        first_try_and_better_one,
        later_copy_at_the_end,
        helper_between,
        empty_second_half,
        three_times,
    ],
)
def test_an_answer_in_several_cells_runs_and_the_last_one_counts(change, tmp_path):
    """Splitting and pasting keep the metadata, nbgrader 1083 and colabtools 581."""
    notebook, messages = graded(change(handed_in()), tmp_path)
    assert failing(notebook) == []
    assert messages[0] == (
        "the cell forward is there more than once; all of them run, and the last one above its "
        "tests counts"
    )
    names = [meta(cell)["grade_id"] for cell in notebook.cells if meta(cell)]
    assert names == [meta(cell)["grade_id"] for cell in source().cells if meta(cell)]


@pytest.mark.parametrize("line", ["    x_hat = ", "    y = ", "    return"])
def test_an_answer_that_was_split_inside_of_a_function_is_joined(line, tmp_path):
    content = handed_in()
    first, rest = answers()["forward"].split(line)
    named(content, "forward")["source"] = first.removesuffix("\n")
    pasted(content, "forward", line + rest)
    notebook, messages = graded(content, tmp_path)
    assert failing(notebook) == []
    assert messages == ["the cell forward had been split inside of a statement and has been joined"]


def test_a_written_answer_below_its_cell_reaches_the_marker(tmp_path):
    content = handed_in()
    named(content, "written")["source"] = "*Your answer here.*"
    place = place_of(content, "written") + 1
    content["cells"][place:place] = [
        text("(a) Nothing."),
        code("print(1)"),
        text("(b) Group norm."),
    ]
    notebook, _ = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert written.source == "*Your answer here.*\n\n(a) Nothing.\n\n(b) Group norm."
    assert notebook.cells[notebook.cells.index(written) + 1].source == "print(1)"


def test_of_a_written_answer_in_several_cells_nothing_is_lost(tmp_path):
    content = handed_in()
    pasted(content, "written", "And a second half.")
    pasted(content, "written", WRITTEN, after=1)  # the same once more
    notebook, messages = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert written.source == f"{WRITTEN}\n\nAnd a second half." and messages == []


@pytest.mark.parametrize("kind", ["code", "raw"])
def test_a_written_answer_keeps_its_text_whatever_the_cell_has_become(kind, tmp_path):
    """Cells change their type by one key, nbgrader 1941."""
    content = handed_in()
    named(content, "written")["cell_type"] = kind
    notebook, messages = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert (written.cell_type, written.source) == ("markdown", WRITTEN)
    assert messages == [f"the answer written had become a {kind} cell; its text has been kept"]


def test_what_was_added_to_the_imports_is_there_for_the_answers(tmp_path):
    content = handed_in()
    named(content, "imports")["source"] += ["\nimport math as m"]
    answer = answers()["forward"].replace("return y,", "return m.exp(0) * y,")
    named(content, "forward")["source"] = answer
    pasted(content, "test_forward", "more = 1", after=0)  # a copied test that became a notepad
    named(content, "evaluation")["source"] += "\nassert more == 1"
    notebook, messages = graded(content, tmp_path)
    assert failing(notebook) == []
    assert messages == [
        "the cell imports had been changed and has been put back",
        "the cell test_forward had been changed and has been put back",
    ]


def test_an_edited_test_does_not_run(tmp_path):
    content = handed_in()
    named(content, "test_fold")["source"] = "raise SystemExit('passed')"
    notebook, messages = graded(content, tmp_path)
    assert messages == ["the cell test_fold had been changed and has been put back"]
    assert "SystemExit" not in "".join(cell.source for cell in notebook.cells[2:])


def layout(content):
    """Another formatter, nbsp and tabs from a website, comments."""
    for cell in content["cells"]:
        if meta(nbformat.from_dict(cell)).get("locked"):
            text = "".join(cell["source"]).replace("    ", "\t").replace(", ", ",\u00a0")
            text = text if "'" in text else text.replace('"', "'")
            cell["source"] = f"# look\n{text}"
    return content


def more_blanks(content):
    return each(
        content,
        lambda cell: cell.update(
            source="\n\n" + "".join(cell["source"]).replace("\n", " \t\n") + "\n\n \n"
        ),
    )


@pytest.mark.parametrize("change", [windows, more_blanks, layout])
def test_layout_is_no_edit(change, tmp_path):
    _, messages = graded(change(handed_in()), tmp_path)
    assert messages == []


def together(content, place, empty):
    """All answers in one cell, and in their own cells what was handed out, or nothing."""
    handed_out = released()
    code_answers = {name: text for name, text in answers().items() if "def " in text}
    for name in code_answers:
        named(content, name)["source"] = "" if empty else named(handed_out, name)["source"]
    content["cells"].insert(
        len(content["cells"]) if place == "end" else 3, code("\n\n".join(code_answers.values()))
    )
    return content


@pytest.mark.parametrize("place", ["begin", "end"])
@pytest.mark.parametrize("empty", [False, True], ids=["as handed out", "empty"])
def test_answers_in_one_cell_of_their_own_are_found(place, empty, tmp_path):
    notebook, incidents = graded(together(handed_in(), place, empty), tmp_path)
    assert failing(notebook) == []
    assert "another cell" in incidents[0] and "forward, running" in incidents[0]
    assert ["ran further down" in message for message in incidents[1:]] == [True] * (place == "end")


def test_an_answer_below_the_cell_for_it_is_nothing_to_look_at(tmp_path):
    content = handed_in()
    named(content, "forward")["source"] = named(released(), "forward")["source"]
    content["cells"].insert(place_of(content, "forward") + 1, code(answers()["forward"]))
    notebook, incidents = graded(content, tmp_path)
    assert failing(notebook) == [] and incidents == []


@pytest.mark.parametrize("place", ["evaluation", "backward"])
def test_a_stub_in_the_cell_of_another_answer_hides_nothing(place, tmp_path):
    content = handed_in()
    stub = named(released(), "fold")["source"]
    named(content, place)["source"] += f"\n\n\n{stub}"
    below = code("assert fold(torch.ones(1, 1, 1, 1), None, *torch.ones(4, 1))[0].shape")
    content["cells"].append(below)
    notebook, incidents = graded(content, tmp_path)
    assert failing(notebook) == [] and incidents == []


def test_a_part_of_an_answer_may_stand_in_another_cell(tmp_path):
    """One function of two is left as it was handed out, and written further up."""
    content = handed_in()
    both = answers()["evaluation"] + "\n\n\n" + named(released(), "fold")["source"]
    named(content, "evaluation")["source"] = both
    named(content, "fold")["source"] = "# see above"
    content["cells"].insert(3, code(answers()["fold"]))
    notebook, incidents = graded(content, tmp_path)
    assert failing(notebook) == []
    (message,) = incidents
    assert "another cell" in message and message.endswith(": fold")


def test_what_an_answer_in_a_cell_of_its_own_uses_is_reported(tmp_path):
    content = json.loads(nbformat.writes(released()))
    content["cells"].append(code(answers()["forward"] + "\n    F.batch_norm(x, None, None)"))
    notebook, _ = graded(content, tmp_path)
    notebook.metadata["resnorm"] = dict(source().metadata["resnorm"])
    assert [incident.message for incident in forbidden(notebook)] == [
        "uses batch_norm, which the assignment asks to write by hand"
    ]


@pytest.mark.parametrize(
    "text, opens",
    [
        ("def f():\n    'What it does.'", True),
        ("def f():\n    ...", True),
        ("def f():\n    # later\n    return None", True),
        ("def f():\n    x = 1\n    raise NotImplementedError('later')", True),
        ("class f:\n    size = 3", False),
        ("class f:\n    def a(self):\n        super().__init__()\n        pass", True),
        ("class f:\n    def a(self):\n        raise NotImplementedError", True),
        ("class f:\n    def a(self):\n        pass\n    def b(self):\n        return 1", False),
        ("def f():\n    return 1\n    raise NotImplementedError()", False),
        ("def f():\n    return", True),
        ("f = None", True),
        ("f = 0", False),
        ("f = lambda: None", False),
        ("f: object = None", True),
    ],
)
def test_what_is_left_open(text, opens):
    assert [(each.name, each.is_open) for each in definitions(text)] == [("f", opens)]


@pytest.mark.parametrize(
    "text, names",
    [
        ("def f(a, b=c):\n    return a + d(e for e in a)", {"c", "d"}),
        ("def f():\n    def g(x):\n        return x + h\n    return g", {"h"}),
        (
            "class f(Base):\n    k = 1\n    def g(self):\n        return self.h + nn.k",
            {"Base", "nn"},
        ),
        ("f = [n * k for n in range(size)]", {"k", "range", "size"}),
        ("f = lambda x: x + y", {"y"}),
        ("@cached\ndef f():\n    import math\n    return math.pi", {"cached"}),
        ("with a() as f:\n    pass", {"a"}),
        ("%time\nfiles = !ls\ndef f():\n    return g", {"g"}),
        ("torch?\ndef f():\n    return g", {"g"}),
        ("!echo a \\\n  (b\ndef f():\n    return g", {"g"}),
        ("x = await g()\ndef f():\n    return g", {"g"}),
        ("%time f = g()", {"g"}),
        ("f = %time g()", {"str"}),
        ("%x\nf = (g\n     %h)", {"g", "h"}),
        ("%x\n" * 30 + "a?\nf = g", {"g"}),
        ("#" * 150_000 + "\nf = g", {"g"}),
    ],
)
def test_what_a_definition_needs(text, names):
    assert {*definitions(text)[-1].uses} == names


@pytest.mark.parametrize(
    "text",
    [
        "%%writefile a.py\ndef f(): pass",
        "%%bash\nf=1",
        "def f(:",
        "print(1)",
        "# f = 1",
        "f: object",
        "!pip list",
        "f?",
        "#" * 300_000,
    ],
)
def test_what_defines_nothing(text):
    assert definitions(text) == []


def test_lines_keep_their_numbers():
    text = "\n\n%%capture\n!echo a \\\n  b\nx = !ls \\\n -l\nf = 1"
    assert [(each.name, each.lines) for each in definitions(text)] == [
        ("x", range(5, 6)),
        ("f", range(7, 8)),
    ]


@pytest.mark.parametrize(
    "text",
    ["from answers import *", "%run answers.py", "exec(open('a').read())", "globals()['f'] = 1"],
)
def test_what_may_define_anything(text):
    assert ANYTHING in [each.name for each in definitions(text)]
    assert definitions("from math import *") == definitions("from torch.nn import *") == []
