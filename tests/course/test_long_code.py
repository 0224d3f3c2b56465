"""Code that is harmless to run takes no unbounded time to read, either."""

import resource
import subprocess
import sys

import pytest

from resnorm.course.sandbox import bubblewrap

#: Seconds of computing, far above what the code below needs and far below what it took.
SECONDS = 20
READ = """
import nbformat
from resnorm.course.grading.inspection import forbidden
from resnorm.course.grading.names import parse
cell = nbformat.v4.new_code_cell({code}, metadata={{"nbgrader": {{"solution": True}}}})
about = {{"resnorm": {{"forbidden": ["batch_norm"]}}}}
print(len(forbidden(nbformat.v4.new_notebook(cells=[cell], metadata=about))))
"""
LONG = {
    "a name with many definitions": "'a = 1\\n' * 16_000 + 'a.batch_norm'",
    "a name with many definitions in one statement": "'a = ' * 20_000 + 'a.batch_norm'",
    "a long line of blanks": "'import torch.batch_norm\\n%x\\n' + ' ' * 90_000 + '\\n)'",
    "a long line of blanks that is code": "'torch.batch_norm\\n%x\\n' + ' ' * 90_000 + '\\n'",
    "a long name": "'torch.batch_norm\\n%x\\n' + 'a' * 90_000 + '\\n'",
    "many commands": "'torch.batch_norm\\n' + '!a \\\\\\n b\\n' * 10_000",
    "many blanks between what is no code": "('(' + ' ' * 900 + '$\\n') * 100 + '!a'",
    "blanks before what is no code": "('(\\n' + ' ' * 900 + '$\\n') * 100 + '!a'",
    "long names that are asked for": "'(\\n' + ('a' * 990 + '\\n') * 90 + 'b)?'",
    "many names in a line": "'torch.batch_norm\\n%x\\n' + 'a, ' * 30_000 + '\\n'",
}


def limited():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))


def printed(code):
    """What code prints that runs within the limits."""
    path = {"PYTHONPATH": str(bubblewrap.PACKAGE.parent)}
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(command, env=path, capture_output=True, text=True, preexec_fn=limited)
    assert result.returncode == 0, result.stderr[-500:]
    return result.stdout


@pytest.mark.parametrize("kind", LONG)
def test_long_code_is_read_in_seconds(kind):
    code = READ.format(code=LONG[kind])
    assert printed(code) == ("0\n" if ")" in LONG[kind] else "1\n")


PLACE = """
import nbformat
from resnorm.course.grading.placement import place_tests
test = {{"nbgrader": {{"grade": True, "solution": False, "grade_id": "test"}}}}
cells = [
    nbformat.v4.new_code_cell("use(a)", metadata=test),
    *(nbformat.v4.new_code_cell(text) for text in ({code}, {code})),
]
print(len(place_tests(cells, {{"answer": {{"a", "use"}}}})))
"""
MORE = LONG | {
    "many names that need one another": "'a, ' * 5 + ', '.join(f'a{n}' for n in range(6_000)) "
    "+ ' = ' + 'a, ' * 5 + ', '.join(f'a{n}' for n in range(6_000))",
    "many functions that need one another": "'def a(): a0\\n' "
    "+ ''.join(f'def a{n}(): a{n + 1}\\n' for n in range(3_000))",
}


@pytest.mark.parametrize("kind", MORE)
def test_where_its_names_are_defined_is_found_in_seconds(kind):
    code = PLACE.format(code=MORE[kind])
    assert int(printed(code)) <= 3
