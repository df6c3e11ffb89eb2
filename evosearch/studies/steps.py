"""What a study trains, step by step: a pure function of its configuration and of the members that have ended.

The steps of searches come first; the final one, in which the best of each member is trained again, is the same for all studies
and is no list here. Each member is an ordinary search: the arm's strategy, space and training, from one seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from evosearch.errors import ConfigError, InvalidChromosomeError
from evosearch.evaluation import Optimizer, TrainingSettings
from evosearch.genome import HAND_MADE, Chromosome, Conv, HeadGene, Pretrained, parse_network
from evosearch.search import (
    EavlSettings,
    EvoCnnSettings,
    EvolutionKeys,
    FixedListSettings,
    ListedTrial,
    RandomSearchSettings,
    measure_of,
)
from evosearch.studies.dropout import MOST_OF_GRID, dropout_arms_in_order, dropout_steps
from evosearch.studies.plans import ArmPlan, Basis, Common, Ended, MemberPlan, Spent, Step
from evosearch.studies.settings import (
    EVOLVED,
    AblationArm,
    AblationStudy,
    BaselinesStudy,
    BatchNormStudy,
    DropoutStudy,
    StudySettings,
    is_text,
    once_arm,
)

ORIGIN = "origin"
"""What the arms of the batch-norm study's own network begin with."""


def steps_of(study: StudySettings, common: Common, starts: Mapping[str, ListedTrial]) -> tuple[Step, ...]:
    """The steps of searches of a study.

    Args:
        study: which one.
        common: what its arms have in common.
        starts: of each arm of given networks, by its name, the text form that is trained, and where the weights are that it starts
            from, if any; of a batch-norm study that of `ORIGIN`.

    Raises:
        ConfigError: the rest of the file does not go with the study.
    """
    match study:
        case BaselinesStudy():
            return _baselines(study, common, starts)
        case AblationStudy():
            return _ablation(study, common)
        case BatchNormStudy():
            return (_at_once("variants", _variants(study, common, starts[ORIGIN]), study.seeds),)
        case DropoutStudy():
            return dropout_steps(study, common, starts)


def arms_in_order(study: StudySettings) -> tuple[str, ...]:
    """The arms in the order of the table, where that is another than the one of the steps."""
    match study:
        case AblationStudy():
            return study.arms
        case DropoutStudy():
            return dropout_arms_in_order(study)
        case BaselinesStudy():
            return tuple(one.name or one.network for one in study.entries)
        case BatchNormStudy():
            return ()


def _at_once(name: str, arms: Sequence[ArmPlan], seeds: Sequence[int]) -> Step:
    members = tuple(MemberPlan(arm, seed) for arm in arms for seed in seeds)
    return Step(name, lambda _: members)


def _listed(name: str, start: ListedTrial, common: Common) -> ArmPlan:
    """One network, trained once by each member."""
    strategy = FixedListSettings(trials=(start,), fitness=measure_of(common.strategy))
    return ArmPlan(name, strategy, common.space, common.training)


# Baselines.


def _baselines(study: BaselinesStudy, common: Common, starts: Mapping[str, ListedTrial]) -> tuple[Step, ...]:
    arms, trials = list[ArmPlan](), dict[str, ListedTrial]()
    for one in study.entries:
        arm = one.name or one.network
        if one.network == EVOLVED:
            arms.append(ArmPlan(arm, common.strategy, common.space, common.training))
        else:
            trials[arm] = replace(starts[arm], weights=one.weights or starts[arm].weights)
            arms.append(_listed(arm, trials[arm], common))
    if study.given == "once":
        return (_at_once("networks", arms, study.seeds),)
    first = [
        replace(one, name=once_arm(one.name), is_row=False) if one.name in trials else one for one in arms
    ]

    def as_dear(ended: Ended) -> tuple[MemberPlan, ...]:
        found = []
        for arm, trial in trials.items():
            for seed in study.seeds:
                searched, once = (ended.get((one, seed)) for one in (study.evolved or EVOLVED, once_arm(arm)))
                trainings = _paid_for(searched, once, common.strategy.evaluations_in_all)
                found.append(MemberPlan(_tuned(arm, trial, trainings, common), seed))
        return tuple(found)

    return (_at_once("networks", first, study.seeds), Step("learning rates", as_dear))


def _paid_for(searched: Spent | None, once: Spent | None, evaluations: int) -> int:
    """How many trainings of a network a search of so many `evaluations` pays for, beside the first one. That may have diverged, and so
    have ended early: then it is cheaper than others will be, and there are no more of them than the search had.
    """
    if searched is None or once is None:
        return 1
    most = MOST_OF_GRID if once.succeeded else evaluations
    if not once.seconds:  # in no time at all
        return 1 if once.succeeded else most
    return max(1, min(most, round(searched.seconds / once.seconds) - 1))


