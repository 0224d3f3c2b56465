"""Experiments on CIFAR-10 made so small that a test can run them, and images for them."""

from dataclasses import replace

import torch
from PIL import Image

from resnorm import data, ledger
from resnorm.experiments import cifar

SMALL = data.synthetic(train=48, test=20, size=32)


def tiny(name, *arms, **changes):
    """The experiment of this name with some of its arms, of two short epochs."""
    experiment = cifar.EXPERIMENTS[name]
    how = {"epochs": 2, "batch_size": 16, "side": 16, "compile": False, "sides": ()} | changes
    return replace(
        experiment,
        arms={
            arm: replace(
                experiment.arms[arm], training=replace(experiment.arms[arm].training, **how)
            )
            for arm in arms
        },
    )


def record_of(path, experiment):
    """An open record for an experiment on the small images."""
    return ledger.open_record(path, "test", "none", SMALL.source, experiment.configuration())


def write_images(folder, train=6, test=2):
    """Write so many random PNG images of each class, as --data finds them; returns the folder."""
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", train), ("test", test)):
        for name in data.cifar.CLASSES:
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = torch.randint(
                    256, (32, 32, 3), generator=generator, dtype=torch.uint8
                ).numpy()
                Image.fromarray(pixels).save(folder / part / name / f"{i}.png")
    return folder
