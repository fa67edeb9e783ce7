"""Environment processes that die or hang are replaced, and what they were doing is no data."""

import multiprocessing as mp
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError, RunError, WorkerError
from bn_mappo.envs.registry import REGISTRY, make_vec_env
from bn_mappo.envs.vector.subproc import SubprocVecEnv
from helpers import make_config
from toy_envs import FaultyGame

pytestmark = pytest.mark.slow


TESTS = Path(__file__).parents[1]


def child_environment(*folders: Path) -> dict[str, str]:
    """Environment variables of a program that imports from tests and from these folders."""
    path = [str(TESTS), *map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


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


def test_a_worker_of_several_games_plays_each_as_one_of_its_own_would(toys):
    """Steps, restarts, infos, and a state that goes on; the last of the workers has one game alone."""
    envs = [
        make_vec_env(make_config("mappo", "leaving_single", runner="parallel", games_per_worker=each), 5, "test")
        for each in (1, 2)
    ]
    try:
        assert [len(env.env.rows) for env in envs] == [5, 3]
        rng, observations = np.random.default_rng(0), [env.reset(4).obs for env in envs]
        np.testing.assert_array_equal(*observations)
        for t in range(12):
            actions = rng.integers(0, 3, (5, 3))
            one, two = (env.step(actions) for env in envs)
            for field in ("reward", "terminated", "truncated"):
                np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
            np.testing.assert_array_equal(one.observation.obs, two.observation.obs)
            if t == 5:
                np.testing.assert_array_equal(envs[1].load_state_dict(envs[0].state_dict()).obs, one.observation.obs)
    finally:
        for env in envs:
            env.close()


def test_all_games_of_a_worker_that_dies_are_lost_and_no_others(tmp_path):
    trigger = str(tmp_path / "trigger")
    factory = Factory(trigger, "die")
    env = SubprocVecEnv(factory, factory(0).info, [1, 2, 3], timeout_s=5.0, max_restarts=3, games_per_worker=2)
    try:
        actions = np.zeros((3, 2), dtype=np.int64)
        env.reset()
        env.step(actions)
        open(trigger, "w").close()
        result = env.step(actions)
        assert result.lost.tolist() in ([True, True, False], [False, False, True]) and env.restarts() == 1
        np.testing.assert_array_equal(result.observation.obs.max((1, 2)) == 0, result.lost)
        results = [env.step(actions) for _ in range(4)]
        assert all(result.lost is None for result in results)
        assert ["ticks" in result.info for result in results] == [False, False, True, False], "the others went on"
    finally:
        env.close()
    assert not mp.active_children()


def test_too_many_failures_in_a_row_end_the_run(tmp_path):
    trigger = str(tmp_path / "trigger")
    factory = Factory(trigger, "die")
    env = SubprocVecEnv(factory, factory(0).info, [1], timeout_s=5.0, max_restarts=1)
    try:
        env.reset()
        with pytest.raises(
            WorkerError, match="2 times in a row, the last time because its process ended with exit code 1"
        ):
            for _ in range(3):
                open(trigger, "w").close()
                env.step(np.zeros((1, 2), dtype=np.int64))
    finally:
        env.close()


def test_workers_end_with_the_process_that_started_them():
    """kill -9 of a run leaves no environment process."""
    program = (
        "import time\n"
        "from contracts.test_workers import Factory, SubprocVecEnv\n"
        "if __name__ == '__main__':\n"
        "    factory = Factory('', 'die')\n"
        "    env = SubprocVecEnv(factory, factory(0).info, [1, 2], timeout_s=5.0, max_restarts=1)\n"
        "    env.reset(); print(*[p.pid for p in env.processes], flush=True); time.sleep(60)\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        environment = child_environment()
        parent = subprocess.Popen([sys.executable, file.name], stdout=subprocess.PIPE, text=True, env=environment)
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)


@pytest.mark.parametrize("name", ["witness_game", "witness_single"])
def test_workers_play_what_the_main_process_alone_has_registered_and_never_import_the_registry(toys, name):
    env = make_vec_env(make_config("mappo", name, runner="parallel"), 2, "test")
    try:
        env.reset()
        result = env.step(np.zeros((2, 2), dtype=np.int64))
        assert result.terminated.all() and result.info["has_registry"].tolist() == [0.0, 0.0]
    finally:
        env.close()


def test_a_game_may_stand_in_the_script_that_registers_it(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "import numpy as np\n"
        "from toy_envs import BitGame\n"
        "class Mine(BitGame):\n"
        "    pass\n"
        "if __name__ == '__main__':\n"
        "    from bn_mappo.envs.registry import REGISTRY, make_vec_env\n"
        "    from helpers import make_config\n"
        "    REGISTRY.register('mine', 'my game')(Mine)\n"
        "    env = make_vec_env(make_config('mappo', 'mine', runner='parallel'), 2, 'test')\n"
        "    env.reset()\n"
        "    print(env.step(np.zeros((2, 2), dtype=np.int64)).terminated.tolist())\n"
        "    env.close()\n"
    )
    made = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=child_environment(), timeout=120
    )
    assert made.stdout == "[True, True]\n", made.stderr


