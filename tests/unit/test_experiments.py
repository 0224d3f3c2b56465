"""The named experiments: every arm is what its name says, runs, is recorded and resumed."""

import itertools
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small_experiments import SMALL, record_of, tiny, write_images
from torch import nn
from torch._dynamo.testing import CompileCounter

from resnorm import data, ledger, norms
from resnorm.experiments import __main__ as command_module
from resnorm.experiments import cifar
from resnorm.experiments.__main__ import main
from resnorm.experiments.command_line import make_parser
from resnorm.probes import multiply_adds

ARMS = {
    f"{name}: {arm}": chosen
    for name, e in cifar.EXPERIMENTS.items()
    for arm, chosen in e.arms.items()
}


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_is_built_from_its_seed_and_trains_in_its_way(name):
    arm = ARMS[name]
    state = torch.get_rng_state()
    first, again, other = (cifar.build(arm, SMALL, seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    weights = [
        torch.cat([p.flatten() for p in model.parameters() if p.requires_grad])
        for model in (first, again, other)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert arm.training.schedule in ("steps", "one cycle", "constant")
    assert first(torch.zeros(2, 3, arm.training.side, arm.training.side)).shape == (2, 10)
    norm = arm.options.get("norm", "batch")
    kinds = {type(module).__name__ for module in first.modules()} - {"ConvNormReLU"}
    expected = {"batch": "BatchNorm2d", "noisy batch": "NoisyBatchNorm2d", "noise": ""}
    expected |= {"none": "", "group": "GroupNorm", "instance": "GroupNorm"}
    expected |= {f"{groups} groups": "GroupNorm" for groups in (1, 2, 4, 8)}
    expected |= {f"ghosts of {size}": "GhostBatchNorm2d" for size in (32, 8, 4, 2)}
    assert {kind for kind in kinds if "Norm" in kind} == {expected[norm]} - {""}
    assert ("ChannelNoise2d" in kinds) == (norm in ("noise", "noisy batch"))


def test_runs_are_recorded_resumed_and_reproduced(tmp_path):
    experiment = tiny("degradation-short", "plain-20", "residual-20")
    whole = record_of(None, experiment)
    cifar.run(whole, experiment, SMALL, [0, 1])
    part = record_of(tmp_path / "r.json", experiment)
    cifar.run(part, experiment, SMALL, [0], arms=["residual-20"], checkpoints=tmp_path / "states")
    again = record_of(tmp_path / "r.json", experiment)
    cifar.run(again, experiment, SMALL, [0, 1], checkpoints=tmp_path / "states")
    assert [(run["arm"], run["seed"]) for run in again.runs] == [
        (arm, seed) for arm in ("plain-20", "residual-20") for seed in (0, 1)
    ]

    def results(record):
        return [
            {key: value for key, value in run["results"].items() if key != "training seconds"}
            for run in record.runs
        ]

    assert results(again) == results(whole)
    assert not list((tmp_path / "states").iterdir())
    first = again.runs[0]["results"]
    assert len(first["losses"]) == len(first["test errors"]) == 2 and first["parameters"] == 269_722
    assert (
        first["without block"]["none"] <= 100 and len(first["without block"]) == 1 + 7
    )  # nine blocks, two change the shape


def test_a_run_that_failed_keeps_those_before(tmp_path, monkeypatch, capsys):
    experiment = tiny("degradation-short", "plain-20")
    record = record_of(tmp_path / "r.json", experiment)
    cifar.run(record, experiment, SMALL, [0])
    bad = tiny("degradation-short", "plain-20", lr=1e30)
    record.configuration = bad.configuration()
    with pytest.raises(ArithmeticError, match="the loss is"):
        cifar.run(record, bad, SMALL, [1])
    assert [run["seed"] for run in ledger.read(tmp_path / "r.json").runs] == [0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_all_errors_of_a_run_are_measured_in_one_precision(precision, monkeypatch):
    monkeypatch.setattr("resnorm.train.loop.best_precision", lambda _device: precision)
    monkeypatch.setattr(cifar.runner, "best_precision", lambda _device: precision)
    seen = set()
    build = cifar.build

    def build_watched(*arguments):
        model = build(*arguments)
        model.register_forward_hook(lambda _module, _inputs, scores: seen.add(scores.dtype))
        return model

    monkeypatch.setattr(cifar.runner, "build", build_watched)
    arm = tiny("degradation-short", "residual-20", epochs=1).arms["residual-20"]
    trained = cifar.train_arm(replace(arm, lesions=True), SMALL, 0)
    results = cifar.runner.measure(replace(arm, lesions=True), *trained)
    assert results["precision"] == precision and results["without block"]
    assert seen == {getattr(torch, precision)}


@pytest.mark.parametrize("arm", ["plain-20", "residual-56, stochastic depth"])
def test_lesions_of_sets_and_of_the_order(arm):
    arm = tiny("lesion-short", arm, epochs=1).arms[arm]
    model, history, data = cifar.train_arm(replace(arm, lesion_sets=2), SMALL, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    results = cifar.measure(replace(arm, lesion_sets=2), model, history, data)
    removable = len(results["without block"]) - 1
    assert removable == 3 * arm.options["blocks"] - 2  # two blocks change the shape
    sets = results["without blocks"]
    assert max(map(int, sets)) == round(0.7 * removable)
    assert all(len(errors) == 2 for errors in sets.values())
    if removable == 7:  # so the smallest sets are of one block
        assert set(sets["1"]) <= set(results["without block"].values())
    assert [row[0] for row in results["permuted"]] == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16]
    assert all(-1 <= tau <= 1 for _, tau, _ in results["permuted"])
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_records_from_before_lesions_of_sets_keep_their_configuration():
    arms = cifar.EXPERIMENTS["degradation-short"].configuration()["arms"]
    assert all("lesion_sets" not in arm for arm in arms.values())


def test_small_images_first_and_reduced_images():
    seen = []
    experiment = tiny("time-to-94", "SpeedNet", side=32, sides=(16, 24), batch_size=24)
    model = cifar.build(experiment.arms["SpeedNet"], SMALL, 0)
    model.register_forward_pre_hook(
        lambda module, inputs: seen.append((inputs[0].shape[-1], module.training))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar.runner, "build", lambda *_: model)
        cifar.train_arm(experiment.arms["SpeedNet"], SMALL, 0)
    assert [side for side, training in seen if training] == [16, 16, 24, 24]
    assert {side for side, training in seen if not training} == {32}
    half = cifar.reduced(SMALL, 16)
    assert half.train_images.shape[-2:] == (16, 16) and "reduced to 16 x 16" in half.source
    flat = replace(SMALL, train_images=torch.full_like(SMALL.train_images, 0.5))
    torch.testing.assert_close(
        cifar.reduced(flat, 16).train_images, torch.full((48, 3, 16, 16), 0.5)
    )


def test_an_image_and_its_mirror_image_have_the_same_average():
    model = cifar.build(ARMS["time-to-94: SpeedNet"], SMALL, 0).eval()
    images = SMALL.test_images
    with torch.no_grad():
        torch.testing.assert_close(model(images), model(images.flip(3)))
        torch.testing.assert_close(
            model(images), (model.logits(images) + model.logits(images.flip(3))) / 2
        )
        assert not torch.allclose(model.logits(images), model.logits(images.flip(3)), atol=1e-3)
        model.train()  # each image as it is
        assert not torch.allclose(model(images), model(images.flip(3)), atol=1e-3)


def test_the_face_off_is_fair():
    def counts(name):
        model = cifar.build(cifar.EXPERIMENTS["face-off-short"].arms[f"{name}, rate 0.1"], SMALL, 0)
        return sum(p.numel() for p in model.parameters()), multiply_adds(
            model, torch.zeros(1, 3, 32, 32)
        )

    parameters, madds = counts("ResNet-20")
    for name in ("WRN-10", "ResNeXt-29, 8 x 3d"):
        assert counts(name) == (
            pytest.approx(parameters, rel=0.06),
            pytest.approx(madds, rel=0.06),
        ), name
    assert counts("DenseNet-22, k = 12")[0] == pytest.approx(parameters, rel=0.06)
    assert counts("DenseNet-19, k = 10")[1] == pytest.approx(madds, rel=0.06)


def test_whitening_gives_uncorrelated_outputs_of_unit_variance():
    whitening = cifar.build(ARMS["time-to-94: SpeedNet"], SMALL, 0).whitening
    images = SMALL.train_images.double()
    y = whitening.double()(images)[:, :12]
    y = y.movedim(1, 0).flatten(1)
    second = y @ y.T / y.shape[1]
    assert not whitening.weight.requires_grad
    torch.testing.assert_close(second, torch.diag(torch.diagonal(second)), atol=1e-3, rtol=0)
    assert (torch.diagonal(second) > 0.95).all() and (torch.diagonal(second) <= 1.001).all()
    with pytest.raises(ValueError, match="4 channels, the layer has 3"):
        whitening.fit(torch.zeros(2, 4, 8, 8))


@pytest.mark.parametrize(
    "arm, message",
    [
        (
            cifar.Arm("transformer", cifar.SHORT),
            "model is 'transformer'; it must be one of plain, residual",
        ),
        (
            cifar.Arm("residual", cifar.SHORT, {"depth": 20, "norm": "bach"}),
            "norm is 'bach'; it must be one of batch, group",
        ),
        (
            cifar.Arm("residual", replace(cifar.SHORT, schedule="two cycles"), {"depth": 20}),
            "schedule is 'two cycles'",
        ),
        (cifar.Arm("residual", cifar.SHORT, {"depth": 21}), "6n \\+ 2"),
    ],
)
def test_an_arm_that_cannot_be_is_refused(arm, message):
    with pytest.raises(ValueError, match=message):
        cifar.train_arm(arm, SMALL, 0)


def test_torchs_ghost_batch_norm_equals_ours():
    x = torch.randn(8, 3, 4, 4, requires_grad=True)
    fast = cifar.NORMS["ghosts of 2"](3)
    ours = norms.GhostBatchNorm2d(3, 2, momentum=fast.momentum)
    for training in (True, False):
        outputs = [layer.train(training)(x) for layer in (fast, ours)]
        torch.testing.assert_close(*outputs)
        gradients = [torch.autograd.grad(y.pow(3).sum(), x)[0] for y in outputs]
        torch.testing.assert_close(*gradients)
    torch.testing.assert_close(fast.state_dict(), ours.state_dict())
    batch = nn.BatchNorm2d(3)
    shifted = torch.ones(128, 3, 1, 1) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    for size in (2, 32):  # the running statistics move as far per batch, whatever the ghosts
        layer = cifar.NORMS[f"ghosts of {size}"](3)
        layer(shifted), batch(shifted)
        torch.testing.assert_close(layer.running_mean, batch.running_mean)
        batch.reset_running_stats()


def test_networks_with_and_without_noise_start_equal():
    arms = cifar.EXPERIMENTS["noise-tuned-short"].arms
    for a, b in (("no norm", "noise"), ("batch norm", "batch norm and noise")):
        states = [cifar.build(arms[f"{x}, rate 0.1"], SMALL, 3).state_dict() for x in (a, b)]
        for values in zip(*(state.values() for state in states), strict=True):
            assert torch.equal(*values)


# --- a search -------------------------------------------------------------------------------------


def searched(experiment, errors, source="images, validation split"):
    """A record with the error of each arm, seed by seed."""
    record = ledger.open_record(None, "test", "none", source, experiment.configuration())
    for arm, values in errors.items():
        for seed, value in enumerate(values):
            record.add(arm, seed, {"test error": value}, 1.0)
    return record


def test_each_arm_gets_the_rate_of_the_smallest_validation_error():
    experiment = cifar.EXPERIMENTS["noise-tuned-short"]
    names = list(dict.fromkeys(arm.rsplit(", rate ")[0] for arm in experiment.arms))
    errors = {f"{name}, rate {rate}": [50.0, 30.0] for name in names for rate in (0.05, 0.2)}
    errors |= {f"{name}, rate 0.1": [40.0, 30.0] for name in names}
    best = [f"{name}, rate 0.1" for name in names]
    assert cifar.best_rates(experiment, searched(experiment, errors)) == best
    for change, message in (
        ({"no norm, rate 0.05": [10.0, 10.0]}, "'no norm, rate 0.05' is best at the edge"),
        ({"no norm, rate 0.4": [50.0]}, "not given the same rates"),
        ({"no norm, rate 0.2": [50.0]}, "not given the same rates"),
    ):
        with pytest.raises(ValueError, match=message):
            cifar.best_rates(experiment, searched(experiment, errors | change))
    with pytest.raises(ValueError, match="of images, test set; learning rates are chosen"):
        cifar.best_rates(experiment, searched(experiment, errors, "images, test set"))
    with pytest.raises(ValueError, match="no run of 'batch norm, rate 0.0125'"):
        cifar.best_rates(experiment, searched(experiment, {}))
    with pytest.raises(ValueError, match="another table of arms"):
        cifar.best_rates(cifar.EXPERIMENTS["face-off"], searched(experiment, errors))


def test_the_tenth_network_of_a_command_is_compiled_like_the_first(monkeypatch):
    """Torch gives a function up after eight networks, and runs it uncompiled without a word."""
    counter, compiler = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda *a, **b: compiler(*a, backend=counter, **b))
    how = cifar.Training(epochs=1, batch_size=16, side=16, padding=0, compile=True, curve=False)
    arms = {
        str(width): cifar.Arm("ConvNet", how, {"norm": "batch", "widths": (width,), "depth": 1})
        for width in range(2, 12)
    }
    experiment = cifar.Experiment("?", arms, "a CPU")
    record, counts = record_of(None, experiment), [0]
    for name in arms:
        cifar.run(record, experiment, SMALL, [0], arms=[name])
        counts.append(counter.frame_count)
    assert all(after > before for before, after in itertools.pairwise(counts)), counts


def test_a_search_records_what_diverges(tmp_path):
    experiment = tiny("noise-tuned-short", "no norm, rate 1.6", lr=1e30)
    record = record_of(None, experiment)
    cifar.run(record, experiment, SMALL, [0], allow_divergence=True)
    (results,) = (run["results"] for run in record.runs)
    assert results["steps"] < 6 and results["test error"] >= 50 and results["losses"] == []


def test_what_the_package_ships_was_trained_at_the_rates_of_its_search():
    for path in ledger.RESULTS.glob("*.json"):
        if "--tuned" in (record := ledger.read(path)).command:
            search = ledger.read(path.with_name(f"{path.stem}.validation.json"))
            chosen = cifar.best_rates(cifar.EXPERIMENTS[record.name], search)
            assert {run["arm"] for run in record.runs} == set(chosen)


@pytest.mark.parametrize(
    ("longer", "search"),
    [("trained-out-short", "trained-out-rates"), ("face-off-longer", "face-off-short")],
)
def test_a_longer_training_has_the_rates_of_its_search(longer, search):
    searched = ledger.recorded(f"{search}.validation")
    rates = dict(
        name.split(", rate ") for name in cifar.best_rates(cifar.EXPERIMENTS[search], searched)
    )
    arms = cifar.EXPERIMENTS[longer].arms
    assert {name: f"{arm.training.lr:g}" for name, arm in arms.items()} == rates


def test_the_longer_contest_differs_from_the_short_one_in_epochs_and_speed_only():
    short = cifar.EXPERIMENTS["face-off-short"].arms
    for name, arm in cifar.EXPERIMENTS["face-off-longer"].arms.items():
        shorter = short[f"{name}, rate {arm.training.lr:g}"]
        assert replace(arm, training=replace(arm.training, epochs=8, compile=False)) == shorter


def test_at_equal_time_the_wide_network_differs_in_its_epochs_only():
    (name, arm), *others = cifar.EXPERIMENTS["face-off-equal-time"].arms.items()
    longer = cifar.EXPERIMENTS["face-off-longer"].arms[name]
    assert not others and arm.training.epochs == 48
    assert replace(arm, training=replace(arm.training, epochs=16)) == longer


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "cifar")


def test_the_command_records_resumes_and_merges(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(
        cifar.EXPERIMENTS, "degradation-short", tiny("degradation-short", "plain-20")
    )
    common = ["degradation-short", "--data", str(folder), "--arms", "plain-20"]
    assert main([*common, "--seeds", "0", "--out", str(tmp_path / "a.json")]) == 0
    assert main([*common, "--seeds", "1", "--out", str(tmp_path / "b.json")]) == 0
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["degradation-short", "--merge", *files, "--out", str(tmp_path / "both.json")]) == 0
    both = ledger.read(tmp_path / "both.json")
    assert [run["seed"] for run in both.runs] == [
        0,
        1,
    ] and both.data == "CIFAR-10 (folder), test set"
    assert both.command == "python -m resnorm.experiments degradation-short --data DIR"
    assert "plain-20, seed 1: {'test error'" in capsys.readouterr().out
    assert main(["face-off", "--merge", *files, "--out", str(tmp_path / "c.json")]) == 2
    assert "records of 'degradation-short', not of 'face-off'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more, message",
    [
        (
            ["--arms", "plain-21"],
            "no arm named 'plain-21'; degradation-short has plain-20, residual-20",
        ),
        (["--validation"], "6 training images; 500 cannot be held out"),
        (["--tuned", "nothing.json"], "No such file"),
    ],
)
def test_the_command_says_what_is_wrong(folder, tmp_path, capsys, more, message):
    assert (
        main(["degradation-short", "--data", str(folder), "--out", str(tmp_path / "r.json"), *more])
        == 2
    )
    assert message in capsys.readouterr().err and not (tmp_path / "r.json").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert (
        main(["time-to-94", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "r.json")])
        == 2
    )
    assert "nothing usable under" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["time-to-94"])
    assert "--data DIR is needed" in capsys.readouterr().err


