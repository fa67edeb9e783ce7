"""The controller that the host sees: our policy, and what it drew and chose in the training episodes."""

from typing import Any

import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Step
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.clock import Clock
from bn_mappo.core.errors import RunError
from bn_mappo.core.seeding import Generators
from bn_mappo.core.seeds import derive_seed
from bn_mappo.hosts.epymarl.config import device_of, env_info, read_settings
from bn_mappo.hosts.epymarl.recording import Recording, Ring, padding

SHOWN = frozenset({"obs", "state", "avail_actions", "episode_start", "last_actions"})  # kept, or told, by the host


class DAGController:
    """The host's `mac`. Owns policy, generators, memory of the running episodes and recordings of the played ones.

    Training and tests draw from generators of their own, and tests leave no recording. Writes nothing into the host's
    batches.
    """

    action_selector = None  # the runners ask whether it has an `epsilon`

    def __init__(self, scheme: dict[str, Any], groups: dict[str, int], args: Any):
        self.args = args
        self.settings, self.info, self.device = read_settings(args), env_info(scheme, args), device_of(args)
        seed = self.settings.host.seed
        self.generators = Generators(seed, self.device)
        self.test_generators = Generators(derive_seed(seed, "test"), self.device)
        self.policy = DAGMAC(self.settings.mac, self.info, self.generators).to(self.device)
        self.recorded = {name: field for name, field in self.policy.scheme().items() if name not in SHOWN}
        self.ring = Ring(self.settings.n_runs)
        self.init_hidden(args.batch_size_run)

    def init_hidden(self, batch_size: int) -> None:
        """Episodes begin in all games."""
        self.hidden = self.policy.init_hidden(batch_size)  # [B, N, H_rnn]
        shape = (batch_size, self.info.n_agents)
        self.last_actions = torch.full(shape, -1, dtype=torch.long, device=self.device)  # [B, N]

    def select_actions(
        self, ep_batch: Any, t_ep: int, t_env: int, bs: Any = slice(None), test_mode: bool = False
    ) -> Tensor:
        """Actions [K, N] of the games `bs` at step t_ep.

        Noise is drawn for all B games: what a game gets does not depend on which others are still played.
        """
        n_games = ep_batch.batch_size
        rows = torch.arange(n_games, device=self.device)[bs]  # [K]; other games show zeros, even of avail_actions
        fraction = Clock(self.settings.host.t_max, t_env).fraction
        if not test_mode:
            fraction = self._fraction_of_run(ep_batch, t_ep, fraction)
        generators = self.test_generators if test_mode else self.generators
        greedy = test_mode and self.settings.host.test_greedy
        drawn = self.policy.draw_noise(n_games, generators, fraction, greedy)
        noise = {name: value[rows] for name, value in drawn.items()}
        chosen = self.policy.select_actions(self._step(ep_batch, t_ep, rows), self.hidden[rows], noise, fraction)
        actions = chosen.actions.clone()  # [K, N]; no tensor of inference mode leaves
        self.hidden[rows], self.last_actions[rows] = chosen.hidden, actions
        if not test_mode:
            self.ring.current.add(t_ep, rows, {**noise, **chosen.recorded, "actions": actions})
        return actions

    def _fraction_of_run(self, ep_batch: Any, t_ep: int, fraction: float) -> float:
        """The fraction of training that a training run counts as; at its first step its recording begins."""
        if t_ep == 0:
            fields = padding(self.recorded, ep_batch.batch_size, self.device)
            self.ring.begin(Recording(fields, self.ring.fraction(fraction), limit=ep_batch.max_seq_length - 1))
        return self.ring.current.fraction

    def _step(self, ep_batch: Any, t_ep: int, rows: Tensor) -> Step:
        obs, state, avail_actions = (
            ep_batch[name][:, t_ep].to(self.device)[rows] for name in ("obs", "state", "avail_actions")
        )
        starts = torch.full((len(rows),), float(t_ep == 0), device=self.device)  # [K]
        return Step(obs, state, avail_actions.bool(), self.last_actions[rows], starts)

    def cuda(self) -> None:
        """Nothing moves: the policy lies where `args.device` says, for the optimiser has its weights as one vector."""
        if self.device.type != "cuda":
            raise RunError(f"the host asks for CUDA, but its args.device is '{self.device}'")