def learning_rates(middle: float, count: int) -> tuple[float, ...]:
    """So many step sizes between a tenth and ten times `middle`, the first; each lies in the middle, by logarithm, of what the ones
    before it leave open (van der Corput), so that any number of them covers the range.

    >>> learning_rates(1e-3, 5)
    (0.001, 0.000316228, 0.00316228, 0.000177828, 0.00177828)
    """
    places = (int(f"{number:b}"[::-1], 2) / 2 ** number.bit_length() for number in range(1, count + 1))
    return tuple(float(f"{middle * 10 ** (2 * place - 1):.6g}") for place in places)


def _tuned(name: str, trial: ListedTrial, trainings: int, common: Common) -> ArmPlan:
    """One network, trained by each member with so many learning rates."""
    trials = tuple(
        replace(trial, settings=replace(common.training, learning_rate=rate))
        for rate in learning_rates(common.training.learning_rate, trainings)
    )
    strategy = FixedListSettings(trials=trials, fitness=measure_of(common.strategy))
    return ArmPlan(name, strategy, common.space, common.training, bases=(Basis(once_arm(name)),))


@dataclass(frozen=True)
class ArmBudget:
    """What an arm is to train, as far as that is known before anything is."""

    name: str
    """The arm's."""
    members: int
    """One for each seed."""
    trainings: int | None
    """Of each member's search; None: they follow from a step that comes before."""
    evolved: bool
    """Whether its networks are found; else it is a list of one."""


def budgets_of(study: StudySettings, common: Common) -> tuple[ArmBudget, ...]:
    """The arms of a study with what each is to train; empty where they follow from the best of a search that is named, which is
    looked up when the study begins.

    Raises:
        ConfigError: as `steps_of`.
    """
    starts: dict[str, ListedTrial] = {}
    match study:
        case BaselinesStudy(
            entries=entries
        ):  # how many trainings a list of one has does not depend on the network
            starts = {one.name or one.network: ListedTrial(HAND_MADE[0]) for one in entries}
        case BatchNormStudy(network=str(network)) if is_text(network):
            starts = {ORIGIN: ListedTrial(network)}
        case BatchNormStudy():
            return ()
        case AblationStudy():
            pass
        case DropoutStudy():
            return _dropout_budgets(study, common)
    first, *later = steps_of(study, common, starts)
    arms = {one.arm.name: one.arm for one in first.members({})}
    found = [
        ArmBudget(
            name,
            len(study.seeds),
            one.strategy.evaluations_in_all,
            not isinstance(one.strategy, FixedListSettings),
        )
        for name, one in arms.items()
        if one.is_row
    ]
    if not later:
        return tuple(found)
    known = {one.name for one in found}
    rest = [name for name in arms_in_order(study) if name not in known]
    evolved = isinstance(study, AblationStudy)
    return (*found, *(ArmBudget(name, len(study.seeds), None, evolved) for name in rest))


def _dropout_budgets(study: DropoutStudy, common: Common) -> tuple[ArmBudget, ...]:
    """Its rows: each is one training for each seed, but for grids, which are as dear as the search for the rate."""
    starts = {one: ListedTrial(one if is_text(one) else HAND_MADE[0]) for one in study.networks}
    dropout_steps(study, common, starts)  # says what does not go together
    return tuple(
        ArmBudget(name, len(study.seeds), None if name.endswith("-grid") else 1, evolved=False)
        for name in dropout_arms_in_order(study)
    )


# Ablation.


def _ablation(study: AblationStudy, common: Common) -> tuple[Step, ...]:
    arms = [_ablated(arm, common) for arm in study.arms if arm != "random"]
    if "random" not in study.arms:
        return (_at_once("searches", arms, study.seeds),)
    if study.random != "seconds":
        budget = _evolution(common).evaluations_in_all if study.random == "evaluations" else study.random
        return (_at_once("searches", [*arms, _random(common, budget)], study.seeds),)

    def as_dear(ended: Ended) -> tuple[MemberPlan, ...]:
        return tuple(MemberPlan(_random(common, paid_for(ended["eavl", seed])), seed) for seed in study.seeds)

    return (_at_once("searches", arms, study.seeds), Step("random search", as_dear))


def paid_for(spent: Spent) -> int:
    """How many random networks the worker-seconds of an evolution pay for, at the price of those of its first generation.

    >>> paid_for(Spent(100.0, (2.0, 3.0)))
    40
    """
    mean = sum(spent.first) / len(spent.first) if spent.first else 0.0
    return max(1, round(spent.seconds / mean)) if mean else max(1, len(spent.first))


def _evolution(common: Common) -> EavlSettings:
    if not isinstance(common.strategy, EavlSettings):
        raise ConfigError(
            f"strategy.name is {common.strategy.name!r}; an ablation takes an evolution apart, so it must be 'eavl'"
        )
    return common.strategy


