"""What the judge makes of tests that fail in part, of unusual right answers, and of tricks."""

import ast
import asyncio
import json

import harness
import nbformat
import pytest
from test_mutants import SOURCES, expected, source

from resnorm.course.grading.judge import AuthorError, Judge
from resnorm.course.grading.judge import expected as expects
from resnorm.course.grading.statements import Statements
from resnorm.course.grading.trusted import JudgeProcess
from resnorm.course.remote.executor import Executor
from resnorm.course.sandbox.incidents import Incident, StoppedError
from resnorm.course.sandbox.limits import Limits


def notebook(answer, test, *boxed):
    def cell(code, name, **about):
        resnorm = {"boxed": True} if name.startswith("boxed") else {}
        nbgrader = {"grade_id": name, "locked": True, "grade": False, "solution": False} | about
        metadata = {"nbgrader": nbgrader, "resnorm": resnorm}
        return nbformat.v4.new_code_cell(code, metadata=metadata)

    imports = "import torch\nfrom resnorm import checking"
    helpers = [cell(code, f"boxed {number}") for number, code in enumerate(boxed)]
    answer = cell(answer, "answer", solution=True, locked=False)
    graded = cell(test, "test", grade=True, points=10.0)
    return nbformat.v4.new_notebook(cells=[cell(imports, "imports"), *helpers, answer, graded])


def verdict(test, right, given, *boxed):
    whole = notebook(right, test, *boxed)
    return harness.verdicts(whole, harness.reference(whole), {"answer": given})["test"]


HIDDEN = "### BEGIN HIDDEN TESTS\n{}\n### END HIDDEN TESTS"
DOUBLE = "def double(x): return 2 * x"


def test_one_comparison_that_fails_does_not_take_the_others_along():
    test = (
        "checking.close(double(1.0), 2.0, name='of 1')\n"
        "for n in (2.0, 3.0):\n"
        "    y = double(n)\n"
        "    with torch.no_grad():\n"
        "        checking.close(y, 2 * n, name=f'of {n}')\n"
        "checking.close(double(torch.ones(2)), torch.full((2,), 2.0), name='of ones')"
    )
    wrong = "def double(x):\n    if str(x) == '2.0': raise ValueError('two')\n    return 2 * x"
    found = verdict(test, DOUBLE, wrong)
    assert (found.points, found.agree, found.total) == (7.5, 3, 4)
    assert found.message == "ValueError: two\n1 of 4 comparisons did not run"


def test_what_needs_a_failed_statement_fails_for_the_same_reason():
    failed = Statements({"x": 1, "total": [], "fails": lambda *a: 1 / 0})
    failed.run(ast.parse("y = fails(x)\nz = y + 1\nfails(total)\nw = len(total)\nx = x + 1").body)
    assert [failure.reason for failure in failed.failures] == [
        "ZeroDivisionError: division by zero"
    ] * 4
    assert failed.space["x"] == 2 and "total" not in failed.space
    again = Statements({"fails": lambda *a: 1 / 0})
    again.run(ast.parse("for i in range(2):\n    y = fails() if i == 0 else i\n    z = y").body)
    assert len(again.failures) == 2 and again.space["z"] == 1


@pytest.mark.parametrize("header", ["for i in range(2):", "with open(__file__):", "if fails:"])
def test_what_failed_inside_of_a_loop_is_the_reason_after_it_as_well(header):
    """And not a NameError about a name that no student has seen."""
    found = Statements({"fails": lambda *a: 1 / 0, "__file__": __file__})
    found.run(ast.parse(f"{header}\n    y, *more = fails()\nz = sum(more)").body)
    reasons = {failure.reason for failure in found.failures}
    assert reasons == {"ZeroDivisionError: division by zero"}


@pytest.mark.parametrize(
    "task, own, another, missing, unexpected",
    [
        ("dense", "self.layers", "self.convs", "layers.0.0.bias", "convs.0.0.bias"),
        ("transition", "self.norm", "self.bn", "norm.bias", "bn.bias"),
        ("densenet", "self.classifier", "self.fc", "classifier.bias", "fc.bias"),
        ("unet", "self.merge", "self.fuse", "merge.0.0.weight", "fuse.0.0.weight"),
    ],
)
def test_wrong_names_are_told_and_do_not_look_like_wrong_arithmetic(
    task, own, another, missing, unexpected
):
    answer = harness.solution(source("A5"), task).replace(own, another)
    for test in harness.tests_of(source("A5"))[task]:
        found = harness.verdicts(source("A5"), expected("A5"), {task: answer}, [test])[test]
        first = found.message.splitlines()[0]
        assert first.startswith("AssertionError: The names in state_dict() are not those of the")
        assert f"Missing: {missing}, " in first and f"unexpected: {unexpected}, " in first
        assert found.points == 0


