"""A vector environment whose games run in worker processes, over shared memory; one that dies or hangs is replaced."""

import contextlib
import multiprocessing as mp
import os
import signal
import threading
import time
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from bn_mappo.core.errors import RunError, WorkerError
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, EnvInfo, Observation, StepResult
from bn_mappo.envs.multiagentenv import MultiAgentEnv
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.envs.vector.failures import Failures
from bn_mappo.envs.vector.slots import GAME_BROKE_DOWN, EnvFactory, Slots

START_TIMEOUT_S = 120.0  # a worker imports its environment, and may start a program, before its first answer
JOIN_TIMEOUT_S = 5.0  # in which all workers may end by themselves
FAILURES = (EOFError, OSError)  # a worker that is gone, or (TimeoutError) one that hangs
HAS_GROUPS = hasattr(os, "killpg")  # not on Windows: there a game may outlive the kill of its worker


class WorkerFault(NamedTuple):
    """A worker's last answer: the error that ends it."""

    error: str


Spec = tuple[Any, tuple[int, ...], str]  # shared memory, shape, type


def _as_array(spec: Spec) -> Array:
    memory, shape, dtype = spec
    return np.frombuffer(memory, dtype=dtype)[: int(np.prod(shape))].reshape(shape)


def _shared_slots(info: EnvInfo, batch_size: int, specs: list[Spec] | None = None) -> tuple[Slots, list[Spec]]:
    """Slots in shared memory: new (specs None), or a view of those that another process has made."""
    made: list[Spec] = []

    def allocate(shape: tuple[int, ...], dtype: Any) -> Array:
        if specs is None:
            n_bytes = max(int(np.prod(shape)) * np.dtype(dtype).itemsize, 1)
            made.append((mp.RawArray("b", n_bytes), shape, np.dtype(dtype).str))
            return _as_array(made[-1])
        made.append(specs[len(made)])
        return _as_array(made[-1])

    return Slots(info, batch_size, allocate), made


def _run_command(command: str, arguments: Any, envs: list[MultiAgentEnv], slots: Slots, rows: range) -> Any:
    """Run one command of the main process; returns the answer to send back, while arrays go through the slots.

    The answer to `step` and `state` is a list with an entry for each game; `reset` and `load` take such a list.
    """
    if command == "step":
        return [slots.play(row, env) for row, env in zip(rows, envs, strict=True)]
    if command == "state":
        return [env.state_dict() for env in envs]
    if command == "replay":
        return envs[0].save_replay()
    for row, env, argument in zip(rows, envs, arguments, strict=True):
        if command == "reset":
            env.reset(argument)
        elif command == "load":
            env.load_state_dict(argument)
        slots.show(row, env)
    return None


