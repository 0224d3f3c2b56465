"""Running an experiment: train each arm, measure the network, and record the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...augment import crop_and_flip
from ...data import ImageDataset
from ...ledger import Record
from ...train import History, best_precision, error, fit, one_cycle, step_decay
from ...train.precision import autocast_for
from ..choice import choose
from .arms import Arm, Experiment
from .lesions import errors_of_sets, errors_without_blocks
from .networks import build
from .weights import save_weights, weights_file


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
        weights: a folder for the weights of each trained network, whose checksum is recorded; None
            keeps no weights.
        after_step: called after each step of each run, see :func:`resnorm.train.fit`.
        progress: whether to show a progress bar for each run.
        allow_divergence: whether a run whose loss becomes infinite or NaN is recorded as it is
            then, as a search for settings needs it.

    Raises:
        ValueError: if the experiment has no such arm.
        DivergedError: if a loss becomes infinite or NaN, unless that is allowed.
    """
    chosen = list(experiment.arms) if arms is None else list(arms)
    if unknown := [name for name in chosen if name not in experiment.arms]:
        raise ValueError(
            f"no arm named {', '.join(map(repr, unknown))}; "
            f"{record.name} has {', '.join(experiment.arms)}"
        )
    for seed in seeds:
        for name in chosen:
            if record.has(name, seed):
                continue
            arm = experiment.arms[name]
            file = None
            if checkpoints is not None:
                file = checkpoint_file(checkpoints, record.name, name, seed)
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
                if weights is not None:
                    kept = weights_file(weights, record.name, name, seed)
                    results["weights"] = {"sha256": save_weights(trained[0], kept)}
            if file is not None:
                file.unlink(missing_ok=True)  # The run is in the record now.


def checkpoint_file(folder: str | Path, experiment: str, arm: str, seed: int) -> Path:
    """Name the file for the state of an unfinished run.

    Args:
        folder: where the states are.
        experiment: the name of the experiment.
        arm: the name of the arm.
        seed: the seed of the run.

    Returns:
        The file; it need not exist.
    """
    return Path(folder) / f"{experiment}, {arm}, seed {seed}.pt"


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
    """Train one arm.

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
    data = reduced(fewer_and_mislabeled(data, how.images, how.wrong_labels), how.side)
    model = build(arm, data, seed)
    schedules = {"steps": step_decay(), "one cycle": one_cycle(how.warm_up), "constant": None}
    schedule = choose("schedule", how.schedule, schedules)
    padding = round(how.padding * how.side / 32)

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
            label_smoothing=how.label_smoothing,
            schedule=schedule,
            augment=crop_and_flip(padding, how.padding_mode) if padding else None,
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


def fewer_and_mislabeled(data: ImageDataset, images: int, wrong_labels: float) -> ImageDataset:
    """Keep some of the training images, and give some of these a wrong label.

    The choice is the same for every seed and every network, and a smaller set is part of a larger
    one. The wrong labels are spread evenly over the other classes; the test set stays as it is.

    Args:
        data: images and labels.
        images: number of training images to keep, as many of each class as far as possible; 0
            keeps all.
        wrong_labels: the fraction of the labels that are replaced, in [0, 1).

    Returns:
        The new data, or the same data if nothing is asked for.

    Raises:
        ValueError: there are not so many images, or the fraction lies outside [0, 1).
    """
    n = len(data.train_labels)
    if not 0 <= images <= n or not 0 <= wrong_labels < 1:
        raise ValueError(
            f"images is {images} and wrong_labels is {wrong_labels}; there are {n} training "
            "images, and a fraction lies in [0, 1)"
        )
    if not images and not wrong_labels:
        return data
    generator = torch.Generator().manual_seed(0)  # on the CPU, for the same choice everywhere
    labels = data.train_labels.cpu()
    classes = int(labels.max()) + 1
    order = torch.randperm(n, generator=generator)
    # The first of each class, then the second of each, and so on.
    rank = torch.empty(n, dtype=torch.long)
    for label in range(classes):
        members = order[labels[order] == label]
        rank[members] = torch.arange(len(members)) * classes + label
    careless = torch.rand(n, generator=generator) < wrong_labels
    other = torch.randint(1, classes, (n,), generator=generator)
    given = torch.where(careless, (labels + other) % classes, labels)
    kept = rank.argsort()[: images or n].to(data.train_images.device)
    what = f", {len(kept):,} training images" if images else ""
    what += f", {wrong_labels:.0%} wrong labels" if wrong_labels else ""
    return replace(
        data,
        train_images=data.train_images[kept],
        train_labels=given.to(data.train_labels.device)[kept],
        source=data.source + what,
    )


def reduced(data: ImageDataset, side: int) -> ImageDataset:
    """Reduce the images to another resolution, by averaging over pixels.

    Args:
        data: images and labels.
        side: the new side of the images, in pixels.

    Returns:
        The reduced data, or the same data if the side is right already.
    """
    if data.train_images.shape[-1] == side:
        return data

    def resize(images: Tensor) -> Tensor:
        parts = images.split(1000)  # in parts, to bound the memory that it takes
        size = (side, side)
        return torch.cat(
            [F.interpolate(part, size=size, mode="bilinear", antialias=True) for part in parts]
        )

    return replace(
        data,
        train_images=resize(data.train_images),
        test_images=resize(data.test_images),
        source=f"{data.source}, reduced to {side} x {side}",
    )
