"""Runs whose learning rates are searched: who chooses, who reports, and what is refused."""

from dataclasses import dataclass

import pytest
import torch

from resnorm import ledger
from resnorm.experiments import searched


@dataclass(frozen=True)
class Arm:
    network: str
    lr: float


@dataclass(frozen=True)
class Data:
    device = torch.device("cpu")
    offset: float = 0.0


ARMS = searched.named(Arm(name, lr) for lr in (0.1, 0.2, 0.4) for name in ("a", "b"))


def results_of(arm, data, seed, factor=1):
    """Network a is best at 0.2 and b at 0.4; the loss says the opposite of the score."""
    score = {"a": 1 - abs(arm.lr - 0.2), "b": arm.lr}[arm.network]
    return {"score": score, "loss": score, "seed": seed, "read": factor * data.offset}


def search_by(*measures):
    return searched.Search(ARMS, measures, results_of)


def run(seeds, measures=("score",), arms=None, **changes):
    record = ledger.open_record(None, "test", "none", "none", {})
    search_by(*measures).run(record, Data(5.0), seeds, arms, **changes)
    return record


def test_the_seeds_that_choose_run_at_every_rate_and_the_others_at_the_best():
    record = run([3, 1, 0])
    assert [r["arm"] for r in record.runs if r["seed"] == 0] == sorted(ARMS)
    assert [r["arm"] for r in record.runs if r["seed"] == 3] == ["a, rate 0.2", "b, rate 0.4"]
    assert searched.chosen_arms(record, ARMS, "score") == {"a": "a, rate 0.2", "b": "b, rate 0.4"}
    assert searched.reported(record, ARMS, "score", "seed") == {"a": [3], "b": [3]}


def test_a_loss_is_to_be_small_and_each_measure_has_its_own_runs():
    record = run([0, 1, 2], ["score", "loss"])
    assert searched.chosen_arms(record, ARMS, "loss") == {"a": "a, rate 0.4", "b": "b, rate 0.1"}
    later = {r["arm"] for r in record.runs if r["seed"] == 2}
    assert later == {"a, rate 0.2", "b, rate 0.4", "a, rate 0.4", "b, rate 0.1"}


def test_what_decides_is_listed_by_rate_in_rising_order():
    falling = dict(reversed(ARMS.items()))
    record = run([0, 1, 2], arms=falling)
    record.add("b, rate 0.1", 2, {"score": 9.0}, 1.0)  # seed 2 does not choose
    record.runs[:] = [r for r in record.runs if (r["arm"], r["seed"]) != ("a, rate 0.2", 1)]
    found = searched.by_rate(record, falling, "b", "score")
    assert list(found.items()) == [(0.1, 0.1), (0.2, 0.2), (0.4, 0.4)]
    next(r for r in record.runs if r["arm"] == "a, rate 0.4")["results"]["score"] = 0.0
    found = searched.by_rate(record, falling, "a", "score")
    assert found == pytest.approx({0.1: 0.9, 0.2: 1.0, 0.4: 0.4})  # a mean of 0 and 0.8


def test_rates_without_runs_are_left_out_and_a_network_without_any_is_refused():
    record = run([0, 1], arms={name: arm for name, arm in ARMS.items() if arm.lr > 0.1})
    assert list(searched.by_rate(record, ARMS, "a", "score")) == [0.2, 0.4]
    with pytest.raises(ValueError, match=r"for network 'c'; the networks are \['a', 'b'\]"):
        searched.by_rate(record, ARMS, "c", "score")


def test_other_seeds_do_not_choose():
    record = run([0, 1])
    record.add("a, rate 0.4", 2, {"score": 9.0}, 1.0)
    assert searched.chosen_arms(record, ARMS, "score")["a"] == "a, rate 0.2"


def test_a_finished_run_is_not_repeated():
    record = run([0, 1])
    record.add("a, rate 0.1", 0, {"score": -1.0, "loss": -1.0}, 1.0)
    search_by("score").run(record, Data(), [0, 1])
    assert record.values("a, rate 0.1", "score")[0] == -1.0


def test_a_seed_that_lacks_the_choice_of_its_rate_is_refused():
    with pytest.raises(ValueError, match="seed 4 runs at the learning rates.*run that seed first"):
        run([4])


def test_an_experiment_can_let_other_seeds_choose():
    record = ledger.open_record(None, "test", "none", "none", {})
    measured = {0: 0.4, 1: 0.4, 2: 0.1}  # seed 2 alone prefers the lowest rate

    def results_of(arm, data, seed):
        return {"error": 10 * abs(arm.lr - measured.get(seed, 0.4)) * (5 if seed == 2 else 1)}

    search = searched.Search(ARMS, "error", results_of, choosing=(0, 1, 2))
    search.run(record, Data(), [0, 1, 2, 3])
    by_two, by_three = (
        searched.chosen_arms(record, ARMS, "error", seeds)["a"] for seeds in ((0, 1), (0, 1, 2))
    )
    assert (by_two, by_three) == ("a, rate 0.4", "a, rate 0.1")
    assert search.best_rates(record)["a"] == "a, rate 0.1"
    assert [run["arm"] for run in record.runs if run["seed"] == 3] == ["a, rate 0.1", "b, rate 0.1"]
    found = searched.reported(record, ARMS, "error", "error", (0, 1, 2))
    assert found["a"] == pytest.approx([3.0])
    assert searched.by_rate(record, ARMS, "a", "error", (2,))[0.1] == 0


def test_the_configuration_is_what_the_arms_share_and_the_arms():
    search = searched.Search(ARMS, "score", results_of, constants={"epochs": 3})
    configuration = search.configuration()
    assert list(configuration) == ["epochs", "arms"] and configuration["epochs"] == 3
    assert list(configuration["arms"]) == list(ARMS)
    assert configuration["arms"]["b, rate 0.4"] == {"network": "b", "lr": 0.4}


def test_the_data_and_further_arguments_reach_the_arms():
    assert run([0]).values("a, rate 0.1", "read") == [5.0]
    assert run([0], factor=3).values("a, rate 0.1", "read") == [15.0]
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        run([0], epochs=1)


def test_of_several_measures_the_first_one_gives_the_best_rates():
    record = run([0, 1])
    found = [search_by(*keys).best_rates(record) for keys in (("score", "loss"), ("loss", "score"))]
    assert found == [searched.chosen_arms(record, ARMS, key) for key in ("score", "loss")]
    assert found[0] != found[1]
    low = {name: arm for name, arm in ARMS.items() if arm.lr < 0.2}
    assert search_by("score").best_rates(record, low) == {"a": "a, rate 0.1", "b": "b, rate 0.1"}


def test_an_arm_that_is_known_by_its_name_has_further_settings_after_its_rate():
    @dataclass(frozen=True)
    class Longer(searched.NamedArm):
        epochs: int = 2

    (name, arm) = next(iter(searched.named([Longer("c", 0.5, 7)]).items()))
    assert name == "c, rate 0.5" and arm.network == "c" and arm.epochs == 7