# What an experiment on CIFAR-10, segmentation and --merge read. The name is read by all.
READ = {
    "degradation-short": {
        *("data", "download", "seeds", "arms", "validation", "tuned", "device"),
        *("checkpoints", "weights", "out", "runs"),
    },
    "record": {
        *("data", "download", "seeds", "device", "checkpoints", "weights", "runs"),
        *("budget", "only", "processes"),
    },
    "segmentation": {"data", "seeds", "arms", "device", "out", "runs"},
    "branches-generated": {"seeds", "arms", "device", "out", "runs"},
    "cells-generated": {"seeds", "arms", "device", "out", "runs"},
    "skips-generated": {"seeds", "arms", "device", "out", "runs"},
    "votes-generated": {"seeds", "arms", "device", "out", "runs"},
    "lesions-generated": {"seeds", "arms", "device", "out", "runs"},
    "border-generated": {"seeds", "arms", "device", "out", "runs"},
    "chains-generated": {"seeds", "arms", "device", "out", "runs"},
    "equal-cost-generated": {"seeds", "arms", "device", "out", "runs"},
    "degradation-generated": {"seeds", "arms", "device", "out", "runs"},
    "masks-generated": {"seeds", "arms", "device", "out", "runs"},
    "blocks-generated": {"seeds", "arms", "device", "out", "runs"},
    "boxes-generated": {"seeds", "arms", "device", "out", "runs"},
    "fine-tuning-generated": {"seeds", "arms", "device", "out", "runs"},
    "--merge": {"merge", "out", "runs"},
}
WORDS = {
    "seeds": ["3"],
    "device": ["cpu"],
    "download": [],
    "validation": [],
    "budget": ["5"],
    "processes": ["2"],
}
OPTIONS = sorted(
    action.dest for action in make_parser()._actions if action.dest not in ("help", "name")
)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("job", READ)
def test_every_option_is_read_or_refused(job, option, tmp_path, monkeypatch, capsys):
    """A new option must be entered above, so that no job ignores it."""
    seen = []
    for does in ("merge", "run_segmentation", "run_generated", "run_cifar"):
        monkeypatch.setattr(
            command_module, does, lambda options, out: seen.append(options) or ledger_of_nothing()
        )
    monkeypatch.setattr(command_module, "run_record", lambda options, *_: seen.append(options) or 0)
    words = [job, "--data", "DIR"] if "data" in READ[job] else [job]
    if job == "--merge":
        words = ["segmentation", "--merge", "a.json"]
    if option not in ("merge", "data"):  # which are in ``words``
        words += [f"--{option}", *WORDS.get(option, ["word"])]
    elif f"--{option}" not in words:
        words += [f"--{option}", "word"]
    if job == "record" and option != "budget":
        words += ["--budget", "5"]
    if job != "--merge" and option == "merge":
        return  # makes it another job
    if option in READ[job]:
        assert main(words) == 0 and vars(seen[0])[option] not in (None, False)
        return
    with pytest.raises(SystemExit):
        main(words)
    assert f"{job} does not use --{option}" in capsys.readouterr().err and not seen


