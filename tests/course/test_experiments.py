"""The experiments at the end of the assignments show, with the solution, what their rubrics say."""

import itertools
import math

import harness
import pytest
import torch
from test_mutants import source


@pytest.fixture(scope="module")
def a1():
    """The names of A1 after its solution and the cells of its experiment."""
    space = {"__name__": "__main__"}
    for name in ("imports", "forward", "backward", "laboratory", "training"):
        exec(harness.solution(source("A1"), name), space)
    return space


@pytest.mark.parametrize("number", [7, 4321])
def test_with_the_norm_twice_the_scale_needs_twice_the_rate(a1, number):
    train, norm = a1["train"], a1["own_norm"]
    first = train(norm, 0.5, 0.01, number)
    assert train(norm, 1, 0.02, number) == pytest.approx(first, rel=0.005)
    assert train(norm, 2, 0.04, number) == pytest.approx(first, rel=0.005)
    # What the rule predicts differs from what no training at all would give.
    assert abs(train(norm, 1, 0.01, number) - first) > 0.04


@pytest.mark.parametrize("number", [7, 4321])
def test_without_the_norm_every_scale_learns_and_the_rule_fails(a1, number):
    train, control = a1["train"], a1["no_norm"]
    assert train(control, 1, 0.04, number) < train(control, 0.5, 0.02, number) - 0.1
    # Guessing costs 2.303, so each row of the control says something.
    assert all(train(control, scale, 0.32, number) < 2.15 for scale in (0.25, 0.5, 1, 2))


def test_the_layer_of_the_student_trains_as_that_of_the_library(a1):
    mine = a1["train"](a1["own_norm"], 1, 0.04, 7, steps=12)
    assert mine == pytest.approx(a1["train"](a1["library_norm"], 1, 0.04, 7, steps=12), rel=1e-3)


@pytest.fixture(scope="module")
def a2():
    """The names of A2 after its first answer and the cells of its experiment."""
    space = {"__name__": "__main__"}
    for name in ("imports", "normalize", "laboratory", "network", "training", "evaluation"):
        exec(harness.solution(source("A2"), name), space)
    return space


def test_statistics_of_two_images_cost_batch_norm_much_of_its_loss(a2):
    train, norm = a2["train"], a2["library_norm"]
    for seed in (1, 2):
        _, whole = train(norm, "batch", 32, 0.1, 7, seed=seed)
        _, pairs = train(norm, "batch", 32, 0.1, 7, together=2, seed=seed)
        assert pairs > whole + 0.2


def test_steps_with_fewer_images_cost_every_norm(a2):
    train, norm = a2["train"], a2["library_norm"]
    for kind in ("batch", "layer"):
        _, many = train(norm, kind, 32, 0.1, 7)
        _, few = train(norm, kind, 8, 0.1, 7)
        assert many + 0.15 < few < math.log(6) - 0.1  # and guessing costs more


def test_the_normalize_of_the_student_trains_as_the_norms_of_the_library(a2):
    for kind in ("batch", "layer", "group"):
        mine = a2["train"](a2["own_norm"], kind, 16, 0.3, 7, steps=12)
        theirs = a2["train"](a2["library_norm"], kind, 16, 0.3, 7, steps=12)
        assert mine == pytest.approx(theirs, rel=1e-3)


@pytest.fixture(scope="module")
def a4():
    """The names of A4 after its answers and the cells of its experiment."""
    space = {"__name__": "__main__"}
    names = ("imports", "surgery", "pairs", "stochastic")
    for name in (*names, "laboratory", "network", "training", "operations"):
        exec(harness.solution(source("A4"), name), space)
    return space


