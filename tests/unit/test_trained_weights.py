"""The weights that a run keeps, and the network that comes back from them."""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small_experiments import SMALL, record_of, tiny, write_images

from resnorm import ledger, train
from resnorm.experiments import cifar
from resnorm.experiments.__main__ import main


def test_the_weights_of_a_run_are_kept_with_their_checksum(tmp_path):
    experiment = tiny("degradation-short", "plain-20", epochs=1)
    record = record_of(tmp_path / "r.json", experiment)
    cifar.run(record, experiment, SMALL, [0], weights=tmp_path)
    path = cifar.run_file(tmp_path, record.name, "plain-20", 0, weights=True)
    (run,) = ledger.read(tmp_path / "r.json").runs
    assert run["results"]["weights"] == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert path.stat().st_size < 2.3 * 269_722  # two bytes per parameter, and the names
    model, *_ = cifar.train_arm(experiment.arms["plain-20"], SMALL, 0)
    loaded = cifar.build(experiment.arms["plain-20"], SMALL, 1)
    loaded.load_state_dict(torch.load(path, weights_only=True))
    for name, tensor in model.state_dict().items():
        kept = loaded.state_dict()[name]
        assert kept.dtype == tensor.dtype
        # Half precision rounds to 11 bits, and below 2^-14 to multiples of 2^-24.
        torch.testing.assert_close(kept, tensor, rtol=2**-11, atol=2**-25)


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path):
    model = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, 70_000)
    with pytest.raises(ValueError, match="weight is not finite in half precision.*is 70000"):
        cifar.save_weights(model, tmp_path / "w.pt")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def kept(tmp_path):
    """A record of two arms and two seeds with weights, beside its folder of weights."""
    experiment = tiny("degradation-short", "plain-20", "residual-20", epochs=1)
    record = record_of(tmp_path / "r.json", experiment)
    cifar.run(record, experiment, SMALL, [1, 4], weights=tmp_path / "weights")
    return ledger.read(tmp_path / "r.json")


@pytest.mark.parametrize(
    "name, arm, side",
    [("degradation-short", "residual-20", 16), ("six-minutes", "SpeedNet with shortcuts", 16)],
)
def test_a_trained_network_comes_back_and_errs_as_it_did(name, arm, side, tmp_path):
    experiment = tiny(name, arm, epochs=1, side=side)
    record = record_of(tmp_path / "r.json", experiment)
    cifar.run(record, experiment, SMALL, [3], weights=tmp_path)
    state = torch.get_rng_state()
    model = cifar.trained("test", folder=tmp_path, record=ledger.read(tmp_path / "r.json"))
    assert torch.equal(state, torch.get_rng_state())
    assert not any(module.training for module in model.modules())
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    whole, _, images = cifar.train_arm(experiment.arms[arm], SMALL, 3)
    rounded = {
        key: value.half().to(value.dtype) if value.is_floating_point() else value
        for key, value in whole.state_dict().items()
    }
    for key, value in model.state_dict().items():
        assert torch.equal(value, rounded[key])
    whole.load_state_dict(rounded)
    # Training stored the weights channels-last, which sums in another order.
    torch.testing.assert_close(model(images.test_images), whole(images.test_images))
    found = train.error(model, images.test_images, images.test_labels)
    assert found == train.error(whole, images.test_images, images.test_labels)


def test_the_smallest_seed_is_taken_and_several_arms_are_refused(kept, tmp_path):
    folder = tmp_path / "weights"
    for seed in (None, 1, 4):
        model = cifar.trained("test", "plain-20", seed, folder=folder, record=kept)
        path = cifar.run_file(folder, "test", "plain-20", seed or 1, weights=True)
        saved = torch.load(path, weights_only=True)["fc.weight"]
        assert torch.equal(model.fc.weight, saved.float())
    with pytest.raises(ValueError, match="several arms; choose one of 'plain-20', seed 1; "):
        cifar.trained("test", folder=folder, record=kept)
    for wrong in ({"arm": "plain-56"}, {"arm": "plain-20", "seed": 2}):
        with pytest.raises(ValueError, match="it has those of 'plain-20', seed 1; 'plain-20', se"):
            cifar.trained("test", **wrong, folder=folder, record=kept)


def test_weights_with_another_checksum_are_not_loaded(kept, tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    path, other = (
        cifar.run_file(folder, "test", "plain-20", seed, weights=True) for seed in (1, 4)
    )
    whole = path.read_bytes()
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("was loaded"))
    flipped = bytes([whole[0] ^ 1]) + whole[1:]
    for content in (flipped, whole[:-1], whole + b"0", b"", other.read_bytes()):
        path.write_bytes(content)
        found, expected = (hashlib.sha256(data).hexdigest() for data in (content, whole))
        with pytest.raises(ValueError, match=f"{found}; the record expects {expected}.*Copy it"):
            cifar.trained("test", "plain-20", 1, folder=folder, record=kept)
        assert path.read_bytes() == content  # nothing is lost


