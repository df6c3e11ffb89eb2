"""How big networks are that only building them tells, and whether weights fit them: found out in a process of its own, since
the driver needs no torch.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evosearch.blueprint import ImageShape, NetworkSize, Problem
from evosearch.errors import CannotRunError, EvosearchError, InputError
from evosearch.genome import parse_network
from evosearch.importing import child_environment

SECONDS = 600.0
"""It takes a few, most of them for importing torch; on a machine that is short of memory or swaps, more."""


@dataclass(frozen=True)
class Unmeasured:
    """A network of a list."""

    network: str
    """Its text form."""
    weights: str | None = None
    """The file that it starts from, on this machine; None: it is not looked at."""


def measure_sizes(networks: Sequence[Unmeasured], problem: Problem) -> tuple[NetworkSize, ...]:
    """The size of each network for `problem`, equal on every machine; nothing is trained and no weights are read.

    Raises:
        InputError: weights do not fit the network that is to start from them; what does not is named.
        CannotRunError: the process could not do it.
    """
    if not networks:
        return ()
    asked = {"problem": asdict(problem), "networks": [asdict(one) for one in networks]}
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "workers.sizing"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={**os.environ, **child_environment()},
            check=True,
        )
        answers = json.loads(process.stdout)
    except subprocess.CalledProcessError as error:
        told = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise CannotRunError(f"networks could not be measured: {told}") from error
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise CannotRunError(f"networks could not be measured: {error}") from error
    for answer in answers:
        if "refused" in answer:
            raise InputError(answer["refused"])
    return tuple(NetworkSize(**answer) for answer in answers)


def answer(asked: Any) -> list[dict[str, Any]]:
    """What the process finds out: a size, or why a network is refused, for each that is asked for."""
    problem = Problem(ImageShape(**asked["problem"]["image"]), asked["problem"]["classes"])
    return [_answer(Unmeasured(**one), problem) for one in asked["networks"]]


def _answer(asked: Unmeasured, problem: Problem) -> dict[str, Any]:
    import torch  # in that process alone

    from evosearch.networks import build_network
    from evosearch.networks.sizing import measure
    from evosearch.training.weights import check_start

    network = parse_network(asked.network)
    try:
        with torch.device("meta"):
            module = build_network(network, problem.image, problem.classes, DROPOUT)
            if asked.weights is not None:
                check_start(asked.weights, network, module)
            return asdict(measure(module, problem))
    except EvosearchError as error:
        return {"refused": str(error)}


DROPOUT = 0.5
"""Where a chromosome has layers that drop changes no figure but the number of its layers, and no weights."""


def main() -> None:
    """Read what is asked as JSON, and print the answers."""
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
