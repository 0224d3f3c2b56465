r"""Paths through residual networks: their Jacobians, and the gradient they carry by length.

A block computes :math:`y = S(x) + F(x)` with a shortcut S, nearly always the identity. Unravelled,
N blocks are a sum over :math:`2^N` paths, each of which passes or skips every F (Veit, Wilber &
Belongie 2016). F need not be given, because it is the block minus its shortcut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .hooks import widened

#: Enumerating more blocks than this takes over 4,096 matrices.
MAX_ENUMERATED = 12


def _shortcut(block: nn.Module, x: Tensor) -> Tensor:
    """Return S(x): the block's ``shortcut`` or ``downsample`` if it has one, otherwise ``x``."""
    for name in ("shortcut", "downsample"):
        shortcut: Callable[[Tensor], Tensor] | None = getattr(block, name, None)
        if shortcut is not None:
            return shortcut(x)
    return x


def _branch(block: nn.Module, y: Tensor, shortcut: Tensor) -> Tensor:
    """Return F(x), where ``y`` is the block's output and ``shortcut`` is S(x)."""
    if y.shape != shortcut.shape:
        raise ValueError(
            f"{type(block).__name__} puts out {tuple(y.shape)}, but its shortcut "
            f"{tuple(shortcut.shape)}; a block whose shortcut is not the identity must have it as "
            "its attribute shortcut or downsample"
        )
    return y - shortcut


def path_jacobians(blocks: Sequence[nn.Module], x: Tensor) -> dict[tuple[int, ...], Tensor]:
    r"""Compute the Jacobian of each of the :math:`2^N` paths; their sum is the network's.

    A path is the tuple of the blocks whose F it passes; at the others it takes the shortcut. Its
    Jacobian is the ordered product, later blocks on the left, of :math:`\partial F_i` evaluated at
    the input that block i receives in the whole network.

    Args:
        blocks: at most :data:`MAX_ENUMERATED`, in the order of the forward pass. Put norms in
            evaluation mode, so that the map of one example is well defined.
        x: (d,) one input.

    Returns:
        A dictionary from path to Jacobian of shape (d_out, d), in order of length.

    Raises:
        ValueError: there are too many blocks (the message says how many paths there would be), or
            ``x`` is a batch, or a block and its shortcut differ in shape.

    Source:
        Veit, Wilber & Belongie (2016), section 3, equation 6.
    """
    blocks = list(blocks)
    if len(blocks) > MAX_ENUMERATED:
        raise ValueError(
            f"{len(blocks)} blocks have 2^{len(blocks)} = {2 ** len(blocks):,} paths, too many to "
            f"enumerate (at most {MAX_ENUMERATED} blocks); gradient_by_path_length samples them "
            "instead"
        )
    if x.ndim != 1:
        raise ValueError(f"path_jacobians takes one input of shape (d,), not {tuple(x.shape)}")

    paths: dict[tuple[int, ...], Tensor] = {(): torch.eye(len(x)).to(x)}
    for i, block in enumerate(blocks):
        through_shortcut, through_branch = _block_jacobians(block, x)
        skip = {path: through_shortcut @ J for path, J in paths.items()}
        take = {(*path, i): through_branch @ J for path, J in paths.items()}
        paths = skip | take
        with torch.no_grad():
            x = block(x[None].clone())[0]
    return dict(sorted(paths.items(), key=lambda item: (len(item[0]), item[0])))


def _block_jacobians(block: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Jacobians of S and of F at the input ``x`` of shape (d,)."""

    def jacobian(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.functional.jacobian(lambda z: function(z[None])[0], x)

    return (
        jacobian(lambda z: _shortcut(block, z)),
        jacobian(
            lambda z: _branch(block, block(z.clone()), _shortcut(block, z))
        ),  # the block may overwrite its input
    )


@dataclass(frozen=True)
class PathLengthProfile:
    """Gradient against path length, from sampled paths.

    Attributes:
        lengths: number of blocks passed through.
        norms: (lengths,) mean over sampled paths of the norm of the gradient that a path carries to
            the input.
        spread: (lengths,) standard deviation of that norm over sampled paths.
        total: norm of the whole gradient, all paths together.
    """

    lengths: tuple[int, ...]
    norms: Tensor
    spread: Tensor
    total: float


def gradient_by_path_length(
    blocks: Sequence[nn.Module],
    x: Tensor,
    dy: Tensor,
    *,
    lengths: Iterable[int] | None = None,
    samples: int = 20,
    generator: torch.Generator | None = None,
) -> PathLengthProfile:
    """Measure how much gradient a path of each length carries back, by sampling paths.

    For each length, random sets of that many blocks are drawn. The gradient passes the F of those
    and the shortcut of the others. This works for networks too deep to enumerate.

    Args:
        blocks: in the order of the forward pass, norms in evaluation mode.
        x: (n, ...) input of the first block.
        dy: gradient of the loss with respect to the output of the last block, of that output's
            shape.
        lengths: numbers of blocks passed; None takes all from 0 to the number of blocks.
        samples: number of paths per length.
        generator: source of the random sets; None takes torch's global generator.

    Returns:
        Mean and spread of the gradient's norm for each length, and the norm of the whole gradient.

    Raises:
        ValueError: a length is below 0 or above the number of blocks, or a block and its shortcut
            differ in shape.

    Source:
        Veit, Wilber & Belongie (2016), section 4.3.
    """
    blocks = list(blocks)
    lengths = tuple(range(len(blocks) + 1) if lengths is None else lengths)
    if any(not 0 <= k <= len(blocks) for k in lengths):
        raise ValueError(
            f"lengths {lengths} must lie between 0 and the number of blocks, {len(blocks)}"
        )
    stages = _stages(blocks, x)
    norms, spread = [], []
    for k in lengths:
        drawn = []
        for _ in range(samples):
            passed = set(torch.randperm(len(blocks), generator=generator)[:k].tolist())
            through = ["branch" if i in passed else "shortcut" for i in range(len(blocks))]
            drawn.append(widened(_pull_back(dy, stages, through)).norm())
        sampled = torch.stack(drawn)
        norms.append(sampled.mean())
        spread.append(sampled.std(correction=0))
    total = widened(_pull_back(dy, stages, ["block"] * len(blocks))).norm().item()
    return PathLengthProfile(lengths, torch.stack(norms), torch.stack(spread), total)


def _stages(blocks: Iterable[nn.Module], x: Tensor) -> list[dict[str, Tensor]]:
    """Return one graph per block, from its input to its shortcut, its branch and their sum."""
    stages = []
    z = x.detach()
    for block in blocks:
        z = z.detach().requires_grad_()
        y, shortcut = block(z.clone()), _shortcut(block, z)  # the block may overwrite its input
        stages.append(
            {"input": z, "shortcut": shortcut, "branch": _branch(block, y, shortcut), "block": y}
        )
        z = y
    return stages


def _pull_back(dy: Tensor, stages: list[dict[str, Tensor]], through: Sequence[str]) -> Tensor:
    """Carry ``dy`` back to the first input, through the named part of every block."""
    for stage, part in zip(reversed(stages), reversed(through), strict=True):
        output = stage[part]
        if output is not stage["input"]:  # an identity shortcut hands the gradient on as it is
            (dy,) = torch.autograd.grad(output, stage["input"], dy, retain_graph=True)
    return dy
