"""Evosearch evolves convolutional networks for image classification.

The field's words, as they are used throughout:

chromosome   a network as the search sees it: a head of convolutions and poolings, a tail of dense layers
gene         one block of a chromosome
population   the individuals of one generation
generation   a population and its evaluation; the first is 0
offspring    children of two parents, by crossover, balance and repair
elite        one of the best, which lives on with its number and fitness
immigrant    a new random individual in a later generation
balance      shrinking long heads and growing short ones, in place of mutation
fitness      validation accuracy after training, 0 to 1
evaluation   one training of one chromosome, and what it came to

>>> import evosearch
>>> evosearch.parse("C64 B32 P | F100").tail
(Dense(units=100),)

`load_config`, `run` and `open` are the API of scripts and notebooks, and `evosearch.api` what the commands call.
Importing this package loads neither torch nor ray.
"""

TYPE_CHECKING = False  # typing's own would have to be imported first
if TYPE_CHECKING:
    from evosearch.errors import EvosearchError
    from evosearch.genome import Chromosome, Conv, Dense, Pool, SearchSpace, parse, sample
    from evosearch.handle import SearchHandle, load_config, open, run  # noqa: A004 - as in `evosearch.open("digits")`

_ROOMS = {
    "EvosearchError": "errors",
    **dict.fromkeys(("Chromosome", "Conv", "Dense", "Pool", "SearchSpace", "parse", "sample"), "genome"),
    **dict.fromkeys(("SearchHandle", "load_config", "open", "run"), "handle"),
}
__all__ = [
    "Chromosome",
    "Conv",
    "Dense",
    "EvosearchError",
    "Pool",
    "SearchHandle",
    "SearchSpace",
    "load_config",
    "open",
    "parse",
    "run",
    "sample",
]


def __getattr__(name: str) -> object:
    """What `__all__` promises, once it is asked for: `python -m evosearch` must order its path before numpy is imported."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - likewise

    return getattr(import_module(f"evosearch.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """The same names."""
    return __all__
