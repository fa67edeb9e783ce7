"""A vector environment with one process a game, over shared memory; a worker that dies or hangs is replaced."""

import contextlib
import multiprocessing as mp
import signal
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from envs.multiagentenv import MultiAgentEnv
from envs.single_vec_env import EnvFactory, Slots
from envs.vec_env import Array, EnvInfo, Observation, StepResult, VecEnv
from utils.errors import RunError
from utils.seeds import derive_seed

START_TIMEOUT_S = 120.0  # a worker imports its environment before its first answer
JOIN_TIMEOUT_S = 5.0
FAILURES = (EOFError, OSError)  # a worker that is gone, or (TimeoutError) one that hangs

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


def _obey(command: str, argument: Any, env: MultiAgentEnv, slots: Slots, row: int) -> Any:
    """One command of the main process; what it returns is the answer, the arrays go through the slots."""
    if command == "step":
        return slots.play(row, env)
    if command == "state":
        return env.state_dict()
    if command == "reset":
        env.reset(argument)
    elif command == "load":
        env.load_state_dict(argument)
    slots.show(row, env)
    return None


def _work(
    pipe: Connection, factory: EnvFactory, seed: int, row: int, info: EnvInfo, batch: int, specs: list[Spec]
) -> None:
    """A worker's life: answer commands until told to close or until the main process is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the main process decides when to end
        signal.signal(number, signal.SIG_IGN)
    slots, _ = _shared_slots(info, batch, specs)
    env = factory(seed)
    try:
        while True:
            command, argument = pipe.recv()
            if command == "close":
                break
            pipe.send(_obey(command, argument, env, slots, row))
    except FAILURES:
        pass  # the main process is gone
    finally:
        env.close()


class SubprocVecEnv(VecEnv):
    """B single games, one process each. Owns the processes: `close` leaves none behind, nor does a killed run."""

    def __init__(self, factory: EnvFactory, info: EnvInfo, seeds: list[int], timeout_s: float, max_restarts: int):
        self.factory, self.info, self.seeds, self.batch_size = factory, info, seeds, len(seeds)
        self.timeout_s, self.max_restarts = timeout_s, max_restarts
        self.context = mp.get_context("spawn")
        self.slots, self.specs = _shared_slots(info, self.batch_size)
        self.n_restarts = 0
        self.failures_in_a_row = np.zeros(self.batch_size, dtype=np.int64)
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []  # None where a worker could not be replaced
        for row in range(self.batch_size):
            pipe, process = self._start(row)
            self.pipes.append(pipe)
            self.processes.append(process)

    def _start(self, row: int) -> tuple[Connection, Any]:
        """A new worker, and the pipe to it."""
        ours, theirs = self.context.Pipe()
        seed = derive_seed(self.seeds[row], self.n_restarts) if self.n_restarts else self.seeds[row]
        arguments = (theirs, self.factory, seed, row, self.info, self.batch_size, self.specs)
        process = self.context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def _answer(self, row: int, timeout_s: float) -> Any:
        if not self.pipes[row].poll(timeout_s):
            raise TimeoutError(f"environment worker {row} gave no answer for {timeout_s} s")
        return self.pipes[row].recv()

    def _replace(self, row: int, cause: BaseException) -> None:
        """A new worker in place of a dead or hung one, at the start of an episode."""
        while True:
            self._end(row)
            self.n_restarts += 1
            self.failures_in_a_row[row] += 1
            if self.failures_in_a_row[row] > self.max_restarts:
                raise RunError(
                    f"environment worker {row} failed {self.failures_in_a_row[row]} times in a row: {cause!r}"
                )
            self.pipes[row], self.processes[row] = self._start(row)
            try:
                self.pipes[row].send(("reset", None))
                self._answer(row, START_TIMEOUT_S)
                return
            except FAILURES as error:
                cause = error

    def _ask_all(self, command: str, arguments: list[Any]) -> list[Any]:
        """Ask every worker for something that no worker may fail at."""
        try:
            for pipe, argument in zip(self.pipes, arguments, strict=True):
                pipe.send((command, argument))
            return [self._answer(row, START_TIMEOUT_S) for row in range(self.batch_size)]
        except FAILURES as error:
            self.close()
            raise RunError(f"an environment worker failed at '{command}': {error!r}") from error

    def reset(self, seed: int | None = None) -> Observation:
        self._ask_all("reset", [None if seed is None else seed + row for row in range(self.batch_size)])
        return self.slots.observation()

    def step(self, actions: Array) -> StepResult:
        self.slots.actions[:] = actions
        lost = np.zeros(self.batch_size, dtype=bool)
        infos: list[dict[str, float]] = [{} for _ in range(self.batch_size)]
        broken: dict[int, BaseException] = {}
        for row, pipe in enumerate(self.pipes):
            try:
                pipe.send(("step", None))
            except FAILURES as error:
                broken[row] = error
        for row in range(self.batch_size):
            try:
                if row not in broken:
                    infos[row] = self._answer(row, self.timeout_s)
                    if self.slots.terminated[row] or self.slots.truncated[row]:
                        self.failures_in_a_row[row] = 0
            except FAILURES as error:
                broken[row] = error
        for row, cause in broken.items():
            self._replace(row, cause)
            lost[row] = True
            self.slots.reward[row], self.slots.terminated[row], self.slots.truncated[row] = 0.0, True, False
        return self.slots.result(infos, lost if broken else None)

    def state_dict(self) -> dict[str, Any] | None:
        if None in self.processes:
            return None
        states = self._ask_all("state", [None] * self.batch_size)
        return None if any(state is None for state in states) else {"envs": states}

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        self._ask_all("load", state["envs"])
        return self.slots.observation()

    def restarts(self) -> int:
        return self.n_restarts

    def _end(self, row: int, grace_s: float = 0.0) -> None:
        process = self.processes[row]
        if process is None:
            return
        self.pipes[row].close()
        if grace_s:
            process.join(grace_s)
        if process.is_alive():
            process.kill()
        process.join()
        self.processes[row] = None

    def close(self) -> None:
        for row, process in enumerate(self.processes):
            if process is not None:
                with contextlib.suppress(*FAILURES):
                    self.pipes[row].send(("close", None))
        for row in range(self.batch_size):
            self._end(row, grace_s=JOIN_TIMEOUT_S)
