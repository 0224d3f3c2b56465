"""The optimizer where some parameters get their first gradient later than others."""

import pytest
import torch
from torch import nn

from resnorm.train.optimizer import make_sgd


def trained(make, momentum, skipped):
    """Two parameters after six steps, of which some leave out the second parameter."""
    generator = torch.Generator().manual_seed(0)
    first, second = (
        nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64)) for _ in range(2)
    )
    optimizer = make([{"params": [first, second], "weight_decay": 1e-2}], momentum)
    for step in range(6):
        optimizer.zero_grad()
        loss = (first**2).sum()
        if step not in skipped:
            loss = loss + (second**3).sum()
        loss.backward()
        optimizer.step()
    return torch.cat([first, second]).detach()


@pytest.mark.parametrize("skipped", [(), (0,), (0, 1, 4)])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_fused_step_equals_the_plain_one_where_gradients_come_late(momentum, skipped):
    # torch's own fused step fails here on a GPU and on a CPU: some have a momentum, others none.
    plain = trained(
        lambda groups, m: torch.optim.SGD(groups, 0.1, m, nesterov=m > 0), momentum, skipped
    )
    fused = trained(
        lambda groups, m: make_sgd(groups, 0.1, m, m > 0, fused=True), momentum, skipped
    )
    torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)


def test_on_a_cpu_the_optimizer_is_torchs_as_it_comes():
    parameter = nn.Parameter(torch.ones(3))
    optimizer = make_sgd(
        [{"params": [parameter], "weight_decay": 0.0}], 0.1, 0.9, False, fused=False
    )
    assert not optimizer.state and optimizer.param_groups[0]["fused"] is None
