"""Where the papers' text, the authors' released code and evosearch differ: one table, from which all that is said is made.

`evosearch explain protocol` prints it, and `docs/protocol.md` holds it (`make docs`). A decision that has a key can be taken
back by that key; one without a key is for ever, since another decision would be another search.
"""

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from evosearch.studies.narrowing import as_yaml

EAVL = "Gong et al., Complex & Intelligent Systems, 2021, doi 10.1007/s40747-021-00513-8"
GA_DROPOUT = "medRxiv 2020.04.21.20072637, doi 10.1101/2020.04.21.20072637"
"""Its rules are those whose place begins with its short name, GA-Dropout."""


@dataclass(frozen=True)
class Divergence:
    """One rule that the text does not settle, or that is not followed by its letter."""

    rule: str
    """What it is about, in a few words."""
    text: str
    """What the paper's text says."""
    where: str
    """The part of the paper that says it."""
    code: str | None
    """What the authors' released code does; None: the same as the text, or it was not looked up."""
    ours: str
    """What evosearch does."""
    keys: tuple[tuple[str, Any], ...] = ()
    """The configuration's keys that decide it, each with the default that is meant here."""


DIVERGENCES = (
    Divergence(
        "the images that give the fitness",
        "classification accuracy, without a word on which images",
        '"Parameter settings"',
        "the test images, which lets the test set into the search",
        "the validation images; the test images are read by `retrain` alone, once for each network",
    ),
    Divergence(
        "the epoch that gives the fitness",
        "not said",
        '"Parameter settings"',
        "the last one",
        "the last one, or that of the lowest validation loss, once it has not fallen for so many epochs",
        (("training.patience", None),),
    ),
    Divergence(
        "the measure that is fitness",
        "classification accuracy",
        '"Parameter settings"',
        "classification accuracy",
        "as the text, or another measure of the last epoch on the validation images",
        (("strategy.fitness", "accuracy"),),
    ),
    Divergence(
        "choice of parents",
        "in proportion to fitness",
        "first step of the generation of offspring",
        "in proportion to (accuracy - lowest accuracy) squared",
        "as the released code, or as the text with `proportionate`; all equal: each alike; a failed one has no chance while "
        "another succeeded",
        (("strategy.selection", "squared"),),
    ),
    Divergence(
        "drawing of pairs",
        "not said",
        "steps of the generation of offspring",
        None,
        "with replacement, so that both parents may be one individual; both children live; of an odd number of children "
        "the last pair's second one is dropped",
    ),
    Divergence(
        "crossover of very short heads",
        "one cut in each parent, the parts before them are exchanged",
        "Fig. 3",
        None,
        "a cut lies between two genes; where a head has one gene only, both heads stay as they are",
    ),
    Divergence(
        "who is balanced",
        "what crossover made",
        "Fig. 4",
        "crossed children only",
        "every child, copied ones too; none where an ablation says `strategy.balance: false`",
        (("strategy.balance", True),),
    ),
    Divergence(
        "balance's reference",
        "the individual with the global best fitness",
        "Algorithm 1, Fig. 4",
        None,
        "the best of all finished generations; as long as nothing has succeeded the lowest number takes its place",
    ),
    Divergence(
        "balance's thresholds",
        "shrink from 4 genes more than the best head, by a length drawn by N(l, 1); grow below 4 genes",
        '"Parameter settings", Fig. 4',
        None,
        "as the text; a shrink therefore never removes the last gene; a best head of fewer than 4 genes is inserted whole",
        (("strategy.phi", 4), ("strategy.shrink_deviation", 1.0)),
    ),
    Divergence(
        "too many poolings",
        "at most 5 in a random individual; nothing is said of children",
        '"Parameter settings"',
        "random ones above 5 are dropped",
        "the last ones go first, until the limit holds and no side falls below 1 pixel",
        (("space.poolings", (1, 5)),),
    ),
    Divergence(
        "least number of poolings",
        "not said",
        "Algorithm 2",
        None,
        "1; the search's cost depends on it almost twofold",
        (("space.poolings", (1, 5)),),
    ),
    Divergence(
        "a head without a convolution",
        "not said",
        "Fig. 3, Fig. 4",
        None,
        "its first gene becomes the best individual's first convolution",
    ),
    Divergence(
        "networks that are too large",
        "not said",
        "-",
        None,
        "a random individual is drawn again, so many times; a child becomes a copy of its fitter parent",
        (("space.max_parameters", 200_000_000), ("space.max_memory", None), ("strategy.redraws", 100)),
    ),
    Divergence(
        "elites",
        "the 10 with the highest fitness",
        "Algorithm 3",
        "equal chromosomes may both be elites",
        "the best distinct chromosomes, ties to the lower number; they keep number and fitness and are not trained again",
        (("strategy.elites", 10),),
    ),
    Divergence(
        "equal chromosomes",
        "not said",
        "-",
        None,
        "trained once in a search: a second one is given the fitness of the first, and has a row of its own; 810 evaluations "
        "are therefore fewer trainings, by a twentieth to a quarter in simulated searches; a "
        "second training would begin from the same seed, and give the same",
    ),
    Divergence(
        "failed trainings",
        "not said",
        "-",
        None,
        "a failure is no number: it ranks below every success and is never chosen while there is one",
    ),
    Divergence(
        "generations",
        "20",
        '"Parameter settings"',
        None,
        "the initial population is generation 0, so 20 are 0 to 19: 50 + 19 x 40 = 810 evaluations",
        (("strategy.generations", 20), ("strategy.population", 50), ("strategy.immigrants", 10)),
    ),
    Divergence(
        "how long a candidate is trained",
        "100 epochs, each",
        '"Parameter settings"',
        None,
        "as the text, or rung by rung: all of a generation's own for a few epochs, and a share of them, the best, for more; who is "
        "dropped ranks below whoever went further, weighs in selection no more than the worst of those one rung further, and is "
        "never an elite or the best",
        (("strategy.halving", None),),
    ),
    Divergence(
        "how often a candidate is trained",
        "once",
        '"Parameter settings"',
        None,
        "once, or some again: in the place of so many immigrants those nearest to where elites are told from the others, whose score is "
        "the mean of their trainings, drawn towards the generation's mean by how noisy trainings are",
        (("strategy.repeats", 0),),
    ),
    Divergence(
        "loss",
        "binary cross-entropy",
        '"Peer competitors"',
        None,
        "cross-entropy over the classes' logits, which for two classes is the same; every image counts alike, or every class",
        (("training.class_weights", "none"),),
    ),
    Divergence(
        "initial weights of the output layer",
        "Kaiming's, of all layers",
        "about Table 4, ablation studies",
        None,
        "as the text, though no ReLU follows the output layer: its logits begin larger than PyTorch's own weights would make them; "
        "biases are 0",
    ),
    Divergence(
        "dropout",
        "not said",
        "-",
        "0.5 after each hidden fully connected layer",
        "as the released code",
        (("training.dropout", 0.5),),
    ),
    Divergence(
        "weight decay",
        "not said",
        "-",
        "1e-8",
        "as the released code",
        (("training.weight_decay", 1e-08),),
    ),
    Divergence(
        "pooling and padding",
        "2 x 2, stride 2; neither kind nor padding is said",
        '"Parameter settings"',
        "max pooling; convolutions keep height and width",
        "as the released code",
    ),
    Divergence(
        "size and values of the images",
        "no preprocessing; the size is not said",
        "abstract, ablation studies",
        None,
        "224 x 224 (8 x 8 for digits), values divided by 255",
        (("data.image_size", None), ("training.normalize", "unit"), ("training.augment", "none")),
    ),
    Divergence(
        "number of COVID-CT's images",
        "349 and 463",
        '"COVID-CT dataset"',
        None,
        "349 and 397, as its makers publish it, in their splits",
    ),
    Divergence(
        "the final training",
        "the best one is trained by another 1000 epochs",
        '"Parameter settings"',
        None,
        "trained from new random weights, from a seed of its own, for 1000 epochs",
        (("final.epochs", 1000), ("final.fit", "train"), ("final.patience", None)),
    ),
    Divergence(
        "the class that is answered",
        "not said",
        '"Parameter settings"',
        None,
        "the more probable one; of two classes, once a key says so, the positive one above a probability that is chosen on the "
        "validation images, or by a share of positive images that is known beforehand, and never on the test images",
        (("final.threshold", "half"), ("final.positive_share", None)),
    ),
    Divergence(
        "random search, the competitor",
        "1000 architectures, a batch norm after every convolution",
        "ablation studies",
        None,
        "as the text once the space says so: `space.batch_norm: 1`; by default the space is the evolution's",
        (("space.batch_norm", 0.5),),
    ),
    Divergence(
        "EVO-CNN, the competitor",
        "evolution in a static space, a batch norm after every convolution; no operator is described",
        "ablation studies",
        None,
        "population, elites, immigrants and choice of parents as EAVL's; of a crossed pair genes of the same kind at equal "
        "positions are exchanged, each by a chance of one half; lengths never change; then each gene is drawn anew with a chance of "
        "0.1, in place of balance",
        (("strategy.exchange_probability", 0.5), ("strategy.mutation_probability", 0.1)),
    ),
    Divergence(
        "ablation beyond the paper",
        "random search, EVO-CNN and VGG16-BN",
        "ablation studies",
        None,
        "besides EAVL without balance, without immigrants, without the choice of batch norm (`space.batch_norm: 1`), and with parents "
        "in proportion to fitness",
        (("strategy.balance", True), ("strategy.immigrants", 10), ("strategy.selection", "squared")),
    ),
    Divergence(
        "learning rates of the batch-norm study",
        "1e-4 for Adam; nothing is said of SGD, Adadelta and RMSprop",
        '"Parameter settings", Table 6',
        None,
        "keys of the study: Adam and RMSprop 1e-4, SGD 1e-2, Adadelta 1.0, since at 1e-4 SGD and Adadelta do not train; what did not "
        "train is marked in every table",
    ),
    Divergence(
        "the dropout that is searched",
        "the Dropout module, often after a convolution layer; its place in InceptionV3 and ResNet-152, which has none, is not said",
        "GA-Dropout, equation 3",
        None,
        "what enters the class layer, of every network: its units, or the channels where the class layer is a convolution; a "
        "dropout that is there already gives way to it, and others keep their own rate",
        (("training.class_dropout", None), ("training.dropout", 0.5)),
    ),
    Divergence(
        "what is trained for each vector",
        "training on a small number of randomly selected training samples",
        "GA-Dropout, steps 1 and 3",
        None,
        "the network is trained once, at the preset rate, on the sample, and the features that enter the class layer are kept; for each "
        "vector that layer alone is trained further over them, from where it was left, for so many epochs, all in the same order of "
        "images",
        (("study.beta", 0.5), ("study.sample", 0.1), ("study.pretrain_epochs", 5), ("study.mask_epochs", 5)),
    ),
    Divergence(
        "the objective",
        "the sum of the losses of a training on the sample",
        "GA-Dropout, equation 4",
        None,
        "the sum of the mean training losses of the epochs, as the text, which favours keeping every unit; or of those on every fifth "
        "image of the sample, which no vector is then trained on, though the network was",
        (("study.objective", "train"),),
    ),
    Divergence(
        "the fixed weight",
        "a weight greater than ten times the objective is the fitness, to expand differences",
        "GA-Dropout, equation 5",
        None,
        "as the text; it cancels in the roulette",
        (("study.weight", 11.0),),
    ),
    Divergence(
        "scale of the kept units",
        "multiplied by 1 - p, preset to 1 - beta",
        "GA-Dropout, equation 3",
        None,
        "multiplied by 1 / (1 - beta) while they are trained, as dropout is built today, or by units / kept units with `kept`",
        (("study.scale", "beta"),),
    ),
    Divergence(
        "the first population",
        "n vectors with different scales",
        "GA-Dropout, step 2",
        None,
        "30 vectors whose shares of zeros lie evenly between two, in places drawn at random; one unit at least is kept",
        (("study.population", 30), ("study.shares", (0.1, 0.9))),
    ),
    Divergence(
        "the roulette",
        "selects the dominant population; smaller is better",
        "GA-Dropout, step 4",
        None,
        "in proportion to worst - fitness, without replacement, all equal: each alike; the selected stay, with their losses, and are "
        "the parents of all others; nothing is trained twice",
        (("study.selected", 0.5),),
    ),
    Divergence(
        "gene exchange and mutation",
        "no operator and no chance is given",
        "GA-Dropout, step 5",
        None,
        "one-point crossover of a pair drawn evenly, else a copy of one; then each bit flips by a chance of 1 / units",
        (("study.crossover", 0.9), ("study.mutation", None)),
    ),
    Divergence(
        "the breeding cycle",
        "a number of iterations that is not said",
        "GA-Dropout, steps 1 and 6",
        None,
        "20 generations bred of the first",
        (("study.cycle", 20),),
    ),
    Divergence(
        "the end of a training",
        "stops by itself when the loss rebounds or falls slowly",
        "GA-Dropout, experiments",
        None,
        "early stopping on the validation loss where the file says so, as the shipped ones do; the weights of the lowest are kept",
        (("final.patience", None), ("training.patience", None)),
    ),
    Divergence(
        "what the rate is held against",
        "0.5, generally",
        "GA-Dropout, equation 3",
        None,
        "0.5, no dropout, a grid of as many rates as the search would have paid for, the best of as many masks drawn at random, the best of "
        "the first generation, and a rate drawn evenly; weighted dropout where it is asked for",
        (("study.fixed", 0.5), ("training.dropout_units", "uniform")),
    ),
    Divergence(
        "random flips and cuts of COVID-CT",
        "used to expand the amount of data",
        "GA-Dropout, data sets",
        None,
        "mirrored left to right by a chance of one half, and moved by up to an eighth of the sides, at each step anew",
        (("training.augment", "none"),),
    ),
)
"""All of them, from fitness to the final training, then those of GA-Dropout. Source: the papers' texts, and the released code of the first
one's authors."""