def test_a_file_that_is_not_there_is_named_with_those_that_are(kept, tmp_path):
    folder = tmp_path / "weights"
    cifar.run_file(folder, "test", "plain-20", 1, weights=True).unlink()
    with pytest.raises(FileNotFoundError, match="no file 'test, plain-20, seed 1, weights.pt' in"):
        cifar.trained("test", "plain-20", 1, folder=folder, record=kept)
    with pytest.raises(FileNotFoundError, match="which has test, plain-20, seed 4, weights.pt, te"):
        cifar.trained("test", "plain-20", 1, folder=folder, record=kept)
    with pytest.raises(FileNotFoundError, match="which has no weights. Give the DIR of --weights"):
        cifar.trained("test", "plain-20", 1, folder=tmp_path / "none", record=kept)


def test_a_record_without_weights_says_how_to_get_them():
    with pytest.raises(ValueError, match="six-minutes kept its weights. Train one: python -m res"):
        cifar.trained("six-minutes", record=ledger.recorded("six-minutes"))
    with pytest.raises(FileNotFoundError, match="no record named 'none'; there are: .*six-minutes"):
        cifar.trained("none")


def test_what_the_command_keeps_is_found_from_the_same_folder(tmp_path, monkeypatch):
    experiment = tiny("degradation-short", "plain-20", epochs=1)
    monkeypatch.setitem(cifar.EXPERIMENTS, "degradation-short", experiment)
    monkeypatch.delenv("RESNORM_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    write_images(Path("data"))
    command = ["degradation-short", "--data", "data", "--seeds", "0", "--weights", "weights"]
    assert main(command) == 0
    model = cifar.trained("degradation-short")
    assert sum(p.numel() for p in model.parameters()) == 269_722
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


def test_weights_that_cannot_be_written_end_with_a_sentence_and_the_run_is_resumed(
    tmp_path, monkeypatch, capsys
):
    experiment = tiny("degradation-short", "plain-20", epochs=1)
    monkeypatch.setitem(cifar.EXPERIMENTS, "degradation-short", experiment)
    monkeypatch.delenv("RESNORM_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    write_images(Path("data"))
    command = ["degradation-short", "--data", "data", "--seeds", "0", "--weights"]
    Path("file").touch()
    with monkeypatch.context() as patch:
        patch.setattr(cifar.runner, "train_arm", lambda *_, **__: pytest.fail("trained"))
        assert main([*command, "file"]) == 2  # That it is no folder is found before the training.
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(cifar.weights, "replace_whole", lambda *_: (_ for _ in ()).throw(full))
        assert main([*command, "weights"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list(Path("weights").iterdir())
    assert not list(Path("resnorm-runs").glob("*.json"))
    assert len(list(Path("resnorm-runs/checkpoints").iterdir())) == 1
    steps = []
    run = cifar.run
    watched = partial(run, after_step=lambda step, _: steps.append(step))
    monkeypatch.setattr(cifar, "run", watched)
    assert main([*command, "weights"]) == 0 and steps == []  # Only the measuring is repeated.
    cifar.trained("degradation-short")


def test_the_package_comes_with_trained_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path))  # no record of the reader's own
    files = sorted(cifar.SHIPPED.glob("*.pt"))
    assert files and all(path.stat().st_size < 1.5e6 for path in files)
    listed = cifar.shipped()
    errors = [network.results["test error"] for network in listed]
    assert errors == sorted(errors)
    assert sorted(network.path for network in listed) == files  # each belongs to a run
    for network in listed:
        side = network.training["side"]
        images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
        model = cifar.trained(network.record, network.arm, network.seed)  # and has its checksum
        assert model(images).isfinite().all()
        parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert parameters == network.results["parameters"]


def test_the_packages_network_is_there_beside_a_record_of_the_readers_own(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path))
    package = ledger.recorded("lesion-short")
    bare = [run | {"results": {"test error": 50.0}} for run in package.runs]
    ledger.write(replace(package, runs=bare), tmp_path / "lesion-short.json")
    with pytest.raises(
        ValueError, match=r"kept its weights.*recorded\('lesion-short'\) takes them"
    ):
        cifar.trained("lesion-short", "residual-20")
    kept = cifar.trained("lesion-short", "residual-20", record=package)
    file = cifar.run_file(cifar.SHIPPED, "lesion-short", "residual-20", 0, weights=True)
    for name, tensor in torch.load(file, weights_only=True).items():
        assert torch.equal(kept.state_dict()[name], tensor.to(kept.state_dict()[name].dtype))


def test_a_record_of_another_name_is_refused():
    with pytest.raises(
        ValueError, match="is one of 'lesion-short', and not of 'trained-out-short'"
    ):
        cifar.trained("trained-out-short", "plain-20", record=ledger.recorded("lesion-short"))


def test_weights_that_do_not_come_with_the_package_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Give the DIR of --weights as folder"):
        cifar.trained("lesion-short", "residual-20", 1)
