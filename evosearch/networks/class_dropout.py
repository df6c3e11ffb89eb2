"""Dropout before the class layer of any network, at a rate of its own; and which units it drops."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from evosearch.evaluation import Network
from evosearch.networks.starting import outputs_of

MOST = 0.95
"""Chance of a unit to be dropped, at most, where units are weighted; of a higher rate all have that rate."""


def class_layer_of(network: Network, module: nn.Module) -> nn.Module:
    """The layer of `module`, which was decoded from `network`, that makes its own logits, not those of an auxiliary head: a
    linear one, or a convolution of 1 x 1 pixels (SqueezeNet), whose units are the channels that enter it.
    """
    return module.get_submodule(_class_layer(network, module))


def drop_before_classes(
    network: Network, module: nn.Module, rate: float, units: Literal["uniform", "weighted"]
) -> None:
    """Have what enters the class layer of `module`, which was decoded from `network`, dropped at `rate` while it trains.

    A dropout that stands directly before the layer is switched off; all others keep their rates. It is a hook of the class
    layer, so that no tensor of the network gets another name, and nothing changes in evaluation mode.
    """
    path, _, last = _class_layer(network, module).rpartition(".")
    siblings = module.get_submodule(path)._modules
    before = siblings[list(siblings)[list(siblings).index(last) - 1]]
    if isinstance(before, nn.Dropout):
        before.p = 0.0  # then it also draws nothing
    class_layer_of(network, module).register_forward_pre_hook(ClassDropout(rate, units))


def _class_layer(network: Network, module: nn.Module) -> str:
    return outputs_of(network, module)[0]


@dataclass(frozen=True, slots=True)
class ClassDropout:
    """A hook before a layer's forward pass: drops of what enters it, while the layer trains. All draws are of torch's default
    generators, like those of `nn.Dropout`.
    """

    rate: float
    """Share that is dropped on average, 0 to 1, 1 excluded."""
    units: Literal["uniform", "weighted"]
    """uniform: `nn.Dropout`. weighted: by `chances`."""

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor | None:
        """From features (B, units) or (B, channels, H, W) to as many; None, which leaves them, in evaluation mode."""
        (features,) = inputs
        if not layer.training or not self.rate:
            return None
        if self.units == "uniform":
            return functional.dropout(features, self.rate)
        return drop_weak(features, self.rate)


def drop_weak(features: Tensor, rate: float) -> Tensor:
    """Features (B, units) or (B, channels, H, W), each dropped by the chance of its unit or channel, and divided by 1 - that chance
    where it is kept, so that it is on average what it was. Every pixel is drawn for itself, as by `nn.Dropout`.
    """
    dropped = chances(features, rate).reshape(-1, *(1 for _ in features.shape[2:]))
    kept = torch.rand_like(features, dtype=torch.float32) >= dropped
    return features * (kept / (1 - dropped)).to(features.dtype)


def chances(features: Tensor, rate: float) -> Tensor:
    """The chance of each unit of features (B, units) or (B, channels, H, W) to be dropped: (units,) float32, `rate` on average.

    In proportion to the unit's weakness, w = 1 / (1 + s / mean of all s), where s, its strength, is the mean of its absolute
    values over batch and pixels: 1 of a unit that is always 0, one half of a unit of average strength. So the chance is
    rate * w / (mean of all w); where the highest would pass `MOST`, all are drawn towards the rate by the same factor until
    it does not. No gradient flows through it, and nothing waits for the device.

    Source: GA-Dropout's future work, dropout that chooses units by weights instead of uniformly; the formula is ours.

    >>> chances(torch.tensor([[0.0, 1.0, 5.0], [0.0, -1.0, 5.0]]), 0.5)
    tensor([0.7683, 0.5122, 0.2195])
    """
    values = features.detach().float().abs()
    strength = values.mean([0, *range(2, values.dim())])
    weakness = 1 / (1 + strength / strength.mean().clamp_min(torch.finfo(torch.float32).tiny))
    above = weakness / weakness.mean() - 1  # 0 on average
    room = max(MOST, rate) / rate - 1
    factor = (room / above.max().clamp_min(torch.finfo(torch.float32).tiny)).clamp_max(1)
    return rate * (1 + factor * above)
