"""Degradation at page scale: deeper plain networks train worse, residual ones do not; over seeds."""

import pytest
from resnorm.experiments import degradation


def test_plain_networks_degrade_with_depth_and_residual_ones_do_not():
    data = degradation.page_data()
    wrong = {
        (kind, depth): [
            degradation.train_one(kind, depth, data, seed=seed).train_error for seed in range(3)
        ]
        for kind in degradation.KINDS
        for depth in (8, 20)
    }
    assert min(wrong["plain", 20]) > max(wrong["plain", 8]) + 15, wrong
    assert max(wrong["residual", 20]) < max(wrong["residual", 8]) + 8, wrong
    assert max(wrong["residual", 20]) < min(wrong["plain", 20]) - 30, wrong


def test_plain_and_residual_networks_have_the_same_parameters():
    data = degradation.page_data()
    shapes = [
        {name: p.shape for name, p in degradation.build(kind, 14, data, 0).named_parameters()}
        for kind in degradation.KINDS
    ]
    assert shapes[0] == shapes[1]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'plain', 'residual'|plain, residual"):
        degradation.build("dense", 8, degradation.page_data(), 0)
    with pytest.raises(ValueError, match="6n \\+ 2"):
        degradation.build("plain", 10, degradation.page_data(), 0)
