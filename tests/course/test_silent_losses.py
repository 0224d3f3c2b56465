"""Right answers in arrangements in which they once lost marks, and nobody was told."""

import arrangements
import harness
import pytest
import torch
from arrangements import A1, A3, source
from odd_notebooks import code, graded, handed_in, named, pasted, place_of, text
from test_arrangements import SETTINGS, block, in_cells, lost, marked  # noqa: F401

from resnorm.course.grading.cells import meta
from resnorm.course.grading.definitions import definitions

#: A whole answer in a class of another name, for one that inherits it.
PARENT = A3.answers["bottleneck"].replace("class Bottleneck", "class Parent")
HEIRS = {
    "nothing of its own": "    pass",
    "a docstring": '    """As in the paper."""',
    "arguments": "    def __init__(self, *sizes, **options):\n"
    "        super().__init__(*sizes, **options)",
}


def of_task(kit, task):
    return {*harness.tests_of(source(kit.assignment))[task]}


@pytest.mark.parametrize("heir", HEIRS)
@pytest.mark.parametrize("place", ["top", "end"])
def test_an_answer_may_be_inherited(heir, place, marked):  # noqa: F811
    own = [*A3.own, PARENT, f"class Bottleneck(Parent):\n{HEIRS[heir]}"]

    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        stub = named(arrangements.handed_out(kit.assignment), "bottleneck")["source"]
        named(content, "bottleneck")["source"] = stub
        if place == "top":
            arrangements.below_imports(content, own)
        else:
            content["cells"] += map(code, own)

    verdicts, messages = marked(A3, arrange, of_task(A3, "bottleneck"))
    assert lost(verdicts) == {} and messages


def test_an_answer_with_an_unfinished_method_and_an_attribute_replaces_the_stub(marked):  # noqa: F811
    rest = "\n\n    def later(self):\n        raise NotImplementedError()"

    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        stub = named(arrangements.handed_out(kit.assignment), kit.task)["source"]
        named(content, kit.task)["source"] = stub
        answer = kit.answers[kit.task].rstrip() + rest
        arrangements.below_imports(content, [*kit.own, answer, "BasicBlock.expansion = 1"])

    verdicts, _ = marked(A3, arrange, of_task(A3, A3.task))
    assert lost(verdicts) == {}


def test_a_method_may_be_put_into_its_class_by_its_annotation_further_down(marked):  # noqa: F811
    start, method = block("    def forward(self, x):\n        raise NotImplementedError()")
    own = (
        "def patch(function):\n"
        "    setattr(function.__annotations__['self'], function.__name__, function)",
        "@patch\n" + method.replace("(self", "(self: BasicBlock", 1),
    )
    verdicts, messages = marked(*in_cells(start, *own), of_task(A3, A3.task))
    assert lost(verdicts) == {}
    assert any("ran further down" in message for message in messages)


def test_a_split_answer_is_joined_also_around_a_note(tmp_path):
    lines = "".join(named(handed_in(), "forward")["source"]).split("\n")
    content = handed_in()
    named(content, "forward")["source"] = "\n".join(lines[:-2])
    pasted(content, "forward", "\n".join(lines[-2:]))
    content["cells"].insert(place_of(content, "forward") + 1, text("Now what it returns."))
    notebook, messages = graded(content, tmp_path)
    cell = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "forward")
    assert cell.source == "\n".join(lines)
    assert "has been joined" in " ".join(messages)


@pytest.mark.parametrize(
    "statement, used",
    [
        ("AXES += (last(),)", {"AXES", "last"}),
        ("for axis in axes():\n    AXES.append(axis)", {"AXES", "axes"}),
        ("class Own(Base):\n    size = unit()", {"Base", "unit"}),
    ],
)
def test_what_a_statement_adds_to_is_needed_too(statement, used):
    found = definitions(statement)
    assert used <= set().union(*(each.at_once for each in found))
    assert {each.name for each in found} >= used & {"AXES"}


def test_a_result_that_is_used_changes_nothing():
    assert {each.name for each in definitions("z = torch.add(x, y)")} == {"z"}


def at_the_end_and(*own):
    def arrange(content, kit):
        arrangements.at_the_end(content, kit)
        content["cells"] += map(code, own)

    return arrange


