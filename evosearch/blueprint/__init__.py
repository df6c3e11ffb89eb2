"""Blueprint: what a chromosome becomes for an image size, worked out without torch.

A *blueprint* is the flat list of layers with every shape, parameter count, FLOPs and activation size. From
it follow the memory that training takes, whether a chromosome is *feasible* within the configured limits,
and how an infeasible one is *repaired*. This room may import `errors` and `genome` only.
"""

from evosearch.blueprint.feasibility import Limits, infeasibility
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
from evosearch.blueprint.memory import Memory, training_memory
from evosearch.blueprint.plan import Blueprint, draw_up
from evosearch.blueprint.repair import Repaired, allowed_poolings, repair_head

__all__ = [
    "BatchNormLayer",
    "Blueprint",
    "ConvLayer",
    "DropoutLayer",
    "FlattenLayer",
    "ImageShape",
    "Layer",
    "Limits",
    "LinearLayer",
    "Memory",
    "PoolLayer",
    "ReluLayer",
    "Repaired",
    "allowed_poolings",
    "draw_up",
    "infeasibility",
    "repair_head",
    "training_memory",
]
