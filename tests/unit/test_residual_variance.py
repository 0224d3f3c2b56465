"""The growth of a residual network's stream: what is measured, predicted and fitted.

Chapter 3.1 asserts the growth over 50 blocks.
"""

import pytest
import torch

from resnorm.experiments import residual_variance as variance


@pytest.mark.parametrize("scheme", variance.SCHEMES)
def test_the_measured_moments_follow_the_prediction(scheme):
    measured = variance.second_moments(scheme, 8, range(100, 130)).mean(0)
    torch.testing.assert_close(measured, variance.predicted(scheme, 8), rtol=0.15, atol=0)


def test_the_first_blocks_reproduce_the_reference_values():
    reference = {
        "ReLU-linear": [1.97, 3.98, 8.08, 16.5, 35.3, 69.7],
        "linear-ReLU": [2.0, 4.85, 13.6, 37.2, 105.7, 308.9],
    }
    for scheme, values in reference.items():
        measured = variance.second_moments(scheme, 6, range(100, 130)).mean(0)[1:]
        expected = torch.tensor(values, dtype=torch.float64)
        torch.testing.assert_close(measured, expected, rtol=0.15, atol=0)


def test_predictions():
    assert variance.predicted("ReLU-linear", 3).tolist() == [1, 2, 4, 8]
    assert variance.predicted("ReLU-linear, divided by √2", 2).tolist() == [1, 1, 1]
    assert variance.predicted("batch norm first", 3).tolist() == [1, 2, 3, 4]
    by_hand = [1, 2, 4 + 2 * (2 / torch.pi**2) ** 0.5]  # m is 1/sqrt(pi) after the first block
    assert variance.predicted("linear-ReLU", 2).tolist() == pytest.approx(by_hand)


def test_each_row_is_one_draw():
    both = variance.second_moments("linear-ReLU", 3, [5, 6], width=16, inputs=4)
    (second,) = variance.second_moments("linear-ReLU", 3, [6], width=16, inputs=4)
    assert both.shape == (2, 4) and torch.equal(both[1], second)
    assert not torch.equal(both[0], both[1])


def test_growth_is_fitted_to_the_mean_over_draws():
    k = torch.arange(6, dtype=torch.float64)
    geometric = torch.stack([0.5 * 3**k, 2 * 3**k])
    assert variance.growth_factor(geometric) == pytest.approx(3)
    kinked = torch.where(k < 2, 1.0, 2.0**k).unsqueeze(0)
    assert variance.growth_factor(kinked, start=2) == pytest.approx(2)
    assert variance.growth_factor(kinked) != pytest.approx(2)
    assert variance.growth_per_block(torch.stack([1 + k, 3 + 2 * k])) == pytest.approx(1.5)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="one of linear-ReLU"):
        variance.second_moments("glorot")
    with pytest.raises(ValueError, match="one of linear-ReLU"):
        variance.predicted("glorot", 3)