def _random(common: Common, evaluations: int) -> ArmPlan:
    """The paper's competitor: batch norm after every convolution."""
    evolution = _evolution(common)
    drawn = RandomSearchSettings(
        evaluations=evaluations, redraws=evolution.redraws, fitness=evolution.fitness
    )
    return ArmPlan("random", drawn, replace(common.space, batch_norm=1.0), common.training)


def _ablated(arm: AblationArm, common: Common) -> ArmPlan:
    evolution, everywhere = _evolution(common), replace(common.space, batch_norm=1.0)
    match arm:
        case "vgg16_bn":
            return _listed(arm, ListedTrial(arm), common)
        case "random":
            raise AssertionError("it has a budget of its own")
        case "evo_cnn":
            return ArmPlan(arm, _in_static_space(evolution), everywhere, common.training)
        case "eavl_batch_norm_everywhere":
            return ArmPlan(arm, evolution, everywhere, common.training)
        case "eavl":
            changed = evolution
        case "eavl_no_immigrants":
            changed = replace(evolution, immigrants=0)
        case "eavl_proportional":
            changed = replace(evolution, selection="proportionate")
        case "eavl_no_balance":
            changed = replace(evolution, balance=False)
    return ArmPlan(arm, changed, common.space, common.training)


def _in_static_space(evolution: EavlSettings) -> EvoCnnSettings:
    """EVO-CNN with all that it has in common with the evolution."""
    shared = {one.name for one in fields(EvolutionKeys)} - {"name"}
    return EvoCnnSettings(**{key: getattr(evolution, key) for key in shared})


# Batch norm.


def with_batch_norm(chromosome: Chromosome, everywhere: bool) -> Chromosome:
    """The same network with batch norm after every convolution, or after none.

    >>> str(with_batch_norm(Chromosome((Conv(8), Conv(4, True)), ()), True))
    'B8 B4 |'
    """

    def gene(one: HeadGene) -> HeadGene:
        return replace(one, batch_norm=everywhere) if isinstance(one, Conv) else one

    return Chromosome(tuple(map(gene, chromosome.head)), chromosome.tail)


def _variants(study: BatchNormStudy, common: Common, origin: ListedTrial) -> list[ArmPlan]:
    """ORIGIN and its two variants by each optimizer; a variant that ORIGIN is itself is trained once. Weights that ORIGIN was
    found with are its own alone: they fit no network with another batch norm.
    """
    network = parse_network(origin.network)
    found = network.chromosome if isinstance(network, Pretrained) else network
    if not isinstance(found, Chromosome):
        raise InvalidChromosomeError(
            f"study.network is {origin.network!r}, which has no choice of batch norm; give a chromosome, "
            "`C8 B16 P | F32`, or the name of a search that found one"
        )
    named = {
        ORIGIN: found,
        "variant1": with_batch_norm(found, everywhere=True),
        "variant2": with_batch_norm(found, everywhere=False),
    }
    files = dict(zip(named, study.weights, strict=False))  # of the first ones alone, where there are fewer
    pretrained = {ORIGIN: (origin.network, origin.weights)} if found != network else {}
    pretrained |= {name: (str(named[name]), file) for name, file in files.items()}
    starts: dict[tuple[str, str | None], str] = {}
    for name, variant in named.items():
        starts.setdefault((str(variant), None), name)
        if name in pretrained:
            starts.setdefault(pretrained[name], f"{name}-pretrained")
    return [
        _listed(
            f"{name}-{optimizer}",
            ListedTrial(text, weights=file),
            replace(common, training=_trained(study, common, optimizer)),
        )
        for (text, file), name in starts.items()
        for optimizer in study.optimizers
    ]


def own_references(study: StudySettings, arms: Sequence[str]) -> Mapping[str, str]:
    """Of `arms`, those of a batch-norm study that are held against another one than all the rest, and which: a variant against ORIGIN by
    the same optimizer (from given weights too, where ORIGIN is), and ORIGIN from given weights against it from random ones.

    >>> own_references(BatchNormStudy(network="C8 |"), ("origin-sgd", "variant1-sgd", "origin-adam"))
    {'variant1-sgd': 'origin-sgd'}
    """
    if not isinstance(study, BatchNormStudy):
        return {}
    found = {}
    for arm in arms:
        which, _, optimizer = arm.rpartition("-")
        alike = f"{ORIGIN}{which.removeprefix(which.partition('-')[0])}-{optimizer}"
        if which != ORIGIN:
            found[arm] = alike if alike in arms and alike != arm else f"{ORIGIN}-{optimizer}"
    return found


def _trained(study: BatchNormStudy, common: Common, optimizer: Optimizer) -> TrainingSettings:
    rate = study.learning_rates.of(optimizer)
    return replace(common.training, optimizer=optimizer, learning_rate=rate)
