import pytest
import torch
from torch import nn

from evosearch.networks.pooling import AveragePool, average_pool


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 7), (9, 14), (16, 8)])
def test_products_of_matrices_pool_as_pytorch_does(shape: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *shape)
    torch.testing.assert_close(AveragePool(7)(images), nn.AdaptiveAvgPool2d(7)(images))


@pytest.mark.parametrize(
    ("shape", "stands_in"),
    [
        ((7, 7), nn.Identity),
        ((14, 7), nn.AvgPool2d),
        ((21, 28), nn.AvgPool2d),
        ((1, 1), AveragePool),
        ((7, 8), AveragePool),
    ],
)
def test_what_stands_in_for_the_adaptive_pooling_pools_as_it_does(
    shape: tuple[int, int], stands_in: type[nn.Module]
) -> None:
    images = torch.randn(2, 3, *shape)
    pool = average_pool(7, *shape)
    assert type(pool) is stands_in
    torch.testing.assert_close(pool(images), nn.AdaptiveAvgPool2d(7)(images))
