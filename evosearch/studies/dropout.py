"""What a dropout study trains, step by step: features, masks over them, then each network with the rates that were found and others.

The grid comes last: it has as many trainings as the search cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from evosearch.errors import ConfigError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import parse_network, weights_of
from evosearch.search import (
    BreedingKeys,
    FeaturesSettings,
    FixedListSettings,
    ListedTrial,
    MasksSettings,
    SampleKeys,
    StrategySettings,
    best_mask,
    measure_of,
)
from evosearch.studies.comparison import Purpose
from evosearch.studies.plans import ArmPlan, Basis, Common, Ended, MemberPlan, Spent, Step
from evosearch.studies.settings import (
    FEATURES,
    MASKS,
    RANDOM_MASKS,
    SEARCHED,
    DropoutArm,
    DropoutStudy,
    arm_of,
)


def dropout_arms_in_order(study: DropoutStudy) -> tuple[str, ...]:
    """The arms of one network after those of the other."""
    return tuple(f"{arm_of(network)}-{arm}" for network in study.networks for arm in study.arms)


def dropout_references(study: DropoutStudy) -> Mapping[str, str]:
    """What each arm is held against, by name: its own network's ga; where that is not asked for, the first arm."""
    reference = "ga" if "ga" in study.arms else study.arms[0]
    return {
        f"{arm_of(network)}-{arm}": f"{arm_of(network)}-{reference}"
        for network in study.networks
        for arm in study.arms
    }


def grid_of(rates: int) -> tuple[float, ...]:
    """So many rates evenly between 0 and 1.

    >>> grid_of(3)
    (0.25, 0.5, 0.75)
    """
    return tuple(number / (rates + 1) for number in range(1, rates + 1))


def uniform_rate(seed: int, network: str) -> float:
    """A rate drawn evenly from 0 to 1, of which 1 is none; `network`: its text form."""
    key = int(parse_network(network).key[:8], 16)
    return float(np.random.default_rng([seed, Purpose.RATE, key]).random())


def dropout_steps(study: DropoutStudy, common: Common, starts: Mapping[str, ListedTrial]) -> tuple[Step, ...]:
    """Features, masks over them, then the networks; the grid, which costs what the others did, comes last."""
    if common.training.class_dropout is not None:
        raise ConfigError(
            f"training.class_dropout is {common.training.class_dropout}, which a dropout study says for each of its arms; leave it "
            "out"
        )
    arms = [_DropoutArms(study, common, starts[one].network, arm_of(one)) for one in study.networks]
    for one in arms:
        if weights_of(parse_network(one.network)) is not None:
            raise ConfigError(
                f"study.networks has {one.name}, whose network starts from given weights ({one.network}); a dropout study trains "
                "from random ones: give the network as text"
            )

    def each(
        of: Callable[[_DropoutArms, int, Ended], Sequence[ArmPlan]],
    ) -> Callable[[Ended], tuple[MemberPlan, ...]]:
        return lambda ended: tuple(
            MemberPlan(arm, seed) for one in arms for seed in study.seeds for arm in of(one, seed, ended)
        )

    steps = (
        Step("features", each(_DropoutArms.features)),
        Step("masks", each(_DropoutArms.masks)),
        Step("networks", each(_DropoutArms.trained)),
        Step("grid", each(_DropoutArms.grid)),
    )
    searches = 2 if SEARCHED & {*study.arms} or "random" in study.arms else 0
    return steps[2 - searches : 4 if "grid" in study.arms else 3]


