"""A run that only evaluates: episodes with the weights of a checkpoint, with replay and recorded steps on request."""

import sys
from pathlib import Path

import numpy as np

from bn_mappo.analysis.replays import save_replay
from bn_mappo.config.schema import Config
from bn_mappo.core.clock import Clock
from bn_mappo.core.errors import RunError
from bn_mappo.training.build import Setup
from bn_mappo.training.step_recorder import StepRecorder, write_steps
from bn_mappo.training.tester import Tester


def evaluate_checkpoint(config: Config, setup: Setup, folder: Path) -> dict[str, np.ndarray]:
    """Play test_nepisode episodes with the weights of the checkpoint; print where replay and recorded steps are.

    A replay that cannot be saved costs a warning, not the evaluation.
    """
    assert setup.checkpoint is not None, "Config makes evaluate=True need a checkpoint"
    tester, t_env = Tester(config, setup.mac), int(setup.checkpoint["t_env"])
    try:
        env = tester.make_env()
        recorder = StepRecorder(env) if config.save_steps else None
        episodes = tester(Clock(config.t_max, t_env), observer=recorder)
        if recorder is not None:
            print(f"Steps: {write_steps(recorder.columns(), episodes, folder)}")
        if config.save_replay:
            try:
                replay = save_replay(config, tester.mac, t_env, env, folder)
                print(f"Replay: {replay or f'none, for {config.env} saves no replays'}")
            except RunError as error:
                print(f"warning: {error}", file=sys.stderr)
        return episodes
    finally:
        tester.close()
