"""The interface of an environment that plays one game at a time, such as StarCraft II."""

from abc import ABC, abstractmethod
from typing import Any

from bn_mappo.core.specs import Array, EnvInfo


class EpisodeLostError(Exception):
    """Raised by `step` where the game broke down under it: the episode is no data; `reset` starts the next one."""


class MultiAgentEnv(ABC):
    """One game. A subclass takes its seed and then keyword arguments, which are the env_args of the configuration.

    Where agents leave before the episode ends (`info.agents_leave`), core/specs.py (Observation) says what they show.
    """

    info: EnvInfo

    @abstractmethod
    def reset(self, seed: int | None = None) -> None:
        """Start an episode; `seed` also restarts the generator."""

    @abstractmethod
    def step(self, actions: Array) -> tuple[float | Array, bool, bool, dict[str, float]]:
        """Play the joint action [N]; returns reward, terminated, truncated and facts of the episode so far.

        The reward is the team's, or, with info.n_rewards=N, that of each agent, [N].
        """

    @abstractmethod
    def get_obs(self) -> Array:
        """[N, D] float."""

    @abstractmethod
    def get_state(self) -> Array:
        """[S] float."""

    def get_avail_actions(self) -> Array | None:
        """[N, A] bool; None where every action is always available."""
        return None

    def get_active(self) -> Array | None:
        """[N] bool: the agents that are still there; None where no agent ever leaves."""
        return None

    def state_dict(self) -> dict[str, Any] | None:
        """Plain data that `load_state_dict` goes on from to the same bits; None: cannot be given."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        raise ValueError(f"{type(self).__name__} gives no state to go on from")

    def save_replay(self) -> str | None:
        """Keep what was played so far as a replay; returns where it is, None: this game has no replays."""
        return None

    def close(self) -> None:  # noqa: B027 - most games have nothing to end
        """End the game; may be called twice."""
