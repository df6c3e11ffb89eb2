"""What a candidate costs, put together from its parts: set-up + epochs x (full batches x step + partial batch + validation).

A few epochs on some of the images tell the parts: the last one costs what every later one will, and what those before cost beyond
it is part of the set-up (kernels are chosen then, memory is asked for, steps are captured).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

AGREED = 0.05
"""Whole trainings may cost that much more or less, relative to what was computed, before a figure is void."""


@dataclass(frozen=True)
class Portion:
    """How many images are trained on and validated, and in batches of how many."""

    train: int
    validation: int
    batch: int = 16

    @property
    def steps(self) -> int:
        """In an epoch, those on a full batch."""
        return self.train // self.batch


@dataclass(frozen=True)
class Parts:
    """Seconds: `setup`, once; `step`, on a full batch; `partial`, the step on what is left of an epoch; `validation`, of all images
    that are left for it.
    """

    setup: float
    step: float
    partial: float
    validation: float

    @classmethod
    def of(cls, marks: Sequence[float], portion: Portion, whole: Portion) -> "Parts":
        """From two epochs or more on `portion` of the images, the last of which is as every later one.

        Args:
            marks: seconds used since it was begun: in each epoch after the full batches that are trained on, after all of
                them, after the full ones that are validated, and after all of them; then at its end.
            portion: what it had.
            whole: what candidates have.
        """
        if len(marks) < 9 or len(marks) % 4 != 1:
            raise ValueError(f"two epochs leave nine marks, each further one four, found {len(marks)}")
        *_, begun, full, trained, seen, validated, ended = marks
        setup = begun - (len(marks) // 4 - 1) * (validated - begun) + (ended - validated)
        step, partial = _batches(full - begun, trained - full, portion.train, whole.train, portion.batch)
        look, last = _batches(
            seen - trained, validated - seen, portion.validation, whole.validation, portion.batch
        )
        return cls(max(0.0, setup), step, partial, whole.validation // portion.batch * look + last)

    def candidate(self, whole: Portion, epochs: int) -> float:
        """Seconds of a whole training."""
        return self.setup + epochs * (whole.steps * self.step + self.partial + self.validation)


def _batches(full: float, rest: float, count: int, whole: int, batch: int) -> tuple[float, float]:
    """Seconds of a full batch, and of the partial one that `whole` images leave, of an epoch of `count` images whose full batches
    took `full` and whose partial one `rest`. A partial batch costs more than its share of a full one: weights are as large.
    Where an epoch had but one kind of batch, the other is taken for its share of it.
    """
    if count >= batch and count % batch:
        return full / (count // batch), rest * (whole % batch) / (count % batch)
    each = (full + rest) / count
    return each * batch, each * (whole % batch)


@dataclass(frozen=True)
class Interval:
    """A median and its spread: the least and the most of the rounds."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Interval":
        """Over the rounds."""
        return cls(median(rounds), min(rounds), max(rounds))


@dataclass
class Measured:
    """All that was measured of one system.

    `rounds`: in each round the parts of every network, in one order. `whole`: of each network that was trained as a whole what it cost,
    right after each of the last rounds and with the luck of that. `together`: candidates that share a device whose time is measured; each takes as long as it has it. `limits`:
    seconds of a step that no implementation is below, by network; `unfused`: likewise, where every layer writes what it computes.
    """

    rounds: list[dict[str, Parts]] = field(default_factory=list)
    whole: dict[str, list[float]] = field(default_factory=dict)
    together: int = 1
    limits: Mapping[str, float] = field(default_factory=dict)
    unfused: Mapping[str, float] = field(default_factory=dict)

    def note_whole(self, costs: Mapping[str, float]) -> None:
        """These networks' whole trainings, after the newest round."""
        for network, cost in costs.items():
            self.whole.setdefault(network, []).append(cost)

    def per_hour(self, whole: Portion, epochs: int) -> list[float]:
        """Candidates per hour of the device, or of a core: a figure for each round."""
        return [
            self.together * 3600 / fmean(one.candidate(whole, epochs) for one in found.values())
            for found in self.rounds
        ]

    def milliseconds(self, part: Callable[[Parts], float]) -> list[float]:
        """Of one part, the mean over the networks: a figure for each round."""
        return [1e3 * fmean(map(part, found.values())) for found in self.rounds]

    def fraction(self, limits: Mapping[str, float]) -> list[float]:
        """How near a step is to `limits`, 0 to 1: a figure for each round."""
        return [
            self.together * sum(limits[name] for name in found) / sum(one.step for one in found.values())
            for found in self.rounds
        ]

    def agreements(self, whole: Portion, epochs: int) -> tuple[float, ...]:
        """What each network's whole trainings of so many epochs cost, in times of what is computed of their round, the median; none were
        made: empty.
        """
        return tuple(
            median(
                cost / found[name].candidate(whole, epochs)
                for cost, found in zip(costs, self.rounds[-len(costs) :], strict=True)
            )
            for name, costs in self.whole.items()
        )


def agree(agreements: Sequence[float]) -> bool:
    """Whether a figure may stand: each of its whole trainings says so."""
    return bool(agreements) and all(abs(one - 1) <= AGREED for one in agreements)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """How many times as many candidates, round by round."""
    return Interval.of([one / other for one, other in zip(ours, theirs, strict=True)])
