"""Shattered gradients: what is measured. Chapter 1.4 asserts orderings and decays."""

import pytest
import torch

from resnorm.experiments import shattered_gradients as shattered
from resnorm.models import MLP
from resnorm.probes import autocorrelation, input_gradients


def test_autocorrelations_have_one_row_per_draw():
    rows = shattered.autocorrelations("plain", 3, [4, 7], 5, width=20, bias_std=0.1)
    assert rows.shape == (2, 6)
    for row, seed in zip(rows, (4, 7), strict=True):
        series = shattered.gradient_along_line("plain", 3, seed, width=20, bias_std=0.1)
        assert torch.equal(row, autocorrelation(series, 5))


def test_cosines_have_one_row_per_draw_and_one_column_per_depth():
    values = shattered.cosines("residual", [1, 3], [4, 7], width=20, inputs=5)
    assert values.shape == (2, 2)
    g = torch.Generator().manual_seed(7)
    x = torch.randn(5, 20, generator=g)
    for depth, value in zip((1, 3), values[1], strict=True):
        gradients = input_gradients(MLP(20, 20, depth, "residual", generator=g), x)
        unit = gradients / gradients.norm(dim=1, keepdim=True)
        cosine = (unit @ unit.T)[~torch.eye(5, dtype=bool)].mean()
        assert value.item() == pytest.approx(cosine.item(), abs=1e-5)


def test_without_biases_the_gradient_has_two_values():
    series = shattered.gradient_along_line("plain", 24, seed=1, bias_std=0.0)
    low, high = series[:128], series[128:]
    torch.testing.assert_close(low, low[:1].expand(128), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(high, high[:1].expand(128), rtol=1e-3, atol=1e-6)


def test_firing_counts_pairs_of_different_inputs():
    width, inputs = 7, 5
    firing, together = shattered.firing("plain", 1, 3, width=width, inputs=inputs)
    g = torch.Generator().manual_seed(3)
    x = torch.randn(inputs, width, generator=g)
    on = MLP(width, width, 1, generator=g).embed(x) > 0
    pairs = [
        (on[i] & on[j]).double().mean() for i in range(inputs) for j in range(inputs) if i != j
    ]
    assert firing[0] == pytest.approx(on.double().mean().item())
    assert together[0] == pytest.approx(torch.stack(pairs).mean().item())


def test_the_gradient_along_the_line_is_dy_dx():
    g = torch.Generator().manual_seed(4)
    model = MLP(1, 200, 3, "plain", "he", shattered.BIAS_STD, generator=g).double()
    expected = input_gradients(model, shattered.LINE.double()).squeeze(1).float()
    torch.testing.assert_close(
        shattered.gradient_along_line("plain", 3, 4), expected, rtol=1e-3, atol=1e-4
    )


def test_the_embedding_of_a_residual_network_keeps_the_second_moment():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(64, 512, generator=g)
    assert MLP(512, 512, 1, "residual", generator=g).embed(
        x
    ).square().mean().item() == pytest.approx(1, rel=0.05)


def test_fitted_decay():
    assert shattered.fitted_decay([1, 2, 3], torch.tensor([0.5, 0.25, 0.125])) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="positive values"):
        shattered.fitted_decay([1, 2], torch.tensor([0.5, -0.1]))
