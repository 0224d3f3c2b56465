"""The recorded run of chapter 3.7: blocks of equal arithmetic, each with two last activations.

The images are generated, so the run needs no data. The chapter's page trains the same networks for
fewer steps and on easier images. The learning rate of each network is chosen on held-out images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import conv1x1, conv3x3
from ..data import ImageDataset, synthetic
from ..norms import precise_statistics
from ..train import error, one_cycle
from .searched import Search, named
from .seeded import seeded

QUESTION = (
    "Which residual block makes the fewest errors at equal arithmetic, and does it gain if no "
    "activation follows its addition?"
)
TIME = "a CPU core, four minutes"
#: Channels of the first stage: as many as 170,000 multiply-adds per image allow.
WIDTHS = {"plain": 8, "bottleneck": 22, "separable": 16, "inverted": 10}
#: What chooses the learning rates.
MEASURE = "validation accuracy"
#: The last of the training images choose the learning rates.
HELD_OUT = 512


@dataclass(frozen=True)
class Recipe:
    """The training, which is the same for all arms.

    Attributes:
        steps: steps of Adam with one cycle of the learning rate.
        batch_size: images per step.
        noise: standard deviation of the noise on the images.
    """

    steps: int = 160
    batch_size: int = 32
    noise: float = 2.0


@dataclass(frozen=True)
class Arm:
    """A network and its learning rate.

    Attributes:
        kind: one of ``WIDTHS``.
        linear: whether no activation follows the addition; otherwise a ReLU does.
        lr: the highest learning rate.
    """

    kind: str
    linear: bool
    lr: float

    @property
    def network(self) -> str:
        """The name of the network, which arms of different rates share."""
        return f"{self.kind}, {'linear' if self.linear else 'ReLU'}"


ARMS: Mapping[str, Arm] = named(
    Arm(kind, linear, lr)
    for lr in (0.003, 0.01, 0.03, 0.1, 0.3)
    for kind in WIDTHS
    for linear in (False, True)
)


def page_data(recipe: Recipe = Recipe()) -> ImageDataset:
    """Generate gratings of ten classes, 16 x 16 pixels; the last training images are held out.

    Args:
        recipe: decides the noise.
    """
    return synthetic(train=1024 + HELD_OUT, test=1024, size=16, noise=recipe.noise)


def _layer(convolution: nn.Conv2d, activation: bool = True) -> list[nn.Module]:
    norm = nn.BatchNorm2d(convolution.out_channels)
    return [convolution, norm, nn.ReLU()] if activation else [convolution, norm]


def _branch(kind: str, c: int) -> nn.Sequential:
    if kind == "plain":
        layers = [*_layer(conv3x3(c, c)), *_layer(conv3x3(c, c), False)]
    elif kind == "separable":
        layers = [*_layer(conv3x3(c, c, groups=c)), *_layer(conv1x1(c, c))]
        layers += [*_layer(conv3x3(c, c, groups=c)), *_layer(conv1x1(c, c), False)]
    else:
        n, groups = (c // 4, 1) if kind == "bottleneck" else (4 * c, 4 * c)
        layers = [*_layer(conv1x1(c, n)), *_layer(conv3x3(n, n, groups=groups))]
        layers += _layer(conv1x1(n, c), False)
    return nn.Sequential(*layers)


class Trial(nn.Module):
    """Two residual blocks at two resolutions, between a stem and a classifier.

    Args:
        kind: of both blocks, one of ``WIDTHS``.
        c: channels of the first block; the second has twice as many.
        linear: whether no activation follows an addition.

    Shape:
        Input (N, 3, S, S), output (N, 10).
    """

    def __init__(self, kind: str, c: int, linear: bool = False):
        super().__init__()
        self.stem = nn.Sequential(*_layer(conv3x3(3, c, stride=2)))
        self.first = _branch(kind, c)
        down = nn.Conv2d(c, 2 * c, 2, stride=2, bias=False)
        self.down = nn.Sequential(*_layer(down, False))
        self.second = _branch(kind, 2 * c)
        self.last = nn.Identity() if linear else nn.ReLU()
        self.head = nn.Linear(2 * c, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits."""
        x = self.stem(x)
        x = self.down(self.last(x + self.first(x)))
        logits: Tensor = self.head(self.last(x + self.second(x)).mean((2, 3)))
        return logits


def train_one(arm: Arm, data: ImageDataset, *, seed: int = 0, recipe: Recipe = Recipe()) -> Trial:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network and its learning rate.
        data: the images; the last ``HELD_OUT`` training images are not used.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.

    Returns:
        The network, in evaluation mode, with statistics of 512 training images.
    """
    images, labels = data.train_images[:-HELD_OUT], data.train_labels[:-HELD_OUT]
    with seeded(seed):
        model = Trial(arm.kind, WIDTHS[arm.kind], arm.linear).to(images.device)
    optimizer, rate = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98)), one_cycle()
    g = torch.Generator().manual_seed(seed)
    for step in range(recipe.steps):
        optimizer.param_groups[0]["lr"] = arm.lr * rate(step / recipe.steps)
        rows = torch.randint(len(images), (recipe.batch_size,), generator=g)
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    precise_statistics(model, [images[:512]])
    return model.eval()


def results_of(
    arm: Arm, data: ImageDataset, seed: int, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Train a network and measure it.

    Args:
        arm: the network and its learning rate.
        data: the images.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.

    Returns:
        The accuracy on held-out images, the test error, both in percent, and the number of steps.
    """
    model = train_one(arm, data, seed=seed, recipe=recipe)
    held_out = data.train_images[-HELD_OUT:], data.train_labels[-HELD_OUT:]
    return {
        MEASURE: round(100 - error(model, *held_out), 2),
        "test error": round(error(model, data.test_images, data.test_labels), 2),
        "steps": recipe.steps,
    }


SEARCH = Search(ARMS, MEASURE, results_of, constants=asdict(Recipe()))
configuration, run, best_rates = SEARCH.configuration, SEARCH.run, SEARCH.best_rates
