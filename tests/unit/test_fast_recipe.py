"""The parts of the fast recipe: each is what its formula says, and a killed run resumes equally."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_experiments import SMALL, record_of, tiny
from torch import nn

from resnorm import augment, data, ledger, models, train
from resnorm.experiments import cifar
from resnorm.experiments.cifar.fast_recipe import OPTIONS, PARTS, TRAINING
from resnorm.train.lookahead import SlowWeights
from resnorm.train.optimizer import parameter_groups, set_learning_rates

SPLIT = data.synthetic(train=32, test=16, size=8)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.GroupNorm(2, 4),
        nn.Flatten(),
        nn.Linear(4 * 36, 10),
    )


def fit(model=None, path=None, **options):
    """Train for four epochs of two steps."""
    model = model or network()
    arguments = {"epochs": 4, "batch_size": 16, "lr": 0.01} | options
    return model, train.fit(model, SPLIT, checkpoint=path, **arguments)


# --- groups of the optimizer ---------------------------------------------------------------------


def test_biases_of_norms_take_longer_steps_and_decay_as_fast_as_before():
    lr, decay, momentum, multiple = 0.1, 0.02, 0.85, 64
    model = network().double()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    groups = parameter_groups(model, decay, decay_all=True, norm_bias_rate=multiple)
    optimizer = torch.optim.SGD(groups, lr, momentum, nesterov=True)
    for _ in range(2):
        set_learning_rates(optimizer, lr, 0.0)
        for name, p in model.named_parameters():
            p.grad = gradients[name].clone()
        optimizer.step()
    for name, p in model.named_parameters():
        rate = multiple * lr if name in ("1.bias", "2.bias") else lr
        w, velocity = before[name], 0.0
        for _ in range(2):
            slope = gradients[name] + decay * lr / rate * w  # each decays by lr * decay
            velocity = momentum * velocity + slope
            w = w - rate * (slope + momentum * velocity)
        torch.testing.assert_close(p.detach(), w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("decay_all", [True, False])
def test_groups_without_rates_of_their_own_are_those_of_before(decay_all):
    model = network()
    model[0].bias.requires_grad_(False)
    groups = parameter_groups(model, 0.1, decay_all)
    assert all(set(group) == {"params", "weight_decay"} for group in groups)
    trained = [p for p in model.parameters() if p.requires_grad]
    parts = [trained]
    if not decay_all:
        parts = [[p for p in trained if p.ndim > 1], [p for p in trained if p.ndim == 1]]
    for group, part in zip(groups, parts, strict=True):
        assert [id(p) for p in group["params"]] == [id(p) for p in part]
    special = parameter_groups(model, 0.1, decay_all, 64.0, {"0.weight": 0.5})
    kept = [id(p) for group in special for p in group["params"]]
    assert len(kept) == len(set(kept)) and set(kept) == {id(p) for p in trained}
    found = {(g.get("rate"), g.get("until"), len(g["params"])) for g in special}
    assert (64.0, 1.0, 2) in found and (1.0, 0.5, 1) in found


def test_a_parameter_is_trained_until_its_time():
    model, seen = network(), []
    fit(
        model,
        weight_decay=0.1,
        momentum=0.9,
        train_until={"0.bias": 0.5},
        after_step=lambda *_: seen.append((model[0].bias.tolist(), model[0].weight.tolist())),
    )
    biases, weights = zip(*seen)
    assert len({str(bias) for bias in biases[:4]}) == 4  # 4 of 8 steps
    assert len({str(bias) for bias in biases[3:]}) == 1
    assert len({str(weight) for weight in weights}) == 8


@pytest.mark.parametrize(
    "options, message",
    [
        ({"train_until": {"0.bais": 0.5}}, "train_until names 0.bais; the trainable parameters"),
        ({"norm_bias_rate": 0}, "norm_bias_rate is 0; it must be positive"),
        ({"flip": augment.AlternatingFlip(31)}, "flip is for 31 images, but the training set has"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


# --- lookahead -----------------------------------------------------------------------------------


def test_slow_weights_are_those_of_a_calculation_by_hand():
    model = nn.BatchNorm1d(1).double()
    how = train.Lookahead(every=2, start=0.25, decay=0.9, power=3.0)
    slow = SlowWeights(model, how, epochs=4, steps=5)
    fast = {"weight": 1.0, "running_mean": 0.0}
    average = dict(fast)
    for step in range(1, 21):
        with torch.no_grad():
            model.weight += 0.1 * step
            model.running_mean += 1.0
        fast = {"weight": fast["weight"] + 0.1 * step, "running_mean": fast["running_mean"] + 1.0}
        slow.update(step)
        if step <= 5:  # a quarter of the epochs: the slow weights follow at the end
            average = dict(fast) if step == 5 else average
        elif step % 2 == 0:
            d = 0.9**2 * (step / 20) ** 3
            average = {name: d * average[name] + (1 - d) * fast[name] for name in fast}
            fast = dict(average)
        if step % 5 == 0:
            fast = dict(average)
        assert model.weight.item() == pytest.approx(fast["weight"], rel=1e-12)
        assert model.running_mean.item() == pytest.approx(fast["running_mean"], rel=1e-12)
    assert model.num_batches_tracked.dtype == torch.int64  # a count is no average


def test_lookahead_that_keeps_nothing_changes_nothing_and_otherwise_the_weights_differ():
    model, history = fit()
    same, equal = fit(lookahead=train.Lookahead(every=1, start=0.0, decay=0.0))
    other, _ = fit(lookahead=train.Lookahead(every=1, start=0.0, decay=0.95))
    assert equal == history and torch.equal(same[0].weight, model[0].weight)
    assert not torch.allclose(other[0].weight, model[0].weight)
    with pytest.raises(ValueError, match="every is 0 and decay is 0.95; every must be 1 or more"):
        train.Lookahead(every=0)


# --- flips ---------------------------------------------------------------------------------------


def test_each_image_is_flipped_in_every_other_epoch_exactly():
    flip, seen = augment.AlternatingFlip(32, seed=3), []
    assert 8 < flip.first.sum() < 24

    def note(images, labels, generator):
        seen.append(images.clone())
        return images, labels

    fit(flip=flip, augment=note)
    sides = torch.zeros(4, 32, dtype=torch.int64)  # epoch, image -> 0 as it is, 1 mirrored
    for batch, images in enumerate(seen):
        for image in images:
            as_it_is = (SPLIT.train_images == image).flatten(1).all(1)
            mirrored = (SPLIT.train_images.flip(3) == image).flatten(1).all(1)
            assert as_it_is.sum() + mirrored.sum() == 1
            sides[batch // 2, (as_it_is | mirrored).nonzero().item()] = mirrored.any().long()
    assert torch.equal(sides[0].bool(), flip.first)
    for epoch in range(3):
        assert torch.equal(sides[epoch], 1 - sides[epoch + 1])


def test_a_crop_without_a_flip_is_that_of_random_crop():
    images, labels = SPLIT.train_images, SPLIT.train_labels
    one, two = (torch.Generator().manual_seed(1) for _ in range(2))
    out, same = augment.crop(2, "reflect")(images, labels, one)
    assert torch.equal(out, augment.random_crop(images, 2, two, "reflect")) and same is labels


# --- the network ---------------------------------------------------------------------------------


def test_the_average_over_views_is_the_mean_by_hand():
    torch.manual_seed(0)
    model = models.SpeedNet((4, 8, 8), flip_average=True, shift_average=True).double().eval()
    images = SMALL.test_images[:4].double()
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    total = torch.zeros(4, 10, dtype=torch.float64)
    with torch.no_grad():
        for weight, top in ((0.5, 1), (0.25, 0), (0.25, 2)):
            view = torch.from_numpy(padded[:, :, top : top + 32, top : top + 32].copy())
            total += weight * 0.5 * (model.logits(view) + model.logits(view.flip(3)))
        torch.testing.assert_close(model(images), total, rtol=1e-10, atol=1e-12)
        model.flip_average = False
        one_sided = model(images)
        model.shift_average = False
        assert torch.equal(model(images), model.logits(images))
        assert not torch.allclose(one_sided, model.logits(images))
        model.shift_average = True
        assert torch.equal(model.train()(images), model.logits(images))  # each as it is


def test_a_block_has_the_activation_and_the_norms_that_it_is_given():
    torch.manual_seed(0)
    block = models.speed.SpeedBlock(3, 8, activation="gelu", norm_scales=False).eval()
    x = torch.randn(2, 3, 8, 8)
    y = F.gelu(block.norm1(F.max_pool2d(block.conv1(x), 2)))
    torch.testing.assert_close(block(x), F.gelu(block.norm2(block.conv2(y))))
    trained = {name for name, p in block.named_parameters() if p.requires_grad}
    assert trained == {"conv1.weight", "conv2.weight", "norm1.bias", "norm2.bias"}
    assert (block.norm1.weight == 1).all() and torch.equal(
        block.conv1.weight[0, 0, 1:2, 1], torch.ones(1)
    )
    random = models.speed.SpeedBlock(3, 8, identity_start=False)
    assert not (random.conv1.weight == 0).any() and (block.conv1.weight[:3] == 0).any()
    with pytest.raises(ValueError, match="activation is 'tanh'; it must be one of relu, gelu"):
        models.SpeedNet(activation="tanh")


def test_the_first_layer_can_have_a_trained_bias_or_be_trained_itself():
    arm = cifar.EXPERIMENTS["fast-recipe"].arms["all"]
    layer = cifar.build(arm, SMALL, 0).whitening
    assert not layer.weight.requires_grad and layer.bias.requires_grad
    assert (layer.bias == 0).all() and layer.weight.shape == (24, 3, 2, 2)
    reference = models.speed.Whitening().fit(SMALL.train_images)
    assert torch.equal(layer.weight, reference.weight) and reference.bias is None
    arm = cifar.EXPERIMENTS["fast-recipe"].arms["without whitening"]
    layer = cifar.build(arm, SMALL, 0).whitening
    assert layer.weight.requires_grad and not torch.equal(layer.weight, reference.weight)


# --- the experiments -----------------------------------------------------------------------------


def test_the_recipe_is_the_published_one():
    nesterov = 1 + 1 / (1 - 0.85)  # what the decoupled rate of 11.5 is divided by
    assert TRAINING.lr == pytest.approx(11.5 / nesterov) and TRAINING.batch_size == 1024
    # Per 1,024 images a weight decays by 0.0153 / nesterov, which is the rate times the decay.
    assert TRAINING.lr * TRAINING.weight_decay == pytest.approx(0.0153 / nesterov, rel=1e-3)
    assert cifar.EXPERIMENTS["time-to-94"].arms["SpeedNet, all tricks"] == cifar.Arm(
        "SpeedNet", TRAINING, OPTIONS
    )


def test_each_arm_of_the_ablation_lacks_its_part_and_nothing_else():
    arms = cifar.EXPERIMENTS["fast-recipe"].arms

    def settings(arm):
        return vars(arm.training) | {f"network: {k}": v for k, v in arm.options.items()}

    whole, lacking = settings(arms["all"]), set()
    for part, (training, options) in PARTS.items():
        here = settings(arms[f"without {part}"])
        changed = {name for name in here if name not in whole or here[name] != whole[name]}
        assert changed == set(training) | {f"network: {name}" for name in options}, part
        lacking |= changed
    none = settings(arms["none"])
    assert {name for name in none if name not in whole or none[name] != whole[name]} == lacking
    alone = arms["whitening alone"]
    assert none == settings(replace(alone, options=alone.options | {"whitened": False}))
    plain = cifar.EXPERIMENTS["time-to-94"].arms["SpeedNet"].options
    assert (
        models.SpeedNet(**alone.options).state_dict().keys()
        == models.SpeedNet(**plain).state_dict().keys()
    )


def test_the_rates_of_the_search_surround_the_published_one():
    arms = cifar.EXPERIMENTS["fast-recipe-rates"].arms
    rates = [arm.training.lr for arm in arms.values()]
    assert len(rates) == 5 and rates[2] == TRAINING.lr and rates == sorted(rates)
    for arm in arms.values():
        assert replace(arm, training=replace(arm.training, lr=TRAINING.lr)) == cifar.Arm(
            "SpeedNet", TRAINING, OPTIONS
        )
    long = cifar.EXPERIMENTS["fast-recipe-long"].arms
    assert {name: arm.training.epochs for name, arm in long.items()} == {
        "10 epochs": 10,
        "30 epochs": 30,
        "60 epochs": 60,
    }


def test_records_from_before_keep_their_configuration():
    names = {"norm_bias_rate", "train_until", "lookahead", "initial", "final", "alternating_flip"}
    compared = 0
    for path in Path(ledger.RESULTS).glob("*.json"):
        record = ledger.read(path)
        if (experiment := cifar.EXPERIMENTS.get(path.name.split(".")[0])) is None:
            continue
        described = json.loads(json.dumps(experiment.configuration()))
        assert record.configuration == described, path.name
        compared += all(not names & set(arm["training"]) for arm in described["arms"].values())
    assert compared > 10
    new = cifar.EXPERIMENTS["fast-recipe"].configuration()["arms"]["all"]["training"]
    assert names <= set(new)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("stop", [2, 7, 11])  # before lookahead begins, as it begins, and after
def test_a_killed_run_of_the_whole_recipe_equals_an_uninterrupted_one(
    tmp_path, monkeypatch, stop, compile
):
    backend = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda model, **options: backend(model, backend="eager", **options)
    )
    arm = tiny("fast-recipe", "all", epochs=4, curve=True, compile=compile).arms["all"]
    arm = replace(arm, options=arm.options | {"widths": (4, 8, 8)})
    model, whole, _ = cifar.train_arm(arm, SMALL, 0)
    assert len(whole.losses) == 12  # four epochs of three steps; lookahead begins with the third

    def kill(step, _):
        if step == stop:
            raise KilledError

    path = tmp_path / "c.pt"
    with pytest.raises(KilledError):
        cifar.train_arm(arm, SMALL, 0, checkpoint=path, after_step=kill)
    assert path.exists() == (stop > 3)
    again, history, _ = cifar.train_arm(arm, SMALL, 0, checkpoint=path)
    assert history == whole
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    plain = replace(arm, training=replace(arm.training, lookahead=False))
    assert cifar.train_arm(plain, SMALL, 0)[1] != whole


def test_a_checkpoint_from_before_these_parts_is_resumed(tmp_path):
    _, whole = fit(path=tmp_path / "c.pt")
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    # Nothing of what is new is written where it is not used, so that such a file is one of before.
    assert not {"lookahead", "norm_bias_rate", "train_until", "flip"} & set(state["run"])
    groups = state["optimizer"]["param_groups"]
    assert all(not {"rate", "until"} & set(group) for group in groups)
    _, history = fit(path=tmp_path / "c.pt", after_step=lambda *_: pytest.fail("trained again"))
    assert history == whole


def test_every_arm_of_the_ablation_trains_and_is_recorded():
    names = list(cifar.EXPERIMENTS["fast-recipe"].arms)
    experiment = tiny("fast-recipe", *names, epochs=4)
    small = {
        name: replace(arm, options=arm.options | {"widths": (4, 8, 8)})
        for name, arm in experiment.arms.items()
    }
    record = record_of(None, replace(experiment, arms=small))
    cifar.run(record, replace(experiment, arms=small), SMALL, [0])
    assert {run["arm"] for run in record.runs} == set(names)
    results = {run["arm"]: run["results"]["losses"] for run in record.runs}
    assert results["without multi-crop"] == results["all"]  # it changes the test only
    differing = {json.dumps(losses) for losses in results.values()}
    assert len(differing) == len(names) - 1
