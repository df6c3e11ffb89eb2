import pytest
import torch

from evosearch.evaluation import TrainingSettings
from evosearch.training.step import make_optimizer

PLAIN = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_each_optimizer_is_pytorchs_own_with_our_rate_and_decay(name: str) -> None:
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    settings = TrainingSettings(optimizer=name, learning_rate=0.05, weight_decay=0.1)
    optimizers = make_optimizer([ours], settings), PLAIN[name]([theirs], lr=0.05, weight_decay=0.1)
    for step in range(5):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = torch.sin(torch.arange(7.0) + step)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)
    assert not ours.equal(torch.linspace(-1, 1, 7))
