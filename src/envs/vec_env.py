"""The interface that training sees: B games stepped together, with autoreset and the final observation kept."""

from abc import ABC, abstractmethod
from typing import Any

from bn_mappo.core.specs import Array, EnvInfo, Observation, Policy, StepResult
from bn_mappo.envs.film import Film
from bn_mappo.tabular.game import TabularModel


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

    def tabular_model(self) -> TabularModel | None:
        """The whole game as arrays, where it is small: policies are then valued exactly (training/exact_value.py)."""
        return None

    def reference_policies(self) -> dict[str, Policy]:
        """Scripted policies by name, each a function of the present state of the games (envs/references.py)."""
        return {}

    def restarts(self) -> int:
        """How often a game broke down and started anew so far, its worker replaced where need be."""
        return 0

    def save_replay(self) -> str | None:
        """Keep what the first game has played so far as a replay of its own; returns where, None: it has none."""
        return None

    def film(self) -> Film | None:
        """What records the first game from here on, to draw it; None: this environment cannot draw itself."""
        return None

    def diagnostics(self) -> Any:
        """What holds in the B games now beyond what agents see, as a NamedTuple of arrays [B, ...]; None: unknown."""
        return None

    def close(self) -> None:  # noqa: B027 - games on arrays have nothing to release
        """Release processes and shared memory; may be called twice."""


def run_metrics(info: EnvInfo, n_restarts: int) -> dict[str, float]:
    """What a row of metrics tells about the games themselves: what their environment declares, and their restarts."""
    row = dict(info.record.metrics)
    if info.record.restarts_metric or n_restarts:
        row[info.record.restarts_metric or "env_restarts"] = float(n_restarts)
    return row
