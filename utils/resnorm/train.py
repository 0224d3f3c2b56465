"""The training loop: short enough to read, seeded, and its history is plain data."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augment import Augment
from .data import Split


@dataclass
class History:
    """What happened: one entry a step, one entry an epoch.

    Attributes:
        losses: training loss of each minibatch, before its step.
        test_errors: percent wrong on the test images after each epoch, in evaluation mode.
        diverged: the loss became infinite or not a number, and training stopped there: at step
            ``len(losses)``.
    """

    losses: list[float] = field(default_factory=list)
    test_errors: list[float] = field(default_factory=list)
    diverged: bool = False


def fit(
    model: nn.Module,
    data: Split,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    seed: int = 0,
    schedule: Callable[[float], float] | None = None,
    augment: Augment | None = None,
    after_step: Callable[[int, nn.Module], None] | None = None,
    evaluate: bool = True,
    loss: Callable[..., Tensor] = F.cross_entropy,
    checkpoint: str | Path | None = None,
) -> History:
    """Train a network by SGD with momentum; a classifier, unless the loss says otherwise.

    Args:
        model: trained in place; data must be on its device.
        data: see :mod:`resnorm.data`.
        epochs: passes over the training images; an incomplete last batch is dropped.
        batch_size, lr, momentum, nesterov, weight_decay: of the optimizer.
        seed: of the order of the examples, and of the augmentation.
        schedule: maps progress in [0, 1) to a factor of ``lr``; None keeps it constant.
        augment: of each batch, see :mod:`resnorm.augment`.
        after_step: called with the step's number and the model.
        evaluate: measure the test error after each epoch; for classifiers.
        loss: of the model's output and the labels of the batch.
        checkpoint: a file that is written after each epoch and, where it exists, gone on from: a
            run that was killed and started again ends as the run that was not, to the bit on a CPU.

    Raises:
        ValueError: a batch larger than the training set; a checkpoint of another run or model.
    """
    n = len(data.train_labels)
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size is {batch_size}, but the training set has {n} images")
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum, weight_decay=weight_decay, nesterov=nesterov)
    order = torch.Generator().manual_seed(seed)
    steps = n // batch_size
    history = History()
    run = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "momentum": momentum, "nesterov": nesterov}
    run |= {"weight_decay": weight_decay, "seed": seed, "images": n, "data": data.source}
    first = _resume(checkpoint, run, model, optimizer, order, history)
    for epoch in range(first, epochs):
        model.train()
        shuffled = torch.randperm(n, generator=order).to(data.train_labels.device)
        for step in range(steps):
            if schedule is not None:
                progress = (epoch * steps + step) / (epochs * steps)
                for group in optimizer.param_groups:
                    group["lr"] = lr * schedule(progress)
            batch = shuffled[step * batch_size : (step + 1) * batch_size]
            images, labels = data.train_images[batch], data.train_labels[batch]
            if augment is not None:
                images, labels = augment(images, labels, order)
            value = loss(model(images), labels)
            history.losses.append(value.item())
            if not math.isfinite(history.losses[-1]):
                history.diverged = True  # the last checkpoint, of the epoch before, is still good
                return history
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if after_step is not None:
                after_step(len(history.losses), model)
        if evaluate:
            history.test_errors.append(error(model, data.test_images, data.test_labels))
        if checkpoint is not None:
            _save(checkpoint, run, epoch + 1, model, optimizer, order, history)
    return history


def _save(path, run, epoch, model, optimizer, order, history) -> None:
    state = {
        "run": run,
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "order": order.get_state(),
        "generator": torch.get_rng_state(),  # of dropout and the like
        "history": asdict(history),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    os.replace(part, path)  # at any moment there is a whole checkpoint, the old one or the new


def _resume(path, run, model, optimizer, order, history) -> int:
    """Load a checkpoint if there is one; the epoch to begin with."""
    if path is None or not Path(path).exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    different = [f"{key} {state['run'].get(key)!r} there, {value!r} here" for key, value in run.items() if state["run"].get(key) != value]
    if different:
        raise ValueError(f"the checkpoint {Path(path).name} is of another run: {'; '.join(different)}. Choose another file, or delete it")
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as problem:
        raise ValueError(
            f"the checkpoint {Path(path).name} is of another model: {str(problem).splitlines()[1].strip()} Choose another file, or delete it"
        ) from None
    optimizer.load_state_dict(state["optimizer"])
    order.set_state(state["order"])
    torch.set_rng_state(state["generator"])
    for key, value in state["history"].items():
        setattr(history, key, value)
    return state["epoch"]


@torch.no_grad()
def error(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> float:
    """Percent of images classified wrongly, in evaluation mode; the model's mode is restored."""
    training = model.training
    model.eval()
    wrong = sum(
        (model(part).argmax(1) != truth).sum().item()
        for part, truth in zip(images.split(batch_size), labels.split(batch_size))
    )
    model.train(training)
    return 100 * wrong / len(labels)
