import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from evosearch.blueprint import ImageShape, Problem, blueprint_of
from evosearch.data import SearchData
from evosearch.evaluation import TrainingSettings
from evosearch.genome import parse
from evosearch.networks import build, drop_before_classes, initialise
from evosearch.training.batches import Resident, Scale, unit
from evosearch.training.step import Classifier, _made_for, classify, make_optimizer, train_step

SMALL = ImageShape(3, 8, 8)


def prepared(
    data: SearchData, bf16: bool = False, device: str = "cpu", text: str = "C6 B8 P | F8"
) -> tuple[Classifier, Resident]:
    module = build(blueprint_of(parse(text), Problem(data.image, 2)))
    initialise(module, torch.manual_seed(0))
    split = Resident(
        torch.tensor(data.train.images, device=device), torch.tensor(data.train.labels, device=device)
    )
    return Classifier(module.to(device), Scale(unit(3), torch.device(device)), bf16), split


class Recorder(TorchDispatchMode):
    """Notes every operator that runs, those of the backward pass among them."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.ran.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_never_waits_for_the_device(data: SearchData, optimizer: str, bf16: bool) -> None:
    network, split = prepared(data, bf16)
    kept = make_optimizer(network.module.parameters(), TrainingSettings(optimizer=optimizer))
    rows, loss_sum = torch.arange(4), torch.zeros((), dtype=torch.float64)
    with Recorder() as recorder:
        for _ in range(2):  # the first one also makes the optimizer's state
            train_step(network, kept, split, rows, loss_sum)
    assert {"convolution", "convolution_backward", "index_select"} <= recorder.ran
    assert not recorder.ran & {"_local_scalar_dense", "nonzero", "masked_select", "equal"}


class OneDevice(Recorder):
    """And refuses what brings anything from one device to another."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = super().__torch_dispatch__(func, types, args, kwargs)
        tensors = [one for one in tree_flatten((args, kwargs, found))[0] if isinstance(one, torch.Tensor)]
        assert all(one.device.type == "meta" for one in tensors), func
        return found


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_nothing_in_a_step_leaves_or_enters_its_device(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, augmented: bool, weighted: bool, heads: int
) -> None:
    """On a device without numbers: whatever would look at one raises there. Its optimizers are those of a GPU."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no such device
    for name in ("adam", "sgd"):
        monkeypatch.setattr(
            sys.modules[f"torch.optim.{name}"], "_device_dtype_check_for_fused", lambda *_, **__: None
        )
    for name in ("adadelta", "rmsprop"):
        monkeypatch.setattr(
            sys.modules[f"torch.optim.{name}"], "_get_capturable_supported_devices", lambda *_, **__: ["meta"]
        )
    module = TwoHeads() if heads == 2 else build(blueprint_of(parse("C6 B8 P | F8"), Problem(SMALL, 2)))
    module.to("meta", memory_format=torch.channels_last).train()
    kept = _made_for(list(module.parameters()), TrainingSettings(optimizer=optimizer), capturable=True)
    for group in kept.param_groups:
        if optimizer == "sgd":
            group["fused"] = False  # its fused kernel is not there, and looks at nothing either
    with torch.device("meta"):
        split = Resident(torch.zeros((21, 3, 8, 8), dtype=torch.uint8), torch.zeros(21, dtype=torch.int64))
        rows, loss_sum = torch.zeros(4, dtype=torch.int64), torch.zeros((), dtype=torch.float64)
        moves = torch.zeros((4, 3), dtype=torch.int64) if augmented else None
        weights = torch.ones(2) if weighted else None
    network = Classifier(module, Scale(unit(3), torch.device("meta")), bf16=False)
    with OneDevice() as recorder:
        for _ in range(2):
            train_step(network, kept, split, rows, loss_sum, moves, weights)
        classify(network, split.images, 4)
    assert "index_select" in recorder.ran
    with pytest.raises(RuntimeError, match="meta"):
        loss_sum.item()


def test_validation_never_waits_for_the_device_either(data: SearchData) -> None:
    network, split = prepared(data)
    with Recorder() as recorder:
        classify(network, split.images, 4)
    assert "conv2d" in recorder.ran
    assert not recorder.ran & {"_local_scalar_dense", "nonzero", "masked_select"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
def test_a_gpu_sees_no_synchronisation_in_a_step(data: SearchData, optimizer: str) -> None:
    network, split = prepared(data, device="cuda")
    kept = make_optimizer(network.module.parameters(), TrainingSettings(optimizer=optimizer))
    rows, loss_sum = torch.arange(4).cuda(), torch.zeros((), dtype=torch.float64, device="cuda")
    train_step(network, kept, split, rows, loss_sum)
    try:
        torch.cuda.set_sync_debug_mode("error")
        train_step(network, kept, split, rows, loss_sum)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_step_is_an_ordinary_pytorch_step(data: SearchData) -> None:
    # no batch norm: Adam turns the rounding noise in the gradient of a bias before one into whole steps
    network, split = prepared(data, text="C6 C8 P | F8")
    plain, _ = prepared(data, text="C6 C8 P | F8")
    network.module.train()[-2].p = plain.module.train()[-2].p = 0.0
    ours = make_optimizer(network.module.parameters(), TrainingSettings(learning_rate=1e-3))
    theirs = torch.optim.Adam(plain.module.parameters(), lr=1e-3, weight_decay=1e-8)
    loss_sum, expected = torch.zeros((), dtype=torch.float64), 0.0
    for rows in torch.split(torch.arange(20), 5):
        train_step(network, ours, split, rows, loss_sum)
        loss = functional.cross_entropy(plain.module(split.images[rows].float() / 255), split.labels[rows])
        expected += 5 * loss.item()
        theirs.zero_grad()
        loss.backward()
        theirs.step()
    assert loss_sum.item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(network.module.state_dict(), plain.module.state_dict(), rtol=1e-3, atol=1e-5)


def stepped_weights(network: Classifier, split: Resident, **how: torch.Tensor) -> torch.Tensor:
    """All weights after one step of SGD on all images of `split`."""
    network.module.train()[-2].p = 0.0
    optimizer = make_optimizer(network.module.parameters(), TrainingSettings(optimizer="sgd"))
    rows = torch.arange(len(split.labels), device=split.labels.device)
    train_step(network, optimizer, split, rows, torch.zeros((), dtype=torch.float64), **how)
    return torch.cat([parameter.flatten() for parameter in network.module.parameters()])


def test_class_weights_are_those_of_pytorchs_own_loss_and_the_loss_in_the_curve_knows_nothing_of_them(
    data: SearchData,
) -> None:
    network, split = prepared(data)
    plain, _ = prepared(data)
    weights = torch.tensor([0.25, 3.0])
    network.module.train()[-2].p = plain.module.train()[-2].p = 0.0
    ours, theirs = (
        make_optimizer(one.module.parameters(), TrainingSettings(optimizer="sgd", learning_rate=1e-2))
        for one in (network, plain)
    )
    loss_sum, expected = torch.zeros((), dtype=torch.float64), 0.0
    for rows in torch.split(torch.arange(20), 5):
        train_step(network, ours, split, rows, loss_sum, None, weights)
        logits, labels = plain.logits(split.images[rows]), split.labels[rows]
        expected += 5 * functional.cross_entropy(logits, labels).item()
        theirs.zero_grad()
        losses = functional.cross_entropy(logits, labels, reduction="none")
        own = functional.cross_entropy(logits, labels, weights)
        assert own.item() == pytest.approx(
            ((weights[labels] * losses).sum() / weights[labels].sum()).item(), rel=1e-5
        )
        own.backward()
        theirs.step()
    assert loss_sum.item() == pytest.approx(expected, rel=1e-6)
    for name, tensor in network.module.state_dict().items():
        assert tensor.equal(plain.module.state_dict()[name]), name


@pytest.mark.parametrize("optimizer", ["adam", "adadelta"])
def test_nor_does_a_step_wait_with_class_weights_and_augmentation(data: SearchData, optimizer: str) -> None:
    network, split = prepared(data)
    kept = make_optimizer(network.module.parameters(), TrainingSettings(optimizer=optimizer))
    moves, weights = torch.ones((4, 3), dtype=torch.int64), torch.tensor([0.5, 2.0])
    with Recorder() as recorder:
        for _ in range(2):
            train_step(network, kept, split, torch.arange(4), torch.zeros(()).double(), moves, weights)
    assert {"gather", "nll_loss_forward"} <= recorder.ran
    assert not recorder.ran & {"_local_scalar_dense", "nonzero", "masked_select", "equal"}


@pytest.mark.parametrize("units", ["uniform", "weighted"])
def test_nor_does_dropout_before_the_class_layer_whichever_units_it_drops(
    data: SearchData, units: Literal["uniform", "weighted"]
) -> None:
    network, split = prepared(data)
    drop_before_classes(parse("C6 B8 P | F8"), network.module.train(), 0.5, units)
    kept = make_optimizer(network.module.parameters(), TrainingSettings())
    with Recorder() as recorder:
        train_step(network, kept, split, torch.arange(4), torch.zeros(()).double())
    assert ("bernoulli_" if units == "uniform" else "rand_like") in recorder.ran
    assert not recorder.ran & {"_local_scalar_dense", "nonzero", "masked_select", "equal"}


def test_bf16_keeps_weights_logits_and_optimizer_in_fp32(data: SearchData) -> None:
    network, split = prepared(data, bf16=True)
    seen: list[torch.dtype] = []
    note: Callable[..., None] = lambda module, inputs, output: seen.append(output.dtype)  # noqa: E731 - a hook is no more
    next(iter(network.module)).register_forward_hook(note)
    optimizer = make_optimizer(network.module.parameters(), TrainingSettings())
    train_step(network, optimizer, split, torch.arange(4), torch.zeros((), dtype=torch.float64))
    assert seen == [torch.bfloat16]
    assert network.logits(split.images).dtype == torch.float32
    assert {parameter.dtype for parameter in network.module.parameters()} == {torch.float32}
    assert {value.dtype for state in optimizer.state.values() for value in state.values()} == {torch.float32}


def test_the_batch_never_changes_a_classification(data: SearchData) -> None:
    network, split = prepared(data)
    torch.testing.assert_close(classify(network, split.images, 4), classify(network, split.images, 21))
    assert not network.module.training
    assert isinstance(network.module, nn.Module)


class TwoHeads(nn.Module):
    """Logits and, while it trains, those of an auxiliary head."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.main, self.auxiliary = nn.Flatten(), nn.Linear(192, 2), nn.Linear(192, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        features = self.body(images)
        return (self.main(features), self.auxiliary(features)) if self.training else self.main(features)


def test_an_auxiliary_head_learns_from_four_tenths_of_its_loss_and_is_not_counted(data: SearchData) -> None:
    _, split = prepared(data)
    torch.manual_seed(0)
    module = TwoHeads()
    network = Classifier(module, Scale(unit(3), torch.device("cpu")), bf16=False)
    rows, loss_sum = torch.arange(4), torch.zeros((), dtype=torch.float64)
    main, auxiliary = (
        functional.cross_entropy(one, split.labels[:4]) for one in network.heads(split.images[:4])
    )
    expected = torch.autograd.grad(main + 0.4 * auxiliary, list(module.parameters()))
    train_step(network, torch.optim.SGD(module.parameters(), lr=0.0), split, rows, loss_sum)
    for weight, gradient in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)
    assert loss_sum.item() == pytest.approx(4 * main.item())
    torch.testing.assert_close(
        classify(network, split.images, 4),
        module.main(module.body(network.scale(split.images))),
        check_layout=True,
    )
