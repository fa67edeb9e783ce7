"""What environments, controllers and learners tell each other: sizes, observations, and the outcome of a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Policy = Callable[[], Array]  # the joint actions [B, N] for the present state of the game it was made for


class EnvRecord(NamedTuple):
    """What the records of a run say about its environment."""

    description: tuple[tuple[str, str], ...] = ()  # once a run: (name, text), such as ("backend", "skirmish")
    metrics: tuple[tuple[str, float], ...] = ()  # in every row: (name, value), such as ("real_game", 0.0)
    rules: str = ""  # what a policy is trained by, such as "Skirmish 2"; checkpoints of other rules cause a warning
    restarts_metric: str = ""  # in every row: the metric that counts them; "": env_restarts, once there are any
    action_names: tuple[str, ...] = ()  # by number; empty: they have none


class EntityGroup(NamedTuple):
    """Things of one kind that each agent's observation shows side by side, `width` entries each: its enemies, say."""

    name: str  # such as "enemies"
    start: int  # entry of the observation where the first of them begins
    size: int  # how many there are
    width: int
    first_target: int | None = None  # the action aimed at the first of them; the others follow. None: none is
    targeted_by: tuple[int, ...] = ()  # agents that aim those actions at this group
    are_agents: bool = False  # the other agents, by number; then actions count all agents, the acting one included
    seen: int | None = None  # which of the `width` entries is above 0 iff the thing is seen; None: not told
    distance: int | None = None  # ... is its distance, in any unit, 0 where it is not seen; None: not told


class EnvInfo(NamedTuple):
    """Facts of an environment, fixed for a run."""

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    episode_limit: int  # steps
    masks_actions: bool = False  # False: every action is always available, and `avail_actions` is None
    layout: tuple[int, int] | None = None  # rows and columns, where the agents stand on a grid (for pictures)
    n_rewards: int = 1  # 1: one reward of the team, [B]; n_agents: one reward an agent, [B, N]
    agents_leave: bool = False  # False: all agents are there in every step, and `active` is None
    entities: tuple[EntityGroup, ...] = ()  # what observations show of things of a kind; agent=entity needs it
    record: EnvRecord = EnvRecord()


class Observation(NamedTuple):
    """What the agents and the critic see of B games at one step.

    An agent that has left (`active` False) stays away until its episode ends. Its observation is zeros, where the
    environment masks actions only action 0 is available to it, its action has no effect, and, where rewards are paid
    by agent, its own is 0.
    """

    obs: Array  # [B, N, D] float32
    state: Array  # [B, S] float32
    avail_actions: Array | None  # [B, N, A] bool; None where the environment never masks
    active: Array | None = None  # [B, N] bool: the agent is there; None where no agent ever leaves


class StepResult(NamedTuple):
    """The outcome of one joint step of B games.

    A game that has ended (`terminated` or `truncated`) is already reset: `observation` is the first one of its next
    episode, `final` the last one of the episode that ended. Rows of `final` and `info` count only where a game ended
    and was not lost.
    """

    observation: Observation
    reward: Array  # float32: [B], or [B, N] where `EnvInfo.n_rewards` is N; an agent's last one comes as it leaves
    terminated: Array  # [B] bool: the game is over; its value from here on is 0
    truncated: Array  # [B] bool: the game was cut off; its value from here on is that of `final`
    final: Observation | None  # None where no game ended
    info: dict[str, Array]  # [B] each, such as battle_won
    lost: Array | None = None  # [B] bool: the game broke down; its running episode is no data (and `terminated`)


def team_reward(reward: Array) -> Array:
    """The reward of the team [B]: the sum over the agents, where each has one of its own, [B, N]."""
    return reward if reward.ndim == 1 else reward.sum(-1, dtype=np.float32)
