"""How long a training will take: a cost model over the size of its network, refitted from every finished evaluation.

It orders and packs, and never rejects anything. Seconds are a sum of what a training does, each
with a weight of at least 0: a constant, kernels to launch, FLOPs, bytes of activations, bytes of weights. Steps,
epochs and images are the same for all candidates of a search, so the weights absorb them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add, itemgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evosearch.blueprint import NetworkSize

FEATURES = 5
ENOUGH = 2 * FEATURES
"""Finished evaluations before the fit is believed; until then FLOPs decide."""

FEW = 3
"""With fewer than this two weights cannot be told apart."""

Work: TypeAlias = tuple[float, ...]


def work_of(size: NetworkSize) -> Work:
    """What one training step has to do: 1, layers, GFLOPs, millions of activations, millions of parameters."""
    return (
        1.0,
        float(size.layers),
        size.flops / 1e9,
        size.activations / 1e6,
        size.parameters / 1e6,
    )


@dataclass(frozen=True, slots=True)
class Timings:
    """What finished evaluations took: the sums that a least-squares fit of relative errors needs, of
    constant size.
    """

    count: int = 0
    """Evaluations."""
    gram: tuple[float, ...] = (0.0,) * FEATURES**2
    """The works, each divided by its seconds, multiplied with themselves: `FEATURES` x `FEATURES`, row by
    row.
    """
    moment: tuple[float, ...] = (0.0,) * FEATURES
    """The sum of the works, each divided by its seconds: `FEATURES` numbers."""

    def __add__(self, other: "Timings") -> "Timings":
        return Timings(self.count + other.count, _sum(self.gram, other.gram), _sum(self.moment, other.moment))

    @classmethod
    def of_all(cls, several: Sequence["Timings"]) -> "Timings":
        """What several searches know: to the bit what adding one after the other comes to, yet column by column."""
        count = sum(one.count for one in several)
        grams, moments = zip(*((one.gram, one.moment) for one in several), strict=True)
        return cls(count, _added(grams), _added(moments))

    def with_one(self, work: Work, seconds: float) -> "Timings":
        """Knowing an evaluation of `work` too that took `seconds`; one that took no time teaches nothing."""
        if seconds <= 0:
            return self
        row = [value / seconds for value in work]
        return self + Timings(1, tuple(a * b for a in row for b in row), tuple(row))

    def predictor(self) -> Callable[[Work], float]:
        """What gives the seconds that a work will take; before enough is known, a number in the order of its FLOPs."""
        if self.count < ENOUGH:
            return itemgetter(2)
        return _predictor(_weights(self, tuple(range(FEATURES))))

    def predicted(self, works: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of many at once, `FEATURES` rows and a column each; bit for bit what `predictor` says of each alone."""
        return self.predictor()(works)  # type: ignore[arg-type, return-value] # arithmetic goes from column to column

    def estimator(self) -> Callable[[Work], float] | None:
        """What tells the seconds that a work will take, as well as is known; None while nothing is.

        Before enough is known they are a constant and a share of the FLOPs alone, and of one or two, which cannot tell
        these apart, half and half.
        """
        if not self.count:
            return None
        if self.count >= ENOUGH:
            return self.predictor()
        if self.count < FEW:
            one, flops = (self.moment[at] / (self.gram[at * FEATURES + at] or 1.0) / 2 for at in (0, 2))
        else:
            one, flops = _weights(self, (0, 2))
        return _predictor((one, 0.0, flops, 0.0, 0.0))


def _predictor(weights: tuple[float, ...]) -> Callable[[Work], float]:
    one, layers, flops, activations, parameters = weights
    return lambda work: (  # written out, so that rows of an array are added in the same order
        one * work[0] + layers * work[1] + flops * work[2] + activations * work[3] + parameters * work[4]
    )


@lru_cache(maxsize=16)
def _weights(timings: Timings, features: tuple[int, ...]) -> tuple[float, ...]:
    """Seconds per unit of each of `features`, none negative: of least squares over the relative errors."""
    from scipy.optimize import nnls  # noqa: PLC0415 - takes half a second, which readers of a journal need not wait

    gram = np.array(timings.gram).reshape(FEATURES, FEATURES)[np.ix_(features, features)]
    # |Xw - 1|^2 = |Lw - m|^2 + constant for gram = L^T L and L^T m = moment: the rows themselves need not be kept
    values, vectors = np.linalg.eigh(gram)
    kept = values > values[-1] * 1e-12
    root = vectors[:, kept].T * np.sqrt(values[kept])[:, None]
    target = vectors[:, kept].T @ np.array(timings.moment)[list(features)] / np.sqrt(values[kept])
    weights, _ = nnls(root, target)
    return tuple(float(weight) for weight in weights)


def _sum(left: tuple[float, ...], right: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(add, left, right))


def _added(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(reduce(add, column) for column in zip(*rows, strict=True))
