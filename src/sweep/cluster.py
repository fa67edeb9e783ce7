"""Runs on a Ray cluster, each a task with its resources. A run that is lost with its machine goes on elsewhere."""

import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.extras import load
from bn_mappo.core.threads import CORES_VARIABLE, THREAD_VARIABLES
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Ended
from bn_mappo.sweep.node import TOKEN, Place
from bn_mappo.sweep.worker import MAIN

SECONDS_TO_SAVE = 120.0  # that a cancelled run has to write a checkpoint


class RayCluster:
    """As many runs at a time as the cluster has room for; machines may come and go.

    Args:
        address: `local` starts a cluster on this machine alone; `auto` and addresses are those of `ray.init`.
        n_cpus: CPUs that each run takes.
        n_gpus: GPUs, likewise.
        root: folder of the records on this machine; other machines need not see it.
        local_slots: runs at a time of a local cluster.
    """

    def __init__(self, address: str, n_cpus: float, n_gpus: float, root: Path, local_slots: int):
        self.ray = load("ray")
        self.n_cpus, self.n_gpus = n_cpus, n_gpus
        variables = {**dict.fromkeys(THREAD_VARIABLES, "1"), CORES_VARIABLE: str(max(int(n_cpus), 1))}
        runtime = {"env_vars": variables}
        given: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "runtime_env": runtime}
        if address == "local":
            given |= {"num_cpus": max(round(local_slots * n_cpus), 1), "include_dashboard": False}
        try:
            self.ray.init(address=address, **given)
        except (ConnectionError, ValueError) as error:
            message = f"--cluster {address}: no Ray cluster answers there ({error}). Start one: ray start --head"
            raise ConfigError(message) from error
        self.place = Place(str(root.resolve()), secrets.token_hex(8))
        root.mkdir(parents=True, exist_ok=True)
        (root / TOKEN).write_text(self.place.token)
        self.store = self._make_store()
        self.running: dict[Any, Cell] = {}
        if not self.slots:
            raise ConfigError(f"--cluster {address}: no machine there has {n_cpus} CPUs and {n_gpus} GPUs for a run")

    @property
    def slots(self) -> int:
        """Runs that fit on the machines that are there now."""
        total = 0
        for node in self.ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                fits = [int(has.get("CPU", 0) / self.n_cpus)] if self.n_cpus else []
                fits += [int(has.get("GPU", 0) / self.n_gpus)] if self.n_gpus else []
                total += min(fits, default=1)
        return total

    def start(self, cell: Cell, root: Path) -> None:
        """Give the run to the cluster."""
        options = {"num_cpus": self.n_cpus, "num_gpus": self.n_gpus, "max_retries": 0, "max_calls": 1}
        task = self.ray.remote(**options)(make_task())
        folder = str(cell.folder(Path(self.place.root)))
        self.running[task.remote(str(MAIN), asdict(cell), tuple(self.place), folder, self.store)] = cell

    def ended(self, timeout_s: float) -> list[Ended]:
        """The runs that have ended since the last call."""
        done, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=timeout_s)
        return [Ended(self.running.pop(reference), self._was_lost(reference)) for reference in done]

    def cancel(self, cell: Cell) -> None:
        """Let one write a checkpoint and end."""
        for reference, running in self.running.items():
            if running == cell:
                self.ray.cancel(reference, force=False)

    def stop(self) -> None:
        """Let all runs write a checkpoint, and leave the cluster."""
        for reference in self.running:
            self.ray.cancel(reference, force=False)
        if self.running:
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=SECONDS_TO_SAVE)
        self.running.clear()
        self.ray.kill(self.store)
        self.ray.shutdown()
        (Path(self.place.root) / TOKEN).unlink(missing_ok=True)

    def _was_lost(self, reference: Any) -> bool:
        """Whether the machine or the process of a task has died; its own exit status is in its records."""
        try:
            self.ray.get(reference)
        except self.ray.exceptions.RayTaskError:
            return False
        except self.ray.exceptions.RayError:
            return True
        return False

    def _make_store(self) -> Any:
        """The actor that writes files which other machines send, in the sweep's folder on this machine."""
        here = self.ray.get_runtime_context().get_node_id()
        scheduling = load("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(here, soft=False)
        store = self.ray.remote(num_cpus=0, scheduling_strategy=scheduling)(make_store_class())
        return store.remote(str(MAIN))


def make_task() -> Callable[..., int]:
    """The task. Ray sends functions made in functions by value, so that it runs where bn_mappo is not imported yet."""

    def run(main: str, cell: dict[str, Any], place: tuple[str, str], folder: str, store: Any) -> int:
        import importlib.util
        import os

        import ray

        if os.path.exists(main):  # a checkout; elsewhere the package has to be installed
            spec = importlib.util.spec_from_file_location("bn_mappo_main", main)
            assert spec is not None and spec.loader is not None
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        from bn_mappo.sweep.node import Place, run_cell

        return run_cell(
            cell,
            Place(*place),
            fetch=lambda: ray.get(store.read.remote(folder)),
            send=lambda files: ray.get(store.write.remote(folder, files)),
        )

    return run


def make_store_class() -> type:
    """The class of the actor, by value too."""

    class Store:
        def __init__(self, main: str):
            import importlib.util

            spec = importlib.util.spec_from_file_location("bn_mappo_main", main)
            assert spec is not None and spec.loader is not None
            spec.loader.exec_module(importlib.util.module_from_spec(spec))

        def read(self, folder: str) -> dict[str, bytes]:
            from pathlib import Path

            from bn_mappo.sweep.node import pack

            return pack(Path(folder))

        def write(self, folder: str, files: dict[str, bytes]) -> None:
            from pathlib import Path

            from bn_mappo.sweep.node import unpack

            unpack(files, Path(folder))

    return Store
