"""Networks of continuous depth: solvers of dh/dt = f(h, t), and the adjoint gradient.

A residual network with T blocks and step 1/T is Euler's method for this equation (chapter 3.9).
Everything here works on tensors of any shape, and autograd differentiates through every solver.
"""

from .adaptive import AdaptiveSolution, StepLimitError, solve_adaptively
from .adjoint import solve_with_adjoint
from .fixed_steps import METHODS, solve

__all__ = [
    "METHODS",
    "AdaptiveSolution",
    "StepLimitError",
    "solve",
    "solve_adaptively",
    "solve_with_adjoint",
]
