"""The interface that runners see: B games stepped together, with autoreset and the final observation kept."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bn_mappo.envs.film import Film
    from bn_mappo.tabular.game import TabularModel

Array = NDArray[Any]
Policy = Callable[[], Array]  # the joint actions [B, N] for the present state of the game it was made for


class EnvInfo(NamedTuple):
    """Facts of an environment, fixed for a run."""

    n_agents: int
    n_actions: int
    obs_dim: int
    state_dim: int
    episode_limit: int  # steps
    masks_actions: bool = False  # False: every action is always available, and `avail_actions` is None
    layout: tuple[int, int] | None = None  # rows and columns, where the agents stand on a grid (for pictures)


class Observation(NamedTuple):
    """What the agents and the critic see of B games at one step."""

    obs: Array  # [B, N, D] float32
    state: Array  # [B, S] float32
    avail_actions: Array | None  # [B, N, A] bool; None where the environment never masks


class StepResult(NamedTuple):
    """The outcome of one joint step of B games.

    A game that has ended (`terminated` or `truncated`) is already reset: `observation` is the first one of its next
    episode, `final` the last one of the episode that ended. Rows of `final` and `info` count only where a game ended
    and was not lost.
    """

    observation: Observation
    reward: Array  # [B] float32
    terminated: Array  # [B] bool: the game is over; its value from here on is 0
    truncated: Array  # [B] bool: the game was cut off; its value from here on is that of `final`
    final: Observation | None  # None where no game ended
    info: dict[str, Array]  # [B] each, such as battle_won
    lost: Array | None = None  # [B] bool: the game broke down; its running episode is no data (and `terminated`)


class VecEnv(ABC):
    """B games with one clock. Owns their state and their generator; never touches the global generators."""

    info: EnvInfo
    batch_size: int  # B

    @abstractmethod
    def reset(self, seed: int | None = None) -> Observation:
        """Start B new episodes; `seed` also restarts the generator."""

    @abstractmethod
    def step(self, actions: Array) -> StepResult:
        """Play the joint actions [B, N] (int)."""

    def state_dict(self) -> dict[str, Any] | None:
        """Everything that a later `load_state_dict` needs to go on to the same bits; None: cannot be given."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        """Go on from `state_dict()`; returns the observation that was current then."""
        raise ValueError(f"{type(self).__name__} gives no state to go on from")

    def tabular_model(self) -> "TabularModel | None":
        """The whole game as arrays, where it is small: policies are then valued exactly (runners/exact_value.py)."""
        return None

    def restarts(self) -> int:
        """How often a game broke down and started anew so far, its worker replaced where need be."""
        return 0

    def save_replay(self) -> str | None:
        """Keep what the first game has played so far as a replay of its own; returns where, None: it has none."""
        return None

    def film(self) -> "Film | None":
        """What keeps the first game from here on, to draw it; None: this environment cannot draw itself."""
        return None

    def facts(self) -> Any:
        """What holds in the B games now beyond what agents see, as a NamedTuple of arrays [B, ...]; None: unknown."""
        return None

    def close(self) -> None:  # noqa: B027 - games on arrays have nothing to release
        """Release processes and shared memory; may be called twice."""


class BatchedGame(VecEnv):
    """A VecEnv written on arrays of games: a subclass gives the rules, this class the clock, autoreset and the seed.

    A subclass keeps its whole state in arrays named by `state_fields`, each with the games on the first axis.
    """

    state_fields: tuple[str, ...]

    def __init__(self, batch_size: int, seed: int):
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)
        self.clock = np.zeros(batch_size, dtype=np.int64)  # steps played in the running episode

    @abstractmethod
    def start(self, games: Array) -> None:
        """Put the games [K] (indices) into a start state."""

    @abstractmethod
    def advance(self, actions: Array) -> tuple[Array, Array]:
        """Apply the rules to all games; returns reward [B] and terminated [B]."""

    @abstractmethod
    def observe(self) -> Observation:
        """The observation of the present state, in new arrays."""

    def observe_restarted(self, last: Observation, games: Array) -> Observation:
        """The observation after the games [K] have started anew, in new arrays; `last`: the one before."""
        return self.observe()

    def episode_info(self) -> dict[str, Array]:
        """Facts of the episodes as they end, [B] each."""
        return {}

    def reference_policies(self) -> dict[str, Policy]:
        """Scripted policies by name, each a function of this game's present state (envs/references.py)."""
        return {}

    def reset(self, seed: int | None = None) -> Observation:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.clock[:] = 0
        self.start(np.arange(self.batch_size))
        return self.observe()

    def step(self, actions: Array) -> StepResult:
        reward, terminated = self.advance(np.asarray(actions))
        self.clock += 1
        truncated = (self.clock >= self.info.episode_limit) & ~terminated
        done = terminated | truncated
        observation = self.observe()
        if not done.any():
            return StepResult(observation, reward, terminated, truncated, None, {})
        final, info = observation, self.episode_info()
        games = np.flatnonzero(done)
        self.clock[games] = 0
        self.start(games)
        return StepResult(self.observe_restarted(final, games), reward, terminated, truncated, final, info)

    def state_dict(self) -> dict[str, Any]:
        fields = {name: getattr(self, name).copy() for name in (*self.state_fields, "clock")}
        return {"fields": fields, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        for name, value in state["fields"].items():
            setattr(self, name, value.copy())
        self.rng.bit_generator.state = state["rng"]
        return self.observe()
