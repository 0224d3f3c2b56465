"""What an experiment is: a question, and arms that each name a network and its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Training:
    """How an arm is trained. All of it is written into the record.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per batch.
        lr: the highest learning rate.
        momentum: the momentum of SGD.
        nesterov: whether the momentum is Nesterov's.
        weight_decay: the weight decay.
        decay_all: whether norms and biases decay, too.
        norm_bias_rate: the learning rate of the norms' biases as a multiple of the others'.
        train_until: pairs of the name of a parameter and the fraction of the training after which
            it stays as it is.
        lookahead: whether the weights are averaged along the way, see
            :class:`resnorm.train.Lookahead`.
        label_smoothing: the label smoothing of the cross-entropy, in [0, 1).
        schedule: ``"steps"`` divides the learning rate by 10 after 1/2 and 3/4 of the training;
            ``"one cycle"`` lets it rise, then fall to 0; ``"constant"`` keeps it.
        warm_up: the fraction of the training in which one cycle rises.
        initial: the learning rate at the start of one cycle, as a fraction of the highest.
        final: the learning rate at the end of one cycle, as a fraction of the highest.
        padding: the padding of the random crop, in pixels of a 32 x 32 image; 0 means neither crop
            nor random flip.
        padding_mode: ``"constant"`` or ``"reflect"``.
        alternating_flip: whether each image is flipped in every other epoch, and not at random.
        side: the side to which all images are reduced beforehand, in pixels.
        sides: the side of the training images in each epoch; empty means ``side`` throughout.
        compile: whether the network is compiled by ``torch.compile``.
        images: number of training images, always the same ones, as many of each class; 0 means all.
        wrong_labels: the fraction of training labels that are replaced by another class, in [0, 1).
        held_out: number of training images, beside the ``images``, on which the trained network's
            "validation error" is measured as well, for choices; 0 means none.
        curve: whether the test error is measured after each epoch, and not only at the end.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_all: bool = True
    norm_bias_rate: float = 1.0
    train_until: tuple[tuple[str, float], ...] = ()
    lookahead: bool = False
    label_smoothing: float = 0.0
    schedule: str = "steps"
    warm_up: float = 0.2
    initial: float = 0.0
    final: float = 0.0
    padding: int = 4
    padding_mode: str = "constant"
    alternating_flip: bool = False
    side: int = 32
    sides: tuple[int, ...] = ()
    compile: bool = False
    images: int = 0
    wrong_labels: float = 0.0
    held_out: int = 0
    curve: bool = True


@dataclass(frozen=True)
class Arm:
    """A network and its training.

    Attributes:
        model: a key of ``MODELS``.
        training: how it is trained.
        options: arguments of the model, such as its depth; ``norm`` is a key of ``NORMS``.
        lesions: whether to measure the test error without each block, on every fifth test image.
        lesion_sets: with ``lesions``, the number of random sets of blocks of each size that are
            removed together, and of random orders of the blocks; 0 removes single blocks only.
    """

    model: str
    training: Training
    options: Mapping[str, Any] = field(default_factory=dict)
    lesions: bool = False
    lesion_sets: int = 0


@dataclass(frozen=True)
class Experiment:
    """A question and the arms that answer it.

    Attributes:
        question: one sentence or two.
        arms: name -> arm.
        scale: the machine that it runs on, and the time per run.
        published: arm -> a published result with its source, where there is one.
        timed: whether it asks how long a training takes, so that each run needs the machine alone.
        chooses: whether it ends with a choice on the validation split, and measures nothing on the
            test set.
    """

    question: str
    arms: Mapping[str, Arm]
    scale: str
    published: Mapping[str, str] = field(default_factory=dict)
    timed: bool = False
    chooses: bool = False

    def configuration(self) -> dict[str, Any]:
        """Describe everything that decides the numbers, except for the seeds."""
        return {"arms": {name: _described(arm) for name, arm in self.arms.items()}}


#: Fields of a training that were added after the first records.
_LATER = (
    "norm_bias_rate",
    "train_until",
    "lookahead",
    "initial",
    "final",
    "alternating_flip",
    "images",
    "wrong_labels",
    "held_out",
    "curve",
)


def _described(arm: Arm) -> dict[str, Any]:
    """Describe an arm; what was added later is left out where it is at its default.

    So the records of before are still those of the experiments of their names.
    """
    described = asdict(arm)
    for name in _LATER:
        if getattr(arm.training, name) == getattr(Training, name):
            del described["training"][name]
    if not arm.lesion_sets:
        del described["lesion_sets"]
    return described
