"""What is no training of a network, in words for a person: features that were kept, and masks over them."""

from typing import assert_never

from evosearch.evaluation import FeaturesOf, HandMade, Losses, Masks, Pretrained, Subject, parse_subject
from evosearch.genome import Chromosome
from evosearch.reports.words import counted
from evosearch.search import Mask, best_mask
from evosearch.storage import EvaluationRow


def in_short(subject: Subject) -> str:
    """`subject` as one line holds it: its text, but for masks, which are told by their number.

    >>> in_short(Masks(("0110", "1111"))), in_short(HandMade("resnet18"))
    ('2 masks of 4 units', 'resnet18')
    """
    match subject:
        case Chromosome() | Pretrained() | HandMade() | FeaturesOf():
            return str(subject)
        case Masks(vectors):
            return f"{counted(len(vectors), 'mask')} of {counted(len(vectors[0]), 'unit')}"
    assert_never(subject)


def found_mask(row: EvaluationRow | None) -> Mask | None:
    """The best of the masks that were trained in `row`; None where none was, or none has a loss that is a number."""
    if row is None or row.loss is None:
        return None
    subject = parse_subject(row.chromosome)
    if not isinstance(subject, Masks):
        return None
    return best_mask([(row.generation, subject, Losses(row.losses, row.seconds))])


def mask_words(mask: Mask) -> str:
    """The rate that a mask stands for, its loss and its place: `rate 0.433, loss 1.2345, mask 7 of generation 12`."""
    return f"rate {mask.rate:.3f}, loss {mask.loss:.4f}, mask {mask.slot} of generation {mask.generation}"


def subject_words(row: EvaluationRow) -> str:
    """What is trained, as a cell of a table holds it; with what was kept of it."""
    if row.features is not None:
        return f"{row.chromosome}: {counted(row.units or 0, 'unit')}, sha256 {row.features}"
    return in_short(parse_subject(row.chromosome)) if row.losses else row.chromosome
