"""Speed of an environment of another package, through gymma: environment steps per second of one core.

    taskset -c 0 python benchmarks/adapters.py [KEY=VALUE ...]

Seconds are CPU time of this process and its workers (Linux), so that other programs on the machine count little.
"""

import sys
import time
from pathlib import Path

import gymnasium
import numpy as np

import bn_mappo
from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.training.build import build, start_collector

PACKAGE, GAME = "lbforaging", "Foraging-8x8-2p-3f-v3"
STEPS, UPDATES = 4000, 6  # of the measurement
TICK_S = 0.01  # of Linux's clock of processes
RUNNERS = (("runner=episode",), ("runner=parallel",), ("runner=parallel", "games_per_worker=1"))


def cpu_seconds() -> float:
    """Of this process and of the workers that it has started."""
    total = time.process_time()
    for file in Path("/proc/self/task").glob("*/children"):
        for child in file.read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) * TICK_S
    return total


def measure_package() -> float:
    """Random actions in one game, without any adapter."""
    game = gymnasium.make(f"{PACKAGE}:{GAME}", disable_env_checker=True).unwrapped
    game.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 6, (STEPS, 2)).tolist()
    begin = cpu_seconds()
    for joint in actions:
        if game.step(joint)[2]:
            game.reset()
    return STEPS / (cpu_seconds() - begin)


def measure_games(*settings: str) -> float:
    """Random actions through a runner."""
    config = bn_mappo.load_config("mappo", "gymma", *settings)
    env = bn_mappo.make_env(config, n_games=config.batch_size_run)
    env.reset(0)
    shape = (STEPS // env.batch_size, env.batch_size, env.info.n_agents)
    actions = np.random.default_rng(0).integers(0, env.info.n_actions, shape)
    begin = cpu_seconds()
    for joint in actions:
        env.step(joint)
    speed = len(actions) * env.batch_size / (cpu_seconds() - begin)
    env.close()
    return speed


def measure_training(*settings: str) -> float:
    """Acting and learning besides."""
    config = bn_mappo.load_config("mappo", "gymma", *settings)
    setup = build(config)
    collector = start_collector(config, setup)
    setup.learner.train(collector.collect(0.0), 0.0)
    begin = cpu_seconds()
    for _ in range(UPDATES):
        setup.learner.train(collector.collect(0.0), 0.0, collect_stats=False)
    speed = UPDATES * config.batch_size_run * config.segment_length / (cpu_seconds() - begin)
    collector.env.close()
    return speed


def main(*settings: str) -> None:
    """Print the table."""
    key = f"env_args.key={PACKAGE}:{GAME}"
    print(f"{PACKAGE} itself: {measure_package():,.0f} steps/s")
    for runner in RUNNERS:
        given = (key, *runner, *settings)
        print(f"{' '.join(runner)}: {measure_games(*given):,.0f} steps/s, mappo {measure_training(*given):,.0f}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ConfigError as error:
        fail(error, 2)
