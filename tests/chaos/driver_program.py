"""The command `evosearch`, with an evaluator of the tests' where training would be: EVALUATOR ARGUMENT...

EVALUATOR is a pickled factory in hexadecimal; the rest is what `evosearch` takes.
"""

import pickle
import sys
from typing import Any

from evosearch.__main__ import main
from evosearch.providers import Providers
from workers import make_pool

evaluator = pickle.loads(bytes.fromhex(sys.argv.pop(1)))


def make_pool_of_evaluators(*arguments: Any, **named: Any) -> Any:
    executor, settings, threads, _, *others = arguments
    return make_pool(executor, settings, threads, evaluator, *others, **named)


main(Providers(make_pool=make_pool_of_evaluators))
