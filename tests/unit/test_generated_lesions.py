"""The recorded runs on stochastic depth (chapter 3.2) and on the size of border weights (3.6)."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from resnorm import data, ledger, probes
from resnorm.experiments import (
    generated_border,
    generated_cells,
    generated_lesions,
    generated_skips,
    lesion,
)
from resnorm.experiments.parts import Parts


@pytest.fixture(scope="module")
def images():
    drawn = data.synthetic(train=64, test=48, size=12, num_classes=4, noise=0.3)
    validation = data.synthetic(train=8, test=32, size=12, num_classes=4, noise=0.3)
    return generated_lesions.LesionData(drawn, (validation.test_images, validation.test_labels))


@pytest.fixture(scope="module")
def cells():
    return Parts(*(data.cells(16, 16, per_image=3, seed=s) for s in range(3)))


def empty_record():
    return ledger.open_record(None, "test", "none", "none", {})


def test_the_two_networks_differ_in_stochastic_depth_only():
    usual, stochastic = (lesion.ARMS[name] for name in generated_lesions.NETWORKS)
    assert usual.last_survival == 1 and stochastic.last_survival == 0.5
    rest = [{**vars(arm), "last_survival": None} for arm in (usual, stochastic)]
    assert rest[0] == rest[1]
    for name, arm in generated_lesions.ARMS.items():
        assert name == f"{arm.network}, rate {arm.lr}" and arm.recipe.lr == arm.lr


def test_the_images_that_choose_serve_for_nothing_else():
    page = generated_lesions.page_data()
    assert len(page.images.train_images) == 2048 and len(page.images.test_images) == 512
    inputs, labels = page.validation
    assert len(inputs) == len(labels) == 512
    for others in (page.images.train_images, page.images.test_images):
        assert (inputs[:8, None] != others[None]).flatten(2).any(-1).all()


def test_a_record_holds_the_loss_without_each_block(images):
    name = "stochastic depth, rate 0.1"
    record, arms = empty_record(), {name: generated_lesions.ARMS[name]}
    generated_lesions.run(record, images, [0], arms)
    (run,) = record.runs
    recipes = {"stochastic depth": arms[name].recipe}
    network = lesion.train_arm("stochastic depth", images.images, seed=0, arms=recipes)
    without = run["results"]["loss without"]
    assert list(without) == list(network.removable) and len(without) == 17
    labels = images.images.test_labels
    with torch.no_grad():
        whole = cross_entropy(network.model(images.images.test_images), labels).item()
        with probes.lesion(network.model, [network.removable[3]]):
            gone = cross_entropy(network.model(images.images.test_images), labels).item()
        chooses = cross_entropy(network.model(images.validation[0]), images.validation[1]).item()
    assert run["results"]["loss"] == pytest.approx(whole, abs=1e-5)
    assert without[network.removable[3]] == pytest.approx(gone, abs=1e-5)
    assert run["results"]["validation loss"] == pytest.approx(chooses, abs=1e-5)
    assert gone != whole


def test_border_weights_differ_in_their_factor_only(cells):
    instances = cells.training.instances
    for name, w0 in generated_border.ARMS.items():
        weights = generated_border.pixel_weights(w0, instances)
        assert weights.mean().item() == pytest.approx(1, abs=1e-5)
        assert (weights.unique().numel() == 1) == (name == "equal weights")
    ten = generated_border.pixel_weights(10.0, instances)
    assert torch.equal(ten, generated_cells.pixel_weights("border", instances))


def test_a_record_trains_with_the_weights_of_its_arm(cells, monkeypatch):
    given, train_one = [], generated_skips.train_one

    def spy(arm, images, **options):
        given.append((arm, options["seed"], options["weights"]))
        return train_one(arm, images, **options)

    monkeypatch.setattr(generated_skips, "train_one", spy)
    record = empty_record()
    generated_border.run(record, cells, [1], epochs=1)
    assert {run["arm"] for run in record.runs} == set(generated_border.ARMS)
    for (arm, seed, weights), w0 in zip(given, generated_border.ARMS.values(), strict=True):
        assert arm == generated_border.TRAINING and seed == 1
        expected = generated_border.pixel_weights(w0, cells.training.instances)
        assert torch.equal(weights, expected)


def test_pixel_weights_change_what_is_learned_and_equal_ones_do_not(cells):
    images, border = cells.training, generated_border.pixel_weights(30.0, cells.training.instances)
    trained = [
        generated_skips.train_one(
            generated_border.TRAINING, images, seed=1, epochs=2, weights=weights
        )
        for weights in (None, torch.ones(border.shape), border)
    ]
    usual, ones, weighted = (
        torch.cat([p.detach().flatten() for p in model.parameters()]) for model in trained
    )
    assert torch.equal(usual, ones) and not torch.equal(usual, weighted)
