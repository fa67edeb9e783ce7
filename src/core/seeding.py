"""One seed makes every generator of a run, each known by its name: drawing from one never disturbs another."""

from typing import Any

import torch

from bn_mappo.core.seeds import derive_seed


class Generators:
    """Named torch generators made from one seed on first use. The only source of randomness outside environments."""

    CPU_NAMES = frozenset({"mini_batches", "replay"})
    INIT = "_init"  # end of the names that draw weights: on the CPU, alike on every device and in every rank

    def __init__(self, seed: int, device: torch.device | str = "cpu"):
        self.seed, self.device = seed, torch.device(device)
        self.rank = 0
        self._generators: dict[str, torch.Generator] = {}

    def __getitem__(self, name: str) -> torch.Generator:
        if name not in self._generators:
            draws_weights = name.endswith(self.INIT)
            device = "cpu" if draws_weights or name in self.CPU_NAMES else self.device
            purpose = (name,) if self.rank == 0 or draws_weights else (name, self.rank)
            self._generators[name] = torch.Generator(device).manual_seed(derive_seed(self.seed, *purpose))
        return self._generators[name]

    def belong_to(self, rank: int) -> None:
        """From now on, a rank draws noise of its own; weights are the same ones in all ranks, and are drawn before."""
        self.rank = rank
        for name in [name for name in self._generators if not name.endswith(self.INIT)]:
            del self._generators[name]

    def state_dict(self) -> dict[str, Any]:
        """The state of every generator used so far."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        for name, value in state.items():
            self[name].set_state(value.cpu())
