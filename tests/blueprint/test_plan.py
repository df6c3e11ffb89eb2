import pytest

from evosearch.blueprint import (
    BatchNormLayer,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    ImageShape,
    LinearLayer,
    PoolLayer,
    Problem,
    ReluLayer,
    blueprint_of,
)
from evosearch.errors import InvalidChromosomeError
from evosearch.genome import parse


def test_every_gene_becomes_its_layers_in_order() -> None:
    blueprint = blueprint_of(parse("C4 B6 P | F5"), Problem(ImageShape(3, 9, 8), 2))
    assert blueprint.layers == (
        ConvLayer(3, 4, 3, (4, 9, 8)),
        ReluLayer((4, 9, 8)),
        ConvLayer(4, 6, 3, (6, 9, 8)),
        BatchNormLayer(6, (6, 9, 8)),
        ReluLayer((6, 9, 8)),
        PoolLayer((6, 4, 4)),
        FlattenLayer((96,)),
        LinearLayer(96, 5),
        ReluLayer((5,)),
        DropoutLayer(0.5, (5,)),
        LinearLayer(5, 2),
    )


def test_its_sums_are_those_of_its_layers() -> None:
    blueprint = blueprint_of(parse("C4 P | F5"), Problem(ImageShape(1, 4, 4), 3))
    assert blueprint.parameters == (4 * 9 + 4) + (16 * 5 + 5) + (5 * 3 + 3)
    assert blueprint.flops == 2 * (64 * 9 + 16 * 5 + 5 * 3)
    # conv, ReLU, pool, linear, ReLU, dropout, logits; flatten is a view
    assert blueprint.activations == 64 + 64 + 16 + 5 + 5 + 5 + 3


def test_without_a_tail_the_output_layer_follows_the_head() -> None:
    assert blueprint_of(parse("C4 |"), Problem(ImageShape(1, 2, 2), 3)).layers[-2:] == (
        FlattenLayer((16,)),
        LinearLayer(16, 3),
    )


def test_dropout_zero_leaves_the_layer_out() -> None:
    layers = blueprint_of(parse("C4 | F5 F6"), Problem(ImageShape(1, 2, 2), 2), dropout=0).layers
    assert not any(isinstance(layer, DropoutLayer) for layer in layers)


def test_a_pooling_may_come_first() -> None:
    assert blueprint_of(parse("P C4 |"), Problem(ImageShape(3, 8, 8), 2)).layers[0] == PoolLayer((3, 4, 4))


def test_a_pooling_that_leaves_no_pixel_is_named_by_its_place() -> None:
    with pytest.raises(
        InvalidChromosomeError, match=r"the pooling at gene 4 of 'C4 P P P \|' .* 4 x 7 images"
    ):
        blueprint_of(parse("C4 P P P |"), Problem(ImageShape(3, 4, 7), 2))
