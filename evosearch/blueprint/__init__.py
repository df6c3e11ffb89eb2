"""Blueprint: what a network becomes for a *problem* (images and classes), worked out without torch.

A *blueprint* is the flat list of layers with every shape, parameter count, FLOPs and activation size. From
it follow the memory that training takes, whether a network is *feasible* within the configured limits,
and how an infeasible one is *repaired*. This room may import `errors` and `genome` only.
"""

from evosearch.blueprint.feasibility import Repaired, SizeLimits, allowed_poolings, infeasibility, repair_head
from evosearch.blueprint.layers import (
    BatchNormLayer,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    ImageShape,
    Layer,
    LinearLayer,
    PoolLayer,
    ReluLayer,
)
from evosearch.blueprint.plan import (
    Blueprint,
    Memory,
    NetworkSize,
    Problem,
    blueprint_of,
    size_of,
    training_memory,
)

__all__ = [
    "BatchNormLayer",
    "Blueprint",
    "ConvLayer",
    "DropoutLayer",
    "FlattenLayer",
    "ImageShape",
    "Layer",
    "LinearLayer",
    "Memory",
    "NetworkSize",
    "PoolLayer",
    "Problem",
    "ReluLayer",
    "Repaired",
    "SizeLimits",
    "allowed_poolings",
    "blueprint_of",
    "infeasibility",
    "repair_head",
    "size_of",
    "training_memory",
]
