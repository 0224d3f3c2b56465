"""Tricks in the box itself: an unanswered A1 with one of them gets no more than without it."""

import copy
import functools
from pathlib import Path

import harness
import nbformat
import pytest

from resnorm.course.grading.cells import meta
from resnorm.course.grading.grader import grade
from resnorm.course.grading.inspection import forbidden, used
from resnorm.course.grading.reference import reference
from resnorm.course.sandbox.limits import Limits

ASSIGNMENTS = Path(__file__).parents[2] / "notebooks" / "assignments"
LIMITS = Limits(cell_seconds=20.0)


@functools.cache
def notebook(kind):
    return nbformat.read(next((ASSIGNMENTS / kind / "A1").glob("*.ipynb")), as_version=4)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return reference(notebook("source"), tmp_path_factory.mktemp("cache"))


def graded(expected, trick, last=""):
    """The report on the released notebook with a trick in the first answer, and what it printed."""
    submitted = copy.deepcopy(notebook("release"))
    answer = next(c for c in submitted.cells if meta(c).get("grade_id") == "channel_statistics")
    answer.source = trick + "\n" + answer.source
    submitted.cells.append(nbformat.v4.new_code_cell(last))
    ran, report = grade(submitted, notebook("source"), expected, limits=LIMITS)
    return report, [o.get("text", o.get("evalue")) for o in ran.cells[-1].get("outputs", [])]


ALL = (
    "('channel_statistics', 'batch_norm_forward', 'batch_norm_backward', 'batch_norm_eval',"
    " 'fold', 'merge_statistics', 'update_running')"
)
FORGED = """
import json, sys, types
from IPython.display import publish_display_data
from resnorm.course.remote import MIME
fake = types.SimpleNamespace(serve=lambda: publish_display_data({MIME: REPLY}))
sys.modules["resnorm.course.remote.executor"] = fake
"""
TRICKS = {
    "a transformer of later cells": """
import ast
class Swap(ast.NodeTransformer):
    def visit_Call(self, node):
        self.generic_visit(node)
        if getattr(node.func, "attr", "") in ("close", "emit") and len(node.args) > 1:
            node.args[0] = node.args[1]
        return node
get_ipython().ast_transformers.append(Swap())
""",
    "comparisons replaced": """
checking.close = checking.emit = checking.difference = lambda *a, **k: ""
checking._recorder = print
""",
    "torch and the libraries replaced": """
import base64, json, builtins
torch.isfinite = torch.allclose = torch.equal = lambda *a, **k: True
torch.Tensor.abs = torch.Tensor.double = lambda *a, **k: 0
json.loads = lambda *a, **k: {}
base64.b64encode = base64.b64decode = lambda *a, **k: b"AAAA"
builtins.isinstance = lambda *a: True
""",
    "zeros for all replies": FORGED.replace(
        "REPLY", "json.dumps({'value': 0.0, 'changed': [], 'leaves': []})"
    ),
    "functions for all names": FORGED.replace(
        "REPLY",
        "json.dumps({'value': [[n, {'type': 'object', 'number': 0, 'class': 'function'}] for n in "
        f"{ALL}], 'changed': [], 'leaves': []}})",
    ),
    "arguments for all replies": FORGED.replace(
        "REPLY", "json.dumps({'value': {'type': 'argument', 'index': 0, 'number': 0}})"
    ),
    "replies that are no text": FORGED.replace("REPLY", "{'a': [1, None]}"),
    "replies that are too long": FORGED.replace("REPLY", "'9' * 2**25"),
    "replies without end": "import itertools\n"
    + FORGED.replace("publish_display_data({MIME: REPLY})", "sum(itertools.count())"),
    "an executor that dies": "import os\n"
    + FORGED.replace("publish_display_data({MIME: REPLY})", "os._exit(0)"),
    "modules removed": """
import atexit, sys
atexit.register(print, "the end")
for name in [name for name in sys.modules if name.startswith(("resnorm", "torch", "json"))]:
    del sys.modules[name]
""",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_in_the_box_earns_nothing(expected, trick):
    report, _ = graded(expected, TRICKS[trick])
    assert (report.points, report.bonus) == (0, 0)
    assert report.status in ("graded", "unfinished") and len(report.verdicts) == len(expected)


#: Answers whose work is done by forbidden functions, with names put together from parts.
SCRIPTED = """
_code = torch.jit.CompilationUnit(f'''
def forward(x, gamma, beta, eps: float):
    return torch.{"batch" + "_norm"}(x, gamma, beta, None, None, True, 0.1, eps, False)

def slopes(x, gamma, beta, dy, eps: float):
    x, gamma = x.detach().requires_grad_(True), gamma.detach().requires_grad_(True)
    beta = beta.detach().requires_grad_(True)
    y = forward(x, gamma, beta, eps)
    seeds = torch.jit.annotate(List[Optional[Tensor]], [dy])
    found = torch.{"auto" + "grad"}.grad([y], [x, gamma, beta], seeds)
    return found[0], found[1], found[2]
''')
def batch_norm_forward(x, gamma, beta, eps=1e-5):
    var, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    inv_std = (var + eps) ** -0.5
    return _code.forward(x, gamma, beta, eps), ((x - mean) * inv_std, inv_std, gamma)
"""
BACKWARD = """
def batch_norm_backward(dy, cache):
    x_hat, inv_std, gamma = cache
    x = x_hat / inv_std  # the input without its mean, which changes no gradient
    eps = (inv_std**-2 - x.square().mean((0, 2, 3), keepdim=True)).mean().item()
    with torch.enable_grad():
        return _code.slopes(x, gamma, torch.zeros_like(gamma), dy, eps)
"""


def test_what_torchscript_does_is_reported_by_name():
    """A person takes its points away. Nothing of it can be read in the code."""
    submitted = copy.deepcopy(notebook("release"))
    for cell in submitted.cells:
        name = meta(cell).get("grade_id")
        cell.source = {"forward": SCRIPTED, "backward": BACKWARD}.get(name, cell.source)
    assert forbidden(submitted) == []
    tests = ["test_forward", "test_backward_input"]
    found = harness.run(submitted, notebook("source"), only=tests)
    assert not any(outcome.failures for outcome in found.values())
    reports = [i.message for i in used({n: o.used for n, o in found.items()}, notebook("source"))]
    assert [text for text in reports if "uses batch_norm, which" in text and "test_forward" in text]
    assert [text for text in reports if "uses autograd, where" in text and tests[1] in text]


def test_no_hidden_test_is_in_the_box(expected):
    """Nor is an expected value: what runs there gets arguments and nothing else."""
    search = """
import gc, pathlib, types
words = ["one image, eps{} 0.01", "BEGIN{} HIDDEN", "the folded{} weight of"]
words = [word.format("") for word in words]
held = [o for o in gc.get_objects() if type(o) in (dict, list, tuple, set) and o is not words]
texts = {t for o in held for t in (o.values() if type(o) is dict else o) if type(t) is str}
code = [o.__code__ for o in gc.get_objects() if type(o) is types.FunctionType]
texts |= {constant for c in code for constant in c.co_consts if type(constant) is str}
files = [f for top in ("/tmp", "/handed-in") for f in pathlib.Path(top).rglob("*") if f.is_file()]
texts |= {f.read_text(errors="replace") for f in files if f.stat().st_size < 2**22}
texts -= set(words)  # which this search itself holds
print(sorted({w for w in words for t in texts if w in t}), len(texts) > 1000)
"""
    report, printed = graded(expected, "", search)
    assert printed == ["[] True\n"], (printed, report.incidents)