def test_a_game_that_cannot_be_sent_to_workers_is_refused(toys):
    class Local(FaultyGame):
        pass

    REGISTRY.register("local", "for this test")(Local)
    try:
        with pytest.raises(ConfigError, match="top level of a module, or use runner=episode"):
            make_vec_env(make_config("mappo", "local", runner="parallel"), 2, "test")
    finally:
        REGISTRY.remove("local")


STOP = np.ones((2, 3), dtype=np.int64)


def make_starcraft(timeout_s: float, max_restarts: int = 5) -> SubprocVecEnv:
    """Two games of the stand-in, in processes."""
    config = make_config("mappo", "sc2", env_timeout_s=timeout_s, max_worker_restarts=max_restarts)
    env = make_vec_env(config, 2, "test")
    assert isinstance(env, SubprocVecEnv)
    return env


def test_games_are_asked_to_end_when_their_workers_are(starcraft):
    """A game that inherited its worker's deafness to SIGTERM would not hear it."""
    env = make_starcraft(timeout_s=60.0)
    try:
        env.reset()
        assert len(starcraft.running()) == 2 and env.step(STOP).lost is None
    finally:
        env.close()
    assert sorted(starcraft.closed()) == sorted(starcraft.launched())


def test_a_slow_start_is_no_hang(starcraft):
    starcraft.order("slow_launch")
    env = make_starcraft(timeout_s=0.05)  # of a step
    try:
        env.reset()
        assert env.restarts() == 0 and len(starcraft.running()) == 2
    finally:
        env.close()


@pytest.mark.parametrize("fault", ["crash", "die", "hang", "fail_at_launch", "hang_at_launch"])
def test_of_whatever_a_game_breaks_down_its_episode_is_lost_and_no_process_stays(starcraft, fault):
    env = make_starcraft(timeout_s=3.0)
    try:
        env.reset()
        if "launch" in fault:
            starcraft.order("crash")  # the package starts the game anew within the step, and that fails
        starcraft.order(fault)
        result = env.step(STOP)
        assert result.lost is not None and result.lost.sum() >= 1 and env.restarts() >= 1
        assert result.terminated[result.lost].all() and not result.reward[result.lost].any()
        assert result.observation.avail_actions[..., 1].all(), "everybody lives"
        assert len(starcraft.running()) == 2
    finally:
        env.close()
    assert starcraft.running() == []


def test_a_replay_that_cannot_be_saved_names_its_cause(starcraft):
    env = make_starcraft(timeout_s=60.0)
    try:
        env.reset()
        (starcraft.game / "Replays").touch()  # a file where the folder should be
        with pytest.raises(RunError, match=r"no replay could be saved because of .*Replays"):
            env.save_replay()
        assert env.step(STOP).lost.tolist() == [True, False], "its worker has ended, and is replaced"
    finally:
        env.close()


def test_no_game_at_all_is_told_at_once(starcraft):
    starcraft.order("no_launch")
    env = make_starcraft(timeout_s=60.0)
    with pytest.raises(WorkerError, match=r"no environment could be started.*could not be launched"):
        env.reset()
    assert not mp.active_children()


def test_an_episode_that_ends_well_ends_the_row_of_failures(starcraft):
    env = make_starcraft(timeout_s=60.0, max_restarts=1)
    try:
        env.reset()
        for _ in range(3):
            starcraft.order("crash")
            assert env.step(STOP).lost.sum() == 1
            for _ in range(60):
                env.step(STOP)
        assert env.restarts() == 3
        starcraft.order("always_crash")
        with pytest.raises(WorkerError, match="in a row, the last time because its game broke down"):
            for _ in range(3):
                env.step(STOP)
    finally:
        env.close()


def test_games_end_with_a_run_that_is_killed_while_one_hangs(starcraft):
    """kill -9 of a run leaves no game, though a stuck worker does not see it."""
    program = (
        "from contracts.test_workers import STOP, make_starcraft\n"
        "if __name__ == '__main__':\n"
        "    env = make_starcraft(timeout_s=600.0)\n"
        "    env.reset(); print('playing', flush=True); env.step(STOP)\n"
    )
    starcraft.order("hang")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        environment = child_environment(TESTS / "stand_ins")
        parent = subprocess.Popen([sys.executable, file.name], stdout=subprocess.PIPE, text=True, env=environment)
        assert parent.stdout is not None and parent.stdout.readline() == "playing\n"
        assert len(starcraft.running()) == 2
        deadline = time.monotonic() + 60
        while (starcraft.orders / "hang").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        parent.kill()
        parent.wait()
    while starcraft.running() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert starcraft.running() == []
