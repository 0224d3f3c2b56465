"""The table of experiments on CIFAR-10, as data. Records hold the arms as they are written here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import fast_recipe
from .arms import Arm, Experiment, Training
from .generalization import epoch_wise, scaling
from .generations import generations
from .space import space
from .tuning import at_rates

#: He et al. (2016a), section 4.2: 64,000 steps of 128 images. In so many steps compiling pays.
PUBLISHED = Training(epochs=164, compile=True)
#: For a CPU: a quarter of the pixels, and one cycle.
SHORT = Training(epochs=5, side=16, schedule="one cycle")
#: Many steps for little arithmetic, because ResNet-56 is still behind ResNet-20 after the 1,950
#: steps of SHORT. There are no crops and flips: a shift takes too much of eight pixels, and the
#: question is how well a network *fits* its images.
MANY_STEPS = Training(epochs=12, batch_size=64, side=8, schedule="one cycle", padding=0)
#: For fifteen minutes of a GPU.
QUARTER_HOUR = Training(
    epochs=30, lr=0.2, nesterov=True, weight_decay=5e-4, decay_all=False, schedule="one cycle"
)
#: For a GPU that is kept busy: few steps, each of four times as many images as ``PUBLISHED`` has.
LARGE_STEPS = replace(QUARTER_HOUR, batch_size=512, compile=True)
#: Learning rates to search, each twice the one before. A search need not reach both ends.
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
#: The same with batches of 512.
LARGE_RATES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
#: As RATES for deep plain networks, which may need smaller ones.
DEEP_RATES = (0.0015625, 0.003125, 0.00625, *RATES)


def _degradation(training: Training) -> dict[str, Arm]:
    return {
        f"{kind}-{depth}": Arm(kind, training, {"depth": depth}, lesions=depth in (20, 56))
        for depth in (20, 56, 32, 44)
        for kind in ("plain", "residual")
    }


def _degradation_at_rates(training: Training) -> dict[str, Arm]:
    arms = {
        f"{kind}-{depth}": Arm(kind, training, {"depth": depth})
        for depth in (20, 56)
        for kind in ("plain", "residual")
    }
    return at_rates(arms, DEEP_RATES)


def _lesion(training: Training) -> dict[str, Arm]:
    """The networks of chapter 3.2 at the widths of He et al.; the rate is the published one."""
    options: dict[str, dict[str, Any]] = {
        "plain-20": {"blocks": 3, "residual": False},
        "residual-20": {"blocks": 3},
        "residual-56": {"blocks": 9},
        "residual-56, stochastic depth": {"blocks": 9, "last_survival": 0.5},
    }
    return {
        name: Arm(
            "pre-activation",
            training,
            {"widths": (16, 32, 64), **more},
            lesions=True,
            lesion_sets=10,
        )
        for name, more in options.items()
    }


def _batch_size(
    training: Training, batch_sizes: Iterable[int], model: str, **options: Any
) -> dict[str, Arm]:
    """Each norm at each batch size; the learning rate is proportional to the batch size."""
    return {
        f"{norm} norm, batch {size}": Arm(
            model,
            replace(training, batch_size=size, lr=training.lr * size / 128),
            options | {"norm": norm},
        )
        for norm in ("batch", "group")
        for size in batch_sizes
    }


def _noisy(training: Training, **options: Any) -> dict[str, Arm]:
    return {
        "no norm" if norm == "none" else f"{norm} norm": Arm(
            "ConvNet", training, options | {"norm": norm}
        )
        for norm in ("batch", "noisy batch", "none")
    }


def _statistics(training: Training, norms: Mapping[str, str], **options: Any) -> dict[str, Arm]:
    """One batch size for the optimizer; the norms differ in whose statistics they take."""
    arms = {
        name: Arm("ConvNet", training, options | {"residual": True, "norm": norm})
        for name, norm in norms.items()
    }
    return at_rates(arms, RATES)


def _noise(training: Training, **options: Any) -> dict[str, Arm]:
    """With and without batch norm, with and without noise, each at every learning rate.

    Without a norm the convolutions have a bias, so that the two networks without start equal.
    """
    arms: dict[str, dict[str, Any]] = {
        "batch norm": {"norm": "batch"},
        "batch norm and noise": {"norm": "noisy batch"},
        "no norm": {"norm": "none"},
        "noise": {"norm": "noise", "bias": True},
    }
    return at_rates(
        {name: Arm("ConvNet", training, options | more) for name, more in arms.items()}, RATES
    )


def _face_off(training: Training, **rates: float) -> dict[str, Arm]:
    """Networks near ResNet-20's 0.27 million parameters and 41 million multiply-adds.

    DenseNet with equal blocks cannot have both, so it comes twice.
    """
    arms = {
        "ResNet-20": Arm("residual", training, {"depth": 20}),
        "WRN-10": Arm("wide", training, {"depth": 10, "widths": (30, 60, 120)}),
        "ResNeXt-29, 8 x 3d": Arm("ResNeXt", training, {"depth": 29, "cardinality": 8, "width": 3}),
        "DenseNet-22, k = 12": Arm("DenseNet", training, {"depth": 22, "growth_rate": 12}),
        "DenseNet-19, k = 10": Arm("DenseNet", training, {"depth": 19, "growth_rate": 10}),
    }
    return _with_rates(arms, rates)


def _twenty_layers(training: Training, **rates: float) -> dict[str, Arm]:
    """Networks of 20 layers at the widths of He et al., with shortcuts and without."""
    kinds = {"ResNet-20": "residual", "plain-20": "plain"}
    arms = {name: Arm(kind, training, {"depth": 20}) for name, kind in kinds.items()}
    return _with_rates(arms, rates)


def _with_rates(arms: Mapping[str, Arm], rates: Mapping[str, float]) -> dict[str, Arm]:
    """Give the arms of each model the learning rate that a search chose for it."""
    return {
        name: replace(arm, training=replace(arm.training, lr=rates.get(arm.model, arm.training.lr)))
        for name, arm in arms.items()
    }


DEEPER = (
    "Do deeper plain networks fit the training images worse, and deeper residual networks better?"
)
TRAINED_OUT = "What does a network of 20 layers learn"
SMALL_BATCHES = "How does the error depend on the batch size, with batch norm and with group norm?"
STATISTICS = "What do the statistics of small batches cost, at the same number of steps?"
GROUPS = "How does the error depend on the number of groups?"
SAME_BUDGET = "Which architecture makes the most of the same budget?"
NOISE = "What does the noise cost, with batch norm and without, each at its best learning rate?"
LONGER = "Does the test error descend a second time when the training goes on?"
SCALING = "With which power of the number of images and of the width does the error fall?"
SPACE = "Which network of a small space makes the most of the same multiply-adds?"
GENERATIONS = "Which generation of networks makes the most of LeNet-5's multiply-adds?"
AIRBENCH94 = "94.01 % in 3.29 s on an A100 (Jordan 2024, airbench94_compiled)"
STEADY = "Does batch norm help by keeping distributions steady?"

EXPERIMENTS: dict[str, Experiment] = {
    "degradation": Experiment(
        DEEPER,
        _degradation(PUBLISHED),
        "a GPU, 20 minutes to an hour per run",
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
        "a CPU core, 5 to 15 minutes per run",
    ),
    "degradation-tuned-short": Experiment(
        f"{DEEPER} Here each at its best learning rate, in eight epochs of images reduced to "
        "16 x 16.",
        _degradation_at_rates(replace(SHORT, epochs=8)),
        "a CPU core, 10 to 30 minutes per run; the search has 12 runs or more",
    ),
    "resnet-on-cifar": Experiment(
        "Does the published recipe give the published error?",
        {
            "ResNet-20": Arm("residual", PUBLISHED, {"depth": 20}),
            "ResNet-56": Arm("residual", PUBLISHED, {"depth": 56}),
        },
        "a GPU, half an hour to an hour per run",
        {
            "ResNet-20": "8.75 % (He et al. 2016a, table 6)",
            "ResNet-56": "6.97 % (He et al. 2016a, table 6)",
        },
    ),
    "trained-out": Experiment(
        f"{TRAINED_OUT} in 96 epochs, with shortcuts and without, each at its best learning rate?",
        at_rates(_twenty_layers(replace(LARGE_STEPS, epochs=96)), LARGE_RATES),
        "a GPU, a minute per run; the search has 6 runs or more",
    ),
    "trained-out-rates": Experiment(
        "Which learning rates do networks of 20 layers need, with shortcuts and without? Here in "
        "24 epochs of images reduced to 16 x 16.",
        at_rates(_twenty_layers(replace(LARGE_STEPS, epochs=24, side=16)), LARGE_RATES),
        "a CPU core, 10 minutes per run; the search has 6 runs or more",
        chooses=True,
    ),
    "trained-out-short": Experiment(
        f"{TRAINED_OUT} in 48 epochs, with shortcuts and without? Here each at the rate that "
        "`trained-out-rates` chose.",
        _twenty_layers(replace(LARGE_STEPS, epochs=48), residual=0.8, plain=0.4),
        "a CPU core, an hour per run",
    ),
    "batch-size": Experiment(
        SMALL_BATCHES,
        _batch_size(QUARTER_HOUR, (32, 16, 8, 4, 2), "residual", depth=20),
        "a GPU, 10 minutes to 2 hours per run",
    ),
    "batch-size-short": Experiment(
        f"{SMALL_BATCHES} Here for a network of seven layers, in one epoch of images reduced to "
        "16 x 16.",
        _batch_size(
            replace(SHORT, epochs=1, lr=0.4),
            (32, 8, 2),
            "ConvNet",
            widths=(16, 32, 64),
            depth=2,
            residual=True,
        ),
        "a CPU core, 15 seconds to 2 minutes per run",
    ),
    "statistics-short": Experiment(
        f"{STATISTICS} Here for a network of seven layers, in three epochs of images reduced to "
        "16 x 16; every step has 128 images.",
        _statistics(
            replace(SHORT, epochs=3),
            {
                "batch norm": "batch",
                **{f"ghosts of {size}": f"ghosts of {size}" for size in (32, 8, 4, 2)},
                "group norm": "group",
            },
            widths=(8, 16, 32),
            depth=2,
        ),
        "a CPU core, 20 seconds per run; the search has 24 runs or more",
    ),
    "groups-short": Experiment(
        f"{GROUPS} Here for a network of seven layers, in three epochs of images reduced to "
        "16 x 16.",
        _statistics(
            replace(SHORT, epochs=3),
            {
                **{f"G = {groups}": f"{groups} groups" for groups in (1, 2, 4, 8)},
                "G = C": "instance",
            },
            widths=(8, 16, 32),
            depth=2,
        ),
        "a CPU core, 20 seconds per run; the search has 24 runs or more",
    ),
    "face-off": Experiment(
        f"{SAME_BUDGET} Each at its best learning rate, in 24 epochs.",
        at_rates(_face_off(replace(LARGE_STEPS, epochs=24)), LARGE_RATES),
        "a GPU, a minute per run; the search has 15 runs or more",
    ),
    "face-off-short": Experiment(
        f"{SAME_BUDGET} Each at its best learning rate, in eight epochs of images reduced to "
        "16 x 16.",
        at_rates(_face_off(replace(QUARTER_HOUR, epochs=8, side=16)), RATES),
        "a CPU core, 4 to 15 minutes per run; the search has 15 runs or more",
    ),
    "face-off-longer": Experiment(
        f"{SAME_BUDGET} Here in twice the epochs of `face-off-short`, each at the rate that the "
        "search for eight epochs chose.",
        _face_off(
            replace(QUARTER_HOUR, epochs=16, lr=0.4, side=16, compile=True),
            wide=0.2,
        ),
        "a CPU core, 5 to 30 minutes per run",
    ),
    "face-off-equal-time": Experiment(
        "Does WRN-10 reach a lower error than DenseNet-22 in equal time? Here in three times the "
        "epochs of `face-off-longer`, at the rate that the search for eight epochs chose.",
        {
            "WRN-10": _face_off(
                replace(QUARTER_HOUR, epochs=48, lr=0.2, side=16, compile=True),
            )["WRN-10"]
        },
        "a CPU core, 15 to 30 minutes per run",
    ),
    "time-to-94": Experiment(
        "How fast does a network reach 94 % on the test images?",
        {
            "ResNet-18": Arm(
                "ResNet-18",
                Training(
                    epochs=12,
                    batch_size=512,
                    lr=0.8,
                    nesterov=True,
                    weight_decay=5e-4,
                    decay_all=False,
                    label_smoothing=0.1,
                    schedule="one cycle",
                    compile=True,
                ),
            ),
            "SpeedNet": Arm(
                "SpeedNet",
                Training(
                    epochs=10,
                    batch_size=512,
                    lr=0.75,
                    momentum=0.85,
                    nesterov=True,
                    weight_decay=1.3e-3,
                    decay_all=False,
                    label_smoothing=0.1,
                    schedule="one cycle",
                    padding=2,
                    padding_mode="reflect",
                    compile=True,
                ),
                {"widths": (64, 256, 256), "flip_average": True},
            ),
            "SpeedNet, all tricks": fast_recipe.without(),
        },
        "a GPU, a few minutes per run",
        {"SpeedNet, all tricks": AIRBENCH94},
        timed=True,
    ),
    "fast-recipe": Experiment(
        "What is each part of the fast recipe worth, at the learning rate of the whole?",
        fast_recipe.ablation(),
        "a GPU, a minute per run",
        {"all": AIRBENCH94},
    ),
    "fast-recipe-rates": Experiment(
        "Which learning rate does the fast recipe need?",
        fast_recipe.rate_search(),
        "a GPU, a minute per run",
        chooses=True,
    ),
    "fast-recipe-long": Experiment(
        "What does the fast recipe reach in more epochs?",
        fast_recipe.at_lengths((10, 30, 60)),
        "a GPU, one to three minutes per run",
    ),
    "six-minutes": Experiment(
        "What does a small network learn in six minutes of two CPU cores?",
        {
            name: Arm(
                "SpeedNet",
                Training(
                    epochs=9,
                    batch_size=256,
                    lr=0.4,
                    momentum=0.85,
                    nesterov=True,
                    weight_decay=1.3e-3,
                    decay_all=False,
                    label_smoothing=0.1,
                    schedule="one cycle",
                    padding=2,
                    padding_mode="reflect",
                    side=28,
                    sides=(20,) * 5 + (24,) * 2 + (28,) * 2,
                ),
                {"residual": residual, "flip_average": True},
            )
            for name, residual in (("SpeedNet", False), ("SpeedNet with shortcuts", True))
        },
        "two CPU cores, six minutes per run",
        timed=True,
    ),
    "lesion": Experiment(
        "What does a network lose with some of its blocks, or with their order?",
        _lesion(QUARTER_HOUR),
        "a GPU, 5 to 15 minutes per run",
    ),
    "lesion-short": Experiment(
        "What does a network lose with some of its blocks, or with their order? Here in eight "
        "epochs of images reduced to 16 x 16.",
        _lesion(replace(SHORT, epochs=8)),
        "a CPU core, 10 to 30 minutes per run",
    ),
    "noisy-batch-norm": Experiment(
        STEADY,
        _noisy(replace(QUARTER_HOUR, lr=0.05), widths=(64, 128, 256), depth=4),
        "a GPU, 5 minutes per run",
    ),
    "noisy-batch-norm-short": Experiment(
        f"{STEADY} Here for a network of seven layers, in two epochs of images reduced to 16 x 16.",
        _noisy(replace(SHORT, epochs=2, lr=0.05), widths=(16, 32, 64), depth=2),
        "a CPU core, 20 seconds per run",
    ),
    "noise-tuned-short": Experiment(
        f"{NOISE} Here for a convolutional network of seven layers, in six epochs of images "
        "reduced to 16 x 16.",
        _noise(replace(SHORT, epochs=6), widths=(8, 16, 32), depth=2),
        "a CPU core, half a minute per run; the search has 16 runs or more",
    ),
    "epoch-wise-short": Experiment(
        f"{LONGER} Here for networks of seven layers and 5,000 images reduced to 16 x 16.",
        epoch_wise(
            replace(
                SHORT,
                epochs=200,
                lr=0.02,
                weight_decay=0.0,
                schedule="constant",
                padding=0,
                images=5000,
            )
        ),
        "a CPU core, 2 to 16 minutes per run",
    ),
    "scaling-short": Experiment(
        f"{SCALING} Here for networks of seven layers, in 1,920 steps of images reduced to "
        "16 x 16.",
        scaling(SHORT, steps=1920, sizes=(1280, 2560, 5120, 10_240, 20_480, 40_960)),
        "a CPU core, half a minute to 2 minutes per run",
    ),
    "space-short": Experiment(
        f"{SPACE} Here each of 216 is trained once, for 640 steps of images reduced to 16 x 16.",
        space(replace(SHORT, epochs=4, batch_size=64, images=10_240, held_out=5000, curve=False)),
        "a CPU core, 10 seconds per run",
    ),
    "generations-short": Experiment(
        f"{GENERATIONS} Here in three epochs of images of 32 x 32, with and without batch norm.",
        generations(Training(epochs=3, schedule="one cycle")),
        "a CPU core, half a minute per run; the search has 40 runs or more",
    ),
}
