"""The training loop: short enough to read, seeded, fast on a GPU, and its history is plain data."""

from __future__ import annotations

import copy
import ctypes
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augment import Augment
from .data import ImageDataset

#: What ``fit`` computes the forward pass in, by name.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

#: Maps progress in [0, 1) to a factor of the learning rate.
Schedule = Callable[[float], float]


@dataclass
class History:
    """What happened: one entry a step, one entry an epoch.

    Attributes:
        losses: training loss of each minibatch, before its step.
        test_errors: percent wrong on the test images after each epoch, in evaluation mode.
        seconds: of training in each epoch, without compilation and evaluation; not compared.
        diverged: the loss became infinite or not a number, and training stopped there: at step
            ``len(losses)``.
    """

    losses: list[float] = field(default_factory=list)
    test_errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)
    diverged: bool = False


class Diverged(ArithmeticError):
    """The loss is infinite or not a number. ``history`` holds what came before."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


def fit(
    model: nn.Module,
    data: ImageDataset,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay_all: bool = True,
    seed: int = 0,
    schedule: Schedule | None = None,
    augment: Augment | None = None,
    image_size: Callable[[float], int] | None = None,
    label_smoothing: float = 0.0,
    loss: Callable[..., Tensor] | None = None,
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool = False,
    after_step: Callable[[int, nn.Module], None] | None = None,
    evaluate: bool = True,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    allow_divergence: bool = False,
) -> History:
    """Train a network by SGD with momentum; a classifier, unless the loss says otherwise.

    Args:
        model: trained in place, on the device of the data.
        data: see :mod:`resnorm.data`; ``data.to(device)`` moves it.
        epochs: passes over the training images; an incomplete last batch is dropped.
        batch_size, lr, momentum, nesterov, weight_decay: of the optimizer.
        decay_all: False spares norms and biases, that is every parameter of one dimension.
        seed: of the order of the examples, and of the augmentation.
        schedule: see :func:`one_cycle` and :func:`step_decay`; None keeps the learning rate constant.
        augment: of each batch, see :mod:`resnorm.augment`.
        image_size: maps progress to the side to which a batch is reduced after augmentation: small
            images first make a quick start ("progressive resizing").
        label_smoothing: of the cross-entropy.
        loss: of the model's output and the labels of the batch; by default the cross-entropy.
        precision: of the forward pass, one of ``PRECISIONS``, or ``"auto"``: see :func:`best_precision`.
        channels_last: the memory layout that convolutions like best on most devices.
        compile: translate the model by ``torch.compile`` before the clock starts.
        after_step: called with the step's number and the model.
        evaluate: measure the test error after each epoch; for classifiers.
        progress: show a bar with loss and error (tqdm).
        checkpoint: a file that is written after each epoch and, where it exists, gone on from: a
            run that was killed and started again ends as the run that was not, to the bit on a CPU.
        allow_divergence: return the history of a run whose loss is not finite instead of raising.

    Raises:
        ValueError: a batch larger than the training set; an unknown precision; label smoothing
            together with another loss; a checkpoint of another run or model.
        Diverged: the loss is not finite; the checkpoint of the epoch before is kept.
        torch.OutOfMemoryError: says which batch size would fit.
    """
    n, device = len(data.train_labels), data.train_images.device
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size is {batch_size}, but the training set has {n} images")
    if loss is not None and label_smoothing:
        raise ValueError(
            f"label_smoothing is {label_smoothing}, but that is a property of the cross-entropy, and another loss is given"
        )
    loss = loss or (
        lambda output, labels: F.cross_entropy(output, labels, label_smoothing=label_smoothing)
    )
    precision = best_precision(device) if precision == "auto" else precision
    autocast = _autocast(device, precision)
    model.to(device, memory_format=torch.channels_last if channels_last else torch.preserve_format)
    optimizer = torch.optim.SGD(
        _groups(model, weight_decay, decay_all), lr, momentum, nesterov=nesterov
    )
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    order = torch.Generator(device).manual_seed(seed)
    history, steps = History(), n // batch_size
    run = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "momentum": momentum,
        "nesterov": nesterov,
    }
    run |= {
        "weight_decay": weight_decay,
        "decay_all": decay_all,
        "label_smoothing": label_smoothing,
        "precision": precision,
    }
    run |= {"seed": seed, "images": n, "data": data.source}
    state = _State(model, optimizer, scaler, order, history)
    first = state.load(checkpoint, run)
    forward = (
        _compiled(model, data, batch_size, autocast, loss) if compile and first < epochs else model
    )
    check_every = (
        1 if device.type == "cpu" else 50
    )  # looking at a loss makes the CPU wait for the GPU

    for epoch in _bar(range(first, epochs), progress, history):
        model.train()
        shuffled = torch.randperm(n, generator=order, device=device)
        start, values = time.perf_counter(), []
        for step in range(steps):
            done = (epoch * steps + step) / (epochs * steps)
            if schedule is not None:
                for group in optimizer.param_groups:
                    group["lr"] = lr * schedule(done)
            batch = shuffled[step * batch_size : (step + 1) * batch_size]
            images, labels = data.train_images[batch], data.train_labels[batch]
            if augment is not None:
                images, labels = augment(images, labels, order)
            if image_size is not None and (side := image_size(done)) != images.shape[-1]:
                images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
            if channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            try:
                with autocast:
                    value = loss(forward(images), labels)
                values.append(value.detach())
                if len(values) == check_every or step == steps - 1:
                    if _diverged(history, torch.stack(values).tolist()):
                        return _stop(history, epoch, epochs, steps, checkpoint, allow_divergence)
                    values = []
                optimizer.zero_grad()
                scaler.scale(value).backward()
            except torch.OutOfMemoryError as problem:
                value = None  # lets go of the activations
                raise _smaller_batch(problem, model, images, labels, autocast, loss) from None
            scaler.step(optimizer)
            scaler.update()
            if after_step is not None:
                after_step(epoch * steps + step + 1, model)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        history.seconds.append(time.perf_counter() - start)
        if evaluate:
            with autocast:
                history.test_errors.append(error(forward, data.test_images, data.test_labels))
        state.save(checkpoint, run, epoch + 1)
    return history


# --- learning rates, precision, what decays --------------------------------------------------------


def one_cycle(warm_up: float = 0.2, final: float = 0.0) -> Schedule:
    """Rise linearly from 0 over the first part of the training, then fall linearly (Smith & Topin 2019).

    Args:
        warm_up: the first part, of 1.
        final: the factor at the end.

    Raises:
        ValueError: a part outside of (0, 1).
    """
    if not 0 < warm_up < 1:
        raise ValueError(f"warm_up is {warm_up}; it must lie between 0 and 1")
    return lambda progress: min(
        progress / warm_up, final + (1 - final) * (1 - progress) / (1 - warm_up)
    )


def step_decay(at: Sequence[float] = (0.5, 0.75), factor: float = 0.1) -> Schedule:
    """Multiply by ``factor`` at each of these parts of the training: He et al. (2016a), section 4.2.

    Raises:
        ValueError: a part outside of (0, 1).
    """
    if not all(0 < part < 1 for part in at):
        raise ValueError(f"at is {tuple(at)}; each must lie between 0 and 1")
    return lambda progress: factor ** sum(progress >= part for part in at)


def best_precision(device: torch.device | str) -> str:
    """The precision in which this device is fast and training is safe.

    bfloat16 where the device multiplies in it (a GPU since Ampere, a CPU with AMX or AVX512-BF16);
    float16 on an older GPU, such as the T4, whose gradients ``fit`` then scales; float32 elsewhere.
    A CPU without such instructions emulates bfloat16, ten times slower than float32.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    flags = Path("/proc/cpuinfo")
    if (
        device.type == "cpu"
        and flags.exists()
        and {"amx_bf16", "avx512_bf16"} & set(flags.read_text().split())
    ):
        return "bfloat16"
    return "float32"


