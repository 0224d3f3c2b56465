"""The training loop: killed and resumed, refused, diverged."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from resnorm import augment, data, models, train
from resnorm.train.history import LossMonitor

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys, torch
from torch import nn
from resnorm import augment, data, models, train

torch.manual_seed(0)
model = nn.Sequential(models.cifar_resnet(8), nn.Dropout(0.2))
history = train.fit(
    model,
    data.synthetic(train=128, test=64, size=12),
    epochs=6,
    batch_size=32,
    lr=0.05,
    nesterov=True,
    weight_decay=1e-3,
    augment=augment.crop_and_flip(2),
    schedule=lambda p: 1 - p,
    checkpoint=sys.argv[1],
)
result = {"model": model.state_dict(), "losses": history.losses, "errors": history.test_errors}
torch.save(result, sys.argv[2])
"""


def start(checkpoint, out):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "utils"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(checkpoint), str(out)], env=environment
    )


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
    return model, train.fit(
        model, data.synthetic(train=64, test=32, size=8), checkpoint=path, **options
    )


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
        small(
            tmp_path / "c.pt", model=nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10, bias=False))
        )


def save_half(state, path):
    Path(path).write_bytes(b"half")
    raise RuntimeError("PytorchStreamWriter failed writing file")


def replace_nothing(*_):
    raise OSError("disk full")


@pytest.mark.parametrize(
    "module, name, failing", [(torch, "save", save_half), (os, "replace", replace_nothing)]
)
def test_a_failed_write_leaves_the_previous_checkpoint_as_it_was(
    tmp_path, monkeypatch, module, name, failing
):
    path, epochs = tmp_path / "c.pt", 3

    def fail_after_the_first_checkpoint(step, _):
        if step == 5:  # of four steps per epoch
            before.append(path.read_bytes())
            monkeypatch.setattr(module, name, failing)

    before = []
    with pytest.raises((OSError, RuntimeError), match="disk full|failed writing"):
        small(path, epochs=epochs, after_step=fail_after_the_first_checkpoint)
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]
    assert path.read_bytes() == before[0]
    monkeypatch.undo()
    assert small(path, epochs=epochs)[1] == small(None, epochs=epochs)[1]  # it is a good one


def test_a_checkpoint_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    synced, replaced, sync, replace = [], [], os.fsync, os.replace

    def watch_sync(descriptor):
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size))
        sync(descriptor)

    def watch_replace(part, path):
        status = os.stat(part)
        replaced.append((status.st_ino, status.st_size))
        assert replaced == synced  # The whole file was synced, and before it is renamed.
        replace(part, path)

    monkeypatch.setattr(os, "fsync", watch_sync)
    monkeypatch.setattr(os, "replace", watch_replace)
    small(tmp_path / "c.pt", epochs=2)
    assert len(replaced) == 2 and replaced[0][1] > 0


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "c.pt"

    def poison(step, model):
        if step == 6:  # in the second epoch of four steps
            model[1].weight.data[:] = float("nan")

    with pytest.raises(
        train.DivergedError,
        match=r"loss is nan at step 7 \(epoch 2 of 3, step 3 of 4\), after .*"
        "the checkpoint c.pt of epoch 1 is kept",
    ) as caught:
        small(path, epochs=3, after_step=poison)
    assert caught.value.history.diverged and len(caught.value.history.losses) == 7
    state = torch.load(path)
    assert state["epoch"] == 1 and torch.isfinite(state["model"]["1.weight"]).all()
    _, history = small(None, epochs=3, after_step=poison, allow_divergence=True)
    assert repr(history.losses) == repr(caught.value.history.losses) and history.diverged


