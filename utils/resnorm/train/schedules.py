"""Learning-rate schedules: functions of the progress of the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Maps the progress of the training, in [0, 1), to a factor of the learning rate.
Schedule = Callable[[float], float]


def one_cycle(warm_up: float = 0.2, final: float = 0.0, initial: float = 0.0) -> Schedule:
    """Rise linearly to the full learning rate, then fall linearly.

    Args:
        warm_up: fraction of the training in which the learning rate rises, in (0, 1).
        final: factor of the learning rate at the end.
        initial: factor of the learning rate at the start.

    Returns:
        A schedule for :func:`~resnorm.train.fit`.

    Raises:
        ValueError: ``warm_up`` lies outside (0, 1).

    Source: Smith & Topin (2019), without the steps at a much lower rate after the cycle, and
    without the change of momentum.
    """
    if not 0 < warm_up < 1:
        raise ValueError(f"warm_up is {warm_up}; it must lie between 0 and 1")
    return lambda progress: min(
        initial + (1 - initial) * progress / warm_up,
        final + (1 - final) * (1 - progress) / (1 - warm_up),
    )


def step_decay(at: Sequence[float] = (0.5, 0.75), factor: float = 0.1) -> Schedule:
    """Multiply the learning rate by the same factor at a few points of the training.

    Args:
        at: the points, as fractions of the training in (0, 1).
        factor: what the learning rate is multiplied by at each of them.

    Returns:
        A schedule for :func:`~resnorm.train.fit`.

    Raises:
        ValueError: a point lies outside (0, 1).

    Source: He et al. (2016a), section 4.2.
    """
    if not all(0 < point < 1 for point in at):
        raise ValueError(f"at is {tuple(at)}; each must lie between 0 and 1")
    return lambda progress: factor ** sum(progress >= point for point in at)
