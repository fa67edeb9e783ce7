"""Statistics to the console and to Sacred's info."""

import logging
from collections import defaultdict

import numpy as np


class Logger:
    def __init__(self, console_logger):
        self.console_logger = console_logger
        self.stats = defaultdict(list)
        self.sacred_info = None

    def setup_sacred(self, sacred_run_dict):
        self._run, self.sacred_info = sacred_run_dict, sacred_run_dict.info

    def log_stat(self, key, value, t, to_sacred=True):
        """One number at time t; Sacred writes it as JSON, so a float and no tensor."""
        self.stats[key].append((t, value))
        if self.sacred_info is not None and to_sacred:
            self.sacred_info.setdefault(f"{key}_T", []).append(t)
            self.sacred_info.setdefault(key, []).append(value)
            self._run.log_scalar(key, value, t)

    def print_recent_stats(self):
        t, episode = self.stats["episode"][-1]  # run.py logs it first
        recent = {key: np.mean([v for _, v in values[-5:]]) for key, values in sorted(self.stats.items())}
        lines = [f"{key}: {value:.4f}" for key, value in recent.items() if key != "episode"]
        self.console_logger.info(f"t_env {t}, episode {episode}: " + ", ".join(lines))


def get_logger():
    """The root logger, on the console."""
    logger = logging.getLogger()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("[%(levelname)s %(asctime)s] %(name)s %(message)s", "%H:%M:%S"))
    logger.handlers = [handler]
    logger.setLevel("INFO")
    return logger
