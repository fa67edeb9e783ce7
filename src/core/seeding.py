"""One seed makes every generator of a run, each known by its name: drawing from one never disturbs another."""

from typing import Any

import torch

from bn_mappo.core.seeds import derive_seed


class Generators:
    """Named torch generators made from one seed on first use. The only source of randomness outside environments."""

    # weights are drawn on the CPU, so that a run starts from the same ones on every device
    CPU_NAMES = frozenset(
        {"actor_init", "parents_init", "critic_init", "mixer_init", "dag_init", "mini_batches", "replay"}
    )

    def __init__(self, seed: int, device: torch.device | str = "cpu"):
        self.seed, self.device = seed, torch.device(device)
        self._generators: dict[str, torch.Generator] = {}

    def __getitem__(self, name: str) -> torch.Generator:
        if name not in self._generators:
            device = "cpu" if name in self.CPU_NAMES else self.device
            self._generators[name] = torch.Generator(device).manual_seed(derive_seed(self.seed, name))
        return self._generators[name]

    def state_dict(self) -> dict[str, Any]:
        """The state of every generator used so far."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        for name, value in state.items():
            self[name].set_state(value.cpu())
