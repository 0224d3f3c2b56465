"""The forms of batch norm beside ``F.batch_norm``: the time of a step, and the memory it keeps."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from resnorm.norms import functional
from resnorm.probes import saved_bytes

from .measure import interleaved

LAST = torch.channels_last
SHAPES = [
    ((128, 64, 32, 32), LAST),
    ((128, 64, 32, 32), torch.contiguous_format),
    ((128, 512, 4, 4), LAST),
]
FORMS = ("naive", "var_mean", "closed", "compiled")
#: (shape, memory format, form) -> the largest time ratio that is acceptable.
TIME_TARGETS = {(*SHAPES[0], "closed"): 2.5, (*SHAPES[0], "compiled"): 1.3}
SAVED_TARGETS = {"closed": 1.05}


def arms(
    shape: tuple[int, ...], memory: torch.memory_format
) -> dict[str, tuple[Callable[[], torch.Tensor], Callable[[], object]]]:
    """Return forward and step of each arm, on the same tensors; the reference twice, for noise.

    Args:
        shape: (N, C, H, W) of the input.
        memory: its memory format.

    Returns:
        From name to a pair of functions: the forward pass alone, and with the backward pass.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).contiguous(memory_format=memory).requires_grad_()
    gamma = torch.ones(shape[1], requires_grad=True)
    beta = torch.zeros(shape[1], requires_grad=True)
    dy = torch.randn(shape, generator=generator).contiguous(memory_format=memory)

    def library() -> torch.Tensor:
        return F.batch_norm(x, None, None, gamma, beta, training=True)

    forward = {"F.batch_norm": library, "again (noise)": library}
    for form in FORMS:
        forward[form] = lambda form=form: functional.FORMS[form](x, gamma, beta)[0]

    def step(function: Callable[[], torch.Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(), (x, gamma, beta), dy)

    return {name: (function, step(function)) for name, function in forward.items()}


def run(rounds: int) -> list[str]:
    """Print the table.

    Args:
        rounds: of the interleaved timing.

    Returns:
        The targets that were missed, in words.
    """
    missed = []
    print(
        f"Forward and backward, float32, one thread, torch {torch.__version__}: "
        f"median ratio of {rounds} rounds"
    )
    print(f"{'shape':<20}{'memory':<15}{'form':<15}{'time':>8}{'+-':>7}{'kept':>7}  target")
    for shape, memory in SHAPES:
        torch._dynamo.reset()  # else the next shape is compiled for any shape, or not at all
        functional.compiled_var_mean.cache_clear()
        functions = arms(shape, memory)
        kept = {name: saved_bytes(forward) for name, (forward, _) in functions.items()}
        for _ in range(2):  # compile, and let the allocator settle
            for _, step in functions.values():
                step()
        times = interleaved(
            {name: step for name, (_, step) in functions.items()}, "F.batch_norm", rounds
        )
        for name, (ratio, spread) in times.items():
            if name == "F.batch_norm":
                continue
            saved = kept[name] / kept["F.batch_norm"]
            targets = []
            for value, target, what in (
                (ratio, TIME_TARGETS.get((shape, memory, name)), "time"),
                (saved, SAVED_TARGETS.get(name), "kept"),
            ):
                if target is not None:
                    verdict = "ok" if value <= target else "MISSED"
                    targets.append(f"{what} <= {target}: {verdict}")
                    if value > target:
                        missed.append(f"{name} at {shape}: {what} {value:.2f} > {target}")
            layout = "channels last" if memory is LAST else "contiguous"
            size = "x".join(map(str, shape))
            print(
                f"{size:<20}{layout:<15}{name:<15}{ratio:>8.2f}{spread:>7.2f}{saved:>7.2f}"
                f"  {'; '.join(targets)}"
            )
    return missed
