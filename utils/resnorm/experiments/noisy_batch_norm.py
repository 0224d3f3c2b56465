"""Chapter 2.4: does batch norm help because it keeps distributions steady?

The experiment of Santurkar et al. (2018), section 2.1, at page scale: train without norm, with
batch norm, and with batch norm followed by noise that shifts every distribution at every step. If
steady distributions were the mechanism, the third network should train like the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import ImageDataset
from ..models import ConvNet
from ..norms import NoisyBatchNorm2d
from ..train import fit
from .choice import choose
from .seeded import build_seeded, seeded

#: The batch norm of torch equals ours (chapter 2.1) and is faster on small batches.
ARMS: dict[str, Callable[[int], nn.Module] | None] = {
    "no norm": None,
    "batch norm": nn.BatchNorm2d,
    "noisy batch norm": NoisyBatchNorm2d,
}


@dataclass(frozen=True)
class Run:
    """One training run, with the distributions that were measured during it.

    Attributes:
        arm: a key of ``ARMS``.
        lr: the learning rate.
        seed: the seed of the run.
        losses: the training loss of each minibatch before its step, noise included.
        diverged: whether training stopped at a loss that is not finite.
        means: the mean over the minibatch of every channel that enters a ReLU, (steps, layers,
            channels); layers with fewer channels are padded with NaN. Empty if not measured.
        stds: the standard deviations of the same channels, (steps, layers, channels).
        model: the network after training.
    """

    arm: str
    lr: float
    seed: int
    losses: list[float]
    diverged: bool
    means: Tensor
    stds: Tensor
    model: nn.Module

    def final_loss(self, steps: int = 16) -> float:
        """Average the training loss over the last steps.

        Args:
            steps: the number of steps.

        Returns:
            The mean loss; infinite after divergence.
        """
        return float("inf") if self.diverged else sum(self.losses[-steps:]) / steps

    def steps_to(self, loss: float, window: int = 8) -> int | None:
        """Find the first step at which the mean of the last losses is at most a given loss.

        Args:
            loss: the loss to reach.
            window: the number of losses to average.

        Returns:
            The number of steps taken, or None if the loss is never reached.
        """
        for step in range(window, len(self.losses) + 1):
            if sum(self.losses[step - window : step]) / window <= loss:
                return step
        return None

    def shift(self, skip: int = 16) -> float:
        """Measure how far a channel's distribution moves from one step to the next.

        The distance is the 2-Wasserstein distance of Gaussians with the measured moments,
        sqrt((change of mean)^2 + (change of std)^2), divided by the channel's standard deviation
        averaged over the run. The result is the median over channels, averaged over steps and
        layers.

        Args:
            skip: the number of steps at the start that do not count.

        Returns:
            The distance per step, in standard deviations.
        """
        means, stds = self.means[skip:], self.stds[skip:]
        distance = (means.diff(dim=0).square() + stds.diff(dim=0).square()).sqrt()
        return (distance / stds.mean(0)).nanmedian(dim=-1).values.mean().item()


class Moments:
    """Mean and standard deviation of every channel that enters a ReLU, step by step.

    Args:
        channels: the largest number of channels of a layer.
    """

    def __init__(self, channels: int):
        self.channels = channels
        self.means: list[list[Tensor]] = []
        self.stds: list[list[Tensor]] = []

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Measure during every forward pass of a model inside a ``with`` statement.

        Args:
            model: the network; afterwards it is as it was.
        """
        handles = [
            module.register_forward_pre_hook(self._measure)
            for module in model.modules()
            if isinstance(module, nn.ReLU)
        ]
        handles.append(model.register_forward_pre_hook(self._new_step))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def stacked(self) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations, each (steps, layers, channels)."""
        return self._stack(self.means), self._stack(self.stds)

    def _new_step(self, _module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        self.means.append([])
        self.stds.append([])

    def _measure(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach().movedim(1, -1).flatten(0, -2)  # (N, C, H, W) -> (m, C)
        mean = x.mean(0)
        self.means[-1].append(mean)
        self.stds[-1].append((x - mean).square().mean(0).sqrt())

    def _stack(self, moments: list[list[Tensor]]) -> Tensor:
        if not moments:
            return torch.empty(0, 0, self.channels)
        padded = [
            [F.pad(v, (0, self.channels - len(v)), value=float("nan")) for v in step]
            for step in moments
        ]
        return torch.stack([torch.stack(step) for step in padded])


def train_arm(
    arm: str,
    data: ImageDataset,
    *,
    lr: float,
    seed: int = 0,
    epochs: int = 3,
    batch_size: int = 64,
    widths: tuple[int, ...] = (8, 16, 32),
    depth: int = 2,
    watch: bool = True,
    after_step: Callable[[int, nn.Module], None] | None = None,
) -> Run:
    """Train one arm by SGD with momentum 0.9, and measure the moments of what each ReLU receives.

    The two arms with batch norm start from the same convolutions. Those of the arm without norm
    differ, because its convolutions have a bias and draw for it.

    Args:
        arm: a key of ``ARMS``.
        data: images and labels, see :mod:`resnorm.data`.
        lr: the learning rate.
        seed: the seed of the weights, of the order of examples and of the noise; torch's global
            generator is left as it was.
        epochs: passes over the training images.
        batch_size: images per batch.
        widths: channels per stage of the :class:`resnorm.models.ConvNet`.
        depth: blocks per stage.
        watch: whether to measure moments. A forward pass in ``after_step`` would be measured, too.
        after_step: called after each step with its number and the model.

    Returns:
        The run.

    Raises:
        ValueError: if the arm is unknown.
    """
    norm = choose("arm", arm, ARMS)
    model = build_seeded(lambda: ConvNet(norm, widths, depth), data, seed)
    moments = Moments(max(widths))
    # The norms of the arms draw differently when they are built. Seeding again lets noise start
    # equal.
    with seeded(seed), moments.watch(model) if watch else nullcontext():
        history = fit(
            model,
            data,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            after_step=after_step,
            evaluate=False,
            allow_divergence=True,
        )
    means, stds = moments.stacked()
    return Run(arm, lr, seed, history.losses, history.diverged, means, stds, model)
