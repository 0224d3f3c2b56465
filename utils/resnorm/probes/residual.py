r"""Take residual networks apart: paths, gradients by path length, lesions, permutations.

A block computes :math:`y = S(x) + F(x)` with a shortcut S, nearly always the identity. Unravelled,
N blocks are a sum over :math:`2^N` paths, each of which passes or skips every F (Veit, Wilber &
Belongie 2016). F need not be given: it is the block minus its shortcut.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Enumerating more blocks than this takes over 4,096 matrices.
MAX_ENUMERATED = 12


def _shortcut(block: nn.Module, x: Tensor) -> Tensor:
    return block.shortcut(x) if hasattr(block, "shortcut") else x


def path_jacobians(blocks: Sequence[nn.Module], x: Tensor) -> dict[tuple[int, ...], Tensor]:
    r"""The Jacobian of each of the :math:`2^N` paths through N blocks; their sum is the network's.

    A path is the tuple of the blocks whose F it passes; at the others it takes the shortcut. Its
    Jacobian is the ordered product, later blocks on the left, of :math:`\partial F_i` evaluated at
    the input that block i receives in the whole network.

    Args:
        blocks: at most :data:`MAX_ENUMERATED`, in the order of the forward pass. Put norms in
            evaluation mode, so that the map of one example is well defined.
        x: (d,) one input.

    Returns:
        path -> (d_out, d), in order of length.

    Raises:
        ValueError: too many blocks; the message says how many paths there would be.
    """
    blocks = list(blocks)
    if len(blocks) > MAX_ENUMERATED:
        raise ValueError(
            f"{len(blocks)} blocks have 2^{len(blocks)} = {2 ** len(blocks):,} paths, too many to enumerate (at most "
            f"{MAX_ENUMERATED} blocks); gradient_by_path_length samples them instead"
        )
    if x.ndim != 1:
        raise ValueError(f"path_jacobians takes one input of shape (d,), not {tuple(x.shape)}")

    def jacobian(function) -> Tensor:
        return torch.autograd.functional.jacobian(lambda z: function(z[None])[0], x)

    paths: dict[tuple[int, ...], Tensor] = {(): torch.eye(len(x), dtype=x.dtype)}
    for i, block in enumerate(blocks):
        through_shortcut = jacobian(lambda z: _shortcut(block, z))
        through_branch = jacobian(lambda z: block(z) - _shortcut(block, z))
        skip = {path: through_shortcut @ J for path, J in paths.items()}
        take = {(*path, i): through_branch @ J for path, J in paths.items()}
        paths = skip | take
        with torch.no_grad():
            x = block(x[None])[0]
    return dict(sorted(paths.items(), key=lambda item: (len(item[0]), item[0])))


@dataclass(frozen=True)
class PathLengthProfile:
    """Gradient against path length, from sampled paths.

    Attributes:
        lengths: number of blocks passed through.
        norms: (lengths,) mean over sampled paths of the norm of the gradient that a path carries to
            the input.
        spread: (lengths,) standard deviation over sampled paths.
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
    """How much gradient a path of each length carries back, for networks too deep to enumerate.

    For each length, random sets of that many blocks are drawn; the gradient passes the F of those
    and the shortcut of the others.

    Args:
        blocks: in the order of the forward pass, norms in evaluation mode.
        x: (n, ...) input of the first block.
        dy: gradient of the loss with respect to the output of the last block.
        lengths: by default all from 0 to the number of blocks.
        samples: paths a length.
        generator: of the random sets.

    Raises:
        ValueError: a length below 0 or above the number of blocks.

    Source: Veit, Wilber & Belongie (2016), section 4.3.
    """
    blocks = list(blocks)
    lengths = tuple(range(len(blocks) + 1) if lengths is None else lengths)
    if any(not 0 <= k <= len(blocks) for k in lengths):
        raise ValueError(
            f"lengths {lengths} must lie between 0 and the number of blocks, {len(blocks)}"
        )

    # One graph for each block, from its input to its shortcut and to its branch.
    stages = []
    z = x.detach()
    for block in blocks:
        z = z.detach().requires_grad_()
        y, shortcut = block(z), _shortcut(block, z)
        stages.append((z, shortcut, y - shortcut, y))
        z = y

    def pull_back(v: Tensor, through: Sequence[str]) -> Tensor:
        for (z, shortcut, branch, y), part in zip(reversed(stages), reversed(through)):
            output = {"shortcut": shortcut, "branch": branch, "both": y}[part]
            if output is not z:  # an identity shortcut hands the gradient on as it is
                (v,) = torch.autograd.grad(output, z, v, retain_graph=True)
        return v

    norms, spread = [], []
    for k in lengths:
        drawn = []
        for _ in range(samples):
            passed = set(torch.randperm(len(blocks), generator=generator)[:k].tolist())
            v = pull_back(dy, ["branch" if i in passed else "shortcut" for i in range(len(blocks))])
            drawn.append(v.norm())
        drawn = torch.stack(drawn)
        norms.append(drawn.mean())
        spread.append(drawn.std(correction=0))
    total = pull_back(dy, ["both"] * len(blocks)).norm().item()
    return PathLengthProfile(lengths, torch.stack(norms), torch.stack(spread), total)