def ledger_of_nothing():
    return ledger.open_record(None, "test", "none", "none", {})


def test_several_options_that_are_not_used_are_all_named(capsys):
    with pytest.raises(SystemExit):
        main(["segmentation", "--data", "DIR", "--validation", "--checkpoints", "states"])
    message = capsys.readouterr().err
    assert "does not use --checkpoints, --validation; leave it out" in message
    assert "(it uses --arms, --data, --device, --out, --runs, --seeds)" in message


@pytest.mark.parametrize(
    "words, message",
    [
        (["--device", "gpu"], "'gpu' cannot be used"),
        (["--device", "meta"], "'meta' cannot be used"),
        (["--device", "cuda:99"], "'cuda:99' cannot be used"),
        (["--seeds", "0", "-1"], "a seed is '-1'"),
        (["--seeds", str(2**64)], f"a seed is '{2**64}'"),
        (["--seeds", "1.5"], "a seed is '1.5'"),
        (["--out", ""], "--out: the path is empty"),
        (["--checkpoints", ""], "--checkpoints: the path is empty"),
        (["--data", ""], "--data: the path is empty"),
        (["--runs", ""], "--runs: the path is empty"),
        (["--runs", "DIR", "--out", "r.json"], "--out names the record itself"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_runs(words, message, capsys):
    with pytest.raises(SystemExit):
        main(["degradation-short", "--data", "DIR", *words])
    assert message in capsys.readouterr().err


def test_merging_overwrites_only_what_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path))
    files = [tmp_path / f"{name}.json" for name in ("a", "b", "segmentation")]
    for seed, path in enumerate(files):
        record = ledger.open_record(path, "segmentation", "none", "none", {})
        record.add("with skips", seed, {"iou": 0.5}, 1.0)
    a, b, default = map(str, files)
    before = files[2].read_bytes(), files[1].read_bytes()
    assert main(["segmentation", "--merge", a, b]) == 2  # into the default file
    assert main(["segmentation", "--merge", a, default, "--out", b]) == 2
    assert "b.json exists and would be overwritten" in capsys.readouterr().err
    assert (files[2].read_bytes(), files[1].read_bytes()) == before
    assert main(["segmentation", "--merge", a, b, str(tmp_path / "." / "segmentation.json")]) == 0
    assert [run["seed"] for run in ledger.read(default).runs] == [0, 1, 2]
    assert main(["segmentation", "--merge", a, b, "--out", str(tmp_path / "new.json")]) == 0


def test_the_default_record_is_the_readers_and_validation_has_its_own(tmp_path, monkeypatch):
    outs = []
    monkeypatch.delenv("RESNORM_RUNS", raising=False)
    monkeypatch.setattr(
        command_module, "run_cifar", lambda _, out: outs.append(out) or ledger_of_nothing()
    )
    main(["six-minutes", "--data", "DIR"])
    main(["six-minutes", "--data", "DIR", "--validation"])
    main(["six-minutes", "--data", "DIR", "--runs", str(tmp_path)])
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path / "drive"))
    main(["six-minutes", "--data", "DIR"])
    names = ("resnorm-runs/six-minutes.json", "resnorm-runs/six-minutes.validation.json")
    places = (tmp_path / "six-minutes.json", tmp_path / "drive" / "six-minutes.json")
    assert outs == [*map(Path, names), *places]