def test_a_test_that_expects_an_error_gets_it():
    test = (
        "try:\n    double('x')\n    raised = 0\nexcept ValueError:\n    raised = 1\n"
        "checking.emit('is a ValueError raised', raised)"
    )
    right = "def double(x):\n    if x == 'x': raise ValueError\n    return 2 * x"
    assert verdict(test, right, right).points == 10
    assert verdict(test, right, DOUBLE).points == 0
    assert verdict(test, right, right.replace("ValueError", "TypeError")).points == 0


def test_comparisons_are_found_by_name_and_of_a_hidden_one_no_value_is_told():
    public = "checking.close(double(torch.tensor([1.0, 3.0])), torch.tensor([2.0, 6.0]), name='y')"
    hidden = HIDDEN.format("checking.emit('z', double(torch.tensor([21.0, 0.0])))")
    found = verdict(f"{public}\n{hidden}", DOUBLE, "def double(x): return 5 * x")
    assert found.agree == 0
    first, second = found.message.splitlines()
    assert "got 15, expected 6" in first
    assert second == "z differs at 1 of 2 places"


def test_both_sides_from_the_box_are_compared_with_the_solution():
    test = "checking.close(double(3.0), double(1.5) * 2, name='y')"
    assert verdict(test, DOUBLE, "def double(x): return 0.0").points == 0
    assert verdict(test, DOUBLE, DOUBLE).points == 10


def test_a_wrong_helper_does_not_cost_the_right_answer_its_marks():
    """The expected value is that of the run of the solution."""
    right = DOUBLE + "\ndef same(x): return x"
    test = "checking.close(double(same(2.0)), 4.0, name='y')\n"
    test += "checking.close(double(1.0), same(2.0), name='z')"
    found = verdict(test, right, DOUBLE + "\ndef same(x): return x + 1")
    assert found.agree == 1


@pytest.mark.parametrize(
    "test, words",
    [
        ("checking.emit('y', double(torch.randn(2)))", "draws random numbers and calls an answer"),
        ("y = double(torch.ones(2))\ny.add_(1)\nchecking.emit('y', y)", "changed in place"),
        ("checking.close(double(1.0), 3.0)", "differs"),
        ("checking.emit('y', double)", "must be a tensor, an array or a number, but is function"),
        ("checking.emit('y', double(lambda: 1))", "define it in a boxed cell"),
        ("checking.emit('y', double(1 / 0))", "line 1: ZeroDivisionError"),
    ],
)
def test_the_author_hears_of_a_test_that_is_unjust_or_does_not_work(test, words):
    whole = notebook(DOUBLE, test)
    with pytest.raises(AuthorError, match=words):
        expects(harness.run(whole, whole, strict=True)["test"])


def test_helpers_live_beside_the_answer_and_their_names_reach_them():
    boxed = "calls = []\ndef spy(x):\n    calls.append(x)\n    return x"
    test = "checking.close(apply(spy, 2.0), 2.0, name='y')\nchecking.emit('calls', len(calls))"
    right = "def apply(f, x): return f(x)"
    assert verdict(test, right, right, boxed).points == 10
    assert verdict(test, right, "calls = spy = 3\n" + right, boxed).points == 10
    assert verdict(test, right, "def apply(f, x): return x", boxed).points == 5


def noise(code, before="pass", once=""):
    """The answer with a statement before each call of its functions and constructors.

    Another statement follows it once.
    """
    added = "\ndef _noisy(function):\n    import functools\n    @functools.wraps(function)\n"
    added += f"    def called(*a, **k):\n        {before}\n"
    added += "        return function(*a, **k)\n    return called\n"
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.FunctionDef):
            added += f"{statement.name} = _noisy({statement.name})\n"
        elif isinstance(statement, ast.ClassDef):
            added += f"{statement.name}.__init__ = _noisy({statement.name}.__init__)\n"
    return code + added + once


UNUSUAL = {
    "a seed set inside": {"before": "torch.manual_seed(7)"},
    "draws": {
        "before": "torch.rand(5), __import__('random').random(), __import__('numpy').random.rand(2)"
    },
    "a module built and dropped": {"before": "nn.Linear(3, 3)"},
    "another default type": {"before": "torch.set_default_dtype(torch.float64)"},
    "gradients switched off for good": {"once": "torch.set_grad_enabled(False)"},
}


