"""The experiments on CIFAR-10: what is trained, how, and what is measured (part IV).

Each experiment is a table of arms, written down as data, so that the record of a run holds all that
decided its numbers. ``python -m resnorm.experiments NAME --data DIR`` runs one. An experiment's
``-short`` twin asks the same question within the hours of a laptop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .. import models
from ..augment import crop_and_flip
from ..data import ImageDataset
from ..ledger import Record
from ..norms import NoisyBatchNorm2d
from ..probes import lesion, removable
from ..train import error, fit, one_cycle, step_decay

NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(max(1, channels // 8), channels),
    "noisy batch": NoisyBatchNorm2d,
    "none": None,
}


@dataclass(frozen=True)
class Training:
    """How an arm is trained; see :func:`resnorm.train.fit`.

    Attributes:
        epochs, batch_size, lr, momentum, nesterov, weight_decay, decay_all, label_smoothing: of ``fit``.
        schedule: ``"steps"`` divides the learning rate by 10 after 1/2 and 3/4; ``"one cycle"`` rises for
            ``warm_up`` of the training and falls to 0.
        padding: of the random crop, in pixels, at full resolution; 0 is neither crop nor flip.
        padding_mode: ``"constant"`` or ``"reflect"``.
        side: all images are reduced to it beforehand.
        sides: of the training images, one an epoch; empty for ``side`` throughout.
        compile: see ``fit``.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_all: bool = True
    label_smoothing: float = 0.0
    schedule: str = "steps"
    warm_up: float = 0.2
    padding: int = 4
    padding_mode: str = "constant"
    side: int = 32
    sides: tuple[int, ...] = ()
    compile: bool = False


@dataclass(frozen=True)
class Arm:
    """A network and its training.

    Attributes:
        model: a key of ``MODELS``.
        training: see there.
        options: of the model, such as its depth; ``norm`` is a key of ``NORMS``.
        lesions: measure the test error without each block, on every fifth test image.
    """

    model: str
    training: Training
    options: Mapping[str, Any] = field(default_factory=dict)
    lesions: bool = False


@dataclass(frozen=True)
class Experiment:
    """A question, and the arms that answer it.

    Attributes:
        question: in a sentence.
        arms: name -> arm.
        published: arm -> a published figure for it, with its source, or nothing.
        scale: on what it runs, and for how long about.
    """

    question: str
    arms: Mapping[str, Arm]
    scale: str
    published: Mapping[str, str] = field(default_factory=dict)

    def configuration(self) -> dict:
        """Everything that decides the numbers but the seeds."""
        return {"arms": {name: asdict(arm) for name, arm in self.arms.items()}}


def _plain18(**options) -> nn.Module:
    return models.resnet18(num_classes=10, stem="cifar", shortcut="none", **options)


def _wide(depth: int, widths: Iterable[int]) -> nn.Module:
    """WRN of 6n + 4 layers and any widths."""
    blocks = models.layers.blocks_of_depth(depth, per_block=2, extra=4)
    return models.PreActResNet(models.preact.PreActBasicBlock, (blocks,) * 3, tuple(widths), 16)


def _resnext(depth: int, cardinality: int, width: int) -> nn.Module:
    """ResNeXt of 9n + 2 layers, a quarter as wide as :func:`resnorm.models.cifar_resnext`."""
    blocks = models.layers.blocks_of_depth(depth, per_block=3, extra=2)
    bottleneck = models.resnet.Bottleneck
    return models.ResNet(
        bottleneck,
        (blocks,) * 3,
        (16, 32, 64),
        num_classes=10,
        stem="cifar",
        groups=cardinality,
        width_per_group=4 * width,
    )


def _resnet18(**options) -> nn.Module:
    return models.resnet18(num_classes=10, stem="cifar", **options)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "plain": models.cifar_plain,
    "residual": models.cifar_resnet,
    "plain-18": _plain18,
    "ResNet-18": _resnet18,
    "wide": _wide,
    "ResNeXt": _resnext,
    "DenseNet": models.cifar_densenet,
    "ConvNet": models.ConvNet,
    "SpeedNet": models.SpeedNet,
}


