"""Which images each step of an epoch takes; the same on every device, since the host draws it."""

import numpy as np
import numpy.typing as npt


def epoch_order(images: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Positions of all `images` training images in the order of epoch `epoch` (from 1), int64 (images,)."""
    return np.random.default_rng([seed, epoch]).permutation(images).astype(np.int64, copy=False)


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches; they sum to `images`, so the partial last batch is trained too.

    A single image left over joins the batch before it: batch norm has no variance over one image at 1x1.
    """
    full, rest = divmod(images, batch_size)
    sizes = [batch_size] * full
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes
