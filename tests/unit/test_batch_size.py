"""The experiment on batch size: what it trains and measures. Chapter 2.3 asserts the finding."""

import pytest
import torch
from torch import nn

from resnorm import data
from resnorm.experiments import batch_size as small_batches
from resnorm.experiments import seeded


@pytest.fixture(scope="module")
def tiny():
    return data.synthetic(train=64, test=66, size=8, num_classes=3)


def test_it_leaves_the_global_generator_alone_and_repeats_itself(tiny):
    state = torch.get_rng_state()
    first, second = (
        small_batches.train_arm("batch norm", tiny, 16, seed=1, epochs=1) for _ in range(2)
    )
    assert first == second and torch.equal(state, torch.get_rng_state())


def test_the_error_with_the_batch_differs_only_for_a_norm_that_looks_at_the_batch(tiny):
    by_batch, by_group = (
        small_batches.train_arm(arm, tiny, 2, seed=0, epochs=1) for arm in small_batches.ARMS
    )
    assert by_batch.error != by_batch.error_with_batch
    assert by_group.error == by_group.error_with_batch


def test_the_error_with_the_batch_is_measured_on_whole_batches_in_training_mode(tiny):
    class FirstOfItsBatch(nn.Module):
        """Right about every image in training, and only about the first of a batch otherwise."""

        def forward(self, x):
            seen.append((len(x), self.training))
            right = tiny.test_labels[4 * (len(seen) - 1) :][: len(x)].clone()
            right[1:] = (right[1:] + 1) % 3
            return nn.functional.one_hot(right, 3).float()

    seen = []
    wrong = small_batches._error_with_batch(FirstOfItsBatch().eval(), tiny, 4)
    assert seen == [(4, True)] * 16  # 66 images: the last two are no batch
    assert wrong == 75.0


def test_all_see_as_many_examples_and_the_learning_rate_is_proportional(tiny, monkeypatch):
    seen = []

    def no_fit(model, data, **how):
        norms = {type(m).__name__ for m in model.modules() if "Norm" in type(m).__name__}
        seen.append((norms.pop(), how["seed"], how["batch_size"], how["epochs"], how["lr"]))

    monkeypatch.setattr(seeded, "fit", no_fit)
    small_batches.error_against_batch_size(tiny, (32, 4), (7, 8), lr=0.4, epochs=3)
    assert seen == [
        (norm, seed, size, 3, pytest.approx(0.4 * size / 32))
        for norm in ("BatchNorm2d", "GroupNorm")
        for size in (32, 4)
        for seed in (7, 8)
    ]


def test_an_unknown_arm_is_refused():
    with pytest.raises(ValueError, match="one of batch norm, group norm"):
        small_batches.train_arm("layer norm", data.synthetic(train=8, test=8, size=8), 4, 0)
