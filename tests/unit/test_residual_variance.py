"""How the stream of a residual network grows at initialization: chapter 3.1's figure, asserted."""

import pytest
import torch
from resnorm.experiments import residual_variance as variance


@pytest.fixture(scope="module")
def moments():
    return {
        scheme: variance.second_moments(scheme, 50, range(100, 130)) for scheme in variance.SCHEMES
    }


def test_relu_then_linear_doubles(moments):
    assert variance.growth_factor(moments["ReLU-linear"]) == pytest.approx(2, rel=0.1)


def test_divided_by_root_two_it_stays(moments):
    assert variance.growth_factor(moments["ReLU-linear, divided by √2"]) == pytest.approx(
        1, rel=0.1
    )
    assert moments["ReLU-linear, divided by √2"].mean(0)[-1] == pytest.approx(
        1, abs=0.7
    )  # of 30 log-normal draws


def test_with_batch_norm_first_it_grows_by_one_a_block(moments):
    assert variance.growth_per_block(moments["batch norm first"]) == pytest.approx(1, rel=0.1)
    relative = moments["batch norm first"].mean(0) / variance.predicted("batch norm first", 50)
    assert (relative - 1).abs().max() < 0.1


def test_linear_then_relu_grows_faster_than_doubling_as_predicted(moments):
    factor = variance.growth_factor(moments["linear-ReLU"], start=10)
    expected = variance.predicted("linear-ReLU", 50)
    assert factor > 2.5
    assert factor == pytest.approx((expected[50] / expected[10]).item() ** (1 / 40), rel=0.1)


def test_the_first_blocks_reproduce_the_reference_values(moments):
    reference = {
        "ReLU-linear": [1.97, 3.98, 8.08, 16.5, 35.3, 69.7],
        "linear-ReLU": [2.0, 4.85, 13.6, 37.2, 105.7, 308.9],
    }
    for scheme, values in reference.items():
        measured = moments[scheme].mean(0)[1:7]
        assert torch.allclose(measured, torch.tensor(values, dtype=torch.float64), rtol=0.15), (
            scheme,
            measured,
        )


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="one of linear-ReLU"):
        variance.second_moments("glorot")
    with pytest.raises(ValueError, match="one of linear-ReLU"):
        variance.predicted("glorot", 3)
