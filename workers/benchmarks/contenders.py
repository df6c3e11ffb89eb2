"""The ways to hand out trainings with Ray that evosearch is measured against; used by benchmarks only."""

import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from workers.benchmarks.sleepers import Nap, take_nap
from workers.ray_pool.cluster import PrivateCluster

QUIET_TUNE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}
"""What a user who wants speed turns off: result files for each trial, and snapshots of the experiment."""


@contextmanager
def private_cluster(cores: int) -> Iterator[None]:
    """A Ray cluster of this machine that believes to have so many cores; its idle workers stay."""
    config = {"prestart_worker_first_driver": False, "num_workers_soft_limit": cores}
    with silence():
        cluster = PrivateCluster.start(num_cpus=cores, _system_config=config)
    try:
        yield
    finally:
        with silence():
            cluster.end()


def run_tasks(naps: Sequence[Nap], slots: int, folder: str) -> None:
    """A function as a Ray task, `slots` in flight, each result fetched as it comes, nothing retried."""
    import ray

    # an environment of its own keeps its processes for the next call: no actor of others is made of them
    task: Any = ray.remote(num_cpus=1, max_retries=0, runtime_env={"env_vars": {"SLEEPER": "task"}})(take_nap)
    running: list[Any] = []
    for nap in naps:
        if len(running) == slots:
            ended, running = ray.wait(running, num_returns=1)
            ray.get(ended)
        running.append(task.remote(nap, folder))
    ray.get(running)


def missing_for_tune() -> str:
    """Why Ray Tune cannot be imported here; empty where it can."""
    try:
        importlib.import_module("ray.tune")
    except ImportError as error:
        return " ".join(str(error).split())
    return ""


def run_tune(naps: Sequence[Nap], slots: int, folder: str) -> None:
    """Ray Tune as its guide begins: a function, everything else by default."""
    from ray import tune

    def train(config: dict[str, Any]) -> None:
        take_nap(config["nap"], folder)
        tune.report({"score": 0.5})

    _fit(train, naps, tune.TuneConfig(max_concurrent_trials=slots))


def run_tuned_tune(naps: Sequence[Nap], slots: int, folder: str) -> None:
    """Ray Tune by its performance guide: a class whose actors are reused, no result files, no snapshots."""
    from ray import tune

    class Sleeper(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.nap = config["nap"]

        def step(self) -> dict[str, Any]:
            take_nap(self.nap, folder)
            return {"score": 0.5, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.nap = new_config["nap"]
            return True

    before = {name: os.environ.get(name) for name in QUIET_TUNE}
    os.environ.update(QUIET_TUNE)
    try:
        settings = tune.TuneConfig(max_concurrent_trials=slots, reuse_actors=True)
        no_checkpoints = tune.CheckpointConfig(checkpoint_at_end=False)
        _fit(Sleeper, naps, settings, checkpoint_config=no_checkpoints, verbose=0)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _fit(trainable: Any, naps: Sequence[Nap], settings: Any, **run: Any) -> None:
    from ray import tune

    with tempfile.TemporaryDirectory() as storage, silence():
        found = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"nap": tune.grid_search(list(naps))},
            tune_config=settings,
            run_config=tune.RunConfig(storage_path=storage, **run),
        ).fit()
    for error in found.errors:
        raise error


@contextmanager
def silence() -> Iterator[None]:
    """Nothing that happens meanwhile in this process reaches standard output or standard error."""
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        try:
            for descriptor in (1, 2):
                os.dup2(nothing.fileno(), descriptor)
            yield
        finally:
            for descriptor, kept in zip((1, 2), saved, strict=True):
                os.dup2(kept, descriptor)
                os.close(kept)
