"""Running an experiment: train each arm, measure the network, and record the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...augment import AlternatingFlip, crop, crop_and_flip
from ...data import ImageDataset
from ...ledger import Record
from ...train import History, Lookahead, best_precision, error, fit, one_cycle, step_decay
from ...train.precision import autocast_for
from ..choice import choose
from .arms import Arm, Experiment
from .lesions import errors_of_sets, errors_without_blocks
from .networks import build
from .run_files import run_file
from .subsets import fewer_and_mislabeled, held_out, reduced, resize
from .weights import save_weights


def run(
    record: Record,
    experiment: Experiment,
    data: ImageDataset,
    seeds: Iterable[int],
    *,
    arms: Iterable[str] | None = None,
    checkpoints: str | Path | None = None,
    weights: str | Path | None = None,
    after_step: Callable[[int, nn.Module], None] | None = None,
    progress: bool = False,
    allow_divergence: bool = False,
    at_a_time: int = 1,
) -> None:
    """Train every arm and seed that the record lacks: all arms of one seed, then the next seed.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        experiment: what to run.
        data: images and labels at full resolution, on the device to train on.
        seeds: the seeds; each trains one network per arm.
        arms: the names of the arms to run; None means all.
        checkpoints: a folder for the state of unfinished runs; a run that was stopped is resumed
            from there. None keeps no states.
        weights: a folder for the weights of each trained network, whose checksum is recorded; it
            is made before the training. None keeps no weights.
        after_step: called after each step of each run, see :func:`resnorm.train.fit`.
        progress: whether to show a progress bar for each run.
        allow_divergence: whether a run whose loss becomes infinite or NaN is recorded as it is
            then, as a search for settings needs it.
        at_a_time: how many networks this machine trains at a time. It is recorded, because the
            seconds of a run depend on it.

    Raises:
        OSError: if a file cannot be written. The state of a run that was to be recorded is kept.
        ValueError: if the experiment has no such arm.
        DivergedError: if a loss becomes infinite or NaN, unless that is allowed.
    """
    chosen = list(experiment.arms) if arms is None else list(arms)
    if unknown := [name for name in chosen if name not in experiment.arms]:
        raise ValueError(
            f"no arm named {', '.join(map(repr, unknown))}; "
            f"{record.name} has {', '.join(experiment.arms)}"
        )
    if weights is not None:
        Path(weights).mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name in chosen:
            if record.has(name, seed):
                continue
            arm = experiment.arms[name]
            file = None
            if checkpoints is not None:
                file = run_file(checkpoints, record.name, name, seed)
            with record.run(name, seed, data.train_images.device) as results:
                trained = train_arm(
                    arm,
                    data,
                    seed,
                    checkpoint=file,
                    after_step=after_step,
                    progress=progress,
                    allow_divergence=allow_divergence,
                )
                results |= measure(arm, *trained)
                if at_a_time > 1:
                    results["runs at a time"] = at_a_time
                if arm.training.held_out:
                    results["validation error"] = validation_error(arm, trained[0], data)
                if weights is not None:
                    kept = run_file(weights, record.name, name, seed, weights=True)
                    results["weights"] = {"sha256": save_weights(trained[0], kept)}
            if file is not None:
                file.unlink(missing_ok=True)  # The run is in the record now.


def train_arm(
    arm: Arm,
    data: ImageDataset,
    seed: int,
    *,
    checkpoint: str | Path | None = None,
    after_step: Callable[[int, nn.Module], None] | None = None,
    progress: bool = False,
    allow_divergence: bool = False,
) -> tuple[nn.Module, History, ImageDataset]:
    """Train one arm. If it is compiled, what was compiled before is forgotten.

    Args:
        arm: the network and its training.
        data: images and labels at full resolution, on the device to train on.
        seed: the seed of weights, order of examples, augmentation and noise.
        checkpoint: the file for the state of the unfinished run, see :func:`resnorm.train.fit`.
        after_step: called after each step, see :func:`resnorm.train.fit`.
        progress: whether to show a progress bar.
        allow_divergence: whether to return, too, when the loss becomes infinite or NaN.

    Returns:
        The network in evaluation mode, the history of its training, and the data at the resolution
        that was used.

    Raises:
        ValueError: if the arm names an unknown model, norm or schedule.
    """
    how = arm.training
    if how.compile:
        # Torch compiles a function for eight networks at most, and does not compile the ninth.
        torch.compiler.reset()
    data = reduced(fewer_and_mislabeled(data, how.images, how.wrong_labels), how.side)
    model = build(arm, data, seed)
    schedules = {
        "steps": step_decay(),
        "one cycle": one_cycle(how.warm_up, how.final, how.initial),
        "constant": None,
    }
    schedule = choose("schedule", how.schedule, schedules)
    padding = round(how.padding * how.side / 32)
    shift = crop if how.alternating_flip else crop_and_flip
    flip = None
    if how.alternating_flip:
        # Another seed than that of the order, because equal seeds give dependent draws.
        flip = AlternatingFlip(len(data.train_labels), seed + 2**20, data.train_images.device)

    def side_at(progress: float) -> int:
        return how.sides[int(progress * len(how.sides))]

    with torch.random.fork_rng():  # Layers that draw do so on any device.
        torch.manual_seed(seed)
        history = fit(
            model,
            data,
            epochs=how.epochs,
            batch_size=how.batch_size,
            lr=how.lr,
            momentum=how.momentum,
            nesterov=how.nesterov,
            weight_decay=how.weight_decay,
            decay_all=how.decay_all,
            norm_bias_rate=how.norm_bias_rate,
            train_until=dict(how.train_until) or None,
            lookahead=Lookahead() if how.lookahead else None,
            label_smoothing=how.label_smoothing,
            schedule=schedule,
            flip=flip,
            augment=shift(padding, how.padding_mode) if padding else None,
            image_size=side_at if how.sides else None,
            precision="auto",
            channels_last=True,
            compile=how.compile,
            evaluate=how.curve,
            seed=seed,
            checkpoint=checkpoint,
            after_step=after_step,
            progress=progress,
            allow_divergence=allow_divergence,
        )
    return model.eval(), history, data


def measure(arm: Arm, model: nn.Module, history: History, data: ImageDataset) -> dict[str, Any]:
    """Measure a trained network and collect what is recorded of its run.

    Args:
        arm: what was trained.
        model: the trained network, in evaluation mode.
        history: the history of its training.
        data: the images and labels that were used.

    Returns:
        Errors in percent, the mean loss of each complete epoch, the seconds of training, the number
        of steps, of which there are fewer if the loss diverged, the number of parameters, the
        number format, and, if the arm asks for it, the errors without blocks.
    """
    steps = len(data.train_labels) // arm.training.batch_size  # per epoch
    device = data.train_images.device
    precision = best_precision(device)
    # The errors that are compared are measured in one precision, that of `fit`.
    with autocast_for(device, precision):
        if history.diverged or not history.test_errors:  # amid an epoch, or measured only here
            test_error = error(model, data.test_images, data.test_labels)
        else:
            test_error = history.test_errors[-1]
        train_error = error(model, data.train_images, data.train_labels)
    results = {
        "test error": round(test_error, 2),
        "train error": round(train_error, 2),
        "test errors": [round(value, 2) for value in history.test_errors],
        "losses": [
            round(sum(history.losses[i * steps : (i + 1) * steps]) / steps, 4)
            for i in range(len(history.seconds))
        ],
        "training seconds": round(sum(history.seconds), 1),
        "steps": len(history.losses),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "precision": precision,
    }
    if arm.lesions:
        some = replace(data, test_images=data.test_images[::5], test_labels=data.test_labels[::5])
        with autocast_for(device, precision):
            results["without block"] = errors_without_blocks(
                model, some.test_images, some.test_labels
            )
            if arm.lesion_sets:
                results |= errors_of_sets(model, some, arm.lesion_sets)
    return results


def validation_error(arm: Arm, model: nn.Module, data: ImageDataset) -> float:
    """Measure a trained network on training images that its arm holds out.

    Args:
        arm: what was trained; its ``held_out`` says on how many images.
        model: the trained network, in evaluation mode.
        data: images and labels at full resolution.

    Returns:
        The error in percent, in the precision of all errors of a run.

    Raises:
        ValueError: there are too few training images.
    """
    how, device = arm.training, data.train_images.device
    images, labels = held_out(data, how.images, how.held_out)
    with autocast_for(device, best_precision(device)):
        return round(error(model, resize(images, how.side), labels), 2)
