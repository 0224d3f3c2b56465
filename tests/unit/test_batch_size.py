"""Error against batch size: the finding of chapter 2.3, over seeds, and bad input."""

import statistics

import pytest
import torch
from resnorm import data
from resnorm.experiments import batch_size as small_batches


def test_batch_norm_pays_for_a_batch_of_two_and_group_norm_does_not():
    results = small_batches.error_against_batch_size(
        small_batches.page_data(), batch_sizes=(8, 2), seeds=(10, 11, 12)
    )

    def mean(arm, size, field="error"):
        return statistics.mean(
            getattr(r, field) for r in results if (r.arm, r.batch_size) == (arm, size)
        )

    rise = {arm: mean(arm, 2) - mean(arm, 8) for arm in small_batches.ARMS}
    assert rise["batch norm"] > 5 and rise["batch norm"] > rise["group norm"] + 5
    assert mean("batch norm", 2, "error_with_batch") > mean("batch norm", 2) + 5
    assert all(r.error == r.error_with_batch for r in results if r.arm == "group norm")


def test_it_leaves_the_global_generator_alone_and_repeats_itself():
    tiny = data.synthetic(train=64, test=64, size=8, num_classes=3)
    state = torch.get_rng_state()
    first, second = (
        small_batches.train_arm("batch norm", tiny, 16, seed=1, epochs=1) for _ in range(2)
    )
    assert first == second and torch.equal(state, torch.get_rng_state())


def test_an_unknown_arm_is_refused():
    with pytest.raises(ValueError, match="one of batch norm, group norm"):
        small_batches.train_arm("layer norm", data.synthetic(train=8, test=8, size=8), 4, 0)