def test_a_run_that_is_stopped_resumes_without_further_options(folder, tmp_path, monkeypatch):
    experiment = tiny("degradation-short", "plain-20")
    monkeypatch.setitem(cifar.EXPERIMENTS, "degradation-short", experiment)
    monkeypatch.chdir(tmp_path)
    command = ["degradation-short", "--data", str(folder), "--seeds", "0"]
    steps = []

    def stop_in_the_second_epoch(step, model):
        steps.append(step)
        if step == 4:  # three steps per epoch
            raise KeyboardInterrupt

    run = cifar.run
    with monkeypatch.context() as patch:
        patch.setattr(cifar, "run", partial(run, after_step=stop_in_the_second_epoch))
        assert main(command) == 130
    assert len(list(Path("resnorm-runs/checkpoints").iterdir())) == 1
    monkeypatch.setattr(cifar, "run", partial(run, after_step=lambda step, _: steps.append(step)))
    assert main(command) == 0 and steps == [1, 2, 3, 4, 4, 5, 6]
    assert [r["seed"] for r in ledger.read("resnorm-runs/degradation-short.json").runs] == [0]
    assert not list(Path("resnorm-runs/checkpoints").iterdir())


def test_what_cannot_be_written_ends_with_a_sentence_before_the_training(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(cifar, "run", lambda *_, **__: pytest.fail("trained"))
    (tmp_path / "file").touch()
    common = ["degradation-short", "--data", str(folder)]
    assert main([*common, "--out", str(tmp_path / "file" / "r.json")]) == 2
    out = ["--out", str(tmp_path / "r.json")]
    assert main([*common, *out, "--checkpoints", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("python -m resnorm.experiments: ") == 2


def test_the_command_works_without_docstrings_and_asserts():
    command = [sys.executable, "-OO", "-m", "resnorm.experiments", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 0 and "Run a named experiment" in shown.stdout


def test_memory_that_does_not_suffice_ends_with_a_sentence(folder, tmp_path, monkeypatch, capsys):
    class Hungry(nn.Module):
        def __init__(self, **_):
            super().__init__()
            self.layer = nn.Linear(3 * 16 * 16, 10)

        def forward(self, x):
            if len(x) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return self.layer(x.flatten(1))

    monkeypatch.setitem(cifar.MODELS, "plain", Hungry)
    monkeypatch.setitem(
        cifar.EXPERIMENTS, "degradation-short", tiny("degradation-short", "plain-20")
    )
    assert (
        main(
            [
                "degradation-short",
                "--data",
                str(folder),
                "--arms",
                "plain-20",
                "--out",
                str(tmp_path / "r.json"),
            ]
        )
        == 1
    )
    assert (
        "a training step with batch_size=16 does not fit into memory; batch_size=4 does"
        in capsys.readouterr().err
    )


# --- fewer images, wrong labels -------------------------------------------------------------------


def test_a_smaller_training_set_is_part_of_a_larger_one_and_keeps_its_wrong_labels():
    whole = data.synthetic(train=600, test=20, size=8)
    images = whole.train_images.flatten(1)
    parts = {n: cifar.runner.fewer_and_mislabeled(whole, n, 0.2) for n in (100, 300, 0)}
    for n, part in parts.items():
        assert len(part.train_labels) == (n or 600)
        assert torch.equal(part.test_labels, whole.test_labels)
        where = (part.train_images.flatten(1)[:, None] == images[None]).all(2).int().argmax(1)
        wrong = part.train_labels != whole.train_labels[where]
        assert 0.08 < wrong.float().mean() < 0.32  # 0.2, by chance more or less
    counts = torch.bincount(whole.train_labels[:600], minlength=10)
    clean = cifar.runner.fewer_and_mislabeled(whole, 100, 0)
    kept = torch.bincount(clean.train_labels, minlength=10)
    assert counts.min() < 10 or kept.eq(10).all()
    assert torch.equal(parts[300].train_images[:100], parts[100].train_images)
    assert torch.equal(parts[300].train_labels[:100], parts[100].train_labels)
    assert parts[100].source.endswith("100 training images, 20% wrong labels")
    assert cifar.runner.fewer_and_mislabeled(whole, 0, 0.0) is whole


@pytest.mark.parametrize("images, wrong", [(-1, 0.0), (601, 0.0), (0, 1.0), (0, -0.1)])
def test_more_images_than_there_are_and_impossible_fractions_are_refused(images, wrong):
    whole = data.synthetic(train=600, test=20, size=8)
    with pytest.raises(ValueError, match="there are 600 training images, and a fraction lies"):
        cifar.runner.fewer_and_mislabeled(whole, images, wrong)


def test_the_experiments_on_generalization_do_the_steps_that_they_say():
    for arm in cifar.EXPERIMENTS["scaling-short"].arms.values():
        how = arm.training
        assert how.epochs * (how.images // how.batch_size) == 1920
        assert not how.curve
    experiment = tiny("scaling-short", "width 8, 1,280 images", images=32)
    record = record_of(None, experiment)
    cifar.run(record, experiment, SMALL, [0])
    results = record.runs[0]["results"]
    assert results["steps"] == 4 and results["test errors"] == [] and results["test error"] > 0
    experiment = tiny("epoch-wise-short", "width 4, 20 % wrong labels", images=32)
    record = record_of(None, experiment)
    cifar.run(record, experiment, SMALL, [0])
    assert len(record.runs[0]["results"]["test errors"]) == 2


def test_what_was_added_later_is_not_in_the_configurations_of_before():
    before = cifar.EXPERIMENTS["degradation-short"].configuration()["arms"]["plain-20"]
    assert not {"images", "wrong_labels", "curve"} & set(before["training"])
    arms = cifar.EXPERIMENTS["scaling-short"].configuration()["arms"]
    assert arms["width 8, 1,280 images"]["training"]["images"] == 1280