LOST = {
    "what nobody can read": (
        in_cells("globals()['batch_norm_forward'] = lambda *rest: 0", kit=A1),
        "no cell shows a definition of these, but a cell imports or runs code that may define them",
    ),
    "a change by a method": (
        in_cells(f"SETTINGS = {{}}\n\n\n{SETTINGS}", "SETTINGS.update(unit=1)", kit=A1),
        "a cell further down defines or changes SETTINGS (own cell below ",
    ),
    "a change that raises no error": (
        in_cells(f'SETTINGS = {{"unit": 3}}\n\n\n{SETTINGS}', 'SETTINGS["unit"] = 1', kit=A1),
        " lost points; a cell further down defines or changes SETTINGS (own cell below ",
    ),
    "a name of a library": (
        (A3, at_the_end_and("for F in (8, 16):\n    pass")),
        "lost points with F as a cell of the student's defines it",
    ),
    "a name of Python": (
        in_cells(
            A1.answers["forward"].replace("+ eps", "+ float(eps)"),
            "float = 3.0",
            kit=A1,
            at_the_end=False,
        ),
        "lost points with float as a cell of the student's defines it",
    ),
    "a helper that was deleted": (
        (A1, at_the_end_and("del per_channel")),
        "did not find per_channel, although a cell further up defines it (own cell below ",
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_may_be_a_right_answer_is_reported_where_points_are_lost(kind, marked):  # noqa: F811
    (kit, arrange), message = LOST[kind]
    verdicts, messages = marked(kit, arrange, of_task(kit, kit.task))
    assert lost(verdicts)
    assert [message in each for each in messages].count(True) == 1, messages


def uses(call, kit=A1):
    """The answer of the kit, which makes this call, too."""
    name = "batch_norm_forward"
    start, colon, rest = kit.answers["forward"].partition(":\n")
    assert f"def {name}(" in start
    return f"{start}{colon}    {call}\n{rest}"


@pytest.mark.parametrize(
    "above, call, scratch",
    [
        ("", "assert sum((1, 2)) == 3", "sum = 0"),
        ("", "assert max(1, 2) == 2", "for max in range(3):\n    pass"),
        ("from torch import *", "assert ceil(torch.ones(1)) == 1", "ceil = 3"),
        ("from torch.nn.functional import *", "relu(torch.ones(1))", "relu = False"),
    ],
)
def test_what_python_or_a_library_gives_is_not_waited_for(above, call, scratch, marked):  # noqa: F811
    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        arrangements.below_imports(content, [*kit.own, above])
        named(content, "forward")["source"] = uses(call)
        content["cells"].append(code(scratch))

    verdicts, messages = marked(A1, arrange, of_task(A1, A1.task))
    assert lost(verdicts) == {} and messages == []


def test_a_name_that_no_star_gives_is_waited_for(marked):  # noqa: F811
    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        arrangements.below_imports(content, [*kit.own, "from torch.nn.functional import *"])
        named(content, "forward")["source"] = uses("assert helper() == 1")
        content["cells"].append(code("def helper():\n    return 1"))

    verdicts, messages = marked(A1, arrange, of_task(A1, A1.task))
    assert lost(verdicts) == {}
    assert any("ran further down" in message for message in messages)


ELSEWHERE = {
    "a GPU": "x = x.to('cuda')",
    "a module": "import module_of_mine",
    "a file": "open('drive/weights.pt')",
}


@pytest.mark.parametrize("missing", ELSEWHERE)
def test_what_only_the_student_has_is_named_where_it_cost_points(missing, marked):  # noqa: F811
    if missing == "a GPU" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so the answer is right here")

    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        cell = named(content, "channel_statistics")
        head, body = cell["source"].split("\n", 1)
        cell["source"] = f"{head}\n    {ELSEWHERE[missing]}\n{body}"

    verdicts, messages = marked(A1, arrange, of_task(A1, "channel_statistics"))
    assert lost(verdicts)
    assert any("that the grader does not have" in message for message in messages)


def test_a_loop_that_reuses_the_name_of_an_answer_hides_it_with_a_note(marked):  # noqa: F811
    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        place = place_of(content, "channel_statistics") + 1
        loop = "for channel_statistics in (1, 2):\n    print(channel_statistics)"
        content["cells"].insert(place, code(loop))

    verdicts, messages = marked(A1, arrange, of_task(A1, "channel_statistics"))
    assert not lost(verdicts) or any("channel_statistics" in message for message in messages)
