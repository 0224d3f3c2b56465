"""Ways in which students spread right answers over the cells of a notebook.

Each function gets a notebook as it was handed out, and a kit of answers that need helpers.
"""

import ast
import copy
import functools
import json
import re
from dataclasses import dataclass, field, replace

import harness
import nbformat
from odd_notebooks import ASSIGNMENTS, code, each, named, place_of

STUB = "# YOUR CODE HERE\n    raise NotImplementedError"


@dataclass(frozen=True)
class Kit:
    """Answers to an assignment, and what they need.

    Attributes:
        assignment: its name.
        own: cells of the student's own, in an order in which they run.
        changes: answer -> what to replace in the solution, so that it needs these cells.
        wrong: an answer, and what makes it wrong.
        alone: answers that only their own tests use.
    """

    assignment: str
    own: tuple[str, ...]
    changes: dict[str, list[tuple[str, str]]] = field(hash=False)
    wrong: tuple[str, str, str]
    alone: tuple[str, ...]
    is_wrong: bool = False

    @property
    def task(self):
        return self.wrong[0]

    @property
    def answers(self):
        found = {task: harness.solution(source(self.assignment), task) for task in self.tasks}
        for task, changes in self.changes.items():
            for old, new in changes:
                assert old in found[task], (task, old)
                found[task] = found[task].replace(old, new)
        if self.is_wrong:
            found[self.task] = self.spoiled(found[self.task])
        return found

    @property
    def tasks(self):
        return list(harness.tests_of(source(self.assignment)))

    @property
    def other(self):
        """The other version of an answer: wrong if the kit is right, and right if it is wrong."""
        return replace(self, is_wrong=not self.is_wrong).answers[self.task]

    def spoiled(self, answer):
        assert self.wrong[1] in answer
        return answer.replace(*self.wrong[1:])


A1 = Kit(
    "A1",
    (
        "import functools\nimport operator as op",
        "CHANNELS, AXES = (1, -1, 1, 1), (0, 2, 3)",
        "def per_channel(v):\n    return v.view(*CHANNELS)",
        "@functools.cache\ndef unit():\n    return op.index(1)",
    ),
    {
        "channel_statistics": [("mean.view(1, -1, 1, 1)", "per_channel(mean)")],
        "forward": [("mean.view(1, -1, 1, 1)", "per_channel(mean)"), ("y = ", "y = unit() * ")],
        "running": [("x.shape[1]", "x.shape[unit()]")],
        "evaluation": [("scale.view(1, -1, 1, 1)", "per_channel(scale)")],
        "backward": [("dy.sum((0, 2, 3))", "dy.sum(AXES)")],
    },
    ("forward", "(var + eps)", "(2 * var + eps)"),
    ("running", "evaluation", "fold", "merge"),
)
A3 = Kit(
    "A3",
    (
        "import functools\nimport copy",
        "EXPANSION = 4",
        "class Residual(nn.Module):\n"
        "    def add(self, y, x):\n"
        "        return rectified(y + (x if self.downsample is None else self.downsample(x)))",
        "def rectified(x):\n    return F.relu(x)",
    ),
    {
        "basic": [
            ("BasicBlock(nn.Module)", "BasicBlock(Residual)"),
            (
                "F.relu(y + (x if self.downsample is None else self.downsample(x)))",
                "self.add(y, x)",
            ),
        ],
        "bottleneck": [
            ("Bottleneck(nn.Module)", "Bottleneck(Residual)"),
            ("4 * width", "EXPANSION * width"),
            (
                "F.relu(y + (x if self.downsample is None else self.downsample(x)))",
                "self.add(y, x)",
            ),
        ],
        "plain": [("    import copy\n", "")],
    },
    ("basic", "y = self.bn2(self.conv2(y))", "y = F.relu(self.bn2(self.conv2(y)))"),
    ("shortcut", "initialize", "plain"),
)


@functools.cache
def source(assignment):
    path = next((ASSIGNMENTS / "source" / assignment).glob("*.ipynb"))
    return nbformat.read(path, as_version=4)


