"""A network as data: a plan of layers that anybody can build, count and check.

A plan is a list of layers, and a layer is a dictionary of plain values, made by the functions in
``vocabulary``. ``kinds`` says what each layer computes, ``network`` builds the module and counts
what it costs, and ``tensor_file`` reads and writes named tensors. ``handed_in`` puts a plan and the
trained weights into one file, from which nothing is executed when it is read.
"""

from .handed_in import HandedIn, load, save
from .kinds import PlanError
from .network import Cost, PlannedNetwork, build, cost
from .tensor_file import TensorFileError, read_tensors, write_tensors
from .vocabulary import (
    Layer,
    Plan,
    add,
    avg_pool,
    batch_norm,
    concat,
    conv,
    dropout,
    gelu,
    global_pool,
    group_norm,
    linear,
    max_pool,
    multiply,
    pad_channels,
    relu,
    sigmoid,
    silu,
)

__all__ = [
    "Cost",
    "HandedIn",
    "Layer",
    "Plan",
    "PlanError",
    "PlannedNetwork",
    "TensorFileError",
    "add",
    "avg_pool",
    "batch_norm",
    "build",
    "concat",
    "conv",
    "cost",
    "dropout",
    "gelu",
    "global_pool",
    "group_norm",
    "linear",
    "load",
    "max_pool",
    "multiply",
    "pad_channels",
    "read_tensors",
    "relu",
    "save",
    "sigmoid",
    "silu",
    "write_tensors",
]
