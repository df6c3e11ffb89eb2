"""Ordinary training loops to be measured against: a program that trains one network and ends.

`plain` is the loop of a tutorial: image files, a `DataLoader`, fp32, the loss read at every step. `tuned` is the same by
somebody who knows PyTorch well: images decoded once for all programs, held as what the first layer takes, bf16 autocast,
channels last, Adam in one kernel, nothing read before an epoch ends. Of the project they take the network and nothing else.

It prints what was used since the program started: on a CPU the processor time of it and of its loaders, on a GPU the time
between events, and until the first of them wall time.
"""

import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adam import adam

from evosearch.bench.builder import network_of

RATE, DECAY = 1e-4, 1e-8


@dataclass(frozen=True)
class Job:
    """What to train. `listed`: a file that lists the images of both splits, as [path, class]. `decoded`: one of their pixels and
    classes. `train`, `validation`: how many of each. `loaders`: processes that read files. `started`: by `time.monotonic`.
    """

    network: str
    size: int
    device: str
    tuned: bool
    listed: str
    decoded: str
    train: int
    validation: int
    epochs: int
    loaders: int = 0
    bf16: bool = True
    started: float = 0.0
    batch: int = 16
    classes: int = 2
    seed: int = 0


@dataclass
class Clock:
    """Seconds used since the program started, at each of its `marks`."""

    job: Job
    marks: list[float] = field(default_factory=list)
    _last: torch.cuda.Event | None = None

    def mark(self) -> None:
        """Note it."""
        if self.job.device == "cpu":
            used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            self.marks.append(sum(one.ru_utime + one.ru_stime for one in used))
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # of torch
        event.record()
        event.synchronize()
        now = self.marks[-1] + self._last.elapsed_time(event) / 1e3 if self._last else None
        self.marks.append(time.monotonic() - self.job.started if now is None else now)
        self._last = event


def noted(batches: Iterable[Any], size: int, clock: Clock) -> Iterator[Any]:
    """`batches`; marks the clock after those of `size` images and after all, twice after all where there is but one kind."""
    before = len(clock.marks)
    for number, batch in enumerate(batches):
        if number and len(batch[-1]) < size:
            clock.mark()
        yield batch
    while len(clock.marks) < before + 2:
        clock.mark()


class Files(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images that are decoded whenever they are asked for."""

    def __init__(self, listed: list[tuple[str, int]], size: int) -> None:
        self.listed, self.size = listed, size

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.listed[index]
        return pixels(path, self.size) / 255, label


def pixels(path: str, size: int) -> Tensor:
    """(3, size, size) uint8."""
    import numpy as np  # noqa: PLC0415 - `tuned` needs neither
    from PIL import Image  # noqa: PLC0415 - likewise

    with Image.open(path) as image:
        resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)


def plain(job: Job, clock: Clock) -> Iterator[float]:
    """Yields the validation accuracy of each epoch."""
    network = network_of(job.network, job.size, job.classes, job.seed).to(job.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=DECAY)
    listed = json.loads(Path(job.listed).read_text())
    train = Files(listed["train"][: job.train], job.size)
    validation = Files(listed["validation"][: job.validation], job.size)
    load = torch.utils.data.DataLoader
    shuffled = load(train, job.batch, shuffle=True, num_workers=job.loaders)
    ordered = load(validation, job.batch, num_workers=job.loaders)
    for _ in range(job.epochs):
        network.train()
        total = 0.0
        for images, labels in noted(shuffled, job.batch, clock):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(images.to(job.device)), labels.to(job.device))
            loss.backward()  # type: ignore[no-untyped-call] # of torch
            optimizer.step()
            total += loss.item() * len(labels)
        network.eval()
        right = 0
        with torch.no_grad():
            for images, labels in noted(ordered, job.batch, clock):
                right += (network(images.to(job.device)).argmax(1).cpu() == labels).sum().item()
        yield right / len(validation)


def tuned(job: Job, clock: Clock) -> Iterator[float]:
    """Yields the validation accuracy of each epoch."""
    torch.backends.cudnn.benchmark = True
    network = network_of(job.network, job.size, job.classes, job.seed)
    network.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch has no such overload
    optimizer = FusedAdam(network.parameters())
    splits = torch.load(job.decoded)
    images, labels = held(splits["train"], job.train, job)
    seen, answers = held(splits["validation"], job.validation, job)
    total, right = (torch.zeros((), device=job.device) for _ in "ab")
    for _ in range(job.epochs):
        network.train()
        order = torch.split(torch.randperm(len(labels), device=job.device), job.batch)
        for (rows,) in noted(zip(order, strict=True), job.batch, clock):
            with torch.autocast(job.device, torch.bfloat16, enabled=job.bf16):
                loss = functional.cross_entropy(network(images[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call] # of torch
            optimizer.step()
            total += loss.detach() * len(rows)
        network.eval()
        right.zero_()
        with torch.inference_mode(), torch.autocast(job.device, torch.bfloat16, enabled=job.bf16):
            batches = zip(torch.split(seen, job.batch), torch.split(answers, job.batch), strict=True)
            for batch, truth in noted(batches, job.batch, clock):
                right += (network(batch).argmax(1) == truth).sum()
        yield right.item() / len(answers)


class FusedAdam:
    """PyTorch's fused Adam by its function: the class would import the compiler, a second of each program."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.weights: list[Tensor] = list(parameters)
        self.first, self.second = ([torch.zeros_like(one) for one in self.weights] for _ in "ab")
        self.steps = [torch.zeros((), device=one.device) for one in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        """One, after which there are no gradients."""
        gradients = [one.grad for one in self.weights if one.grad is not None]
        numbers: Any = {"lr": RATE, "weight_decay": DECAY, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
        ways: Any = {"amsgrad": False, "maximize": False, "fused": True}
        adam(self.weights, gradients, self.first, self.second, [], self.steps, **numbers, **ways)
        for one in self.weights:
            one.grad = None


def held(split: tuple[Tensor, Tensor], count: int, job: Job) -> tuple[Tensor, Tensor]:
    """The first images as the first convolution takes them, made once, and their classes."""
    images, labels = (one[:count].to(job.device) for one in split)
    kind = torch.bfloat16 if job.bf16 else torch.float32
    return (images.float() / 255).to(kind, memory_format=torch.channels_last), labels


if __name__ == "__main__":
    todo = Job(**json.loads(sys.argv[1]))
    torch.set_num_threads(1)  # several only spend more processor time
    clock = Clock(todo)
    accuracies = list((tuned if todo.tuned else plain)(todo, clock))
    sys.stdout.write(json.dumps({"marks": clock.marks, "accuracies": accuracies}) + "\n")