@pytest.mark.parametrize("habit", UNUSUAL)
@pytest.mark.parametrize("assignment", SOURCES)
def test_right_answers_with_unusual_habits_lose_no_marks(assignment, habit):
    if habit == "a seed set inside" and assignment == "A4":
        unusual = {"before": "torch.manual_seed(torch.randint(1000, ()).item())"}
    else:
        unusual = UNUSUAL[habit]
    whole = source(assignment)
    answers = {
        name: noise(harness.solution(whole, name), **unusual) for name in harness.tests_of(whole)
    }
    found = harness.verdicts(whole, expected(assignment), answers)
    assert [v for v in found.values() if v.points < v.possible or v.message] == []


@pytest.mark.parametrize("assignment", SOURCES)
def test_what_a_notebook_does_between_its_answers_changes_no_input(assignment):
    whole = source(assignment)
    start = (
        "import random\nimport numpy as np\ntorch.set_default_dtype(torch.float64)\n"
        "torch.manual_seed(3), np.random.seed(3), random.seed(3), torch.randn(9)\n"
    )
    answers = {name: start + harness.solution(whole, name) for name in harness.tests_of(whole)}
    found = harness.verdicts(whole, expected(assignment), answers)
    assert [v for v in found.values() if v.points < v.possible] == []


OWN_INITIALIZATION = """
def _initialized(cls):
    old = cls.__init__
    def __init__(self, *a, **k):
        old(self, *a, **k)
        for p in self.parameters():
            nn.init.normal_(p)
    cls.__init__ = __init__
"""


@pytest.mark.parametrize(
    "assignment, names",
    [
        ("A3", ("BasicBlock", "Bottleneck", "ResNet")),
        ("A5", ("DenseBlock", "Transition", "DenseNet", "UNet")),
    ],
)
def test_constructors_that_initialize_lose_no_marks(assignment, names):
    whole, answers = source(assignment), {}
    for task in harness.tests_of(whole):
        code = harness.solution(whole, task)
        own = "".join(f"_initialized({n})\n" for n in names if f"class {n}" in code)
        answers[task] = code + OWN_INITIALIZATION + own
    found = harness.verdicts(whole, expected(assignment), answers)
    assert [v for v in found.values() if v.points < v.possible] == []


def everywhere(whole, body):
    """Every answer's functions and methods with this body; classes are modules."""
    answers = {}
    for task in harness.tests_of(whole):
        lines = []
        for statement in ast.parse(harness.solution(whole, task)).body:
            if isinstance(statement, ast.FunctionDef):
                lines.append(f"def {statement.name}(*a, **k):\n    {body}")
            elif isinstance(statement, ast.ClassDef):
                lines.append(
                    f"class {statement.name}(nn.Module):\n    def __init__(self, *a, **k):\n"
                    f"        super().__init__()\n    def forward(self, *a):\n        {body}"
                )
        answers[task] = "\n".join(lines)
    return answers


