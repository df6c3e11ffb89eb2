"""Trained weights as safetensors files that describe themselves."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.errors import EvaluationError
from evosearch.evaluation import HandMadeRule
from evosearch.genome import Network, is_hand_made
from evosearch.networks.starting import TensorKind, kinds, outputs_of, placed, start_from
from evosearch.permissions import whole_file
from evosearch.training.batches import Normalization

if TYPE_CHECKING:
    from evosearch.storage import ArtifactStore

RULE = "hand_made"
"""Key of a hand-made network's file: the rule that it was built by. Files of the first versions have none, and are of theirs."""

_AGAIN = "train the network again"
_OTHERS = "give a file of weights of this very network, or none"


def describe(
    network: Network,
    classes: tuple[str, ...],
    image: ImageShape,
    normalization: Normalization,
    rule: HandMadeRule = "kaiming",
) -> dict[str, str]:
    """What a reader without evosearch needs to use the weights; lists and numbers as JSON text."""
    return {
        "chromosome": str(network),
        "classes": json.dumps(classes),
        "image": json.dumps([image.channels, image.height, image.width]),
        "mean": json.dumps(normalization.mean),
        "deviation": json.dumps(normalization.deviation),
        **({RULE: rule} if is_hand_made(network) else {}),
    }


def save_weights(path: Path, module: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write the module's parameters and buffers to `path`; a reader sees the whole file or the one before."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in module.state_dict().items()}
    with whole_file(path) as unfinished:
        save_file(tensors, unfinished, dict(metadata))


def load_weights(path: Path, module: nn.Module) -> None:
    """Copy the weights at `path` into `module`.

    Raises:
        EvaluationError: there is no such file, it is no safetensors file, or it holds another network.
    """
    if not path.is_file():
        raise EvaluationError(f"there are no weights at '{path}'; {_AGAIN}")
    tensors = _read(path)
    _check(path, _shapes(tensors), _shapes(module.state_dict()))
    module.load_state_dict(tensors)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise EvaluationError(f"'{path}' is no readable safetensors file ({error})") from error


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def keep_weights(place: str, module: nn.Module, metadata: Mapping[str, str]) -> None:
    """As `save_weights`, at a path or at a URL of an artifact store."""
    if "://" not in place:
        save_weights(Path(place), module, metadata)
        return
    with TemporaryDirectory(prefix="evosearch-weights-") as folder:
        save_weights(Path(folder, "weights"), module, metadata)
        store, name = _store(place)
        store.put(Path(folder, "weights"), name)


def keep_bytes(place: str, content: bytes) -> None:
    """Have `content` at a path or at a URL of an artifact store; a reader sees it whole, or what was there before."""
    if "://" in place:
        store, name = _store(place)
        store.write_bytes(name, content)
        return
    with whole_file(Path(place)) as temporary:
        temporary.write_bytes(content)


def fetch_bytes(place: str) -> bytes | None:
    """What is at a path or at a URL of an artifact store; None: nothing."""
    try:
        if "://" not in place:
            return Path(place).read_bytes()
        store, name = _store(place)
        return store.read_bytes(name)
    except FileNotFoundError:
        return None


def fetch_weights(place: str, module: nn.Module) -> None:
    """As `load_weights`, from a path or from a URL of an artifact store."""
    with _local(place, _AGAIN) as path:
        load_weights(path, module)


@contextmanager
def _local(place: str, repair: str) -> Iterator[Path]:
    """The weights at a path or a URL, as a file of this machine while the context lasts.

    Raises:
        EvaluationError: there are none; `repair`: what to do then.
    """
    if "://" not in place:
        if not Path(place).is_file():
            raise EvaluationError(f"there are no weights at '{place}'; {repair}")
        yield Path(place)
        return
    with TemporaryDirectory(prefix="evosearch-weights-") as folder:
        store, name = _store(place)
        try:
            store.get(name, Path(folder, "weights"))
        except FileNotFoundError as error:
            raise EvaluationError(f"there are no weights at '{store.place}/{name}'; {repair}") from error
        yield Path(folder, "weights")


def start_weights(place: str, network: Network, module: nn.Module) -> None:
    """Have `module`, decoded from `network` and drawn, start from the weights at `place`, a path or a URL of an artifact store.

    Raises:
        EvaluationError: there are none, or a tensor does not fit, see `evosearch.networks.start_from`.
    """
    kept = "a search keeps those it starts from where storage.artifacts is"
    with _local(place, kept) as path, _named(network, place):
        start_from(module, _read(path), outputs_of(network, module))


def check_start(path: str, network: Network, module: nn.Module) -> None:
    """See that `module`, decoded from `network` on any device, can start from the weights at `path`; none of them is read.

    Raises:
        EvaluationError: as `start_weights`.
    """
    try:
        with safe_open(path, framework="np") as file:
            found = {name: _kind(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise EvaluationError(f"'{path}' is no readable safetensors file ({error})") from error
    with _named(network, path):
        placed(found, kinds(module.state_dict()), outputs_of(network, module))


@contextmanager
def _named(network: Network, place: str) -> Iterator[None]:
    """What does not fit is told with the network and the place of the weights."""
    try:
        yield
    except EvaluationError as error:
        raise EvaluationError(
            f"'{network}' cannot start from the weights at '{place}': {error}; {_OTHERS}"
        ) from None


def _kind(header: Any) -> TensorKind:
    return TensorKind(tuple(header.get_shape()), "F" in header.get_dtype())


def _store(url: str) -> tuple["ArtifactStore", str]:
    from evosearch.storage import ArtifactStore  # noqa: PLC0415 - with SQLAlchemy; most weights stay on a disk

    folder, _, name = url.rpartition("/")
    return ArtifactStore(folder), name


def _check(path: Path, found: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> None:
    if found == expected:
        return
    name = next(name for name in (*expected, *found) if found.get(name) != expected.get(name))
    raise EvaluationError(
        f"'{path}' holds another network: tensor {name} is {_told(found.get(name))} in the file, "
        f"{_told(expected.get(name))} in the network"
    )


def _told(shape: torch.Size | None) -> str:
    return "missing" if shape is None else " x ".join(map(str, shape)) or "a number"
