"""What `evosearch.bench.same_bits` runs on either tree: trains frozen networks and tells what came of them, as JSON.

A file for `python -P FILE TREE CASE...`, with TREE first on the path. It must run on every version that is ever
compared, so that it looks for what that version offers, and imports nothing of this package that an older one lacks.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

FROZEN = Path(__file__).with_name("frozen.json")
SEEDS = (1, 2)
EPOCHS = 3
CLASSES = ("dark", "dim", "bright")
VALIDATED = 20
"""Validation images: with a batch of 16 the last one is partial there, too."""


def main(tree: str, cases: Sequence[int]) -> None:
    """Print the findings of the frozen networks at positions `cases`, on `tree`."""
    refuse_other_tree(Path(tree))
    frozen = json.loads(FROZEN.read_text())
    with TemporaryDirectory() as folder:
        found = [one for case in cases for one in findings(case, frozen[case], Path(folder, "weights"))]
    sys.stdout.write(json.dumps(found))


def refuse_other_tree(tree: Path) -> None:
    """End the process if `evosearch` or `workers` come from elsewhere than `tree`: an installed one may stand first."""
    for name in ("evosearch", "workers"):
        found = Path(str(import_module(name).__file__)).resolve()
        if not found.is_relative_to(tree.resolve()):
            sys.exit(f"{name} was imported from {found.parent}, which is not in {tree}: nothing was compared")


def findings(case: int, frozen: Mapping[str, Any], weights: Path) -> Iterator[dict[str, Any]]:
    """Curve and weights of one frozen network, from each seed."""
    for seed in SEEDS:
        success = train(frozen, seed, weights)
        name = f"network {case} '{frozen['network']}', seed {seed}"
        curve = {
            f"epoch {number}": f"loss {record.loss!r}, accuracy {record.accuracy!r}"
            for number, record in enumerate(success.curve, 1)
        }
        yield {"kind": "curve", "name": name, "parts": curve}
        yield {"kind": "weights", "name": name, "parts": hashes(weights)}


def train(frozen: Mapping[str, Any], seed: int, weights: Path) -> Any:
    """The `Success` of one training, through this version's own `Trainer`; its weights lie at `weights`."""
    evaluation, training = import_module("evosearch.evaluation"), import_module("evosearch.training")
    data = images(frozen["images"], frozen["channels"], frozen["pixels"])
    settings = evaluation.TrainingSettings(**{"epochs": EPOCHS, **frozen["settings"]})
    network = import_module("evosearch.genome").parse(frozen["network"])
    # the first version's evaluator had a method for each kind of request, later ones have a single one
    make = getattr(evaluation, "TrainingTask", None) or evaluation.EvaluationRequest
    trainer = training.Trainer(data)
    handle = getattr(trainer, "handle", None) or trainer.evaluate
    outcome = handle(make(network, settings, data.key, seed, str(weights)), evaluation.UNWATCHED)
    if not isinstance(outcome, evaluation.Success):
        sys.exit(
            f"'{frozen['network']}' with {settings} ended as {outcome}: only what succeeds can be compared"
        )
    return outcome


def images(count: int, channels: int, pixels: int) -> Any:
    """`SearchData` of `count` training images (channels, pixels, pixels) of three classes, told by brightness."""
    data, rng = import_module("evosearch.data"), np.random.default_rng([count, channels, pixels])

    def split(size: int) -> Any:
        labels = np.arange(size, dtype=np.int64) % len(CLASSES)
        noise = rng.integers(0, 156, (size, channels, pixels, pixels), dtype=np.uint8)
        return data.Split(noise + (labels * 50).astype(np.uint8)[:, None, None, None], labels)

    return data.SearchData(split(count), split(VALIDATED), CLASSES, "drawn")


def hashes(weights: Path) -> dict[str, str]:
    """The sha256 of type, shape and bytes of each tensor in a safetensors file, by name."""
    # not of the file: what it says about itself in its header is no number of the network
    with import_module("safetensors").safe_open(weights, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    return {
        f"tensor {name}": hashlib.sha256(f"{one.dtype} {one.shape} ".encode() + one.tobytes()).hexdigest()
        for name, one in tensors.items()
    }


if __name__ == "__main__":
    main(sys.argv[1], [int(case) for case in sys.argv[2:]])
