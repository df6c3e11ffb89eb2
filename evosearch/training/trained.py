"""A trained network with what its images need, as a plain PyTorch module."""

import json
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, get_args

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import UndecodableError, Window, decode, decode_image
from evosearch.errors import DataError, EvaluationError
from evosearch.evaluation import HandMadeRule
from evosearch.genome import Network, parse_network
from evosearch.networks import decode as decode_network
from evosearch.training.weights import RULE, load_weights

MOST_PIXELS = 64_000_000
"""A file with more pixels is refused before it is decoded, unless the search's `data.max_image_pixels` says otherwise."""

Picture = str | Path | BinaryIO | Image.Image


class TrainedNetwork(nn.Module):
    """Takes images (N, C, H, W) uint8 and returns logits (N, classes); scaling is inside, and it is in evaluation mode.

    `network`: the network itself, which takes scaled float32. `text`: its text form, `C64 B99 P | F100` or `resnet18`.
    `classes`: their names, by logit. `image`: the shape of one image. `window`: the values of deep pictures that become black
    and white, as in `evosearch.data.Dataset`. `most_pixels`: a file with more is refused. `candidate`: the number of the
    candidate that was trained again; None: not known.
    """

    mean: Tensor
    deviation: Tensor
    neutral_side: int | None = None
    """As in `evosearch.data.Dataset`; it may be set."""

    def __init__(
        self,
        network: nn.Module,
        text: str,
        classes: tuple[str, ...],
        image: ImageShape,
        scale: tuple[Tensor, Tensor],
        window: tuple[float, float] | None = None,
        most_pixels: int = MOST_PIXELS,
        candidate: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.text, self.classes, self.image, self.window = text, classes, image, window
        self.most_pixels, self.candidate = most_pixels, candidate
        for name, values in zip(("mean", "deviation"), scale, strict=True):
            self.register_buffer(name, values.reshape(-1, 1, 1), persistent=False)
        self.eval()

    @classmethod
    def load(
        cls,
        weights: Path,
        dropout: float,
        window: tuple[float, float] | None = None,
        most_pixels: int = MOST_PIXELS,
        candidate: int | None = None,
        neutral_side: int | None = None,
    ) -> "TrainedNetwork":
        """The network whose weights are in the safetensors file `weights`, which says what it is; on the CPU.

        `dropout`: the rate it was trained with; a chromosome's layers are counted with those that drop. The others: as
        the class has them.

        Raises:
            EvaluationError: there is no such file, or it holds no network of ours.
        """
        try:
            with safe_open(weights, framework="pt") as file:
                told = file.metadata() or {}
            text, classes = told["chromosome"], tuple(json.loads(told["classes"]))
            rule = _rule(told)
            image = ImageShape(*json.loads(told["image"]))
            scale = (torch.tensor(json.loads(told["mean"])), torch.tensor(json.loads(told["deviation"])))
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise EvaluationError(f"'{weights}' holds no network of evosearch ({error})") from error
        module = _with_weights(weights, parse_network(text), image, len(classes), dropout, rule)
        loaded = cls(module, text, classes, image, scale, window, most_pixels, candidate)
        loaded.neutral_side = neutral_side
        return loaded

    def forward(self, images: Tensor) -> Tensor:
        """From images (N, C, H, W) uint8 to logits (N, classes)."""
        pixels = images.to(torch.float32, memory_format=torch.channels_last)
        logits: Tensor = self.network((pixels - self.mean) / self.deviation)
        return logits

    def preprocess(self, picture: Picture) -> Tensor:
        """One picture, a file's path, an open file or a Pillow image, as the network takes it: (C, H, W) uint8.

        It is read as the files of the search were: orientation applied, alpha over black, gray or colour, deep values by
        the window, squeezed to the trained size; with `data.neutral` its gray centre square, no sharper than theirs.

        Raises:
            DataError: it cannot be decoded.
        """
        window: Window = self.window or "full"
        try:
            if isinstance(picture, Image.Image):
                return torch.tensor(decode_image(picture, self.image, window, self.neutral_side).pixels)
            stream = BytesIO(Path(picture).read_bytes()) if isinstance(picture, str | Path) else picture
            decoded = decode(stream, self.image, self.most_pixels, window, self.neutral_side)
            return torch.tensor(decoded.pixels)
        except (UndecodableError, OSError) as error:
            raise DataError(f"{str(picture)!r} {error}") from error

    @torch.inference_mode()
    def probabilities(self, *pictures: Picture) -> Tensor:
        """The probability of each class for each picture: (pictures, classes) float32, on the CPU."""
        if not pictures:
            return torch.empty(0, len(self.classes))
        images = torch.stack([self.preprocess(one) for one in pictures]).to(self.mean.device)
        logits: Tensor = self(images)
        return logits.softmax(1).cpu()


def _rule(told: Mapping[str, str]) -> HandMadeRule:
    rules: tuple[HandMadeRule, ...] = get_args(HandMadeRule)
    return rules[rules.index(told.get(RULE, "torchvision"))]  # a ValueError where it is none


def _with_weights(
    weights: Path, network: Network, image: ImageShape, classes: int, dropout: float, rule: HandMadeRule
) -> nn.Module:
    """The network with its weights. Where its layers are counted otherwise than `dropout` says, they are counted so: an
    earlier winner.json may hold the settings of another training of the list.
    """
    module = decode_network(network, image, classes, dropout, rule=rule)
    try:
        load_weights(weights, module)
    except EvaluationError:
        other = decode_network(network, image, classes, 0.0 if dropout else 0.5, rule=rule)
        with suppress(EvaluationError):
            load_weights(weights, other)
            return other
        raise
    return module
