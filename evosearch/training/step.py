"""One training step and one validation pass: all that happens on the device.

Nothing here reads a tensor on the host, so a GPU is never waited for, and the step could be captured as a
graph. Suffixes: B images of a batch, C channels, H height, W width, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from evosearch.evaluation import UNWATCHED, Progress
from evosearch.training.normalize import Scale


@dataclass(frozen=True, slots=True)
class Resident:
    """A split on the device: images (N, C, H, W) uint8, labels (N,) int64."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Network:
    """A module with what every forward pass of it needs. `bf16`: forward under autocast, weights in fp32."""

    module: nn.Module
    scale: Scale
    bf16: bool

    def logits(self, images: Tensor) -> Tensor:
        """From images (B, C, H, W) uint8 to logits (B, K) float32."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            logits: Tensor = self.module(self.scale(images))
        return logits.float()


def train_step(
    network: Network, optimizer: optim.Optimizer, split: Resident, rows: Tensor, loss_sum: Tensor
) -> None:
    """Train on the images at `rows`, and add their summed loss to `loss_sum` on the device.

    Args:
        network: in training mode; its weights and running statistics change in place.
        optimizer: of the network's weights.
        split: the training images.
        rows: positions (B,) int64, on the device.
        loss_sum: scalar float64, on the device, changed in place.
    """
    logits = network.logits(split.images.index_select(0, rows))
    loss = functional.cross_entropy(logits, split.labels.index_select(0, rows))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call] # of torch
    optimizer.step()
    loss_sum.add_(loss.detach(), alpha=rows.numel())


@torch.inference_mode()
def classify(network: Network, images: Tensor, batch_size: int, progress: Progress = UNWATCHED) -> Tensor:
    """Logits (N, K) float32 of images (N, C, H, W) uint8, `batch_size` at a time, in evaluation mode."""
    network.module.eval()
    logits = []
    for batch in torch.split(images, batch_size):
        logits.append(network.logits(batch))
        progress.step()
    return torch.cat(logits)