@contextmanager
def lesion(model: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """Remove blocks for a while: each passes its input on unchanged. No class is changed.

    Args:
        model: residual or plain.
        names: of the blocks, as in ``named_modules()``.

    Raises:
        ValueError: a name that the model does not have; on the first forward pass, a block whose
            output has another shape than its input.
    """
    modules = dict(model.named_modules())
    names = list(names)
    for name in names:
        if name not in modules:
            raise ValueError(
                f"the model has no block named {name!r}; its modules are {', '.join(filter(None, modules))}"
            )

    def bypass(name: str):
        def hook(_module, inputs, output):
            (x,) = inputs
            if x.shape != output.shape:
                raise ValueError(
                    f"block {name!r} turns {tuple(x.shape)} into {tuple(output.shape)}: without it the next block "
                    "would be given the wrong shape, so it cannot be removed"
                )
            return x

        return hook

    handles = [modules[name].register_forward_hook(bypass(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def permuted(model: nn.Module, places: Mapping[str, str]) -> Iterator[None]:
    """Let blocks trade places for a while.

    Args:
        model: residual or plain.
        places: place -> name of the block that stands there meanwhile; a permutation.

    Raises:
        ValueError: no permutation, unknown names, or blocks of different shapes.
    """
    modules = dict(model.named_modules())
    if set(places) != set(places.values()):
        raise ValueError(
            f"{dict(places)} is no permutation: each block must leave a place and take one"
        )
    if unknown := sorted(set(places) - set(modules)):
        raise ValueError(f"the model has no block named {', '.join(map(repr, unknown))}")
    for place, name in places.items():
        shapes = [
            [tensor.shape for tensor in modules[key].state_dict().values()] for key in (place, name)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"blocks {place!r} and {name!r} have weights of different shapes: they cannot trade places"
            )
    try:
        for place, name in places.items():
            model.set_submodule(place, modules[name])
        yield
    finally:
        for place in places:
            model.set_submodule(place, modules[place])


def removable(model: nn.Module, x: Tensor, block_type: type | tuple[type, ...]) -> list[str]:
    """Names of the blocks of a class that keep the shape of their input, in order.

    Args:
        x: a batch to run through the model (in evaluation mode, so that nothing moves).
    """
    kept, handles = [], []

    def note(name: str):
        def hook(_module, inputs, output):
            if inputs[0].shape == output.shape:
                kept.append(name)

        return hook

    for name, module in model.named_modules():
        if isinstance(module, block_type):
            handles.append(module.register_forward_hook(note(name)))
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(x)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return kept


def subsets(
    items: Sequence[str], size: int, limit: int, generator: torch.Generator | None = None
) -> list[tuple[str, ...]]:
    """All subsets of a size if there are at most ``limit``, else that many drawn at random."""
    everything = list(itertools.islice(itertools.combinations(items, size), limit + 1))
    if len(everything) <= limit:
        return everything
    return [
        tuple(
            items[i]
            for i in sorted(torch.randperm(len(items), generator=generator)[:size].tolist())
        )
        for _ in range(limit)
    ]