@dataclass(frozen=True)
class _DropoutArms:
    """The arms of one network; each function says which there are from a seed."""

    study: DropoutStudy
    common: Common
    network: str
    """Its text form."""
    name: str
    """What its arms begin with."""

    def features(self, seed: int, ended: Ended) -> Sequence[ArmPlan]:  # noqa: ARG002 - they come first
        strategy = FeaturesSettings(network=self.network, **_of(self.study, SampleKeys))
        return (self._searched(FEATURES, strategy),)

    def masks(self, seed: int, ended: Ended) -> Sequence[ArmPlan]:
        found = self._ended(FEATURES, seed, ended)
        if found is None or found.features is None:
            return ()
        genetic = MasksSettings(
            network=self.network,
            features=found.features.digest,
            units=found.features.units,
            **search_keys(self.study),
        )
        asked = {*self.study.arms}
        return (
            *((self._searched(MASKS, genetic),) if SEARCHED & asked else ()),
            *(
                (self._searched(RANDOM_MASKS, replace(genetic, breeding="random")),)
                if "random" in asked
                else ()
            ),
        )

    def trained(self, seed: int, ended: Ended) -> Sequence[ArmPlan]:
        rates = ((arm, self._rate(arm, seed, ended)) for arm in self.study.arms if arm != "grid")
        return [self._trained(arm, rate) for arm, rate in rates if rate is not None]

    def grid(self, seed: int, ended: Ended) -> Sequence[ArmPlan]:
        """As many trainings as the search and the training with its rate would pay for."""
        spent = [self._ended(one, seed, ended) for one in (FEATURES, MASKS)]
        trained = (self._ended(arm, seed, ended) for arm in get_args(DropoutArm) if arm != "grid")
        price = next(
            (one.succeeded[0] for one in trained if one is not None and one.succeeded), 0.0
        )  # of ga, if it has one
        searched = sum(one.seconds for one in spent if one is not None)
        count = 1 + (min(MOST_OF_GRID, round(searched / price)) if price else 0)
        trials = tuple(
            ListedTrial(self.network, settings=replace(self.common.training, class_dropout=rate))
            for rate in grid_of(count)
        )
        return (self._arm("grid", self._list(trials), self.common.training),)

    def _rate(self, arm: DropoutArm, seed: int, ended: Ended) -> float | None:
        """What an arm but the grid is trained with; None: what it rests on found nothing."""
        match arm:
            case "fixed":
                return self.study.fixed
            case "none":
                return 0.0
            case "uniform":
                return uniform_rate(seed, self.network)
            case "ga" | "weighted" | "first" | "random":
                found = self._ended(RANDOM_MASKS if arm == "random" else MASKS, seed, ended)
                masks = found.masks if found else ()
                best = best_mask([one for one in masks if arm != "first" or one[0] == 0])
                return None if best is None else best.rate
            case "grid":
                raise AssertionError("it has many")

    def _trained(self, arm: DropoutArm, rate: float) -> ArmPlan:
        units: Literal["uniform", "weighted"] = "weighted" if arm == "weighted" else "uniform"
        training = replace(self.common.training, class_dropout=rate, dropout_units=units)
        return self._arm(arm, self._list((ListedTrial(self.network),)), training)

    def _arm(self, arm: DropoutArm, strategy: StrategySettings, training: TrainingSettings) -> ArmPlan:
        bases: tuple[Basis, ...] = ()
        if arm in ("ga", "weighted", "first", "random"):
            masks = RANDOM_MASKS if arm == "random" else MASKS
            bases = (Basis(f"{self.name}-{FEATURES}"), Basis(f"{self.name}-{masks}", first=arm == "first"))
        return ArmPlan(f"{self.name}-{arm}", strategy, self.common.space, training, bases=bases)

    def _searched(self, name: str, strategy: StrategySettings) -> ArmPlan:
        return ArmPlan(f"{self.name}-{name}", strategy, self.common.space, self.common.training, is_row=False)

    def _list(self, trials: tuple[ListedTrial, ...]) -> FixedListSettings:
        return FixedListSettings(trials=trials, fitness=measure_of(self.common.strategy))

    def _ended(self, arm: str, seed: int, ended: Ended) -> Spent | None:
        return ended.get((f"{self.name}-{arm}", seed))


MOST_OF_GRID = 10_000
"""Trainings of a grid; where one costs next to nothing a search pays for any number of them."""


def search_keys(study: DropoutStudy) -> dict[str, Any]:
    """Those of a study's keys that its searches have too."""
    return _of(study, SampleKeys) | _of(study, BreedingKeys)


def _of(study: DropoutStudy, keys: type[Any]) -> dict[str, Any]:
    return {one.name: getattr(study, one.name) for one in fields(keys)}
