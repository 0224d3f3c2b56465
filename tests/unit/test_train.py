"""The training loop: killed and resumed, refused, diverged."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from resnorm import augment, data, models, train
from torch import nn

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys, torch
from torch import nn
from resnorm import augment, data, models, train

torch.manual_seed(0)
model = nn.Sequential(models.cifar_resnet(8), nn.Dropout(0.2))
split = data.synthetic(train=128, test=64, size=12)
history = train.fit(model, split, epochs=6, batch_size=32, lr=0.05, nesterov=True, weight_decay=1e-3, augment=augment.crop_and_flip(2),
                    schedule=lambda p: 1 - p, checkpoint=sys.argv[1])
torch.save({"model": model.state_dict(), "losses": history.losses, "errors": history.test_errors}, sys.argv[2])
"""


def start(checkpoint, out):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "utils"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(SCRIPT), str(checkpoint), str(out)], env=environment)


def test_killed_and_resumed_equals_never_stopped(tmp_path):
    assert start(tmp_path / "whole.pt", tmp_path / "whole.out").wait(120) == 0
    process = start(tmp_path / "killed.pt", tmp_path / "killed.out")
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "killed.pt").exists() and not (tmp_path / "killed.out").exists()
    assert torch.load(tmp_path / "killed.pt")["epoch"] < 6
    assert start(tmp_path / "killed.pt", tmp_path / "killed.out").wait(120) == 0
    whole, killed = torch.load(tmp_path / "whole.out"), torch.load(tmp_path / "killed.out")
    assert whole["losses"] == killed["losses"] and whole["errors"] == killed["errors"]
    assert all(torch.equal(value, killed["model"][key]) for key, value in whole["model"].items())


def small(path, **changes):
    torch.manual_seed(0)
    model = changes.pop("model", None) or nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
    options = {"epochs": 2, "batch_size": 16, "lr": 0.01} | changes
    return model, train.fit(model, data.synthetic(train=64, test=32, size=8), checkpoint=path, **options)


def test_a_finished_run_is_loaded_and_not_trained_again(tmp_path):
    first, history = small(tmp_path / "c.pt")
    again, same = small(tmp_path / "c.pt", after_step=lambda *_: pytest.fail("trained again"))
    assert same == history and torch.equal(again[1].weight, first[1].weight)
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_another_run_or_model_is_refused(tmp_path):
    small(tmp_path / "c.pt")
    with pytest.raises(ValueError, match="another run: lr 0.01 there, 0.02 here"):
        small(tmp_path / "c.pt", lr=0.02)
    with pytest.raises(ValueError, match="another model"):
        small(tmp_path / "c.pt", model=nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10, bias=False)))


def test_a_crash_while_saving_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    small(tmp_path / "c.pt", epochs=1)
    before = (tmp_path / "c.pt").read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    (tmp_path / "c.pt").rename(tmp_path / "kept.pt")
    with pytest.raises(OSError):
        small(tmp_path / "c.pt", epochs=1)
    assert (tmp_path / "kept.pt").read_bytes() == before and not (tmp_path / "c.pt").exists()


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "c.pt"

    def poison(step, model):
        if step == 6:  # in the second epoch of four steps
            model[1].weight.data[:] = float("nan")

    _, history = small(path, epochs=3, after_step=poison)
    assert history.diverged and len(history.losses) == 7
    state = torch.load(path)
    assert state["epoch"] == 1 and torch.isfinite(state["model"]["1.weight"]).all()


def test_the_augmentation_is_used_and_seeded():
    calls = []

    def note(images, labels, generator):
        calls.append(images.clone())
        return augment.random_flip(images, generator), labels

    _, a = small(None, augment=note)
    _, b = small(None, augment=note)
    _, plain = small(None)
    assert a == b != plain and len(calls) == 16