def handed_out(assignment):
    path = next((ASSIGNMENTS / "release" / assignment).glob("*.ipynb"))
    return json.loads(path.read_text(encoding="utf-8"))


def below_imports(content, cells):
    place = place_of(content, "imports") + 1
    content["cells"][place:place] = map(code, cells)


def fill_in(content, kit):
    for task, answer in kit.answers.items():
        named(content, task)["source"] = answer


def change_stubs(content, kit, change):
    for task in kit.tasks:
        cell = named(content, task)
        cell["source"] = change("".join(cell["source"]))


def in_their_cells(content, kit):
    fill_in(content, kit)
    below_imports(content, kit.own)


def at_the_top(content, kit):
    below_imports(content, [*kit.own, *kit.answers.values()])


def at_the_end(content, kit):
    content["cells"] += map(code, [*kit.own, *kit.answers.values()])


def in_one_cell_at_the_top(content, kit):
    below_imports(content, ["\n\n".join([*kit.own, *kit.answers.values()])])


def in_one_cell_at_the_end(content, kit):
    content["cells"].append(code("\n\n".join([*kit.own, *kit.answers.values()])))


def answers_at_the_end_and_helpers_at_the_top(content, kit):
    below_imports(content, kit.own)
    content["cells"] += map(code, kit.answers.values())


def helpers_in_the_cell_of_the_imports(content, kit):
    fill_in(content, kit)
    imports = named(content, "imports")
    imports["source"] = "\n\n".join(["".join(imports["source"]), *kit.own])


def instead_of_stubs(place, change):
    def arrange(content, kit):
        change_stubs(content, kit, change)
        place(content, kit)

    return arrange


def passing(stub):
    return re.sub(r"# YOUR CODE HERE\s+raise NotImplementedError(\(\))?", "pass", stub)


def without_cells(content, kit):
    at_the_end(content, kit)
    for task in kit.tasks:
        content["cells"].remove(named(content, task))


def below_each_test(content, kit):
    below_imports(content, kit.own)
    for task, tests in harness.tests_of(source(kit.assignment)).items():
        content["cells"].insert(place_of(content, tests[-1]) + 1, code(kit.answers[task]))


def helper_anew_below_each_test(content, kit):
    """A name that means something else in each task, as ``step`` or ``view`` does."""
    in_their_cells(content, kit)
    for task in kit.alone:
        named(content, task)["source"] = named(handed_out(kit.assignment), task)["source"]
        last = harness.tests_of(source(kit.assignment))[task][-1]
        tree = ast.parse(kit.answers[task])
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        functions[-1].body[:0] = ast.parse(f"assert step() == {task!r}").body
        texts = [f"def step():\n    return {task!r}", ast.unparse(tree)]
        content["cells"].insert(place_of(content, last) + 1, code("\n\n\n".join(texts)))


def at_the_end_with_copies_of_the_tests(content, kit):
    """As it was worked through once more: each answer, and below it a copy of its tests."""
    content["cells"] += map(code, kit.own)
    for task, tests in harness.tests_of(source(kit.assignment)).items():
        content["cells"].append(code(kit.answers[task]))
        content["cells"] += [copy.deepcopy(named(content, test)) for test in tests]


def at_the_end_with_pasted_tests(content, kit):
    """The same, with the texts of the tests in cells of the student's own."""
    length = len(content["cells"])
    at_the_end_with_copies_of_the_tests(content, kit)
    for cell in content["cells"][length:]:
        cell["metadata"] = {}


def stub_pasted_below(content, kit):
    """The cell was duplicated before it was filled in, and the copy stayed."""
    stub = copy.deepcopy(named(content, kit.task))
    in_their_cells(content, kit)
    content["cells"].insert(place_of(content, kit.task) + 1, stub)


def stub_pasted_at_the_end(content, kit):
    stub = copy.deepcopy(named(content, kit.task))
    in_their_cells(content, kit)
    content["cells"].append(stub)


