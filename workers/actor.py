"""The standing actor of `RayPool`: one worker process somewhere in the cluster.

A plain class, importable where it runs, so that Ray sends it by reference; the pool makes an actor of it.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from evosearch.data import SearchData
from evosearch.evaluation import EvaluationRequest, Evaluator, PredictionRequest
from workers.classify import describe
from workers.machine import thread_environment
from workers.task import Broken, Reply, run_task


@dataclass(frozen=True, slots=True)
class Address:
    """Where an actor runs. `node`: Ray's id of it. `device`: "cpu", or "cuda:N" as its host counts."""

    node: str
    host: str
    device: str


class WorkerActor:
    """Holds an evaluator and runs one task at a time; no exception of a task ever crosses to the driver."""

    def __init__(
        self, factory: Callable[[SearchData, str], Evaluator], data: SearchData, threads: int
    ) -> None:
        os.environ.update(thread_environment(threads))  # before the factory imports torch
        self._factory = factory
        self._data = data
        self._evaluator: Evaluator | None = None

    def prepare(self) -> Address | Broken:
        """Make the evaluator, and tell where; here and not in the constructor, whose errors Ray tells at length."""
        import ray

        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        try:
            self._evaluator = self._factory(self._data, "cuda:0" if gpus else "cpu")
        except Exception as error:
            return Broken(describe(error))
        return Address(context.get_node_id(), socket.gethostname(), f"cuda:{gpus[0]}" if gpus else "cpu")

    def run(self, task: EvaluationRequest | PredictionRequest) -> Reply:
        """Evaluate or predict."""
        if self._evaluator is None:
            return Broken("given a task before it was prepared")
        return run_task(self._evaluator, task)

    def ping(self) -> None:
        """Answer, to show that the connection is up again."""
