"""Our batch norm and torch's, side by side, for the tests of both files."""

import torch
from torch import nn

from resnorm import norms

OURS = {2: norms.BatchNorm1d, 3: norms.BatchNorm1d, 4: norms.BatchNorm2d}
TORCHS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}


def assert_close(actual, expected, tolerance=1e-10):
    """Equal shapes and dtypes, and values within ``tolerance`` of the largest expected one."""
    if expected is None:
        assert actual is None
        return
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    if expected.numel():
        scale = max(1.0, expected.abs().max().item())
        worst = (actual.double() - expected.double()).abs().max().item()
        assert worst <= tolerance * scale, f"largest difference {worst:.3g} at scale {scale:.3g}"


def random_parameters(layer, generator):
    """Give the layer a scale and a shift that are neither 1 nor 0."""
    if layer.affine:
        with torch.no_grad():
            layer.weight.copy_(torch.randn(layer.num_features, generator=generator))
            layer.bias.copy_(torch.randn(layer.num_features, generator=generator))
    return layer
    return layer


def pair(shape, form="closed", seed=0, dtype=torch.float64, **options):
    """Our layer and torch's, equal in every parameter and buffer."""
    generator = torch.Generator().manual_seed(seed)
    theirs = random_parameters(TORCHS[len(shape)](shape[1], dtype=dtype, **options), generator)
    ours = OURS[len(shape)](shape[1], dtype=dtype, form=form, **options)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs, generator
