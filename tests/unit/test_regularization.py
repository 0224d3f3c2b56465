"""Dropout and its relatives against torch and their moments; early stopping, killed and resumed."""

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from resnorm import data, models, train
from resnorm.regularization import (
    DropConnectLinear,
    Dropout,
    DropPath,
    Patience,
    SpatialDropout,
    monte_carlo_dropout,
)

LAYERS = {
    "dropout": (Dropout, (40, 6, 5, 5), (0, 1, 2, 3)),
    "spatial": (SpatialDropout, (40, 6, 5, 5), (0, 1)),
    "path": (DropPath, (40, 6, 5, 5), (0,)),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("ours, torchs", [(Dropout, nn.Dropout), (SpatialDropout, nn.Dropout2d)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_draws_give_torchs_outputs_and_gradients(ours, torchs, dtype):
    results = []
    for layer in (ours(0.3), torchs(0.3)):
        x = torch.randn(4, 8, 3, 5, generator=generator(), dtype=dtype).requires_grad_()
        torch.manual_seed(1)
        y = layer(x)
        y.square().sum().backward()
        results.append((y.detach(), x.grad))
        assert torch.equal(layer.eval()(x), x)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", LAYERS)
def test_what_shares_a_draw_is_dropped_together_and_the_rest_is_scaled(name):
    kind, shape, own = LAYERS[name]
    y = kind(0.25, generator=generator())(torch.ones(shape, dtype=torch.float64))
    assert set(y.unique().tolist()) == {0.0, 1 / 0.75}
    shared = [axis for axis in range(4) if axis not in own]
    if shared:
        assert torch.equal(y.amin(shared), y.amax(shared))
    draws = y.amin(shared) if shared else y
    error = 4 * math.sqrt(0.25 * 0.75 / draws.numel())
    assert (draws == 0).double().mean() == pytest.approx(0.25, abs=error)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_mean_and_variance_are_those_of_the_derivation(name, p):
    x = torch.tensor([2.0, -3.0], dtype=torch.float64).view(1, 2, 1, 1).expand(20_000, 2, 1, 1)
    y = LAYERS[name][0](p, generator=generator())(x)
    expected = x[0].square() * p / (1 - p)  # 20,000 independent draws
    error = (expected / 20_000).sqrt()
    assert ((y.mean(0) - x[0]).abs() < 4 * error).all()
    torch.testing.assert_close(y.var(0), expected, rtol=0.06, atol=0)


@pytest.mark.parametrize(
    "layer", [Dropout(0.4), SpatialDropout(0.4), DropPath(0.4), DropConnectLinear(3, 4, 0.4)]
)
def test_gradients_of_a_fixed_mask(layer):
    layer = layer.double()
    layer.generator = generator()
    state = layer.generator.get_state()

    def fixed(x):
        layer.generator.set_state(state)
        return layer(x)

    shape = (5, 3) if isinstance(layer, nn.Linear) else (5, 3, 2, 2)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert gradcheck(fixed, x) and gradgradcheck(fixed, x)


def test_dropconnect_draws_a_mask_for_each_example():
    layer = DropConnectLinear(7, 5, 0.3, generator=generator()).double()
    x = torch.randn(6, 7, generator=generator(1), dtype=torch.float64)
    y = layer(x)
    masks = generator()
    kept = torch.empty(6, 5, 7, dtype=torch.float64).bernoulli_(0.7, generator=masks) / 0.7
    expected = torch.stack([(m * layer.weight) @ row for m, row in zip(kept, x, strict=True)])
    torch.testing.assert_close(y, expected + layer.bias)
    linear = nn.Linear(7, 5).double()
    linear.load_state_dict(layer.state_dict())
    layer.load_state_dict(linear.state_dict())
    assert torch.equal(layer.eval()(x), linear(x))


@pytest.mark.parametrize("kind", [Dropout, SpatialDropout, DropPath])
@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_a_probability_outside_of_the_interval_is_refused(kind, p):
    with pytest.raises(ValueError, match=r"p is .*must lie in \[0, 1\)"):
        kind(p)
    with pytest.raises(ValueError, match=r"p is .*must lie in \[0, 1\)"):
        DropConnectLinear(2, 2, p)


def test_spatial_dropout_of_vectors_is_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 6\).*use Dropout"):
        SpatialDropout()(torch.ones(4, 6))


def test_dropping_nothing_returns_the_input():
    x = torch.randn(3, 4, 2, 2)
    for kind in (Dropout, SpatialDropout, DropPath):
        assert kind(0.0)(x) is x and kind(0.5).eval()(x) is x


def test_monte_carlo_dropout_keeps_norms_in_evaluation():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), Dropout(0.5), nn.Dropout(0.5))
    model[2].eval()
    before = model[1].running_mean.clone()
    with monte_carlo_dropout(model):
        assert not model[1].training and model[2].training and model[3].training
        draws = torch.stack([model(torch.ones(2, 4)) for _ in range(4)])
    assert draws.std(0).max() > 0 and torch.equal(model[1].running_mean, before)
    assert model.training and model[1].training and not model[2].training
    with (
        pytest.raises(ValueError, match="Linear has no dropout layer"),
        monte_carlo_dropout(nn.Linear(2, 2)),
    ):
        pass


