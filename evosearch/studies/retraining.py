"""The final step: the best of a search trained again, and the test split read once by each network that comes of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from evosearch.data import Split
from evosearch.errors import EvaluationError
from evosearch.evaluation import (
    FinalSettings,
    HandMadeRule,
    Labels,
    Measure,
    Prediction,
    PredictionTask,
    Success,
    Threshold,
    TrainingSettings,
    Trial,
    evaluation_seed,
    judged_epoch,
    network_of,
)
from evosearch.genome import parse_network, weights_of
from evosearch.runtime import Plan, ReadingName
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.storage import TestReading, pack
from evosearch.studies.intervals import draws_for, intervals_of
from evosearch.studies.metrics import classification_metrics
from evosearch.studies.thresholds import answers, best_threshold, threshold_for_share


def final_name(parent: str, epochs: int) -> str:
    """What the retraining of `parent` for so many epochs is called: a search of its own, below its parent.

    >>> final_name("digits", 20), final_name("digits/seed-3", 20)
    ('digits/final-20', 'digits/seed-3-final-20')
    """
    return f"{parent}{'-' if '/' in parent else '/'}final-{epochs}"


def retrainings(
    network: str, number: int, repeats: Sequence[int], final: FinalSettings | None = None
) -> tuple[ListedTrial, ...]:
    """The trainings of candidate `number`, a network's text form, one for each of `repeats`. `final`: how they are to answer; None: by
    default.
    """
    how = final or FinalSettings()
    return tuple(
        ListedTrial(
            network, repeat, source=number, threshold=how.threshold, positive_share=how.positive_share
        )
        for repeat in repeats
    )


def lengthened(
    known: FixedListSettings | None,
    wanted: Sequence[ListedTrial],
    measure: Measure = "accuracy",
    rule: HandMadeRule = "kaiming",
) -> FixedListSettings:
    """The list `known` with what it lacks of `wanted` at its end. `measure`: by what a new one goes; `rule`: how it has
    hand-made networks built.
    """
    there = known.trials if known else ()
    trials = (*there, *(one for one in wanted if one not in there))
    if known:
        return replace(known, trials=trials)
    return FixedListSettings(trials=trials, fitness=measure, hand_made=rule)


_FROM = "-from-"


def reading_key(
    number: int,
    epochs: int,
    seed: int,
    fit: Literal["train", "train_validation"] = "train",
    patience: int | None = None,
    weights: str | None = None,
    threshold: Threshold = "half",
    positive_share: float | None = None,
) -> str:
    """Names a reading: candidate, epochs and seed; the first version's form, so that what it read is found; and how it was
    trained and answers where that is not as the first version did. `weights`: sha256 of those that it started from.

    >>> reading_key(5, 30, 1), reading_key(5, 30, 1, patience=9)
    ('candidate-5-epochs-30-seed-1', 'candidate-5-epochs-30-seed-1-patience-9')
    >>> reading_key(5, 30, 1, weights=64 * "a"), reading_key(5, 30, 1, threshold="validation")
    ('candidate-5-epochs-30-seed-1-from-aaaaaaaaaaaa', 'candidate-5-epochs-30-seed-1-threshold-validation')
    """
    on = "" if fit == "train" else f"-fit-{fit}"
    early = "" if patience is None else f"-patience-{patience}"
    start = "" if weights is None else f"{_FROM}{weights[:12]}"
    return f"candidate-{number}-epochs-{epochs}-seed-{seed}{on}{early}{_answering(threshold, positive_share)}{start}"


def _answering(threshold: Threshold, positive_share: float | None) -> str:
    """In the key of a reading: how its network answers, where that is not with the more probable class."""
    chosen = "" if threshold == "half" else f"-threshold-{threshold}"
    return chosen if positive_share is None else f"{chosen}-share-{positive_share}"


def protocol_of(reading: TestReading) -> tuple[str, str]:
    """Equal for readings of one candidate that differ by their seed alone."""
    return reading.search, reading.key.replace(f"-seed-{reading.seed}", "", 1)


def has_given_weights(reading: TestReading) -> bool:
    """Whether the network that read started from given weights: what these were trained on, it may have seen."""
    return _FROM in reading.key


_TRAINED = re.compile(
    rf"-seed-\d+(?:-fit-(?P<fit>\w+))?(?:-patience-(?P<patience>\d+))?(?:-threshold-(?P<threshold>\w+))?"
    rf"(?:-share-(?P<positive_share>[\d.e-]+))?(?:{_FROM}(?P<weights>\w+))?$"
)


def trained_otherwise(key: str) -> Mapping[str, str]:
    """By the key of a reading, in what its network was trained or answered otherwise than by default: `fit`, `patience`, `threshold`,
    `positive_share`, and `weights`, the beginning of the sha256 of those that it started from.

    >>> dict(trained_otherwise(reading_key(5, 30, 1, "train_validation", 9)))
    {'fit': 'train_validation', 'patience': '9'}
    >>> dict(trained_otherwise(reading_key(5, 30, 1, positive_share=0.1, weights=64 * "a")))
    {'positive_share': '0.1', 'weights': 'aaaaaaaaaaaa'}
    >>> dict(trained_otherwise(reading_key(5, 30, 1, weights=64 * "a"))), dict(trained_otherwise(reading_key(5, 30, 1)))
    ({'weights': 'aaaaaaaaaaaa'}, {})
    """
    found = _TRAINED.search(key)
    return {} if found is None else {name: one for name, one in found.groupdict().items() if one is not None}


def listed_key(one: ListedTrial, training: TrainingSettings, seed: int) -> str:
    """Names the reading by a network of `retrainings` that is trained as `training` says; `seed`: the search's."""
    network = parse_network(one.network)
    drawn = evaluation_seed(seed, network.key, one.repeat)
    return reading_key(
        one.source or 0,
        training.epochs,
        drawn,
        training.fit,
        training.patience,
        weights_of(network),
        one.threshold,
        one.positive_share,
    )


