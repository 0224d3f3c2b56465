"""The small models, the generated data and the training loop of the chapters."""

import math

import pytest
import torch

from resnorm import blocks, data, models, norms, train

SMALL = data.synthetic(train=256, test=128, size=8, num_classes=4)


@pytest.mark.parametrize(
    "kind", ["plain", "plain_batch_norm", "residual", "residual_scaled", "residual_batch_norm"]
)
def test_an_mlp_has_the_depth_and_the_variance_it_was_asked_for(kind):
    g = torch.Generator().manual_seed(0)
    net = models.MLP(20, 300, depth=3, kind=kind, init="he", bias_std=0.1, generator=g)
    matrices = [layer for layer in net.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(matrices) == (
        5 if kind.startswith("residual") else 4
    )  # with the read-out and the embedding
    assert net.hidden[0].weight.var().item() == pytest.approx(2 / 300, rel=0.02)
    assert net.hidden[0].bias.std().item() == pytest.approx(0.1, rel=0.15)
    assert net(torch.randn(7, 20)).shape == (7, 1)


def test_the_same_generator_gives_the_same_network():
    weights = [
        models.MLP(3, 5, 2, generator=torch.Generator().manual_seed(4)).hidden[0].weight
        for _ in range(2)
    ]
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "dense"}, "kind is 'dense'; it must be one of plain"),
        ({"init": "lecun"}, "init is 'lecun'"),
        ({"depth": 0}, "depth is 0"),
    ],
)
def test_an_mlp_refuses_what_it_does_not_know(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.MLP(**{"in_features": 2, "width": 3, "depth": 2} | arguments)


def test_a_convnet_takes_any_norm_and_contains_it():
    for norm, kind in [
        (norms.BatchNorm2d, norms.BatchNorm2d),
        (lambda c: norms.GroupNorm(2, c), norms.GroupNorm),
    ]:
        net = models.ConvNet(norm, widths=(4, 8), depth=2)
        assert sum(isinstance(m, kind) for m in net.modules()) == 4
        assert all(
            m.bias is None for m in net.modules() if isinstance(m, torch.nn.Conv2d)
        )  # redundant before a norm
        assert net(torch.randn(2, 3, 8, 8)).shape == (2, 10)
    bare = models.ConvNet(None, widths=(4, 8), depth=2)
    assert all(m.bias is not None for m in bare.modules() if isinstance(m, torch.nn.Conv2d))


def test_a_residual_convnet_differs_from_the_plain_one_by_its_shortcuts_only():
    torch.manual_seed(0)
    plain = models.ConvNet(norms.BatchNorm2d, widths=(4,), depth=2)
    residual = models.ConvNet(norms.BatchNorm2d, widths=(4,), depth=2, residual=True)
    residual.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 8, 8)
    first, second = residual.layers
    h = first(x)
    torch.testing.assert_close(residual(x), residual.classifier((h + second(h)).mean((2, 3))))
    assert not torch.allclose(residual(x), plain(x))


def test_stochastic_depth_drops_branches_in_training_and_scales_them_in_evaluation():
    torch.manual_seed(0)
    block, x = blocks.PreActBasicBlock(4, 4, survival=0.7), torch.randn(8, 4, 6, 6)
    outputs = [block(x) for _ in range(400)]
    dropped = sum(torch.equal(y, x) for y in outputs) / len(outputs)
    assert dropped == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 400))
    block.eval()
    torch.testing.assert_close(block(x), x + 0.7 * block.branch(x))


def test_generated_data_is_reproducible_balanced_and_needs_its_seed():
    again, other = (
        data.synthetic(train=256, test=128, size=8, num_classes=4, seed=s) for s in (0, 1)
    )
    assert torch.equal(SMALL.train_images, again.train_images) and not torch.equal(
        SMALL.train_images, other.train_images
    )
    assert SMALL.train_images.shape == (256, 3, 8, 8) and SMALL.test_labels.shape == (128,)
    assert torch.bincount(SMALL.train_labels, minlength=4).min() > 40
    with pytest.raises(ValueError, match="size must be 8 or more"):
        data.synthetic(size=4)


def test_training_learns_and_is_reproducible():
    def run():
        torch.manual_seed(0)
        model = models.ConvNet(norms.BatchNorm2d, widths=(8, 16), depth=1, num_classes=4)
        return train.fit(model, SMALL, epochs=6, batch_size=32, lr=0.1, seed=3)

    first, second = run(), run()
    assert first == second
    assert len(first.losses) == 6 * 8 and len(first.test_errors) == 6
    assert first.test_errors[-1] < 40  # 75 by guessing
    assert not first.diverged


def test_training_stops_at_a_loss_that_is_not_finite():
    model = models.ConvNet(None, widths=(8,), depth=2, num_classes=4)
    history = train.fit(model, SMALL, epochs=50, batch_size=32, lr=1e30, allow_divergence=True)
    assert (
        history.diverged and not math.isfinite(history.losses[-1]) and len(history.losses) < 50 * 8
    )


def test_the_schedule_and_the_hook_are_called_once_a_step():
    seen, steps = [], []
    model = models.ConvNet(None, widths=(4,), depth=1, num_classes=4)
    train.fit(
        model, SMALL, epochs=2, batch_size=64, schedule=lambda t: seen.append(t) or 0.0,
        after_step=lambda k, m: steps.append(k), evaluate=False,
    )  # fmt: skip
    assert seen == [k / 8 for k in range(8)] and steps == list(range(1, 9))


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size is 999, but the training set has 256 images"):
        train.fit(models.ConvNet(None), SMALL, epochs=1, batch_size=999)


def test_the_error_is_measured_in_evaluation_mode_and_the_mode_restored():
    model = models.ConvNet(norms.BatchNorm2d, widths=(4,), depth=1, num_classes=4).train()
    before = model.layers[0][1].running_mean.clone()
    assert 0 <= train.error(model, SMALL.test_images, SMALL.test_labels) <= 100
    assert model.training and torch.equal(before, model.layers[0][1].running_mean)