def keep_freed_memory() -> bool:
    """Ask the C library to keep large blocks that are freed, for the next step to use; whether it understood.

    glibc hands blocks of some megabytes back to the system at once, and each training step then waits
    for the same pages to be zeroed and mapped again. Costs nothing but that the process stays as large
    as its largest step. Linux only; elsewhere False.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # malloc.h
    return all(
        mallopt(*setting) == 1
        for setting in ((m_mmap_max, 0), (m_trim_threshold, 2**31 - 1), (m_top_pad, 2**26))
    )


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}, or auto"
        )
    enabled = precision != "float32"
    return torch.autocast(
        device.type, PRECISIONS[precision] if enabled else torch.bfloat16, enabled=enabled
    )


def _groups(model: nn.Module, weight_decay: float, decay_all: bool) -> list[dict]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if decay_all:
        return [{"params": trained, "weight_decay": weight_decay}]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


# --- compiling, showing, stopping ------------------------------------------------------------------


def _compiled(model: nn.Module, data: ImageDataset, batch_size: int, autocast, loss) -> nn.Module:
    """The compiled model, after one forward and backward pass that leaves no trace in the model."""
    before = copy.deepcopy(model.state_dict())  # running statistics move in training mode
    compiled = torch.compile(model)
    model.train()
    with autocast:
        loss(compiled(data.train_images[:batch_size]), data.train_labels[:batch_size]).backward()
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return compiled


def _bar(epochs: range, progress: bool, history: History):
    if not progress:
        yield from epochs
        return
    from tqdm.auto import tqdm

    with tqdm(total=epochs.stop, initial=epochs.start, unit="epoch") as bar:
        for epoch in epochs:
            yield epoch  # the loop's body runs here
            shown = {"loss": f"{history.losses[-1]:.3f}"}
            if history.test_errors:
                shown["test error"] = f"{history.test_errors[-1]:.2f} %"
            bar.set_postfix(shown)
            bar.update()


def _diverged(history: History, losses: list[float]) -> bool:
    """Record losses, up to the first that is not finite; whether there is one."""
    for value in losses:
        history.losses.append(value)
        if not math.isfinite(value):
            history.diverged = True
            return True
    return False


def _stop(
    history: History, epoch: int, epochs: int, steps: int, checkpoint, allowed: bool
) -> History:
    if allowed:
        return history
    if checkpoint is None:
        kept = "nothing was kept: give a checkpoint to keep the epochs before"
    else:
        kept = (
            f"the checkpoint {Path(checkpoint).name} of epoch {epoch} is kept"
            if epoch
            else "there is no checkpoint yet"
        )
    step = len(history.losses)
    raise Diverged(
        f"the loss is {history.losses[-1]} at step {step} (epoch {epoch + 1} of {epochs}, step {step - epoch * steps} of {steps}), "
        f"after {', '.join(f'{value:.3g}' for value in history.losses[-4:-1]) or 'nothing'}. Lower the learning rate, or warm it up; {kept}",
        history,
    )


def _smaller_batch(problem, model, images, labels, autocast, loss) -> torch.OutOfMemoryError:
    """The error to raise: with the largest half, quarter, … of the batch whose training step fits."""
    size, model_state = len(labels), copy.deepcopy(model.state_dict())
    problem.__traceback__ = None  # it holds the tensors that filled the memory
    while size > 1:
        size //= 2
        model.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            with autocast:
                loss(model(images[:size]), labels[:size]).backward()
        except torch.OutOfMemoryError:
            continue
        model.zero_grad(set_to_none=True)
        model.load_state_dict(model_state)
        return torch.OutOfMemoryError(
            f"a training step with batch_size={len(labels)} does not fit into memory; batch_size={size} does ({problem})"
        )
    return torch.OutOfMemoryError(
        f"a training step does not fit into memory, not even with one image ({problem})"
    )


# --- checkpoints -----------------------------------------------------------------------------------


@dataclass
class _State:
    """Everything that decides how a run goes on."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    order: torch.Generator
    history: History

    def save(self, path: str | Path | None, run: dict, epoch: int) -> None:
        if path is None:
            return
        state = {
            "run": run,
            "epoch": epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "order": self.order.get_state(),
            "generator": torch.get_rng_state(),  # of dropout and the like
            "generator of the GPU": torch.cuda.get_rng_state()
            if torch.cuda.is_available()
            else None,
            "history": asdict(self.history),
        }
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        try:
            torch.save(state, part)
            os.replace(
                part, path
            )  # at any moment there is a whole checkpoint, the old one or the new
        finally:
            part.unlink(missing_ok=True)

    def load(self, path: str | Path | None, run: dict) -> int:
        """Go on from a checkpoint if there is one; the epoch to begin with."""
        if path is None or not Path(path).exists():
            return 0
        path = Path(path)
        state = torch.load(path, weights_only=True, map_location="cpu")
        there = state["run"]
        different = [
            f"{key} {there.get(key)!r} there, {value!r} here"
            for key, value in run.items()
            if there.get(key) != value
        ]
        if different:
            raise ValueError(
                f"the checkpoint {path.name} is of another run: {'; '.join(different)}. Choose another file, or delete it"
            )
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as problem:
            raise ValueError(
                f"the checkpoint {path.name} is of another model: {str(problem).splitlines()[1].strip()} Choose another file, or delete it"
            ) from None
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.order.set_state(state["order"])
        torch.set_rng_state(state["generator"])
        if torch.cuda.is_available() and state["generator of the GPU"] is not None:
            torch.cuda.set_rng_state(state["generator of the GPU"])
        for key, value in state["history"].items():
            setattr(self.history, key, value)
        return state["epoch"]


@torch.no_grad()
def error(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> float:
    """Percent of images classified wrongly, in evaluation mode; the model's mode is restored."""
    training = model.training
    model.eval()
    wrong = sum(
        (model(part).argmax(1) != truth).sum()
        for part, truth in zip(images.split(batch_size), labels.split(batch_size))
    )
    model.train(training)
    return 100 * int(wrong) / len(labels)
