"""The host's `args` as our options: which keys are read under which names, and what cannot work."""

from typing import Any, Literal, NamedTuple

import torch

from bn_mappo.controllers.dag_controller import DAGMAC, DAGMACOptions
from bn_mappo.core.declared import hints, options_of, to_plain
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, Natural, options
from bn_mappo.core.specs import EnvInfo
from bn_mappo.hosts.options import read_options
from bn_mappo.learners.bn_mappo import BNMAPPOLearner, BNMAPPOOptions
from bn_mappo.modules.agents import REGISTRY as AGENTS
from bn_mappo.modules.critics.critics import REGISTRY as CRITICS

MAC, LEARNER = "dag_controller", "bn_mappo"  # keys of the host's registries
RENAMED = {"batch_size": "mini_batch_size"}  # ours -> there, where the host means something else by our name


@options
class HostOptions:
    """Keys of the host that the adapter reads; those with a default are missing in some forks."""

    seed: Natural
    t_max: Count
    batch_size: Count  # episodes of one call of `train`
    batch_size_run: Count  # episodes played side by side
    buffer_size: Count  # episodes
    learner_log_interval: Natural  # environment steps
    mac: str
    learner: str
    test_greedy: bool = True
    save_probs: bool = False
    time_outs: Literal["limit", "reported"] = "limit"


class Settings(NamedTuple):
    """Everything that the adapter reads of `args`."""

    host: HostOptions
    mac: DAGMACOptions
    learner: BNMAPPOOptions

    @property
    def n_runs(self) -> int:
        """Runs of the host's runner that make up one call of `train`."""
        return self.host.batch_size // self.host.batch_size_run

    def values(self) -> dict[str, Any]:
        """The options of policy and learner as plain data."""
        return {"mac": to_plain(self.mac), "learner": to_plain(self.learner)}


def option_names() -> dict[str, str]:
    """Top-level keys of policy and learner: our name -> the name in `args`."""
    of_parts = [key for part in (AGENTS, CRITICS) for entry in part for key in hints(options_of(part, entry))]
    own = [*hints(DAGMAC.Options), *of_parts, *hints(BNMAPPOLearner.Options)]
    return {name: RENAMED.get(name, name) for name in own}


def read_settings(args: Any) -> Settings:
    """`args`, checked; ConfigError where a run cannot work."""
    given = vars(args)
    values = {name: given[there] for name, there in option_names().items() if there in given}
    settings = Settings(
        read_options(HostOptions, given),
        read_options(DAGMACOptions, values, RENAMED),
        read_options(BNMAPPOOptions, values, RENAMED),
    )
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """ConfigError where the host would not hand over the episodes just played, or expects what there is not."""
    host, part = settings.host, settings.learner.batch_size
    if (host.mac, host.learner) != (MAC, LEARNER):
        raise ConfigError(f"mac={host.mac}, learner={host.learner}: mac={MAC} and learner={LEARNER} go together")
    if host.save_probs:
        raise ConfigError("save_probs=True: bn_mappo keeps its probabilities itself; set save_probs=False")
    if host.buffer_size != host.batch_size:
        raise ConfigError(
            f"buffer_size={host.buffer_size}, batch_size={host.batch_size}: both must be the same, "
            "for bn_mappo learns from each episode once, right after it was played"
        )
    if host.batch_size % host.batch_size_run:
        raise ConfigError(
            f"batch_size={host.batch_size} must be a multiple of batch_size_run={host.batch_size_run}: "
            "`train` takes the episodes of whole runs"
        )
    if part and host.batch_size % part:
        raise ConfigError(
            f"mini_batch_size={part} must divide batch_size={host.batch_size}: "
            "a gradient step takes mini_batch_size of these episodes"
        )


def env_info(scheme: dict[str, Any], args: Any) -> EnvInfo:
    """Sizes of the environment as the host's scheme has them; its episode limit shows in the batches alone."""
    widths = {name: _width(scheme, name) for name in ("obs", "state", "reward")}
    return EnvInfo(
        n_agents=args.n_agents,
        n_actions=args.n_actions,
        obs_dim=widths["obs"],
        state_dim=widths["state"],
        episode_limit=0,
        masks_actions=True,
        n_rewards=widths["reward"],
    )


def _width(scheme: dict[str, Any], name: str) -> int:
    vshape = scheme[name]["vshape"]
    sizes = (vshape,) if isinstance(vshape, int) else tuple(vshape)
    if len(sizes) != 1:
        raise ConfigError(f"{name} has the shape {sizes}: bn_mappo takes vectors; flatten it in the environment")
    return int(sizes[0])


def device_of(args: Any) -> torch.device:
    """Where the host wants networks and batches."""
    default = "cuda" if getattr(args, "use_cuda", False) else "cpu"
    return torch.device(getattr(args, "device", default))
