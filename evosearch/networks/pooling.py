"""Average pooling to a side of pixels, with kernels whose gradients are the same bits each time."""

import torch
from torch import Tensor, nn


def average_pool(side: int, height: int, width: int) -> nn.Module:
    """What does for maps of `height` x `width` pixels as `nn.AdaptiveAvgPool2d(side)`, whose gradient PyTorch adds up in any
    order on a GPU: nothing where the map has that size, a plain pooling where `side` divides it, else products of matrices.

    >>> average_pool(7, 7, 7), average_pool(7, 14, 7)
    (Identity(), AvgPool2d(kernel_size=(2, 1), stride=(2, 1), padding=0))
    """
    if (height, width) == (side, side):
        return nn.Identity()
    if height % side == 0 and width % side == 0:
        return nn.AvgPool2d((height // side, width // side))
    return AveragePool(side)


class AveragePool(nn.Module):
    """`nn.AdaptiveAvgPool2d(side)` as two products of matrices: PyTorch's own has no deterministic gradient on a GPU."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, C, side, side)."""
        if images.shape[2:] == (self.side, self.side):
            return images
        rows, columns = (self._weights(length, images) for length in images.shape[2:])
        return rows @ images @ columns.T

    def _weights(self, length: int, like: Tensor) -> Tensor:
        """(side, length): what each pixel adds to each mean; cell i spans the pixels that touch [i, i + 1) / side."""
        cells = torch.arange(self.side, device=like.device)
        starts, ends = cells * length // self.side, -(-(cells + 1) * length // self.side)
        pixels = torch.arange(length, device=like.device)
        inside = (pixels >= starts[:, None]) & (pixels < ends[:, None])
        return (inside / (ends - starts)[:, None]).to(like.dtype)
