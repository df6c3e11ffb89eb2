"""What a worker process of `ProcessPool` runs; importing this must never import torch, nor much else."""

import mmap
import os
import pickle
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from evosearch.evaluation import EvaluationRequest, Evaluator, PredictionRequest
from workers.classify import describe
from workers.task import Broken, Reply, run_task

READY = "ready"
"""First message of a worker that can take tasks; one that cannot sends `Broken` and ends."""

Inbox = SimpleQueue[EvaluationRequest | PredictionRequest]


def main(channel_number: int, payload_number: int, device: str) -> None:
    """Serve tasks until the driver closes the channel or dies; either ends this process at once.

    Args:
        channel_number: file descriptor of the two-way channel to the driver.
        payload_number: file descriptor of the pickled (factory, data).
        device: what the factory is asked for, "cpu" or "cuda:0".
    """
    channel: Connection[Reply | str, EvaluationRequest | PredictionRequest] = Connection(channel_number)
    inbox: Inbox = SimpleQueue()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    try:
        evaluator = _make_evaluator(payload_number, device)
    except Exception as error:
        channel.send(Broken(describe(error)))
        return
    channel.send(READY)
    while True:
        channel.send(run_task(evaluator, inbox.get()))


def _listen(channel: Connection, inbox: Inbox) -> None:
    """Fill the inbox; in its own thread, because a training would notice the driver's death only at its end."""
    try:
        while True:
            inbox.put(channel.recv())
    except (EOFError, OSError):
        pass  # the driver closed the channel, or died
    finally:
        os._exit(1)


def _make_evaluator(payload_number: int, device: str) -> Evaluator:
    # mapped, since the descriptor's position is shared with the other workers
    with mmap.mmap(payload_number, 0, access=mmap.ACCESS_READ) as payload:
        factory, data = pickle.loads(payload)  # noqa: S301 - written by the driver that started this process
    os.close(payload_number)
    evaluator: Evaluator = factory(data, device)
    return evaluator