HOSTILE = """
class _Yes(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __getattr__(self, name): return _Yes(1.0)
    def __call__(self, *a, **k): return self
    def __getitem__(self, key): return self
    def __iter__(self): return iter([self, self, self])
    def __array__(self, *a, **k): return __import__("numpy").zeros(1)
    __hash__ = float.__hash__
class _Loud(Exception):
    def __str__(self): raise SystemExit
    __repr__ = __str__
"""
TRICKS = {
    "its own input": "return a[0]",
    "its inputs": "return a",
    "zero": "return 0.0",
    "an error that a test may expect": "raise ValueError('no')",
    "an object that equals everything": "return _Yes()",
    "a hostile error": "raise _Loud",
    "SystemExit": "raise SystemExit",
    "a tensor that requires gradients": "return torch.zeros(2, requires_grad=True) * 1",
    "none": "return None",
    "an endless iterator": "return __import__('itertools').count()",
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("assignment", SOURCES)
def test_a_trick_earns_no_more_than_the_blank_notebook(assignment, trick):
    whole = source(assignment)
    answers = {k: HOSTILE + v for k, v in everywhere(whole, TRICKS[trick]).items()}
    found = harness.verdicts(whole, expected(assignment), answers)
    assert {name: v.points for name, v in found.items() if v.points} == {}


def started(test, right, **limits):
    whole = notebook(right, test)
    wanted = harness.reference(notebook(right, "checking.emit('y', double(1.0))"))
    return JudgeProcess(whole, wanted, Limits(**limits))


def run_outside(tests, given):
    space = {}
    exec(given, space)
    executor = Executor(space)

    async def ask(request):
        return executor.answer(request)

    async def run():
        await tests.before("imports", ask)
        await tests.before("test", ask)

    try:
        asyncio.run(run())
        return tests.verdicts["test"]
    finally:
        tests.close()


@pytest.mark.parametrize("body", ["while double(1.0) > 2:", "y = double(1.0)\nwhile y > 2:"])
def test_a_test_that_does_not_end_with_some_value_is_stopped(body):
    test = f"{body}\n    pass\nchecking.emit('y', 2.0)"
    tests = started(test, DOUBLE, cell_seconds=3)
    with pytest.raises(StoppedError, match="its test was stopped after 3 s"):
        run_outside(tests, "def double(x): return 3.0")
    assert not tests.process.is_alive()


@pytest.mark.parametrize(
    "body, kind, words",
    [
        ("while True:\n        pass", "time", "its test was stopped after 2 s of computing"),
        ("os.kill(os.getpid(), 9)", "memory", "its test was killed, probably for lack of memory"),
        ("os.abort()", "crash", r"its test crashed \(SIGABRT\)"),
        ("os._exit(3)", "crash", r"its test crashed \(exit code 3\)"),
        ("os._exit(0)", "memory", "its test ran out of memory with the values that it got"),
    ],
)
def test_the_end_of_the_process_of_the_tests_has_its_own_reason(body, kind, words):
    tests = started(f"import os\nif double(1.0) > 2:\n    {body}", DOUBLE, notebook_seconds=1)
    with pytest.raises(StoppedError, match=words) as stopped:
        run_outside(tests, "def double(x): return 3.0")
    assert stopped.value.incident.kind == kind


@pytest.mark.parametrize("size", ["2**60", "2**36"])
def test_a_test_that_some_value_makes_huge_costs_no_more_than_its_comparison(size):
    test = "torch.zeros(int(double(1.0)))\nchecking.emit('y', double(1.0) * 1.0)"
    found = run_outside(started(test, DOUBLE), f"def double(x): return {size}")
    assert found.points == 0 and "RuntimeError" in found.message


def test_what_ran_before_the_box_was_gone_counts():
    test = "checking.emit('y', double(1.0))\ndouble('gone')"
    tests = started(test, DOUBLE)
    executor = Executor({"double": lambda x: 2 * x})

    async def ask(request):
        if '"gone"' in request:
            raise StoppedError(Incident(-1, "time", "stopped"))
        return executor.answer(request)

    async def run():
        await tests.before("imports", ask)
        with pytest.raises(StoppedError):
            await tests.before("test", ask)

    asyncio.run(run())
    tests.close()
    assert tests.verdicts["test"].agree == 1


@pytest.mark.parametrize("value, said", [("None", "does the function return"), ("'a'", "is str")])
def test_a_value_that_cannot_be_compared_is_named(value, said):
    test = HIDDEN.format("checking.emit('of 1', double(1.0))\nchecking.emit('of 2', double(2.0))")
    found = verdict(test, DOUBLE, f"def double(x): return {value}")
    assert found.points == 0 and said in found.message and "UnboundLocalError" not in found.message


def test_values_that_can_be_looked_up_earn_nothing_without_a_hidden_one():
    public = "checking.close(double(1.0), 2.0, name='of 1')\ncheck = double(3.0)\n"
    test = public + HIDDEN.format(
        "checking.emit('of 3', check)\nchecking.emit('of 4', double(4.0))"
    )
    assert verdict(test, DOUBLE, "def double(x): return 2.0").points == 0
    found = verdict(test, DOUBLE, "def double(x): return 2 * x if x < 4 else 0.0")
    assert (found.points, found.agree) == (6.5, 2)


@pytest.mark.parametrize(
    "name",
    [
        {"type": "array", "dtype": "|u1", "shape": [2], "numbers": "AAA="},
        {"type": "array", "dtype": "01f8,f8", "shape": [0], "numbers": ""},
        {"type": "array", "dtype": ["f8"], "shape": [0], "numbers": ""},
        [],
        3,
    ],
)
def test_names_that_are_none_are_no_failure_of_the_judge(name):
    whole = notebook(DOUBLE, HIDDEN.format("checking.emit('of 1', double(1.0))"))
    reply = json.dumps({"value": [[name, 1]], "changed": [], "leaves": [], "used": []})
    outcome = Judge(lambda text: reply, whole).run("test")
    assert outcome.comparisons == [] and outcome.failures
