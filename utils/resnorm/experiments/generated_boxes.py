"""The recorded run of chapter 3.8: a grid head against a head with anchors, each at its best rate.

The scenes are generated, so the run needs no data. Both heads read the same backbone and train for
the same number of steps. Rates are chosen on scenes that serve for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .. import detection
from ..data import SHAPES, Scenes, scenes
from ..detection import Detections
from ..models import YOLO
from ..train import one_cycle
from .neighbors import both_found, close_pairs
from .parts import Parts
from .searched import Search, named
from .seeded import seeded

QUESTION = (
    "How well do a grid head and a head with anchors detect generated shapes, and who finds both "
    "objects of a close pair?"
)
TIME = "a CPU core, up to 20 minutes"
SIZE, GRID, NUM_CLASSES = 48, 6, len(SHAPES)
#: What chooses the learning rates.
MEASURE = "validation mAP"
#: Sides and number of the objects of a scene.
WORLD: Mapping[str, Any] = {"sides": (0.25, 0.55), "objects": (1, 3)}
#: Where the first center of a close pair lies, in pixels. At 16 both centers share a cell.
PAIR_PLACES = (15, 16, 17)


@dataclass(frozen=True)
class Recipe:
    """The training, which is the same for all arms.

    Attributes:
        steps: steps of Adam, whose rate rises linearly in the first fifth and then falls to 0.
        batch_size: scenes per step.
    """

    steps: int = 540
    batch_size: int = 12


@dataclass(frozen=True)
class Arm:
    """A head and its learning rate.

    Attributes:
        shapes: anchors per cell; 0 for the grid head, which has two boxes per cell.
        lr: the highest learning rate.
    """

    shapes: int
    lr: float

    @property
    def network(self) -> str:
        """The name of the head, which arms of different rates share."""
        return f"{self.shapes} anchors" if self.shapes else "grid"


ARMS: Mapping[str, Arm] = named(
    [Arm(0, lr) for lr in (0.015, 0.03, 0.06, 0.24)] + [Arm(4, lr) for lr in (0.0075, 0.03, 0.12)]
)


@dataclass(frozen=True)
class PageData(Parts[Scenes]):
    """Three sets of scenes with the same kind of objects, on the CPU.

    Attributes:
        training: to train on; the mirror images are used as well.
        test: to measure on.
        validation: to choose learning rates on.
    """

    def to(self, device: str | torch.device) -> PageData:
        """Refuse what is no CPU, because boxes and targets of this experiment stay there.

        Args:
            device: what to train on.

        Raises:
            ValueError: if it is not the CPU.
        """
        if torch.device(device).type != "cpu":
            raise ValueError(f"boxes-generated runs on the CPU, not on {device}; add --device cpu")
        return self


def page_data() -> PageData:
    """Generate the scenes, 48 x 48 pixels with one to three objects."""
    return PageData(
        *(scenes(n, SIZE, seed=s, **WORLD) for n, s in ((1536, 11), (256, 12), (256, 13)))
    )


def anchors_of(shapes: int) -> Tensor:
    """Lay anchors over the map: the first shapes of SSD's set of four, squares first.

    Args:
        shapes: 1 to 4.

    Returns:
        (shapes S S, 4).
    """
    s, larger = 0.3 * SIZE, (0.3 * 0.5) ** 0.5 * SIZE
    wide = (s * 2**0.5, s / 2**0.5)
    every = [(larger, larger), (s, s), wide, wide[::-1]]
    return detection.anchor_boxes(GRID, SIZE, every[:shapes])


def build(arm: Arm) -> YOLO:
    """Build the network of an arm from torch's global generator.

    Args:
        arm: decides the channels of the last convolution.
    """
    model = YOLO(NUM_CLASSES)
    if arm.shapes:
        last = model.head[-1]
        assert isinstance(last, nn.Conv2d)
        model.head[-1] = nn.Conv2d(last.in_channels, arm.shapes * (NUM_CLASSES + 5), 1)
    return model


def mirrored(data: Scenes) -> Scenes:
    """Append the mirror images.

    Args:
        data: the scenes.
    """
    flipped = []
    for boxes in data.boxes:
        left, top, right, bottom = boxes.unbind(1)
        flipped.append(torch.stack([SIZE - right, top, SIZE - left, bottom], 1))
    return replace(
        data,
        images=torch.cat([data.images, data.images.flip(-1)]),
        masks=torch.cat([data.masks, data.masks.flip(-1)]),
        boxes=data.boxes + flipped,
        labels=data.labels * 2,
    )


def train_one(arm: Arm, data: Scenes, *, seed: int = 0, recipe: Recipe = Recipe()) -> YOLO:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the head and its learning rate.
        data: the training scenes, whose mirror images are used as well.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.

    Returns:
        The network, in evaluation mode.
    """
    both = mirrored(data)
    if arm.shapes:
        targets = detection.anchor_targets(both.boxes, both.labels, anchors_of(arm.shapes))
    else:
        targets = detection.assign(both.boxes, both.labels, GRID, SIZE, NUM_CLASSES)
    with seeded(seed):
        model = build(arm)
    optimizer, rate = torch.optim.Adam(model.parameters(), arm.lr, fused=True), one_cycle(0.2)
    g, step = torch.Generator().manual_seed(seed), 0
    while step < recipe.steps:
        for rows in torch.randperm(len(both), generator=g).split(recipe.batch_size):
            if step == recipe.steps or len(rows) < recipe.batch_size:
                break
            optimizer.param_groups[0]["lr"] = arm.lr * rate(step / recipe.steps)
            output, target = model(both.images[rows]), targets[rows]
            if arm.shapes:
                loss = detection.anchor_loss(output, target, arm.shapes)
            else:
                loss = detection.grid_loss(output, target).total
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return model.eval()


@torch.no_grad()
def detect(arm: Arm, model: nn.Module, images: Tensor, score: float) -> list[Detections]:
    """Detect with the head of an arm.

    Args:
        arm: the head.
        model: the trained network.
        images: (N, 3, SIZE, SIZE).
        score: the smallest score that is kept.
    """
    output = model(images)
    if arm.shapes:
        anchors = anchors_of(arm.shapes)
        return detection.detect_by_anchors(output, anchors, arm.shapes, SIZE, score)
    return detection.detect(output, NUM_CLASSES, SIZE, score)


def results_of(
    arm: Arm, data: Parts[Scenes], seed: int, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Train a head and measure it, also on close pairs.

    Args:
        arm: the head and its learning rate.
        data: the scenes.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.

    Returns:
        The mAP on validation and test scenes, in which share of the close pairs both objects are
        found, and the number of steps.
    """
    model = train_one(arm, data.training, seed=seed, recipe=recipe)

    def score(part: Scenes, threshold: float) -> float:
        found = detect(arm, model, part.images, 0.05)
        truth = part.boxes, part.labels
        value = detection.mean_average_precision(found, *truth, NUM_CLASSES, threshold)
        return round(value, 4)

    results = {
        MEASURE: score(data.validation, 0.5),
        "mAP at 0.5": score(data.test, 0.5),
        "mAP at 0.75": score(data.test, 0.75),
    }
    for place in PAIR_PLACES:
        pairs, _ = close_pairs(place)
        shown = detect(arm, model, pairs.images, 0.01)
        results[f"both found at {place}"] = round(both_found(shown, pairs), 4)
    return results | {"steps": recipe.steps}


SEARCH = Search(ARMS, MEASURE, results_of, constants=asdict(Recipe()))
configuration, run, best_rates = SEARCH.configuration, SEARCH.run, SEARCH.best_rates