def test_losses_on_a_gpu_are_read_fifty_at_a_time_and_at_the_end_of_an_epoch():
    history = train.History()
    monitor = LossMonitor(history, epochs=2, steps=60, device=torch.device("cuda"))
    counts = []
    for step in range(60):
        monitor.add(torch.tensor(float(step)))
        counts.append(len(history.losses))
    assert counts == [0] * 49 + [50] * 10 + [60] and history.losses == list(map(float, range(60)))
    for loss in [1.0] * 3 + [float("inf")] + [2.0] * 45:
        monitor.add(torch.tensor(loss))
    with pytest.raises(train.DivergedError, match=r"inf at step 64 \(epoch 2 of 2, step 4 of 60\)"):
        monitor.add(torch.tensor(2.0))
    assert len(history.losses) == 64 and history.diverged


def test_the_augmentation_is_used_and_seeded():
    calls = []

    def note(images, labels, generator):
        calls.append(images.clone())
        return augment.random_flip(images, generator), labels

    _, a = small(None, augment=note)
    _, b = small(None, augment=note)
    _, plain = small(None)
    assert a == b != plain and len(calls) == 16


def test_a_batch_that_does_not_fit_is_named_with_one_that_does():
    class Hungry(nn.Linear):
        def forward(self, x):
            if len(x) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
            return super().forward(x)

    model = nn.Sequential(nn.Flatten(), Hungry(3 * 64, 10))
    with pytest.raises(
        torch.OutOfMemoryError,
        match="batch_size=16 does not fit into memory; batch_size=4 does .*2 GiB",
    ):
        small(None, model=model)
    model[1].forward = lambda x: (_ for _ in ()).throw(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError, match="not even with one image"):
        small(None, model=model)


def test_the_memory_of_a_step_that_does_not_fit_is_free_when_smaller_batches_are_tried():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            alive.append([ref() is not None for ref in activations])
            y = x.clone()
            activations.append(weakref.ref(y))
            ctx.kept, ctx.size = y, len(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            if ctx.size > 5:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return 2 * ctx.kept * gradient

    class Hungry(nn.Linear):
        def forward(self, x):
            return Square.apply(super().forward(x))

    activations, alive = [], []
    model = nn.Sequential(nn.Flatten(), Hungry(3 * 64, 10))
    with pytest.raises(torch.OutOfMemoryError, match="batch_size=4 does"):
        small(None, model=model)
    assert [len(seen) for seen in alive] == [0, 1, 2]  # batches of 16, 8 and 4
    assert not alive[1][0]  # nothing of the batch of 16 was left


def test_weight_decay_can_spare_norms_and_biases():
    def shrunk(decay_all):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10), nn.BatchNorm1d(10))
        nn.init.ones_(model[1].bias)
        small(
            None,
            model=model,
            weight_decay=1.0,
            decay_all=decay_all,
            lr=0.1,
            loss=lambda y, _: 0 * y.sum(),
        )
        return (
            model[1].weight.norm().item(),
            model[1].bias.norm().item(),
            model[2].weight.norm().item(),
        )

    spared, all_ = shrunk(False), shrunk(True)
    assert spared[0] == all_[0] and spared[1:] == pytest.approx((10**0.5, 10**0.5))
    assert max(all_[1:]) < 0.6 * 10**0.5


def test_label_smoothing_is_that_of_torch():
    _, smooth = small(None, label_smoothing=0.2, epochs=1, lr=1e-9, batch_size=64)
    _, sharp = small(None, epochs=1, lr=1e-9, batch_size=64)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
    split = data.synthetic(train=64, test=32, size=8)
    expected = nn.functional.cross_entropy(
        model(split.train_images), split.train_labels, label_smoothing=0.2
    ).item()
    assert smooth.losses == pytest.approx([expected]) and abs(sharp.losses[0] - expected) > 1e-4
    with pytest.raises(
        ValueError, match="label_smoothing is 0.1, but that is a property of the cross-entropy"
    ):
        small(None, label_smoothing=0.1, loss=nn.functional.mse_loss)