def protocol_lines(width: int = 80) -> Iterator[str]:
    """The table for a terminal of `width` columns: a block for each rule."""
    yield from textwrap.wrap(
        f"Rules of {EAVL}, and of GA-Dropout, {GA_DROPOUT}, as evosearch reads them.", width
    )
    for one in DIVERGENCES:
        yield ""
        yield one.rule
        for title, value in _told(one):
            head = f"  {title:<15}"
            yield from textwrap.wrap(value, width, initial_indent=head, subsequent_indent=" " * len(head))


def protocol_json() -> list[dict[str, Any]]:
    """One object for each rule; `keys`: the default of each key that decides it."""
    return [{**asdict(one), "keys": dict(one.keys)} for one in DIVERGENCES]


def protocol_markdown() -> str:
    """The table as it is in `docs/protocol.md`."""
    rows = [
        (one.rule, f"{one.text} ({one.where})", one.code or "", one.ours, _keys(one, "`"))
        for one in DIVERGENCES
    ]
    head = ("rule", "the text", "the released code", "evosearch", "key and default")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _told(one: Divergence) -> Iterator[tuple[str, str]]:
    yield "text", f"{one.text} ({one.where})"
    if one.code:
        yield "released code", one.code
    yield "evosearch", one.ours
    if one.keys:
        yield "key", _keys(one, "")


def _keys(one: Divergence, quote: str) -> str:
    """`strategy.phi: 4`, as a configuration writes it."""
    return ", ".join(f"{quote}{key}: {as_yaml(value)}{quote}" for key, value in one.keys)


if __name__ == "__main__":
    sys.stdout.write(f"{protocol_markdown()}\n")
