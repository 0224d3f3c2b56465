"""Does batch norm help because it steadies distributions? (chapter 2.4)

The experiment of Santurkar et al. (2018), section 2.1, at page scale: train without norm, with
batch norm, and with batch norm followed by noise that shifts every distribution at every step.
If steadiness were the mechanism, the third should train like the first. Plain data out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data import ImageDataset
from ..models import ConvNet
from ..norms import NoisyBatchNorm2d
from ..train import fit

#: torch's batch norm equals ours (chapter 2.1) and is faster on small batches.
ARMS = {"no norm": None, "batch norm": nn.BatchNorm2d, "noisy batch norm": NoisyBatchNorm2d}


@dataclass(frozen=True)
class Run:
    """One training run, watched.

    Attributes:
        arm, lr, seed: what was trained.
        losses: training loss of each minibatch before its step, noise included.
        diverged: training stopped at a loss that is not finite.
        means, stds: (steps, layers, channels), of every channel that enters a ReLU, over the
            minibatch of that step; layers of fewer channels are padded with NaN. Empty if not watched.
        model: after training.
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
        """Mean training loss of the last steps; infinite after divergence."""
        return float("inf") if self.diverged else sum(self.losses[-steps:]) / steps

    def steps_to(self, loss: float, window: int = 8) -> int | None:
        """First step at which the mean of the last ``window`` losses is at most ``loss``; None if never."""
        for step in range(window, len(self.losses) + 1):
            if sum(self.losses[step - window : step]) / window <= loss:
                return step
        return None

    def shift(self, skip: int = 16) -> float:
        """How far a channel's distribution moves from one step to the next, in its own standard deviations.

        The 2-Wasserstein distance of Gaussians with the measured moments,
        sqrt((change of mean)^2 + (change of std)^2), over the channel's std averaged over the run;
        the median over channels, averaged over steps and layers.

        Args:
            skip: steps at the start that do not count.
        """
        means, stds = self.means[skip:], self.stds[skip:]
        distance = (means.diff(dim=0).square() + stds.diff(dim=0).square()).sqrt()
        return (distance / stds.mean(0)).nanmedian(dim=-1).values.mean().item()


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
    """Train one arm by SGD with momentum 0.9, and record the moments of what each ReLU receives.

    The seed fixes initial weights, order of examples and noise, and leaves torch's global
    generator as it was. All arms of a seed start from the same convolutions.

    Args:
        arm: one of ``ARMS``.
        data: see :mod:`resnorm.data`.
        lr, seed, epochs, batch_size, after_step: of :func:`resnorm.train.fit`.
        widths, depth: of :class:`resnorm.models.ConvNet`.
        watch: record moments; a forward pass in ``after_step`` would be recorded as well.

    Raises:
        ValueError: an unknown arm.
    """
    if arm not in ARMS:
        raise ValueError(f"arm is {arm!r}; it must be one of {', '.join(ARMS)}")
    means, stds = [], []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach().movedim(1, -1).flatten(0, -2)  # (N, C, H, W) -> (m, C)
        mean = x.mean(0)
        means[-1].append(mean)
        stds[-1].append((x - mean).square().mean(0).sqrt())

    def new_step(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        means.append([])
        stds.append([])

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ConvNet(ARMS[arm], widths, depth).to(memory_format=torch.channels_last)
        torch.manual_seed(seed)  # whatever the norms drew, noise and order start equal
        handles = []
        if watch:
            handles = [
                m.register_forward_pre_hook(note) for m in model.modules() if isinstance(m, nn.ReLU)
            ]
            handles.append(model.register_forward_pre_hook(new_step))
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
        for handle in handles:
            handle.remove()
    moments = (_stack(values, max(widths)) for values in (means, stds))
    return Run(arm, lr, seed, history.losses, history.diverged, *moments, model)


def _stack(moments: list[list[Tensor]], channels: int) -> Tensor:
    """(steps, layers, channels), short layers padded with NaN."""
    if not moments:
        return torch.empty(0, 0, channels)
    pad = lambda v: nn.functional.pad(v, (0, channels - len(v)), value=float("nan"))  # noqa: E731
    return torch.stack([torch.stack([pad(v) for v in step]) for step in moments])


def compare(
    data: ImageDataset,
    settings: dict[str, tuple[str, float]],
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    **kwargs,
) -> dict[str, list[Run]]:
    """Run every setting with every seed.

    Args:
        settings: label -> (arm, learning rate).
        seeds: one run each.
        kwargs: of :func:`train_arm`.
    """
    return {
        label: [train_arm(arm, data, lr=lr, seed=seed, **kwargs) for seed in seeds]
        for label, (arm, lr) in settings.items()
    }
