"""InceptionV3's auxiliary head, for images of any size that the network itself takes."""

from torch import Tensor
from torchvision.models import inception

from evosearch.networks.pooling import AveragePool

SIDE = 5
"""Of the map that its convolution of 5 x 5 pixels needs."""

LEAST_MAP = 17
"""Pixels of the map from which torchvision's own pooling leaves that."""


class AuxiliaryHead(inception.InceptionAux):  # type: ignore[misc] # torchvision has no types
    """torchvision's own; where images below 299 pixels leave it too small a map, that is averaged to the size it needs."""

    def forward(self, x: Tensor) -> Tensor:
        """From a map (B, 768, H, W) to logits (B, classes)."""
        if min(x.shape[2:]) >= LEAST_MAP:
            logits: Tensor = super().forward(x)
            return logits
        x = self.conv1(self.conv0(AveragePool(SIDE)(x)))
        pooled: Tensor = self.fc(x.mean((2, 3)))
        return pooled


BLOCKS = [
    inception.BasicConv2d,
    inception.InceptionA,
    inception.InceptionB,
    inception.InceptionC,
    inception.InceptionD,
    inception.InceptionE,
    AuxiliaryHead,
]
"""As `inception_v3(inception_blocks=...)` takes them."""