def _lead_group() -> None:
    """Make this worker and whatever it starts one group of processes, which ends with the main process.

    A worker that is stuck does not see that the main process is gone: a thread does.
    """
    parent = mp.parent_process()
    if not HAS_GROUPS or parent is None:
        return
    os.setpgid(0, 0)

    def end_with_parent() -> None:
        parent.join()
        time.sleep(JOIN_TIMEOUT_S)  # the worker ends by itself unless it is stuck
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(
    pipe: Connection,
    factory: EnvFactory,
    seeds: list[int],
    rows: range,
    info: EnvInfo,
    batch: int,
    specs: list[Spec],
) -> None:
    """A worker's life: answer commands until told to close or until the main process is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the main process decides when to end
        signal.signal(number, lambda *_: None)  # SIG_IGN would be inherited by the programs that games start
    _lead_group()
    slots, _ = _shared_slots(info, batch, specs)
    envs: list[MultiAgentEnv] = []
    try:
        envs.extend(factory(seed) for seed in seeds)
        while True:
            command, arguments = pipe.recv()
            if command == "close":
                break
            pipe.send(_run_command(command, arguments, envs, slots, rows))
    except Exception as error:  # code of the user's may fail in any way: the main process tells
        try:
            pipe.send(WorkerFault(f"{type(error).__name__}: {error}"))
        except FAILURES:
            return  # the main process is gone, and that was the error
        raise
    finally:
        for env in envs:
            env.close()


def _kill(process: Any) -> None:
    """End a worker now, together with every process that it has started."""
    if HAS_GROUPS:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # no group yet, or none any more
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


class SubprocVecEnv(VecEnv):
    """B single games in worker processes. Owns these: `close` leaves none behind, nor does a killed run.

    A worker plays games_per_worker games, one after the other. One that dies, or gives no answer for timeout_s seconds,
    is replaced, and the episodes it was playing are lost. More than max_restarts failures in a row, of one worker or of
    one game, raise WorkerError, and so does a first start at which all fail.
    """

    def __init__(
        self,
        factory: EnvFactory,
        info: EnvInfo,
        seeds: list[int],
        timeout_s: float,
        max_restarts: int,
        start_timeout_s: float = START_TIMEOUT_S,
        games_per_worker: int = 1,
    ):
        self.factory, self.info, self.seeds, self.batch_size = factory, info, seeds, len(seeds)
        self.timeout_s, self.start_timeout_s = timeout_s, max(start_timeout_s, timeout_s)
        self.context = mp.get_context("spawn")
        self.slots, self.specs = _shared_slots(info, self.batch_size)
        self.failures = Failures(self.batch_size, max_restarts)
        self.has_played = False  # at least one game has been started
        firsts = range(0, self.batch_size, games_per_worker)
        self.rows = [range(first, min(first + games_per_worker, self.batch_size)) for first in firsts]  # by worker
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []  # None where a worker has ended
        for worker in range(len(self.rows)):
            pipe, process = self._start(worker)
            self.pipes.append(pipe)
            self.processes.append(process)

    def _start(self, worker: int) -> tuple[Connection, Any]:
        """A new worker, and the pipe to it."""
        ours, theirs = self.context.Pipe()
        n_failures, rows = self.failures.total, self.rows[worker]
        seeds = [derive_seed(self.seeds[row], n_failures) if n_failures else self.seeds[row] for row in rows]
        arguments = (theirs, self.factory, seeds, rows, self.info, self.batch_size, self.specs)
        process = self.context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def _ask(
        self, workers: list[int], command: str, arguments: list[Any] | None, timeout_s: float
    ) -> tuple[list[Any], dict[int, str]]:
        """Give a command to workers, which have timeout_s for it together; `arguments` [B], one for each game.

        Returns the answers by worker, None where there is none, and by worker why it gave none: it must then be
        replaced or ended.
        """
        answers: list[Any] = [None] * len(self.rows)
        faults: dict[int, str] = {}
        for worker in workers:
            given = None if arguments is None else [arguments[row] for row in self.rows[worker]]
            try:
                self.pipes[worker].send((command, given))
            except FAILURES:
                faults[worker] = self._death(worker)
        deadline = time.monotonic() + timeout_s
        for worker in workers:
            if worker in faults:
                continue
            try:
                if self.pipes[worker].poll(max(deadline - time.monotonic(), 0.0)):
                    answers[worker] = self.pipes[worker].recv()
                else:
                    faults[worker] = f"it gave no answer for {timeout_s:g} s"
            except FAILURES:
                faults[worker] = self._death(worker)
            if isinstance(answers[worker], WorkerFault):
                faults[worker] = f"of {answers[worker].error}"
        return answers, faults

    def _ask_all(self, command: str, arguments: list[Any] | None, timeout_s: float) -> tuple[list[Any], dict[int, str]]:
        return self._ask(list(range(len(self.rows))), command, arguments, timeout_s)

    def _death(self, worker: int) -> str:
        """Why a worker is gone: what it has still said, or how its process ended."""
        with contextlib.suppress(*FAILURES):
            if self.pipes[worker].poll() and isinstance(fault := self.pipes[worker].recv(), WorkerFault):
                return f"of {fault.error}"
        if (process := self.processes[worker]) is not None:
            process.join(1.0)  # its pipe is closed already
            if process.exitcode is not None:
                return f"its process ended with exit code {process.exitcode}"
        return "its process has ended"

    def _replace(self, faults: dict[int, str]) -> None:
        """New workers in place of dead or hung ones, by worker and cause, at the start of their episodes."""
        while faults:
            workers = list(faults)
            for worker, cause in faults.items():
                self._end(worker)
                self._count(self.rows[worker][0], cause)
            for worker in workers:
                self.pipes[worker], self.processes[worker] = self._start(worker)
            _, faults = self._ask(workers, "reset", [None] * self.batch_size, self.start_timeout_s)

    def _count(self, row: int, cause: str) -> None:
        """Count a failure; too many in a row end all workers, for the run cannot go on."""
        try:
            self.failures.add(row, cause)
        except WorkerError:
            self.close()
            raise

    def reset(self, seed: int | None = None) -> Observation:
        seeds = [None if seed is None else seed + row for row in range(self.batch_size)]
        _, faults = self._ask_all("reset", seeds, self.start_timeout_s)
        if len(faults) == len(self.rows) and not self.has_played:  # to try on would take minutes, and fail
            self.close()
            raise WorkerError(f"no environment could be started, the first one because {faults[0]}")
        self.has_played = True
        self._replace(faults)
        return self.slots.observation()

    def step(self, actions: Array) -> StepResult:
        self.slots.actions[:] = actions
        answers, faults = self._ask_all("step", None, self.timeout_s)
        lost = [row for worker in faults for row in self.rows[worker]]
        played = np.ones(self.batch_size, dtype=bool)
        played[lost] = False
        done = self.slots.terminated | self.slots.truncated
        self.failures.reset(played & done & ~self.slots.lost)
        for broken in np.flatnonzero(played & self.slots.lost):
            self._count(int(broken), GAME_BROKE_DOWN)
        self._replace(faults)
        for row in lost:
            self.slots.lose(row)
        nothing: list[dict[str, float]] = [{}]
        infos = [nothing * len(rows) if worker in faults else answers[worker] for worker, rows in enumerate(self.rows)]
        return self.slots.result(list(chain.from_iterable(infos)))

    def state_dict(self) -> dict[str, Any] | None:
        if None in self.processes:
            return None
        answers, faults = self._ask_all("state", None, self.start_timeout_s)
        for worker in faults:
            self._end(
                worker
            )  # its late answer must not be taken for that to another command; the next step replaces it
        states = [] if faults else list(chain.from_iterable(answers))
        return None if faults or any(state is None for state in states) else {"envs": states}

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        _, faults = self._ask_all("load", state["envs"], self.start_timeout_s)
        if faults:
            self.close()
            raise RunError(f"an environment could not go on from a checkpoint because {next(iter(faults.values()))}")
        return self.slots.observation()

    def restarts(self) -> int:
        return self.failures.total

    def save_replay(self) -> str | None:
        answers, faults = self._ask([0], "replay", None, self.start_timeout_s)
        if faults:
            self._end(0)
            raise RunError(f"no replay could be saved because {faults[0]}")
        replay: str | None = answers[0]
        return replay

    def _end(self, worker: int, grace_s: float = 0.0) -> None:
        """End a worker, after grace_s seconds by force."""
        process = self.processes[worker]
        if process is None:
            return
        self.pipes[worker].close()
        if grace_s:
            process.join(grace_s)
        _kill(process)
        self.processes[worker] = None

    def close(self) -> None:
        for worker, process in enumerate(self.processes):
            if process is not None:
                with contextlib.suppress(*FAILURES):
                    self.pipes[worker].send(("close", None))
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        for worker in range(len(self.processes)):
            self._end(worker, grace_s=max(deadline - time.monotonic(), 0.0))