def build(arm: Arm, data: ImageDataset, seed: int) -> nn.Module:
    """The untrained network of an arm; the global generator is left as it was.

    Raises:
        ValueError: an unknown model or norm.
    """
    if arm.model not in MODELS:
        raise ValueError(f"model is {arm.model!r}; it must be one of {', '.join(MODELS)}")
    options = dict(arm.options)
    if "norm" in options:
        if options["norm"] not in NORMS:
            raise ValueError(f"norm is {options['norm']!r}; it must be one of {', '.join(NORMS)}")
        options["norm"] = NORMS[options["norm"]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS[arm.model](**options)
    if isinstance(model, models.SpeedNet):
        model.whitening.fit(data.train_images[:5000].cpu())
    return model.to(data.train_images.device)


def reduced(data: ImageDataset, side: int) -> ImageDataset:
    """The images at another resolution, by averaging over pixels."""
    if data.train_images.shape[-1] == side:
        return data
    train, test = (
        torch.cat(
            [
                F.interpolate(part, size=(side, side), mode="bilinear", antialias=True)
                for part in images.split(1000)
            ]
        )
        for images in (data.train_images, data.test_images)
    )
    return replace(
        data,
        train_images=train,
        test_images=test,
        source=f"{data.source}, reduced to {side} x {side}",
    )


def train_arm(
    arm: Arm,
    data: ImageDataset,
    seed: int,
    *,
    checkpoint: str | Path | None = None,
    progress: bool = False,
):
    """Train one arm: the network in evaluation mode, its history, and the data as it was used.

    Args:
        arm: see there.
        data: at full resolution, on the device to train on.
        seed: of weights, order, augmentation and noise.
        checkpoint, progress: of :func:`resnorm.train.fit`.
    """
    how = arm.training
    data = reduced(data, how.side)
    model = build(arm, data, seed)
    schedules = {"steps": step_decay(), "one cycle": one_cycle(how.warm_up)}
    if how.schedule not in schedules:
        raise ValueError(f"schedule is {how.schedule!r}; it must be one of {', '.join(schedules)}")
    padding = round(how.padding * how.side / 32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of layers that draw
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
            schedule=schedules[how.schedule],
            augment=crop_and_flip(padding, how.padding_mode) if padding else None,
            image_size=(lambda progress: how.sides[int(progress * len(how.sides))])
            if how.sides
            else None,
            precision="auto",
            channels_last=True,
            compile=how.compile,
            seed=seed,
            checkpoint=checkpoint,
            progress=progress,
        )
    return model.eval(), history, data


def measure(arm: Arm, model: nn.Module, history, data: ImageDataset) -> dict[str, Any]:
    """What is recorded of a trained network: errors in percent, mean losses an epoch, seconds of training."""
    epochs = arm.training.epochs
    steps = len(history.losses) // epochs
    results = {
        "test error": round(history.test_errors[-1], 2),
        "train error": round(error(model, data.train_images, data.train_labels), 2),
        "test errors": [round(value, 2) for value in history.test_errors],
        "losses": [
            round(sum(history.losses[i * steps : (i + 1) * steps]) / steps, 4)
            for i in range(epochs)
        ],
        "training seconds": round(sum(history.seconds), 1),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }
    if arm.lesions:
        images, labels = data.test_images[::5], data.test_labels[::5]
        results["without block"] = {"none": round(error(model, images, labels), 2)}
        for name in removable(model, images[:2], models.resnet.BasicBlock):
            with lesion(model, [name]):
                results["without block"][name] = round(error(model, images, labels), 2)
    return results


def run(
    record: Record,
    experiment: Experiment,
    data: ImageDataset,
    seeds: Iterable[int],
    *,
    arms: Iterable[str] | None = None,
    checkpoints: str | Path | None = None,
    progress: bool = False,
) -> None:
    """Train every arm and seed that the record lacks, a seed at a time.

    Args:
        record: see :func:`resnorm.ledger.open_record`.
        experiment: what to run.
        data: on the device to train on.
        seeds: one network of each arm for each.
        arms: names; all by default.
        checkpoints: a folder; a run that was stopped goes on from there.
        progress: show a bar an arm.

    Raises:
        ValueError: an arm that the experiment does not have.
    """
    chosen = list(experiment.arms) if arms is None else list(arms)
    if unknown := [name for name in chosen if name not in experiment.arms]:
        raise ValueError(
            f"no arm named {', '.join(map(repr, unknown))}; {record.name} has {', '.join(experiment.arms)}"
        )
    for seed in seeds:
        for name in chosen:
            if record.has(name, seed):
                continue
            arm = experiment.arms[name]
            file = (
                None
                if checkpoints is None
                else Path(checkpoints) / f"{record.name}, {name}, seed {seed}.pt"
            )
            with record.run(name, seed) as results:
                results |= measure(
                    arm, *train_arm(arm, data, seed, checkpoint=file, progress=progress)
                )
            if file is not None:
                file.unlink(missing_ok=True)  # the record has it now


# --- the table of experiments ----------------------------------------------------------------------

#: He et al. (2016a), section 4.2: 64,000 steps of 128 images.
PUBLISHED = Training(epochs=164)
#: For a CPU: a quarter of the pixels, one cycle.
SHORT = Training(epochs=5, side=16, schedule="one cycle")
#: Many steps for little arithmetic: after the 1,950 steps of SHORT ResNet-56 is still behind ResNet-20. No crops and
#: flips: of eight pixels a shift takes too many, and how well a network *fits* its images is the question here.
MANY_STEPS = Training(epochs=12, batch_size=64, side=8, schedule="one cycle", padding=0)
#: For a GPU and fifteen minutes.
QUARTER_HOUR = Training(
    epochs=30, lr=0.2, nesterov=True, weight_decay=5e-4, decay_all=False, schedule="one cycle"
)


def _degradation(training: Training) -> dict[str, Arm]:
    return {
        f"{kind}-{depth}": Arm(kind, training, {"depth": depth}, lesions=depth in (20, 56))
        for depth in (20, 56, 32, 44)
        for kind in ("plain", "residual")
    }


def _batch_size(
    training: Training, batch_sizes: Iterable[int], model: str, **options
) -> dict[str, Arm]:
    """The learning rate is in proportion to the batch."""
    return {
        f"{norm} norm, batch {size}": Arm(
            model,
            replace(training, batch_size=size, lr=training.lr * size / 128),
            options | {"norm": norm},
        )
        for norm in ("batch", "group")
        for size in batch_sizes
    }


def _noisy(training: Training, **options) -> dict[str, Arm]:
    return {
        "no norm" if norm == "none" else f"{norm} norm": Arm(
            "ConvNet", training, options | {"norm": norm}
        )
        for norm in ("batch", "noisy batch", "none")
    }


def _face_off(training: Training) -> dict[str, Arm]:
    """Near ResNet-20's 0.27 million parameters and 41 million multiply-adds; DenseNet cannot have both, so it comes twice."""
    return {
        "ResNet-20": Arm("residual", training, {"depth": 20}),
        "WRN-10": Arm("wide", training, {"depth": 10, "widths": (30, 60, 120)}),
        "ResNeXt-29, 8 x 3d": Arm("ResNeXt", training, {"depth": 29, "cardinality": 8, "width": 3}),
        "DenseNet-22, k = 12": Arm("DenseNet", training, {"depth": 22, "growth_rate": 12}),
        "DenseNet-19, k = 10": Arm("DenseNet", training, {"depth": 19, "growth_rate": 10}),
    }


DEEPER = (
    "Do deeper plain networks fit the training images worse, and deeper residual networks better?"
)
SMALL_BATCHES = "How does the error depend on the batch size, with batch norm and with group norm?"
SAME_BUDGET = "Which architecture makes most of the same budget?"
STEADY = "Does batch norm help by keeping distributions steady?"

EXPERIMENTS: dict[str, Experiment] = {
    "degradation": Experiment(
        DEEPER,
        _degradation(PUBLISHED),
        "a GPU, 20 minutes to an hour a run",
        {
            "residual-20": "8.75 % (He et al. 2016a, table 6)",
            "residual-32": "7.51 % (He et al. 2016a, table 6)",
            "residual-44": "7.17 % (He et al. 2016a, table 6)",
            "residual-56": "6.97 % (He et al. 2016a, table 6)",
        },
    ),
    "degradation-short": Experiment(
        f"{DEEPER} Here in twelve epochs of images reduced to 8 x 8, not augmented.",
        _degradation(MANY_STEPS),
        "a CPU core, 5 to 15 minutes a run",
    ),
    "resnet-on-cifar": Experiment(
        "Does the published recipe give the published error?",
        {"ResNet-20": Arm("residual", PUBLISHED, {"depth": 20}), "ResNet-56": Arm("residual", PUBLISHED, {"depth": 56})},
        "a GPU, 20 minutes to an hour a run",
        {"ResNet-20": "8.75 % (He et al. 2016a, table 6)", "ResNet-56": "6.97 % (He et al. 2016a, table 6)"},
    ),
    "batch-size": Experiment(
        SMALL_BATCHES,
        _batch_size(QUARTER_HOUR, (32, 16, 8, 4, 2), "residual", depth=20),
        "a GPU, 10 minutes to 2 hours a run",
    ),
    "batch-size-short": Experiment(
        f"{SMALL_BATCHES} Here for a network of seven layers, in one epoch of images reduced to 16 x 16.",
        _batch_size(replace(SHORT, epochs=1, lr=0.4), (32, 8, 2), "ConvNet", widths=(16, 32, 64), depth=2, residual=True),
        "a CPU core, 15 seconds to 2 minutes a run",
    ),
    "face-off": Experiment(SAME_BUDGET, _face_off(QUARTER_HOUR), "a GPU, 3 to 10 minutes a run"),
    "face-off-short": Experiment(
        f"{SAME_BUDGET} Here in three epochs of images reduced to 16 x 16.",
        _face_off(replace(SHORT, epochs=3)),
        "a CPU core, 3 to 8 minutes a run",
    ),
    "time-to-94": Experiment(
        "How fast does a network reach 94 % on the test images?",
        {
            "ResNet-18": Arm(
                "ResNet-18",
                Training(
                    epochs=12, batch_size=512, lr=0.8, nesterov=True, weight_decay=5e-4, decay_all=False, label_smoothing=0.1,
                    schedule="one cycle", compile=True,
                ),
            ),
            "SpeedNet": Arm(
                "SpeedNet",
                Training(
                    epochs=10, batch_size=512, lr=0.75, momentum=0.85, nesterov=True, weight_decay=1.3e-3, decay_all=False,
                    label_smoothing=0.1, schedule="one cycle", padding=2, padding_mode="reflect", compile=True,
                ),
                {"widths": (64, 256, 256), "flip_average": True},
            ),
        },
        "a GPU, a minute a run",
        {"SpeedNet": "94 % in 2.59 s on an A100, with further tricks (Jordan 2024)"},
    ),
    "six-minutes": Experiment(
        "What does a small network learn in six minutes of two CPU cores?",
        {
            name: Arm(
                "SpeedNet",
                Training(
                    epochs=9, batch_size=256, lr=0.4, momentum=0.85, nesterov=True, weight_decay=1.3e-3, decay_all=False,
                    label_smoothing=0.1, schedule="one cycle", padding=2, padding_mode="reflect", side=28,
                    sides=(20,) * 5 + (24,) * 2 + (28,) * 2,
                ),
                {"residual": residual, "flip_average": True},
            )
            for name, residual in (("SpeedNet", False), ("SpeedNet with shortcuts", True))
        },
        "two CPU cores, six minutes a run",
    ),
    "lesion": Experiment(
        "What does a network lose with one block?",
        {
            "plain-20": Arm("plain", QUARTER_HOUR, {"depth": 20}, lesions=True),
            "residual-56": Arm("residual", QUARTER_HOUR, {"depth": 56}, lesions=True),
        },
        "a GPU, 5 to 15 minutes a run",
    ),
    "noisy-batch-norm": Experiment(
        STEADY,
        _noisy(replace(QUARTER_HOUR, lr=0.05), widths=(64, 128, 256), depth=4),
        "a GPU, 5 minutes a run",
    ),
    "noisy-batch-norm-short": Experiment(
        f"{STEADY} Here for a network of seven layers, in two epochs of images reduced to 16 x 16.",
        _noisy(replace(SHORT, epochs=2, lr=0.05), widths=(16, 32, 64), depth=2),
        "a CPU core, 20 seconds a run",
    ),
}  # fmt: skip
