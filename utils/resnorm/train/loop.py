"""The training loop: short enough to read, seeded, and fast on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment import AlternatingFlip, Augment
from ..data import ImageDataset
from ..regularization import Patience
from .checkpoint import Checkpoint
from .compilation import compile_model, first_moments
from .evaluation import error
from .history import DivergedError, History, LossMonitor
from .lookahead import Lookahead, SlowWeights
from .memory import smaller_batch_error
from .optimizer import make_sgd, parameter_groups, set_learning_rates
from .precision import autocast_for, best_precision
from .progress import progress_bar
from .schedules import Schedule


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
    norm_bias_rate: float = 1.0,
    train_until: Mapping[str, float] | None = None,
    lookahead: Lookahead | None = None,
    seed: int = 0,
    schedule: Schedule | None = None,
    flip: AlternatingFlip | None = None,
    augment: Augment | None = None,
    image_size: Callable[[float], int] | None = None,
    label_smoothing: float = 0.0,
    loss: Callable[..., Tensor] | None = None,
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool = False,
    after_step: Callable[[int, nn.Module], None] | None = None,
    evaluate: bool = True,
    patience: Patience | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    allow_divergence: bool = False,
) -> History:
    """Train a network by SGD with momentum: a classifier, unless another loss is given.

    Args:
        model: the network; it is moved to the device of the data and trained in place. Each epoch
            begins with ``model.train()``; layers that must stay in evaluation mode, such as frozen
            norms, are kept there by a ``train`` method of your own.
        data: images and labels, see :mod:`resnorm.data`; ``data.to(device)`` moves them.
        epochs: passes over the training images.
        batch_size: images per step; an incomplete last batch of an epoch is dropped.
        lr: learning rate, which the schedule multiplies.
        momentum: of SGD, in [0, 1).
        nesterov: use Nesterov's form of the momentum.
        weight_decay: coefficient of the weight decay.
        decay_all: False exempts norms and biases, that is, every parameter of one dimension.
        norm_bias_rate: learning rate of the norms' biases as a multiple of the others'; their
            weight decay is divided by it.
        train_until: name of a parameter -> fraction of the training after which it stays as it is.
        lookahead: averages the weights along the way, see :class:`~resnorm.train.Lookahead`.
        seed: of the order of the examples and the augmentation.
        schedule: maps progress to a factor of ``lr``, such as :func:`~resnorm.train.one_cycle` and
            :func:`~resnorm.train.step_decay`; None keeps the learning rate constant.
        flip: mirrors images left to right, before ``augment``, by which images they are and by the
            epoch, see :class:`~resnorm.augment.AlternatingFlip`.
        augment: changes each batch, see :mod:`resnorm.augment`; None leaves the images as they are.
        image_size: maps progress to the side in pixels to which a batch is resized after
            augmentation; small images first make a quick start ("progressive resizing").
        label_smoothing: of the cross-entropy, in [0, 1].
        loss: maps the model's output and the labels of a batch to a scalar; None is cross-entropy.
        precision: of the forward pass: a key of ``PRECISIONS``, or ``"auto"`` for that of
            :func:`~resnorm.train.best_precision`.
        channels_last: store images and weights channel by channel for each pixel, the memory layout
            in which most devices convolve fastest.
        compile: compile the model by ``torch.compile`` before the clock starts, for each size of
            the images; the test error is measured without it.
        after_step: called after each step with the number of steps so far and the model.
        evaluate: measure the test error after each epoch; for classifiers only.
        patience: stops early, see :class:`resnorm.regularization.Patience`: the best weights are
            restored at the end, whether the run stopped early or not. It is reset at the start.
        validation: images and labels, on the device of the data, whose error in percent
            ``patience`` watches; they must be neither the test nor the training images.
        progress: show a progress bar with loss and error (tqdm; without it, a warning).
        checkpoint: a file that is written after each epoch; if it exists, the run is resumed from
            it. On a CPU a resumed run equals an uninterrupted one to the last bit, if all that
            changes during it is in parameters, persistent buffers, torch's global generator and
            generators of layers: the file keeps neither NumPy's and Python's random states nor
            those of ``augment``. A file of another run is refused: model, data and all arguments
            must be equal, except for ``after_step``, ``progress`` and ``allow_divergence``.
            Functions are equal if their code is, and the values that they read from around them,
            which does not include what they read from modules.
        allow_divergence: return the history when the loss or a weight is infinite or NaN, instead
            of raising.

    Returns:
        Losses, test errors and times.

    Raises:
        ValueError: the batch is larger than the training set; the precision is unknown; label
            smoothing is given together with another loss; the labels are no class numbers, but
            ``evaluate`` is True; ``norm_bias_rate`` is not positive; ``train_until`` names no
            trainable parameter; ``flip`` is for another number of images; ``patience`` or
            ``validation`` is given without the other, or ``validation`` is the test or the training
            set; the checkpoint is damaged, or of another run or model.
        OSError: the checkpoint cannot be written, which is tried before the training.
        DivergedError: the loss or a weight is infinite or NaN; the checkpoint of the epoch before
            is kept.
        torch.OutOfMemoryError: the message says which batch size would fit.
    """
    n, device = len(data.train_labels), data.train_images.device
    _check_arguments(n, batch_size, loss, label_smoothing, flip)
    _check_validation(data, patience, validation)
    loss = loss or partial(F.cross_entropy, label_smoothing=label_smoothing)
    precision = best_precision(device) if precision == "auto" else precision
    autocast = autocast_for(device, precision)
    model.to(device)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    groups = parameter_groups(model, weight_decay, decay_all, norm_bias_rate, train_until)
    optimizer = make_sgd(groups, lr, momentum, nesterov, fused=device.type == "cuda")
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    generator = torch.Generator(device).manual_seed(seed)
    history, steps = History(), n // batch_size  # steps per epoch

    # A checkpoint is resumed only if all of this is the same.
    settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    settings |= {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    settings |= {"decay_all": decay_all, "label_smoothing": label_smoothing, "loss": loss}
    settings |= {"precision": precision, "channels_last": channels_last, "compile": compile}
    settings |= {"schedule": schedule, "augment": augment, "image_size": image_size}
    settings |= {"norm_bias_rate": norm_bias_rate, "train_until": train_until}
    settings |= {"lookahead": lookahead, "flip": flip}
    settings |= {"seed": seed, "evaluate": evaluate, "device": device.type, **vars(data)}
    if patience is not None:  # runs without it stay as they were
        patience.reset()
        rule = {"epochs": patience.epochs, "min_delta": patience.min_delta}
        settings |= {"patience": rule, "validation": validation}
    saved = Checkpoint(checkpoint, settings, model, optimizer, scaler, generator, history, patience)
    first_epoch = saved.load()
    slow = None if lookahead is None else SlowWeights(model, lookahead, epochs, steps)
    monitor = LossMonitor(history, epochs, steps, device, checkpoint)
    prepare = partial(_prepare, data, flip, augment, image_size, channels_last)
    forward = model
    if compile:
        first = torch.arange(batch_size, device=device)
        example = partial(prepare, first, generator.clone_state())
        moments = first_moments(image_size, first_epoch * steps, epochs * steps)
        forward = compile_model(model, example, moments, autocast, loss)

    for epoch in progress_bar(range(first_epoch, epochs), history, visible=progress):
        if patience is not None and patience.exhausted:
            break
        model.train()
        order = torch.randperm(n, generator=generator, device=device)  # a new one each epoch
        start = time.perf_counter()
        for step in range(steps):
            done = (epoch * steps + step) / (epochs * steps)  # progress, in [0, 1)
            set_learning_rates(optimizer, lr * (1 if schedule is None else schedule(done)), done)
            batch = order[step * batch_size : (step + 1) * batch_size]
            images, labels = prepare(batch, generator, done, epoch)
            try:
                with autocast:
                    value = loss(forward(images), labels)
                monitor.add(value)
                optimizer.zero_grad()
                scaler.scale(value).backward()
            except DivergedError:
                if allow_divergence:
                    return history
                raise
            except torch.OutOfMemoryError as problem:
                value = None  # frees the activations, so that smaller batches can be tried
                raise smaller_batch_error(problem, model, images, labels, autocast, loss) from None
            scaler.step(optimizer)
            scaler.update()
            if slow is not None:
                slow.update(epoch * steps + step + 1)
            if after_step is not None:
                after_step(epoch * steps + step + 1, model)

        if device.type == "cuda":
            torch.cuda.synchronize(device)  # the clock must not stop before the GPU does
        history.seconds.append(time.perf_counter() - start)
        try:
            monitor.check_weights(model)
        except DivergedError:
            if allow_divergence:
                return history
            raise
        if evaluate:
            with autocast:
                history.test_errors.append(error(model, data.test_images, data.test_labels))
        if patience is not None and validation is not None:
            with autocast:
                patience.update(error(model, *validation), model)
        saved.save(epoch + 1)
    if patience is not None:
        patience.restore(model)
    return history


def _check_arguments(
    n: int,
    batch_size: int,
    loss: Callable[..., Tensor] | None,
    label_smoothing: float,
    flip: AlternatingFlip | None,
) -> None:
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size is {batch_size}, but the training set has {n} images")
    if loss is not None and label_smoothing:
        raise ValueError(
            f"label_smoothing is {label_smoothing}, but that is a property of the cross-entropy, "
            "and another loss is given"
        )
    if flip is not None and len(flip.first) != n:
        raise ValueError(
            f"flip is for {len(flip.first)} images, but the training set has {n}; make it with "
            "their number"
        )


def _check_validation(
    data: ImageDataset, patience: Patience | None, validation: tuple[Tensor, Tensor] | None
) -> None:
    if (patience is None) != (validation is None):
        names = ("patience", "validation")
        lacking, given = names if patience is None else reversed(names)
        raise ValueError(
            f"{given} is given without {lacking}; early stopping needs a rule and the images and "
            "labels whose error it watches"
        )
    if validation is None:
        return
    for name, images in (("test", data.test_images), ("training", data.train_images)):
        if validation[0].data_ptr() == images.data_ptr():
            raise ValueError(
                f"validation is the {name} set; hold some training images out for it, so that "
                "the choice of the epoch uses no image that measures the result"
            )


def _prepare(
    data: ImageDataset,
    flip: AlternatingFlip | None,
    augment: Augment | None,
    image_size: Callable[[float], int] | None,
    channels_last: bool,
    batch: Tensor,
    generator: torch.Generator,
    done: float,
    epoch: int = 0,
) -> tuple[Tensor, Tensor]:
    """(N,) indices -> (N, C, H, W) images, augmented and resized, and their labels."""
    images, labels = data.train_images[batch], data.train_labels[batch]
    if flip is not None:
        images = flip(images, batch, epoch)
    if augment is not None:
        images, labels = augment(images, labels, generator)
    if image_size is not None and images.shape[-2:] != ((side := image_size(done)), side):
        images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    return images, labels