def with_magics(content, kit):
    content["cells"] += [
        code("%matplotlib inline\nfiles = !ls\n!pip list"),
        *(code(f"%%time\n{text}") for text in kit.own),
        *(code(f"%%capture out\n{text}") for text in kit.answers.values()),
    ]


def with_questions_and_long_commands(content, kit):
    """What IPython runs in a cell, although Python does not."""
    above = "torch.sum?\nfiles = %pwd\n!echo a \\\n    b\n?torch\n"
    content["cells"] += [
        *(code(f"\n{above}{text}") for text in kit.own),
        *(
            code(f"%%capture\n%%time\n{text}\n%time tried = 1\ntried??")
            for text in kit.answers.values()
        ),
    ]


def annotated_at_the_top(content, kit):
    """A name with a type, or without a value, is no answer; the answers are at the end."""
    at_the_end(content, kit)
    for value in ("", " = None"):
        names = _names(kit).split(", ")
        below_imports(content, ["\n".join(f"{name}: object{value}" for name in names)])


def with_an_unfinished_method(content, kit):
    """Beyond what is asked for, in a class or a function, and further down than the tests."""
    rest = "\n\n\n    def later(self):\n        raise NotImplementedError()"
    content["cells"] += map(code, kit.own)
    for answer in kit.answers.values():
        is_class = answer.startswith("class ")
        content["cells"].append(code(answer.rstrip() + rest if is_class else answer))


def guarded(content, kit):
    """Inside of other statements."""

    def indented(text):
        return "try:\n" + re.sub("^(?=.)", "    ", text, flags=re.M) + "\nfinally:\n    pass"

    content["cells"] += map(code, kit.own)
    content["cells"] += [code(indented(text)) for text in kit.answers.values()]


def without_metadata_at_the_end(content, kit):
    at_the_end(content, kit)
    each(content, lambda cell: cell.update(metadata={}))


def without_metadata_at_the_top(content, kit):
    at_the_top(content, kit)
    each(content, lambda cell: cell.update(metadata={}))


def without_metadata_and_stubs(content, kit):
    without_cells(content, kit)
    each(content, lambda cell: cell.update(metadata={}))


def moved_to_the_end(content, kit):
    """The cells themselves were cut and pasted, with nbgrader's metadata."""
    fill_in(content, kit)
    cells = [named(content, task) for task in kit.tasks]
    content["cells"] = [cell for cell in content["cells"] if cell not in cells]
    content["cells"] += [*map(code, kit.own), *cells]


def moved_to_the_top(content, kit):
    fill_in(content, kit)
    cells = [named(content, task) for task in kit.tasks]
    content["cells"] = [cell for cell in content["cells"] if cell not in cells]
    place = place_of(content, "imports") + 1
    content["cells"][place:place] = [*map(code, kit.own), *cells]


def tests_above(content, kit):
    """Each answer was moved below its test."""
    in_their_cells(content, kit)
    for task, tests in harness.tests_of(source(kit.assignment)).items():
        cell = named(content, task)
        content["cells"].remove(cell)
        content["cells"].insert(place_of(content, tests[-1]) + 1, cell)


def experiment_below(content, kit):
    at_the_top(content, kit)
    content["cells"].append(code(kit.other))


def experiment_below_its_test(content, kit):
    in_their_cells(content, kit)
    last = harness.tests_of(source(kit.assignment))[kit.task][-1]
    content["cells"].insert(place_of(content, last) + 1, code(kit.other))


def experiment_in_a_copy(content, kit):
    """A copy of the cell with its metadata, further down."""
    in_their_cells(content, kit)
    content["cells"].append(copy.deepcopy(named(content, kit.task)) | {"source": kit.other})


def several_tries(content, kit):
    """Above its test, the last one counts, as whoever runs the notebook sees."""
    below_imports(content, [*kit.own, kit.other])
    fill_in(content, kit)


def from_a_file_at_the_top(content, kit):
    below_imports(content, [f"from answers import {_names(kit)}"])