# --- early stopping ------------------------------------------------------------------------------


def test_patience_counts_epochs_since_the_last_improvement():
    model, patience = nn.Linear(1, 1, bias=False), Patience(3, min_delta=1.0)
    stops = []
    for epoch, error in enumerate([40, 30, 29.5, float("nan"), 28, 35, 36, 27.5]):
        model.weight.data.fill_(epoch)
        stops.append(patience.update(error, model))
    assert stops == [False] * 7 + [True]
    assert (patience.best_epoch, patience.best) == (5, 28)
    patience.restore(model)
    assert model.weight.item() == 4
    patience.reset()
    assert patience.best == math.inf and not patience.exhausted and not patience.errors


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 0}, "epochs is 0; it must be a positive int"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"epochs": True}, "epochs is True"),
        ({"min_delta": -1}, "min_delta is -1; it must be 0 or more"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Patience(**arguments)


SPLIT = data.synthetic(train=96, test=32, size=8)
HELD_OUT = (SPLIT.train_images[64:], SPLIT.train_labels[64:])
TRAIN = data.ImageDataset(
    SPLIT.train_images[:64], SPLIT.train_labels[:64], SPLIT.test_images, SPLIT.test_labels, ""
)


def fit(patience, checkpoint=None, **changes):
    """Train a small network with batch norm and dropout, which memorizes 64 images."""
    torch.manual_seed(0)
    model = nn.Sequential(models.ConvNet(nn.BatchNorm2d, (8, 8), 1), Dropout(0.1))
    options = {"epochs": 12, "batch_size": 16, "lr": 0.2, "validation": HELD_OUT} | changes
    history = train.fit(model, TRAIN, patience=patience, checkpoint=checkpoint, **options)
    return model, history


def same_state(a, b):
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


def test_fit_stops_and_restores_the_best_weights():
    patience = Patience(2)
    model, history = fit(patience)
    epochs = len(patience.errors)
    assert epochs == patience.best_epoch + 2 < 12 and len(history.test_errors) == epochs
    assert train.error(model, *HELD_OUT) == patience.best == min(patience.errors)
    whole, _ = fit(Patience(50), epochs=patience.best_epoch)  # ends where the best weights are
    assert same_state(model, whole)


def test_the_best_weights_are_restored_when_the_epochs_are_over():
    def spoil(step, model):
        if step > 44:  # in the last of twelve epochs of four steps
            model[0].classifier.weight.data.zero_()

    patience = Patience(50)
    model, _ = fit(patience, after_step=spoil)
    assert len(patience.errors) == 12 and patience.best_epoch < 12
    assert train.error(model, *HELD_OUT) == patience.best


@pytest.mark.parametrize("stop_at", [5, 9, 13])
def test_a_stopped_run_resumes_to_the_same_choice(tmp_path, stop_at):
    def interrupt(step, _):
        if step == stop_at:
            raise KeyboardInterrupt

    whole_patience, patience = Patience(3), Patience(3)
    whole, history = fit(whole_patience)
    with pytest.raises(KeyboardInterrupt):
        fit(patience, tmp_path / "run.pt", after_step=interrupt)
    resumed, again = fit(patience, tmp_path / "run.pt")  # the same object: it is reset
    assert same_state(whole, resumed) and history == again
    assert vars(patience)["errors"] == whole_patience.errors
    finished, once_more = fit(
        Patience(3), tmp_path / "run.pt", after_step=lambda *_: pytest.fail("trained again")
    )
    assert same_state(whole, finished) and once_more == history


def test_another_rule_or_validation_set_is_another_run(tmp_path):
    fit(Patience(2), tmp_path / "run.pt")
    with pytest.raises(ValueError, match="another run: patience.epochs 2 there, 3 here"):
        fit(Patience(3), tmp_path / "run.pt")
    with pytest.raises(ValueError, match="another run: validation"):
        fit(Patience(2), tmp_path / "run.pt", validation=(HELD_OUT[0][:16], HELD_OUT[1][:16]))
    with pytest.raises(ValueError, match="another run: patience .* there, None here; validation"):
        fit(None, tmp_path / "run.pt", validation=None)


def test_a_checkpoint_with_other_best_weights_is_refused(tmp_path):
    fit(Patience(2), tmp_path / "run.pt")
    state = torch.load(tmp_path / "run.pt")
    del state["patience"]["best weights"]["0.classifier.bias"]
    torch.save(state, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="does not fit: patience"):
        fit(Patience(2), tmp_path / "run.pt")


def test_the_validation_set_is_neither_test_nor_training_set():
    with pytest.raises(ValueError, match="validation is the test set"):
        fit(Patience(), validation=(TRAIN.test_images, TRAIN.test_labels))
    with pytest.raises(ValueError, match="validation is the training set"):
        fit(Patience(), validation=(TRAIN.train_images, TRAIN.train_labels))
    with pytest.raises(ValueError, match="patience is given without validation"):
        fit(Patience(), validation=None)
    with pytest.raises(ValueError, match="validation is given without patience"):
        fit(None)
