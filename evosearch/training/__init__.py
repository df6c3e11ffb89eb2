"""Training: from a task to its outcome.

An *epoch* is one pass over the training images, a *step* one batch: gather, scale, forward, loss, backward,
optimizer. A `Trainer` holds one data set on one device and answers task after task; equal tasks get
equal outcomes, whatever it did before. Inside a step the host never waits for the device. This room may import
everything above it in the house, and torch.
"""

from evosearch.training.gate import recorder_for
from evosearch.training.trainer import StepTimer, Trainer, probe

__all__ = ["StepTimer", "Trainer", "probe", "recorder_for"]