def trained_as(
    strategy: object, training: TrainingSettings, seed: int, reading: TestReading
) -> TrainingSettings:
    """How the network of `reading` was trained, by a search of `strategy`, `training` and `seed`."""
    listed = strategy.trials if isinstance(strategy, FixedListSettings) else ()
    each = ((one, one.settings or training) for one in listed)
    found = (how for one, how in each if listed_key(one, how, seed) == reading.key)
    # the first version's searches read the test split themselves
    return next(found, replace(training, epochs=reading.epochs))


def repeats_of_readings(strategy: object, training: TrainingSettings, seed: int) -> Mapping[str, int]:
    """The repeat of each training of a retraining, by the key of its reading; arguments as those of `trained_as`."""
    listed = strategy.trials if isinstance(strategy, FixedListSettings) else ()
    each = ((one, one.settings or training) for one in listed)
    return {listed_key(one, how, seed): one.repeat for one, how in each}


def _early_end(trained: Success, patience: int) -> dict[str, int]:
    return {"ended_after": len(trained.curve), "judged_epoch": judged_epoch(trained.curve, patience) + 1}


@dataclass(frozen=True, eq=False)
class FinalReader:
    """Lets retrained networks read the test split; keeps to `evosearch.runtime.SplitReader`."""

    test: Split
    """The split; it is handed out only with a reading."""
    classes: tuple[str, ...]
    """Their names, by number."""
    folder: str
    """The search's own, a path or the URL of an artifact store."""
    shared: bool
    """As in `SplitReader`."""
    listed: Sequence[ListedTrial]
    """By trial number, what the retraining's list says of it: among others the candidate in the parent search that it trains again
    (none: the trial's own candidate), and how its network answers.
    """
    positive: int = 1
    """Number of the class that figures of two classes are of."""
    fitness: Measure = "accuracy"
    """What the search goes by."""
    test_key: str = ""
    """As in `evosearch.data.Dataset`."""
    parts: tuple[tuple[str, int], ...] = ()
    """`Dataset.test_parts`."""
    train_labels: Labels | None = None
    """Of the training images, which the share of positive ones is counted on; None: no network's answers rest on it."""
    validation_labels: Labels | None = None
    """Of the validation images, likewise, and thresholds are chosen by."""

    def name(self, plan: Plan, trial: Trial) -> ReadingName:
        """By candidate of the parent, epochs and seed, how it is trained, and how its network answers."""
        one, how, seed = self.listed[trial.number], plan.settings(trial), plan.seed(trial)
        number = trial.candidate.number if one.source is None else one.source
        network = network_of(trial.subject)
        weights = None if network is None else weights_of(network)
        answering = one.threshold, one.positive_share
        key = reading_key(number, how.epochs, seed, how.fit, how.patience, weights, *answering)
        return ReadingName(key, number, how.epochs, seed, _answering(*answering))

    def weights(self, plan: Plan, trial: Trial, term: int, attempt: int) -> str:
        """In a folder of the reading's name."""
        folder = PurePosixPath("final") / self.name(plan, trial).key
        return str(folder / f"term-{term}-attempt-{attempt}.safetensors")

    def place(self, weights: str) -> str:
        """Below the search's own folder."""
        return f"{self.folder}/{weights}"

    def task(self, plan: Plan, trial: Trial, weights: str) -> PredictionTask:
        """All images of the split, in order; where the network's threshold is chosen by the validation images, these too."""
        network = network_of(trial.subject)
        if network is None:
            raise TypeError(f"'{trial.subject}' is no network, so it reads nothing")
        settings, place = plan.settings(trial), self.place(weights)
        chosen = self.listed[trial.number].threshold == "validation"
        about = (self.test.images, plan.hand_made, chosen)
        return PredictionTask(network, settings, plan.data_key, place, *about)

    def measure(
        self, plan: Plan, trial: Trial, trained: Success, prediction: Prediction
    ) -> Mapping[str, Any]:
        """The metrics with their intervals, of all images and of each part of the split where it has several, and what the
        same network came to on the validation images; `validation_fitness` where the search goes by another measure than
        the accuracy; after how many epochs a training ended that may end early, and of which one its weights are; `threshold` and
        by what it was chosen (`threshold_by`) where it was.
        """
        seed, patience = plan.seed(trial), plan.settings(trial).patience
        threshold = self.threshold(plan, trial, prediction)
        predicted = answers(prediction.probabilities, self.positive, threshold)
        by = {} if self.fitness == "accuracy" else {"validation_fitness": trained.by(self.fitness)}
        parts = {
            name: self._figures(prediction.probabilities, predicted, images, seed)
            for name, images in self._parts()
        }
        return {
            **self._figures(prediction.probabilities, predicted, slice(None), seed),
            "validation_accuracy": trained.fitness,
            **by,
            "seconds": trained.seconds,
            **({"parts": parts} if parts else {}),
            **(_early_end(trained, patience) if patience is not None and trained.curve else {}),
            **({} if threshold is None else self._chosen(trial, threshold)),
        }

    def _chosen(self, trial: Trial, threshold: float) -> dict[str, Any]:
        by = "validation" if self.listed[trial.number].threshold == "validation" else "positive_share"
        return {"threshold": threshold, "threshold_by": by}

    def threshold(self, plan: Plan, trial: Trial, prediction: Prediction) -> float | None:
        """Above which probability of the positive class the network of `trial` answers it; None: it answers the most probable class.
        No test image decides it.

        Raises:
            EvaluationError: the worker did not classify the validation images that are to choose it.
        """
        one, how = self.listed[trial.number], plan.settings(trial)
        if one.threshold == "validation":
            known, asked = self.validation_labels, prediction.validation
            if known is None or asked is None or len(known) != len(asked):
                raise EvaluationError(
                    f"the threshold of trial {trial.id} is chosen on {0 if known is None else len(known)} validation images, of which "
                    f"the worker classified {0 if asked is None else len(asked)}"
                )
            return best_threshold(known, asked, self.positive)
        if one.positive_share is None:
            return None
        return threshold_for_share(self._trained_share(how), one.positive_share)

    def _trained_share(self, how: TrainingSettings) -> float:
        """Of positive images in what the loss of a training `how` counts."""
        if how.class_weights == "balanced":
            return 0.5
        splits = (self.train_labels,) if how.validates else (self.train_labels, self.validation_labels)
        labels = np.concatenate([one for one in splits if one is not None])
        return float((labels == self.positive).mean())

    def _figures(
        self, probabilities: npt.NDArray[np.float32], predicted: Labels, images: slice, seed: int
    ) -> dict[str, Any]:
        labels, shares, answered = self.test.labels[images], probabilities[images], predicted[images]
        intervals = intervals_of(labels, shares, self.positive, seed, answered)
        found = classification_metrics(labels, shares, self.classes, self.positive, answered)
        return {
            **found.to_json(),
            "intervals": {name: one and list(one) for name, one in intervals.items()},
            "draws": draws_for(*shares.shape),
        }

    def _parts(self) -> Iterator[tuple[str, slice]]:
        begin = 0
        for name, count in self.parts:
            yield name, slice(begin, begin + count)
            begin += count

    def keep(self, plan: Plan, trial: Trial, prediction: Prediction) -> Mapping[str, Any]:
        """With the labels, so that readings can be compared image by image without the images; the probabilities are the network's
        own.
        """
        threshold = self.threshold(plan, trial, prediction)
        predicted = answers(prediction.probabilities, self.positive, threshold)
        return pack(self.test.labels, prediction, predicted)
