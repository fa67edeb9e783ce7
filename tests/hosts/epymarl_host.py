"""Parts of an EPyMARL put together as its run.py does: of the stand-in or, with EPYMARL=PATH, of a real checkout."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import yaml

from bn_mappo.hosts.epymarl.learner import BNMAPPO
from bn_mappo.hosts.epymarl.mac import DAGController
from bn_mappo.hosts.epymarl.yaml_files import host_yamls, lay_over

STAND_IN = Path(__file__).parents[1] / "stand_ins" / "epymarl"
GAMES = STAND_IN / "games"
HOST = Path(os.environ.get("EPYMARL", STAND_IN)).resolve()
IS_STAND_IN = STAND_IN.resolve() == HOST
sys.path[:0] = [str(HOST / "src"), str(GAMES)]

from components.episode_buffer import EpisodeBatch, ReplayBuffer  # noqa: E402, F401
from components.transforms import OneHot  # noqa: E402
from runners import REGISTRY as RUNNERS  # noqa: E402

TIME_LIMIT = 8
SMALL = {
    "env_args.key": "rendezvous:Rendezvous-v0",
    "env_args.time_limit": TIME_LIMIT,
    "batch_size": 4,
    "batch_size_run": 4,
    "buffer_size": 4,
    "hidden_dim": 16,
    "epochs": 2,
    "learner_log_interval": 0,
    "runner_log_interval": 10**9,
    "t_max": 1000,
    "use_cuda": False,
    "seed": 1,
}


def make_args(alg="bn_mappo", overrides=()):
    """The host's `args` for a small run of Rendezvous, with other values by key with dots."""
    config = HOST / "src" / "config"
    layers = [yaml.safe_load(path.read_text()) for path in (config / "default.yaml", config / "envs" / "gymma.yaml")]
    values = lay_over(*layers, yaml.safe_load(host_yamls()[alg]))
    for key, value in {**SMALL, **dict(overrides)}.items():
        *sections, last = key.split(".")
        section = values
        for name in sections:
            section = section[name]
        section[last] = value
    values["env_args"]["seed"] = values["seed"]
    return SimpleNamespace(**values, device="cpu", unique_token="test")


class Log:
    """The host's logger: keeps what it is told."""

    def __init__(self):
        self.rows = {}
        self.console_logger = SimpleNamespace(info=lambda *words: None)

    def log_stat(self, key, value, t, to_sacred=True):
        assert isinstance(value, float), f"{key} is a {type(value).__name__}; Sacred writes JSON"
        self.rows.setdefault(key, []).append(value)

    def __getitem__(self, key):
        return self.rows[key]


class Run:
    """One run of the host, iteration by iteration. Close it: a real host's runner has processes."""

    def __init__(self, overrides=(), alg="bn_mappo"):
        self.args = args = make_args(alg, overrides)
        self.log = Log()
        runner_log = SimpleNamespace(log_stat=lambda *words: None, console_logger=self.log.console_logger)
        self.runner = RUNNERS[args.runner](args=args, logger=runner_log)
        info = self.runner.get_env_info()
        args.n_agents, args.n_actions, args.state_shape = info["n_agents"], info["n_actions"], info["state_shape"]
        n_rewards = 1 if getattr(args, "common_reward", True) else args.n_agents
        self.scheme = {
            "state": {"vshape": info["state_shape"]},
            "obs": {"vshape": info["obs_shape"], "group": "agents"},
            "actions": {"vshape": (1,), "group": "agents", "dtype": torch.long},
            "avail_actions": {"vshape": (args.n_actions,), "group": "agents", "dtype": torch.int},
            "reward": {"vshape": (n_rewards,)},
            "terminated": {"vshape": (1,), "dtype": torch.uint8},
        }
        self.of_batches = {
            "groups": {"agents": args.n_agents},
            "preprocess": {"actions": ("actions_onehot", [OneHot(out_dim=args.n_actions)])},
        }
        length = info["episode_limit"] + 1
        self.buffer = ReplayBuffer(self.scheme, buffer_size=args.buffer_size, max_seq_length=length, **self.of_batches)
        self.mac = DAGController(self.buffer.scheme, self.of_batches["groups"], args)
        self.runner.setup(scheme=self.scheme, mac=self.mac, **self.of_batches)
        self.learner = BNMAPPO(self.mac, self.buffer.scheme, self.log, args)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.runner.close_env()

    def play(self):
        """One run of the runner, into the buffer."""
        self.buffer.insert_episode_batch(self.runner.run(test_mode=False))

    def sample(self):
        """What the host gives the learner; None while the buffer is not full."""
        if not self.buffer.can_sample(self.args.batch_size):
            return None
        sample = self.buffer.sample(self.args.batch_size)
        return sample[:, : sample.max_t_filled()]

    def iterate(self, n_iterations=1):
        """Play and learn as run.py does."""
        for _ in range(n_iterations):
            self.play()
            sample = self.sample()
            if sample is not None:
                self.learner.train(sample, self.runner.t_env, 0)

    def segments(self):
        """Play until there is a batch; its segments, and the host's batch."""
        recordings = None
        while recordings is None:
            self.play()
            recordings = self.mac.ring.take()
        sample = self.sample()
        return self.learner.segments(sample, recordings), sample

    def weights(self):
        """All weights of policy and critic, as one vector."""
        networks = (self.mac.policy, self.learner.core.critic)
        return torch.cat([p.detach().flatten() for network in networks for p in network.parameters()])
