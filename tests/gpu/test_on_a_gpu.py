"""What only a GPU can show. `make test-gpu` runs this where there is one; `make test` does not.

What chapter 4.1 reports is recorded in ``resnorm-runs/on-a-gpu.json``, with the GPU, the versions
and the commit.
"""

import os
import time

import pytest
import torch

import findings
from resnorm import data, ledger, models, train
from resnorm.experiments import cifar

# cuBLAS repeats itself only with a workspace of a fixed size, which it reads when it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="module")
def split():
    return data.synthetic(train=1280, test=256, size=16).to("cuda")


@pytest.fixture(scope="module")
def record(split):
    return findings.open_record(ledger.own_folder() / "on-a-gpu.json", split.source)


@pytest.mark.parametrize("arm", findings.RESUMED)
def test_killed_and_resumed_equals_uninterrupted(record, split, arm, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    start = time.perf_counter()
    found = findings.killed_and_resumed(split, tmp_path / "c.pt", **findings.RESUMED[arm])
    record.add(arm, 0, found, time.perf_counter() - start, "cuda")
    assert found["losses that differ"] == found["tensors that differ"] == 0, found
    assert found["losses"] == 20 and found["tensors"] > 40


@pytest.mark.parametrize("arm", findings.WAITS)
def test_no_step_makes_the_processor_wait(record, split, arm):
    with record.run(arm, 0, "cuda") as results:
        results |= findings.waits(split, **findings.WAITS[arm])
    places, steps = results["waits by line"], findings.EPOCHS * findings.STEPS
    assert all(count < steps for count in places.values()), places
    # the losses and weights of each epoch
    assert results["waits"] <= 3 * findings.EPOCHS, places


def test_stochastic_depth_trains(split):
    arm = cifar.EXPERIMENTS["lesion-short"].arms["residual-56, stochastic depth"]
    model = cifar.build(arm, split, seed=0)
    losses = findings.fit(model, split, precision="auto").losses
    assert len(losses) == 20 and losses[-1] < losses[0]


def test_a_batch_that_does_not_fit_is_told_which_one_does():
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        large = data.synthetic(train=4096, test=64, size=32).to("cuda")
        with pytest.raises(torch.OutOfMemoryError, match="batch_size=.* does"):
            train.fit(models.cifar_resnet(20), large, epochs=1, batch_size=4096)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
