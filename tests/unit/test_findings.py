"""What the tests on a GPU record (``tests/findings.py``), as far as a CPU can show it."""

import warnings

import pytest
import torch

import findings
from resnorm import data, ledger


@pytest.fixture(scope="module")
def split():
    return data.synthetic(train=1280, test=256, size=8)


def test_a_resumed_run_equals_the_other_and_the_record_says_so(split, tmp_path):
    how = {"precision": "float32", "compile": False}
    found = findings.killed_and_resumed(split, tmp_path / "c.pt", **how)
    steps = findings.EPOCHS * findings.STEPS
    assert found["losses that differ"] == found["tensors that differ"] == 0
    assert found["losses"] == steps and found["tensors"] > 40
    path = tmp_path / "on-a-gpu.json"
    for _ in range(2):  # The second session replaces what the first one found.
        record = findings.open_record(path, split.source)
        assert not record.runs
        record.add("killed and resumed, float32", 0, found, 1.0)
    (run,) = ledger.read(path).runs
    assert run["results"] == found and run["commit"] and run["versions"]["torch"]


def test_a_run_that_is_not_resumed_is_told_apart(split, tmp_path, monkeypatch):
    fit = findings.fit

    def forgetful(model, split, **options):
        losses = fit(model, split, **options)
        if options.get("checkpoint"):
            next(model.parameters()).data += 1e-7
            losses.losses[-1] += 1e-7
        return losses

    monkeypatch.setattr(findings, "fit", forgetful)
    found = findings.killed_and_resumed(split, tmp_path / "c.pt", precision="float32")
    assert found["losses that differ"] == found["tensors that differ"] == 1


def test_every_wait_is_counted_at_its_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    (place, count), *others = findings.count_waits(caught).items()
    assert place.startswith("test_findings.py:") and count == 3 and not others


def test_the_arms_are_six_resumed_runs_and_three_counts_of_waits():
    assert [len(findings.RESUMED), len(findings.WAITS)] == [6, 3]
    assert {arm["compile"] for arm in findings.RESUMED.values()} == {False, True}
    assert torch.nn.Dropout in {type(m) for m in findings.network()}
