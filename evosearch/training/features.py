"""What enters the class layer of a network that was trained briefly on a sample of the training images (GA-Dropout), and that layer
as it was trained: kept as a file with a digest, and made again to the same bits where it was lost.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from evosearch.errors import DivergedError, EvaluationError
from evosearch.evaluation import (
    UNWATCHED,
    Features,
    FeaturesTask,
    Labels,
    Progress,
    TrainingTask,
    sample_of,
)
from evosearch.networks import class_layer_of
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit, check_start
from evosearch.training.numerics import numerics
from evosearch.training.step import classify
from evosearch.training.weights import fetch_bytes, keep_bytes

VALUES, LABELS, WEIGHT, BIAS = "features", "labels", "weight", "bias"
"""The tensors of the file."""


@dataclass(frozen=True, slots=True)
class KeptFeatures:
    """Of every image of the sample, in the order of the training images; on the CPU."""

    values: Tensor
    """(n, units) float32, what enters a linear class layer; (n, channels, pixels), what enters a convolution."""
    labels: Tensor
    """(n,) int64."""
    weight: Tensor
    """(classes, units) float32, of the class layer as it was trained; those of a convolution's one pixel."""
    bias: Tensor
    """(classes,) float32, of the same."""


def keep_features(task: FeaturesTask, data: ResidentData, progress: Progress = UNWATCHED) -> Features:
    """Train `task.network` on the sample, and leave at `task.place` what enters its class layer then, in evaluation mode and so
    before any of it is dropped, and the layer's weight and bias. `seconds` are not measured here.

    The sample is all that there is to it: `training.normalize: standard` and class weights are of its images. It trains for all
    its epochs, on all of the sample, and nothing is validated.

    Raises:
        EvaluationError: the task names other data, a sample below a batch, or given weights without saying where.
        InvalidChromosomeError: the chromosome needs repair first.
        DivergedError: the training loss, a feature, or a weight of the class layer is not finite.
    """
    content, units = _content(task, data, progress)
    keep_bytes(task.place, content)
    return Features(_digest(content), units, 0.0)


def kept_features(
    task: FeaturesTask, digest: str, data: ResidentData, progress: Progress = UNWATCHED
) -> KeptFeatures:
    """The features that `task` left, whose file has the sha256 `digest`; made again where it is missing or another.

    Raises:
        EvaluationError: made again they are others, or as `keep_features`.
        DivergedError: as `keep_features`.
    """
    content = fetch_bytes(task.place)
    if content is None or _digest(content) != digest:
        content, _ = _content(task, data, progress)
        if _digest(content) != digest:
            raise EvaluationError(
                f"the features of '{task.network}' at '{task.place}' are lost, and made again they have the sha256 "
                f"{_digest(content)}, not {digest}; bring the file back, or go on with the kind of device and the versions that "
                f"made it"
            )
        keep_bytes(task.place, content)
    tensors = load(content)
    return KeptFeatures(tensors[VALUES], tensors[LABELS], tensors[WEIGHT], tensors[BIAS])


def _content(task: FeaturesTask, data: ResidentData, progress: Progress) -> tuple[bytes, int]:
    """The file, and its units. It has no metadata: safetensors writes these in any order."""
    data.check(task.data_key)
    check_start(task)
    sample = data.sampled(_positions(task, len(data.train.labels)))
    fit = _trained(task, sample, progress)
    layer = class_layer_of(task.network, fit.network.module)
    values = _values(fit, layer, sample, progress)
    trained = layer.state_dict()
    weight, bias = trained[WEIGHT].cpu().flatten(1).contiguous(), trained[BIAS].cpu()
    tensors = {VALUES: values, LABELS: sample.train.labels.cpu(), WEIGHT: weight, BIAS: bias}
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise DivergedError(
            f"a feature of '{task.network}', or a weight of its class layer, is not finite after "
            f"{task.settings.epochs} epochs"
        )
    return save(tensors), values.shape[1]


def _positions(task: FeaturesTask, images: int) -> Labels:
    chosen = sample_of(images, task.share, task.seed)
    if len(chosen) < task.settings.batch_size:
        raise EvaluationError(
            f"a sample of {task.share:g} of {images} training images has {len(chosen)}, less than a batch of "
            f"{task.settings.batch_size}; make the sample larger or training.batch_size smaller"
        )
    return chosen


def _trained(task: FeaturesTask, sample: ResidentData, progress: Progress) -> Fit:
    settings = replace(task.settings, fit="train_validation", patience=None)  # so that nothing is validated
    training = TrainingTask(task.network, settings, task.data_key, task.seed)
    fit = Fit(replace(training, start=task.start, hand_made=task.hand_made), sample)
    while not fit.ended:
        for record in fit.curve[-1:]:
            progress.epoch(record)
        fit.run_epoch(progress)
    return fit


def _values(fit: Fit, layer: nn.Module, sample: ResidentData, progress: Progress) -> Tensor:
    """What enters the class layer: (n, units) or (n, channels, pixels) float32, on the CPU."""
    with numerics(fit.task.settings), _inputs_of(layer) as found:
        classify(fit.network, sample.train.images, fit.task.settings.batch_size, progress)
    values = torch.cat(found)
    # a file of tensors takes none whose channels are last, as those of a convolution's inputs are
    return (values.flatten(2) if values.dim() > 2 else values).contiguous()


@contextmanager
def _inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Within, a list that grows by what enters the layer, float32, on the CPU."""
    found: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor]) -> None:
        found.append(inputs[0].float().cpu())

    handle = layer.register_forward_pre_hook(note)
    try:
        yield found
    finally:
        handle.remove()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
