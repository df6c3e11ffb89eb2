"""A data set on the device that trains."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from evosearch.data import SearchData, Split
from evosearch.errors import EvaluationError
from evosearch.evaluation import TrainingSettings
from evosearch.training.normalize import Normalization, standard, unit


@dataclass(frozen=True, slots=True)
class Resident:
    """A split on the device: images (N, C, H, W) uint8, labels (N,) int64."""

    images: Tensor
    labels: Tensor


class ResidentData:
    """`data` on `device`, copied there once, as uint8."""

    def __init__(self, data: SearchData, device: torch.device) -> None:
        # not `data` itself: its arrays would stay in memory beside their copies
        self.key, self.image, self.classes = data.key, data.image, data.classes
        self.device = device
        self.train = self._on_device(data.train)
        self.validation = self._on_device(data.validation)

    def check(self, key: str) -> None:
        """See that a task means this data.

        Raises:
            EvaluationError: it means other data.
        """
        if key != self.key:
            raise EvaluationError(
                f"the task is for data {key}, this worker holds {self.key}; start workers on that data"
            )

    def normalization(self, settings: TrainingSettings) -> Normalization:
        """What `settings.normalize` means for these images."""
        return unit(self.image.channels) if settings.normalize == "unit" else self._standard

    @cached_property
    def _standard(self) -> Normalization:
        return standard(self.train.images.cpu().numpy())

    def _on_device(self, split: Split) -> Resident:
        # copied, never shared: a worker of the Ray pool gets read-only arrays
        return Resident(*(torch.tensor(array, device=self.device) for array in (split.images, split.labels)))