def from_a_file_at_the_end(content, kit):
    names = _names(kit).split(", ")
    lines = [f"{name} = answers.{name}" for name in names]
    content["cells"].append(code("\n".join(["import answers", *lines])))


def all_from_a_file_at_the_top(content, kit):
    below_imports(content, ["from answers import *"])


def all_from_a_file_at_the_end(content, kit):
    change_stubs(content, kit, passing)
    content["cells"].append(code("from answers import *"))


def executed_from_a_file(content, kit):
    below_imports(content, ["with open('answers.py') as file:\n    exec(file.read())"])


def file_of(kit):
    """What ``answers.py`` holds."""
    imports = "import torch\nimport torch.nn.functional as F\nfrom torch import nn"
    return "\n\n".join([imports, *kit.own, *kit.answers.values()])


def _names(kit):
    found = re.findall(r"^(?:def|class) (\w+)", "\n".join(kit.answers.values()), re.M)
    return ", ".join(found)


#: Arrangements in which right answers have full marks.
JUST = [
    in_their_cells,
    at_the_top,
    at_the_end,
    in_one_cell_at_the_top,
    in_one_cell_at_the_end,
    answers_at_the_end_and_helpers_at_the_top,
    helpers_in_the_cell_of_the_imports,
    without_cells,
    below_each_test,
    helper_anew_below_each_test,
    at_the_end_with_copies_of_the_tests,
    at_the_end_with_pasted_tests,
    stub_pasted_below,
    stub_pasted_at_the_end,
    with_magics,
    with_questions_and_long_commands,
    annotated_at_the_top,
    with_an_unfinished_method,
    guarded,
    without_metadata_at_the_end,
    without_metadata_at_the_top,
    without_metadata_and_stubs,
    moved_to_the_end,
    moved_to_the_top,
    tests_above,
    experiment_below,
    experiment_in_a_copy,
    several_tries,
    from_a_file_at_the_top,
    from_a_file_at_the_end,
    all_from_a_file_at_the_top,
    all_from_a_file_at_the_end,
    executed_from_a_file,
]
JUST = {arrange.__name__: arrange for arrange in JUST} | {
    f"{place.__name__}_instead_of_stubs_{name}": instead_of_stubs(place, change)
    for place in (at_the_top, at_the_end)
    for name, change in {
        "that_are_empty": lambda stub: "",
        "that_are_comments": lambda stub: "# My answers are in cells of their own.\n",
        "that_pass": passing,
        "that_have_lost_the_comment": lambda stub: re.sub(" *# YOUR CODE HERE\n", "", stub),
        "that_return_none": lambda stub: passing(stub).replace("pass", "return None"),
    }.items()
}
#: Arrangements of which a person need not be told.
ORDINARY = {"in_their_cells"}


def answers_in_one_cell_and_helpers_below(content, kit):
    content["cells"].append(code("\n\n".join(kit.answers.values())))
    content["cells"] += map(code, kit.own)


def helpers_below_their_tests(content, kit):
    fill_in(content, kit)
    content["cells"] += map(code, kit.own)


def backwards(content, kit):
    content["cells"] += map(code, reversed([*kit.own, *kit.answers.values()]))


def corrected_at_the_end(content, kit):
    """The first answer was wrong, and stands where it stood."""
    in_their_cells(content, kit)
    named(content, kit.task)["source"] = kit.other
    content["cells"].append(code(kit.answers[kit.task]))


def helper_corrected_at_the_end(content, kit):
    below_imports(content, [re.sub("return .*", "return None", text) for text in kit.own])
    fill_in(content, kit)
    content["cells"] += map(code, kit.own)


#: Arrangements with which marks can be lost, but not without a report.
REPORTED = {
    arrange.__name__: arrange
    for arrange in (
        answers_in_one_cell_and_helpers_below,
        helpers_below_their_tests,
        backwards,
        experiment_below_its_test,
        corrected_at_the_end,
        helper_corrected_at_the_end,
    )
}