def test_schedules_rise_and_fall_as_they_say():
    rise = train.one_cycle(0.25, final=0.1)
    assert [rise(p) for p in (0, 0.125, 0.25, 0.625, 1)] == pytest.approx([0, 0.5, 1, 0.55, 0.1])
    rise = train.one_cycle(0.25, final=0.1, initial=0.2)
    assert [rise(p) for p in (0, 0.125, 0.25, 0.625, 1)] == pytest.approx([0.2, 0.6, 1, 0.55, 0.1])
    fall = train.step_decay((0.5, 0.75))
    assert [fall(p) for p in (0, 0.499, 0.5, 0.75, 0.99)] == pytest.approx([1, 1, 0.1, 0.01, 0.01])
    with pytest.raises(ValueError, match="warm_up is 1.5"):
        train.one_cycle(1.5)
    with pytest.raises(ValueError, match=r"at is \(0.5, 2\)"):
        train.step_decay((0.5, 2))


def test_precision_follows_the_device(monkeypatch):
    for capability, expected in (((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert train.best_precision("cuda") == expected
    for flags, expected in (
        ("avx2 fma", "float32"),
        ("avx2 amx_bf16", "bfloat16"),
        ("avx512_bf16", "bfloat16"),
    ):
        monkeypatch.setattr(Path, "read_text", lambda self, f=flags: f"flags : {f}\n")
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        assert train.best_precision("cpu") == (
            expected if Path("/proc/cpuinfo").exists() else "float32"
        )
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # the instructions may not be used
        assert train.best_precision("cpu") == "float32"
    with pytest.raises(
        ValueError,
        match="precision is 'float8'; it must be one of float32, bfloat16, float16, or auto",
    ):
        small(None, precision="float8")


def test_bfloat16_computes_in_bfloat16_and_learns_in_float32():
    seen = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
    model[1].register_forward_hook(
        lambda module, inputs, output: seen.append((output.dtype, module.weight.dtype))
    )
    _, history = small(None, model=model, precision="bfloat16", epochs=8, lr=0.05)
    assert set(seen) == {(torch.bfloat16, torch.float32)} and history.losses[-1] < history.losses[0]


def test_the_error_of_no_images_is_no_number():
    with pytest.raises(ValueError, match="there are no images"):
        train.error(nn.Identity(), torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64))


def test_images_and_model_are_channels_last_when_asked():
    seen = []
    model = models.cifar_resnet(8)
    model.layer1[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    small(None, model=model, channels_last=True, epochs=1)
    assert seen
    assert all(seen)
    assert model.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_memory_layout_changes_nothing_but_rounding():
    def losses(channels_last):
        torch.manual_seed(0)
        model = models.cifar_resnet(8)
        return small(None, model=model, channels_last=channels_last, epochs=1)[1].losses

    assert losses(True) == pytest.approx(losses(False), rel=1e-4)


def test_compiling_changes_nothing_but_rounding():
    def run(**options):
        torch.manual_seed(0)
        return small(None, model=models.cifar_resnet(8), epochs=1, lr=0.01, **options)

    (plain, a), (compiled, b) = run(), run(compile=True)
    assert a.losses == pytest.approx(b.losses, rel=1e-3)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-2, atol=1e-3)


def test_the_bar_counts_epochs_and_shows_loss_and_error(capsys):
    small(None, progress=True)
    shown = capsys.readouterr().err
    assert "2/2" in shown and "loss=" in shown and "test error=" in shown
    small(None)
    assert not capsys.readouterr().err


def test_seconds_are_recorded_and_not_compared(tmp_path):
    _, a = small(None)
    assert len(a.seconds) == 2 and min(a.seconds) > 0
    b = train.History(a.losses, a.test_errors, [0.0, 0.0])
    assert a == b


def test_memory_is_kept_where_the_c_library_can():
    code = "from resnorm import train; print(train.keep_freed_memory())"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "utils")}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == str(
        "glibc" in os.confstr("CS_GNU_LIBC_VERSION") if sys.platform == "linux" else False
    )
