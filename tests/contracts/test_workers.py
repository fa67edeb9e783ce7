"""Environment processes that die or hang are replaced, and what they were doing is no data."""

import multiprocessing as mp
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

from envs.subproc_vec_env import SubprocVecEnv
from toy_envs import FaultyGame
from utils.errors import RunError

pytestmark = pytest.mark.slow


class Factory:
    """Makes faulty games; picklable."""

    def __init__(self, trigger: str, fault: str):
        self.trigger, self.fault = trigger, fault

    def __call__(self, seed: int) -> FaultyGame:
        return FaultyGame(seed, trigger=self.trigger, fault=self.fault)


@pytest.mark.parametrize("fault", ["die", "hang"])
def test_a_worker_is_replaced_and_its_step_is_marked_lost(tmp_path, fault):
    trigger = str(tmp_path / "trigger")
    factory = Factory(trigger, fault)
    env = SubprocVecEnv(factory, factory(0).info, [1, 2], timeout_s=2.0, max_restarts=3)
    try:
        actions = np.zeros((2, 2), dtype=np.int64)
        env.reset()
        assert env.step(actions).lost is None
        open(trigger, "w").close()
        result = env.step(actions)
        assert result.lost is not None and result.lost.sum() == 1 and env.restarts() == 1
        lost = int(result.lost.argmax())
        assert result.terminated[lost] and result.reward[lost] == 0
        assert result.observation.obs[lost].max() == 0, "the new game stands at its start"
        assert result.observation.obs[1 - lost].max() == 2, "the other one goes on"
        assert env.step(actions).lost is None
    finally:
        env.close()
    assert not mp.active_children()


def test_too_many_failures_in_a_row_end_the_run(tmp_path):
    trigger = str(tmp_path / "trigger")
    factory = Factory(trigger, "die")
    env = SubprocVecEnv(factory, factory(0).info, [1], timeout_s=5.0, max_restarts=1)
    try:
        env.reset()
        with pytest.raises(RunError, match="in a row"):
            for _ in range(3):
                open(trigger, "w").close()
                env.step(np.zeros((1, 2), dtype=np.int64))
    finally:
        env.close()


def test_workers_end_with_the_process_that_started_them():
    """kill -9 of a run leaves no environment process."""
    program = (
        "import sys, time; sys.path[:0] = ['src', 'tests']\n"
        "from contracts.test_workers import Factory, SubprocVecEnv\n"
        "if __name__ == '__main__':\n"
        "    factory = Factory('', 'die')\n"
        "    env = SubprocVecEnv(factory, factory(0).info, [1, 2], timeout_s=5.0, max_restarts=1)\n"
        "    env.reset(); print(*[p.pid for p in env.processes], flush=True); time.sleep(60)\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        parent = subprocess.Popen([sys.executable, file.name], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)
