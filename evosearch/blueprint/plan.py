"""From a chromosome to the list of layers of its network."""

from dataclasses import dataclass
from math import prod

from evosearch.blueprint.layers import (
    BatchNormLayer,
    ConvLayer,
    DropoutLayer,
    FlattenLayer,
    ImageShape,
    Layer,
    LinearLayer,
    PoolLayer,
    ReluLayer,
)
from evosearch.errors import InvalidChromosomeError
from evosearch.genome import KERNEL, Chromosome, Conv


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Every layer of a network in order, for images of shape `image` and `classes` classes."""

    image: ImageShape
    classes: int
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Forward FLOPs of one image (convolutions and linear layers; two per multiply-add)."""
        return sum(layer.flops for layer in self.layers)

    @property
    def activations(self) -> int:
        """Output elements of all layers for one image; a flatten is a view and counts nothing."""
        return sum(prod(layer.output) for layer in self.layers if not isinstance(layer, FlattenLayer))


def draw_up(chromosome: Chromosome, image: ImageShape, classes: int, dropout: float = 0.5) -> Blueprint:
    """Decode `chromosome` into its layers.

    Each convolution becomes conv, batch norm (if it has one), ReLU; each dense gene linear, ReLU, dropout;
    the output layer of `classes` logits closes the list.

    Args:
        chromosome: genes in order.
        image: shape of the images, channels first, pixels.
        classes: number of logits, at least 1.
        dropout: rate after each hidden dense layer (0.5 in the authors' released code); 0 leaves it out.

    Raises:
        InvalidChromosomeError: a pooling would bring a side below 1 pixel; repair it first.
    """
    layers: list[Layer] = []
    channels, height, width = image.channels, image.height, image.width
    for position, gene in enumerate(chromosome.head, 1):
        if isinstance(gene, Conv):
            shape = (gene.channels, height, width)
            layers.append(ConvLayer(channels, gene.channels, KERNEL, shape))
            if gene.batch_norm:
                layers.append(BatchNormLayer(gene.channels, shape))
            layers.append(ReluLayer(shape))
            channels = gene.channels
            continue
        height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise InvalidChromosomeError(
                f"the pooling at gene {position} of '{chromosome}' leaves no pixel of "
                f"{image.height} x {image.width} images; repair removes the last poolings"
            )
        layers.append(PoolLayer((channels, height, width)))
    return Blueprint(
        image, classes, (*layers, *_tail(chromosome, channels * height * width, classes, dropout))
    )


def _tail(chromosome: Chromosome, features: int, classes: int, dropout: float) -> list[Layer]:
    layers: list[Layer] = [FlattenLayer((features,))]
    for gene in chromosome.tail:
        layers += [LinearLayer(features, gene.units), ReluLayer((gene.units,))]
        if dropout:
            layers.append(DropoutLayer(dropout, (gene.units,)))
        features = gene.units
    layers.append(LinearLayer(features, classes))
    return layers