@pytest.mark.parametrize("number", [7, 4321])
def test_lesions_cost_what_the_training_did_not_practice(a4, number):
    """With the same blocks and as many paths, other blocks are costly after stochastic depth.

    By how much, in a single network, rounding decides, so three are trained.
    """
    costs, rises = {"without": [], "with": []}, {}
    orders = [3, 2, 1, 0, 4, 5, 6, 7], [0, 1, 2, 3, 4, 7, 6, 5]
    for kind, seed in itertools.product(costs, (1, 2, 3)):
        model = a4["train"](a4["own"], kind, number, seed=seed)
        loss = a4["lesion_loss"](model, number)
        assert loss() < 0.5  # guessing costs 2.303
        costs[kind].append([loss({i}) - loss() for i in range(8)])
        if seed == 1:
            rises[kind] = [a4["order_loss"](model, number, order) - loss() for order in orders]
    for found in costs["without"]:
        assert found[4] > 1 and max(found) > 10 * min(found)
    for found in costs["with"]:
        assert max(found[1:]) < min(found[0], 0.3)
    first, *others = (sum(found) / 3 for found in zip(*costs["with"], strict=True))
    assert first > 3 * max(others)
    # No path is missing in a new order, and where the last three blocks move, training decides.
    assert min(rises["without"]) > 0.1 and rises["with"][0] > 0.1 > 0.05 > rises["with"][1]
    assert rises["without"][1] > 0.4


def test_without_stochastic_depth_training_does_not_depend_on_how_coins_are_drawn(a4):
    """So a grader can check these networks although a right answer may draw no coin at all."""
    mine, theirs = (
        a4["lesion_loss"](a4["train"](a4[block], "without", 7, steps=12), 7)
        for block in ("own", "library")
    )
    for removed in ((), {4}, {0, 7}):
        assert mine(removed) == pytest.approx(theirs(removed), rel=1e-4)


@pytest.mark.parametrize("block", ["own", "library"])
def test_the_surgery_of_the_student_agrees_with_the_hooks(a4, block):
    model = a4["train"](a4[block], "with", 7, steps=4)
    for removed in ((), {4}, {0, 5, 7}):
        mine, hooks = (a4["lesion_loss"](model, 7, mine=mine)(removed) for mine in (True, False))
        assert mine == pytest.approx(hooks, rel=1e-5)
    order = [3, 2, 1, 0, 4, 7, 6, 5]
    mine, hooks = (a4["order_loss"](model, 7, order, {1, 6}, mine=mine) for mine in (True, False))
    assert mine == pytest.approx(hooks, rel=1e-5)


@pytest.fixture(scope="module")
def a5():
    """The names of A5 after its answers and the cells of its experiment."""
    space = {"__name__": "__main__"}
    names = ("imports", "wirings", "dense", "maps", "memory", "double", "unet")
    for name in (*names, "laboratory", "training", "measures"):
        exec(harness.solution(source("A5"), name), space)
    return space


@pytest.mark.parametrize("number", [7, 4321])
def test_connections_across_help_new_images_and_an_exchange_costs_more_than_to_do_without(
    a5, number
):
    train, iou, exchanged = a5["train"], a5["iou"], a5["exchanged_iou"]
    cat, add, none = (
        train(a5["own"], join, 0.01, number, seed=2) for join in ("cat", "add", "none")
    )
    tests = [iou(model, number, "test") for model in (cat, add, none)]
    assert min(tests[:2]) > tests[2] + 0.1
    counts = [sum(p.numel() for p in model.parameters()) for model in (add, none)]
    assert counts[0] == counts[1]
    at = [exchanged(cat, levels, number) for levels in ([0], [1], [2], [0, 1, 2])]
    assert at[0] < min(at[1:3]) - 0.1 and at[3] < tests[2] - 0.1
    assert iou(cat, number, "test") == tests[0]  # the exchange has left no trace


def test_without_connections_a_longer_training_fits_and_does_not_carry_over(a5):
    model = a5["train"](a5["own"], "none", 0.01, 7, seed=2, steps=180)
    assert a5["iou"](model, 7, "training") > 0.85 and a5["iou"](model, 7, "test") < 0.6


@pytest.mark.parametrize("wiring", ["everything", "powers"])
def test_a_block_keeps_as_many_maps_as_the_formula_says(a5, wiring):
    for layers in (4, 9):
        reads = a5[wiring](layers)
        block, x = a5["DenseBlock"](10, 5, reads), torch.randn(2, 10, 8, 8)
        assert a5["maps_kept"](block, x) == a5["kept_maps"](10, 5, reads)


def test_the_network_of_the_library_stands_in_for_that_of_the_student(a5):
    train, library = a5["train"], a5["library"]
    cat, none = (train(library, join, 0.01, 7, seed=2) for join in ("cat", "none"))
    assert a5["iou"](cat, 7, "test") > a5["iou"](none, 7, "test") + 0.1 > 0.4
    assert a5["exchanged_iou"](cat, [0, 1, 2], 7) < 0.3
