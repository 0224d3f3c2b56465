"""What only a GPU can show. `make test-gpu` runs this where there is one; `make test` does not."""

import os
import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from resnorm import augment, data, models, train
from resnorm.experiments import cifar

# cuBLAS repeats itself only with a workspace of a fixed size, which it reads when it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
PRECISIONS = ("bfloat16", "float16", "float32")


@pytest.fixture(scope="module")
def split():
    return data.synthetic(train=1280, test=256, size=16).to("cuda")


def network():
    torch.manual_seed(0)
    return nn.Sequential(models.cifar_resnet(8), nn.Dropout(0.2))


def fit(model, split, **options):
    torch.manual_seed(1)
    return train.fit(
        model,
        split,
        epochs=2,
        batch_size=128,
        lr=0.1,
        schedule=train.one_cycle(),
        augment=augment.crop_and_flip(2),
        channels_last=True,
        **options,
    )


class KilledError(Exception):
    """Ends a run amid an epoch, as a machine does that is taken away."""


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_killed_and_resumed_equals_uninterrupted(split, precision, compile, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    how = {"precision": precision, "compile": compile}

    def kill(step, model):
        if step == 14:
            raise KilledError

    whole, resumed = network(), network()
    expected = fit(whole, split, **how).losses
    with pytest.raises(KilledError):
        fit(network(), split, **how, checkpoint=tmp_path / "c.pt", after_step=kill)
    assert fit(resumed, split, **how, checkpoint=tmp_path / "c.pt").losses == expected
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_step_makes_the_processor_wait(split, precision):
    model = network().cuda()
    fit(model, split, precision=precision, evaluate=False)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(model, split, precision=precision, evaluate=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    places = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "sync" in str(w))
    steps, epochs = 20, 2
    assert all(count < steps for count in places.values()), places
    assert sum(places.values()) <= 3 * epochs, places  # the losses and weights of each epoch


def test_stochastic_depth_trains(split):
    arm = cifar.EXPERIMENTS["lesion-short"].arms["residual-56, stochastic depth"]
    model = cifar.build(arm, split, seed=0)
    losses = fit(model, split, precision="auto").losses
    assert len(losses) == 20 and losses[-1] < losses[0]


def test_a_batch_that_does_not_fit_is_told_which_one_does():
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        large = data.synthetic(train=4096, test=64, size=32).to("cuda")
        with pytest.raises(torch.OutOfMemoryError, match="batch_size=.* does"):
            train.fit(models.cifar_resnet(20), large, epochs=1, batch_size=4096)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
