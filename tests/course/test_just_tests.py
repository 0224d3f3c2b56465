"""A test is just: no other test and no failed call decides what it gets."""

import harness
import nbformat
import pytest
from test_judge import DOUBLE, notebook

from resnorm.course.grading.judge import AuthorError
from resnorm.course.grading.judge import expected as expects


def assignment(shared, answer, *tests):
    """An assignment whose shared cell is imported, and which has several tests."""
    whole = notebook(answer, tests[0])
    whole.cells[0].source += f"\nimport random\nimport numpy as np\n{shared}"
    for number, test in enumerate(tests[1:], start=2):
        about = {"grade_id": f"test {number}", "grade": True, "solution": False, "points": 10.0}
        about |= {"locked": True}
        whole.cells.append(nbformat.v4.new_code_cell(test, metadata={"nbgrader": about}))
    return whole


WARM = "def warm(x): pass\n" + DOUBLE


@pytest.mark.parametrize(
    "shared, first, second, wrong",
    [
        pytest.param(
            "IMAGES = torch.ones(2)",
            "warm(IMAGES)\nchecking.emit('y', double(1.0))",
            "checking.emit('z', double(IMAGES))",
            "def warm(x): raise ValueError('warm')",
            id="a failed call",
        ),
        pytest.param(
            "IMAGES = torch.ones(2)",
            "IMAGES = warm(IMAGES) or IMAGES\nchecking.emit('y', double(1.0))",
            "checking.emit('z', double(IMAGES))",
            "def warm(x): raise ValueError('warm')",
            id="a failed assignment",
        ),
        pytest.param(
            "IMAGES = torch.ones(2)",
            "warm(IMAGES)\nchecking.emit('y', double(1.0))",
            "checking.emit('z', double(IMAGES))",
            "def warm(x): x.zero_()",
            id="a change in place",
        ),
        pytest.param(
            "IMAGES = {'all': [np.ones(2)]}",
            "warm(IMAGES['all'][0])\nIMAGES['all'].pop()\nchecking.emit('y', double(1.0))",
            "checking.emit('z', double(IMAGES['all'][0]))",
            "def warm(x): x[...] = 0",
            id="a change in a collection",
        ),
        pytest.param(
            "seen = []\ndef look(x): return double(x) + len(seen)",
            "seen = warm(1.0) or []\nchecking.emit('y', double(1.0))",
            "checking.emit('z', look(torch.ones(2)))",
            "def warm(x): return [1, 2]",
            id="a shared function that calls an answer",
        ),
        pytest.param(
            "torch.manual_seed(3), np.random.seed(3), random.seed(3)",
            "n = warm(1.0) or 1\nfor _ in range(n):\n"
            "    a, b, c = torch.rand(2), np.random.rand(2), random.random()\n"
            "checking.emit('y', double(1.0))",
            "a, b, c = torch.rand(1), np.random.rand(1), random.random()\n"
            "checking.emit('z', double(a))\nchecking.emit('z', double(b))\n"
            "checking.emit('z', double(c))",
            "def warm(x): return 3",
            id="random numbers of the test",
        ),
        pytest.param(
            "",
            "y = [warm(1.0), warm(2.0)]\nchecking.emit('y', double(1.0))",
            "checking.emit('z', noisy(1.0))",
            "def warm(x): raise ValueError('warm')",
            id="random numbers of an answer",
        ),
    ],
)
def test_what_happens_in_one_test_costs_no_points_in_another(shared, first, second, wrong):
    right = WARM + "\ndef noisy(x): return x + torch.rand(2)"
    whole = assignment(shared, right, first, second)
    wanted = harness.reference(whole)
    given = right.replace("def warm(x): pass", wrong)
    found = harness.verdicts(whole, wanted, {"answer": given})
    assert (found["test 2"].points, found["test 2"].message) == (10, "")
    assert harness.verdicts(whole, wanted, {"answer": right})["test"].points == 10


@pytest.mark.parametrize("first", ["n = 3.0", "for n in (1.0, 3.0):\n    pass", "import math as n"])
def test_the_author_hears_of_a_test_that_needs_a_variable_of_another(first):
    whole = assignment("", DOUBLE, f"{first}\nchecking.emit('y', double(1.0))", "double(n)")
    with pytest.raises(AuthorError, match="NameError: name 'n' is not defined"):
        expects(harness.run(whole, whole, strict=True)["test 2"])


@pytest.mark.parametrize(
    "test",
    [
        "checking.emit('y', double(torch.randn(1)))",
        "checking.emit('y', double(np.random.rand()))",
        "checking.emit('y', double(random.random()))",
        "for x in double(torch.randn(2)):\n    checking.emit('y', x)",
        "for x in (double(random.random()) for _ in range(2)):\n    checking.emit('y', x)",
        "if double(torch.randn(1)) > 9:\n    pass",
        "if double(np.random.rand()) > 9:\n    pass",
        "with torch.set_grad_enabled(double(random.random()) > 9):\n    pass",
        "while double(random.random()) > 9:\n    pass",
    ],
)
def test_the_author_hears_of_a_draw_in_the_statement_of_a_call(test):
    whole = assignment("", DOUBLE, f"{test}\nchecking.emit('z', double(1.0))")
    with pytest.raises(AuthorError, match="line 1 draws random numbers and calls an answer"):
        expects(harness.run(whole, whole, strict=True)["test"])


def test_draws_before_a_call_are_accepted():
    test = (
        "x = [random.random(), np.random.rand()]\nfor y in torch.randn(2):\n"
        "    if double(x[0]) < 9:\n        checking.emit('y', double(x[1] * y))"
    )
    whole = assignment("", DOUBLE, test)
    assert len(expects(harness.run(whole, whole, strict=True)["test"])) == 2


def test_of_many_failures_the_first_are_told():
    test = "for n in range(30):\n    checking.close(double(n), 2 * n, name=f'of {n}')"
    whole = assignment("", DOUBLE, test)
    wanted = harness.reference(whole)
    fails = "def double(x): raise ValueError(f'{x} ' + 'long' * 1000)"
    found = harness.verdicts(whole, wanted, {"answer": fails})["test"]
    lines = found.message.splitlines()
    assert len(lines) == 22 and max(map(len, lines)) <= 500
    assert lines[19].startswith("ValueError: 19 ")
    assert lines[20:] == ["and 10 more", "30 of 30 comparisons did not run"]
    differs = harness.verdicts(whole, wanted, {"answer": "def double(x): return -1.0"})["test"]
    lines = differs.message.splitlines()
    assert len(lines) == 21 and lines[-1] == "and 10 more"
    some = harness.verdicts(whole, wanted, {"answer": "def double(x): return 2 * x % 40"})["test"]
    assert len(some.message.splitlines()) == 10 and "more" not in some.message
