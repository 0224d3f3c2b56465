"""What chapter 4.1 reports of a GPU: runs killed and resumed, and waits of the processor.

``make test-gpu`` records both; the record that the chapter reads is of such a run. What needs no
GPU is tested on a CPU as well.
"""

import warnings
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from resnorm import augment, ledger, models, train

PRECISIONS = ("bfloat16", "float16", "float32")
RESUMED = {
    f"killed and resumed, {precision}{', compiled' * compiled}": {
        "precision": precision,
        "compile": compiled,
    }
    for precision in PRECISIONS
    for compiled in (False, True)
}
WAITS = {f"waits, {precision}": {"precision": precision} for precision in PRECISIONS}
#: Two epochs of ten steps; the run is killed in the middle of the second epoch.
EPOCHS, STEPS, KILLED_AFTER = 2, 10, 14
BATCH = 128


class KilledError(Exception):
    """Ends a run amid an epoch, as a machine does that is taken away."""


def configuration():
    """What decides the findings."""
    return {
        "epochs": EPOCHS,
        "steps per epoch": STEPS,
        "killed after step": KILLED_AFTER,
        "arms": RESUMED | WAITS,
    }


def open_record(path, source):
    """Open the record of one session of tests; what an earlier one left there is replaced.

    Args:
        path: the file.
        source: a description of the images.
    """
    path.unlink(missing_ok=True)
    return ledger.open_record(path, "on-a-gpu", "make test-gpu", source, configuration())


def network():
    """A small network that draws from torch's global generator in training."""
    torch.manual_seed(0)
    return nn.Sequential(models.cifar_resnet(8), nn.Dropout(0.2))


def fit(model, split, **options):
    """Train for two epochs of ten steps."""
    torch.manual_seed(1)
    return train.fit(
        model,
        split,
        epochs=EPOCHS,
        batch_size=BATCH,
        lr=0.1,
        schedule=train.one_cycle(),
        augment=augment.crop_and_flip(2),
        channels_last=True,
        **options,
    )


def killed_and_resumed(split, checkpoint, **how):
    """Train once without a break and once with one, and count what differs at the end.

    Args:
        split: the images.
        checkpoint: a file that is not there yet.
        **how: precision and compilation.

    Returns:
        How many of the losses and how many of the network's tensors are not equal to the bit, and
        how many there are.
    """

    def kill(step, model):
        if step == KILLED_AFTER:
            raise KilledError

    whole, resumed = network(), network()
    expected = fit(whole, split, **how).losses
    try:
        fit(network(), split, **how, checkpoint=checkpoint, after_step=kill)
        raise AssertionError("the run was not killed")
    except KilledError:
        assert checkpoint.exists()
    losses = fit(resumed, split, **how, checkpoint=checkpoint).losses
    pairs = list(zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True))
    return {
        "losses that differ": sum(a != b for a, b in zip(expected, losses, strict=True)),
        "tensors that differ": sum(not torch.equal(a, b) for a, b in pairs),
        "losses": len(losses),
        "tensors": len(pairs),
    }


def count_waits(caught):
    """Count by line of code how often the processor waited for the GPU.

    Args:
        caught: the warnings of ``torch.cuda.set_sync_debug_mode("warn")``, among others.

    Returns:
        "file:line" -> number of waits.
    """
    return Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "sync" in str(w))


def waits(split, precision):
    """Train without tests on a GPU, and count the waits once the network is there.

    Args:
        split: the images, on the GPU.
        precision: of the forward pass.

    Returns:
        The number of waits in all, and by line of code.
    """
    model = network().cuda()
    fit(model, split, precision=precision, evaluate=False)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(model, split, precision=precision, evaluate=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    by_line = count_waits(caught)
    return {"waits": by_line.total(), "waits by line": dict(by_line)}
