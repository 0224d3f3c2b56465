"""Whose function it is, by its name: torch's, that of a library in Python, or the student's own."""

import copy
import sys

import harness
import pytest
import scipy.stats
import torch
import torch._decomp.decompositions as decompositions
import torch.nn.functional as F
from odd_notebooks import source
from test_forbidden import BATCH_NORM, BODY, ONE, X, reasons
from torch import nn
from torch.nn.utils import fusion

from resnorm.course.grading.cells import meta
from resnorm.course.grading.judge import compare
from resnorm.course.remote.executor import Executor
from resnorm.course.remote.proxy import Session
from resnorm.course.sandbox.forbidden_names import NORMS, is_own, plain
from resnorm.course.sandbox.journal import UNSEEN
from resnorm.course.sandbox.observation import observed


def test_every_operator_of_a_norm_has_its_plain_name():
    """Also those that do a part of it, such as the running statistics."""
    names = {name.removeprefix("aten::").partition(".")[0] for name in aten_operators()}
    of_norms = {name for name in names if any(norm in name for norm in NORMS)}
    assert "batch_norm_update_stats" in of_norms and len(of_norms) > 20
    assert {name for name in of_norms if plain(name) not in NORMS} == set()
    others = {"relu", "weight_norm", "_weight_norm_interface", "linalg_vector_norm", "renorm"}
    assert {name: plain(name).strip("_") for name in others} == {n: n.strip("_") for n in others}


def aten_operators():
    return [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]


TWO = torch.ones(2)
RUNNING = "def update_running(mean, var, x, momentum=0.1):\n    {}(x, mean, var, momentum)"


def test_a_part_of_a_norm_is_found_in_the_code():
    assert reasons(running=RUNNING.format("torch.batch_norm_update_stats")) == [BATCH_NORM]


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: torch.batch_norm_update_stats(X, ONE.clone(), ONE.clone(), 0.1), "batch_norm"),
        (
            lambda: decompositions.native_batch_norm_backward(
                X, X, ONE, None, None, ONE, ONE, True, 1e-5, [True] * 3
            ),
            "batch_norm",
        ),
        (lambda: scipy.stats.kendalltau([1, 2, 3], [1, 3, 2]), "kendalltau"),
        (
            lambda: fusion.fuse_conv_bn_weights(X, None, TWO, TWO, 1e-5, TWO, TWO),
            "fuse_conv_bn_weights",
        ),
    ],
)
def test_parts_of_a_norm_and_functions_in_python_are_noticed(call, name):
    """Of the last two no operator tells anything, so only the profile function sees them."""
    with observed(["batch_norm", "kendalltau", "fuse_conv_bn_weights"]) as found:
        call()
    assert found == [name]


FILE = """
import torch.nn.functional as F

def layer_norm(x):
    return x - x.mean()

def group_norm(x):
    return F.layer_norm(x, (4,))

class BatchNorm2d:
    def __call__(self, x):
        return x
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A file beside the notebook, with the name of a module that is forbidden."""
    (tmp_path / "models.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "models", raising=False)
    is_own.cache_clear()
    import models

    yield models
    del sys.modules["models"]
    is_own.cache_clear()


def test_a_file_beside_the_notebook_is_the_students_own(models):
    names = ["layer_norm", "group_norm", "BatchNorm2d", "models"]
    with observed(names) as found:
        models.layer_norm(X), models.BatchNorm2d()(X)
        assert found == []
        models.group_norm(X)
    assert found == ["layer_norm"]
    assert is_own("models") and is_own("__main__")
    assert not any(map(is_own, ("torch.nn.functional", "resnorm.norms", "sys", "none")))


@pytest.mark.parametrize(
    "before, function",
    [
        ("from my_answers import batch_norm", "batch_norm"),
        ("import my_answers", "my_answers.batch_norm"),
        ("from my_answers import *", "batch_norm"),
    ],
)
def test_what_is_imported_from_a_file_is_not_reported_for_its_name(before, function):
    assert reasons(before, forward=BODY.format(function)) == []


@pytest.mark.parametrize(
    "own",
    [
        "results = {}\nresults['torch'] = F.batch_norm(torch.ones(2, 3), None, None)",
        "layer = nn.Conv2d(1, 3, 1)\nlayer.weight.data[:] = nn.BatchNorm2d(1)(layer.weight.data)",
        "x = torch.ones(3, requires_grad=True)\nx.grad = torch.autograd.grad(x.sum(), x)[0]",
    ],
)
def test_where_an_experiment_stores_its_result_changes_no_answer(own):
    assert reasons(own) == []


def test_what_is_put_into_a_library_is_followed_from_the_answer():
    assert reasons("F.celu = F.batch_norm", forward=BODY.format("F.celu")) == [BATCH_NORM]


def test_a_field_named_like_a_part_of_a_norm_is_not_reported():
    cache = "from typing import NamedTuple\nclass Cache(NamedTuple):\n    batch_norm_stats: tuple"
    assert reasons(cache, forward=BODY.format("Cache(1).batch_norm_stats")) == []


#: A gradient that nobody has derived: two passes forward for each value of x, gamma and beta. The
#: cache holds no x, but the gradient does not depend on the mean of x.
DIFFERENCES = """
def batch_norm_backward(dy, cache, h=1e-5):
    x_hat, inv_std, gamma = cache
    x = x_hat / inv_std
    eps = 1 / inv_std.square() - channel_statistics(x)[1].view(1, -1, 1, 1)

    def forward(x, gamma, beta):
        mean, var = (value.view(1, -1, 1, 1) for value in channel_statistics(x))
        return gamma.view(1, -1, 1, 1) * (x - mean) * (var + eps).rsqrt() + beta.view(1, -1, 1, 1)

    gradients = []
    for which in range(3):
        values = [value.detach().clone() for value in (x, gamma, torch.zeros_like(gamma))]
        shape, flat = values[which].shape, values[which].view(-1)
        found = torch.zeros_like(flat)
        for index in range(len(flat)):
            for sign in (1, -1):
                flat[index] += sign * h
                found[index] += sign * (dy * forward(*values)).sum() / (2 * h)
                flat[index] -= sign * h
        gradients.append(found.view(shape))
    return tuple(gradients)
"""


def test_finite_differences_pass_and_are_not_noticed_as_the_guide_says():
    wanted = harness.reference(source())
    answers = {"backward": DIFFERENCES}
    assert reasons(**answers) == []
    answered = copy.deepcopy(source())
    for cell in answered.cells:
        cell.source = answers.get(meta(cell).get("grade_id"), cell.source)
    for name, outcome in harness.run(
        answered, source(), only={*harness.tests_of(source())["backward"]}
    ).items():
        assert compare(outcome, wanted[name]) == (len(wanted[name]), [])
        assert outcome.used == []


def test_what_happens_while_the_arguments_are_read_is_observed(monkeypatch):
    def decode(self, data):
        x = torch.ones(1, requires_grad=True)
        torch.autograd.grad(x * x, x)
        return original(self, data)

    original = Executor.decode
    monkeypatch.setattr(Executor, "decode", decode)
    session = Session(Executor({"answer": torch.relu}).answer)
    session.forbidden = ["autograd"]
    session.names(["answer"])["answer"](X)
    assert session.used == {"autograd"}


def test_code_that_traces_every_call_is_not_observed():
    def trace(frame, event, argument):
        return None

    sys.settrace(trace)
    try:
        with observed(["batch_norm"]) as found:
            F.relu(X)
    finally:
        sys.settrace(None)
    assert found == [UNSEEN]
    with observed(["batch_norm"]) as found:
        nn.ReLU()(X)
    assert found == []
