"""The command `evosearch`, with an evaluator of the tests' where training would be: EVALUATOR ARGUMENT...

EVALUATOR is a pickled factory in hexadecimal; the rest is what `evosearch` takes.
"""

import pickle
import sys
from typing import Any

from evosearch import session
from evosearch.__main__ import main

evaluator = pickle.loads(bytes.fromhex(sys.argv.pop(1)))
make_pool = session.make_pool


def make_pool_of_evaluators(*arguments: Any, **named: Any) -> Any:
    executor, settings, threads, _, *others = arguments
    return make_pool(executor, settings, threads, evaluator, *others, **named)


session.make_pool = make_pool_of_evaluators
main()
