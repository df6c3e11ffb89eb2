import pytest

from evosearch.blueprint import BatchNormLayer, ConvLayer, ImageShape, LinearLayer
from evosearch.errors import InputError


def test_a_convolutions_cost_is_the_textbooks() -> None:
    layer = ConvLayer(3, 64, 3, (64, 32, 32))
    assert layer.parameters == 64 * 3 * 9 + 64
    assert layer.flops == 2 * 64 * 32 * 32 * 3 * 9


def test_a_linear_layers_cost_is_the_textbooks() -> None:
    layer = LinearLayer(1024, 10)
    assert (layer.parameters, layer.flops, layer.output) == (10_250, 20_480, (10,))


def test_batch_norm_has_a_scale_and_a_shift_per_channel() -> None:
    assert BatchNormLayer(64, (64, 8, 8)).parameters == 128


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match=r"at least 1 channel and 1 x 1 pixels, found .*height=0"):
        ImageShape(3, 0, 8)
