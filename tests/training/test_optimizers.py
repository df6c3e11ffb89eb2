import subprocess
import sys

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


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_each_optimizer_computes_pytorchs_very_bits_and_goes_on_from_its_state(name: str) -> None:
    settings = TrainingSettings(optimizer=name, weight_decay=0.1)
    options = {"lr": settings.learning_rate, "weight_decay": 0.1}
    fused = {"fused": True} if name in {"adam", "sgd"} else {}
    modules = [torch.nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    modules[1].load_state_dict(modules[0].state_dict())
    optimizers = [
        make_optimizer(modules[0].parameters(), settings),
        PLAIN[name](modules[1].parameters(), **options, **fused),
    ]
    for step in range(6):
        if step == 3:  # what either has kept, the other can go on from
            states = [optimizer.state_dict() for optimizer in optimizers]
            for optimizer, state in zip(optimizers, reversed(states), strict=True):
                optimizer.load_state_dict(state)
        for module, optimizer in zip(modules, optimizers, strict=True):
            optimizer.zero_grad()
            module(torch.sin(torch.arange(96.0) + step).reshape(2, 3, 4, 4)).square().sum().backward()
            optimizer.step()
        for ours, theirs in zip(modules[0].parameters(), modules[1].parameters(), strict=True):
            assert ours.equal(theirs)
    ours, theirs = (optimizer.state_dict() for optimizer in optimizers)
    assert ours["param_groups"] == theirs["param_groups"]
    for position, values in theirs["state"].items():
        assert values.keys() == ours["state"][position].keys()
        assert all(values[key].equal(ours["state"][position][key]) for key in values)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize("name", sorted(PLAIN))
def test_on_a_gpu_each_can_be_captured_without_a_word_and_computes_what_it_would_without(name: str) -> None:
    settings = TrainingSettings(optimizer=name, weight_decay=0.1)
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 700, device="cuda")) for _ in range(2))
    fused = {"fused": True} if name in {"adam", "sgd"} else {}
    optimizers = (
        make_optimizer([ours], settings),
        PLAIN[name]([theirs], lr=settings.learning_rate, weight_decay=0.1, **fused),
    )
    for step in range(5):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = torch.sin(torch.arange(700.0, device="cuda") + step)
            optimizer.step()
    assert ours.equal(theirs)
    assert all(value.is_cuda for value in optimizers[0].state[ours].values() if value is not None)


WITHOUT_COMPILER = """
import sys
import torch
from evosearch.evaluation import TrainingSettings
from evosearch.testing.pool_contract import tiny_data
from evosearch.training import probe
from evosearch.training.step import make_optimizer
probe(tiny_data(), "cpu")
for name in ("adam", "sgd", "adadelta", "rmsprop"):
    layer = torch.nn.Linear(3, 3)
    optimizer = make_optimizer(layer.parameters(), TrainingSettings(optimizer=name))
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""


def test_no_training_imports_pytorchs_compiler() -> None:
    """It would cost each worker more than a second of its start."""
    assert subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], check=False).returncode == 0
