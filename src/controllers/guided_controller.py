"""A team along a DAG that guides an independent team in training; the independent one is what training is for."""

import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import MAC, BasicMAC, Evaluation, Step
from bn_mappo.controllers.dag_controller import DAGMAC, DAGMACOptions
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.modules.agents.actor import Features


class GuidedMAC(DAGMAC):
    """The guide mu(a|o) = prod_i mu^i(a^i | o^i, a^{P^i}), and the team pi(a|o) = prod_i pi^i(a^i | o^i) it guides.

    The guide plays the training games, and its actions teach both (MAGPO, Li et al. 2025; its guider and its learner).
    Evaluations judge pi alone, and exports hold it: its agents need nobody's actions. Both have the same kind of
    network, with weights of their own; a recurrent pi remembers the training games beside the guide.
    """

    def __init__(self, options: DAGMACOptions, info: EnvInfo, generators: Generators):
        super().__init__(options, info, generators)
        self.independent = BasicMAC(options, info, generators)

    @property
    def deployed(self) -> MAC:
        return self.independent

    @property
    def hidden_size(self) -> int:
        return self.actor.hidden_size + self.independent.hidden_size

    def unlearned_by(self, extra_losses: frozenset[str]) -> str:
        if "independent" not in extra_losses:
            return "mac=guided_controller guides a team that learner=magpo alone trains: set both, or another mac"
        return super().unlearned_by(extra_losses)

    def split_hidden(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The hidden states [B, N, H_rnn] of the guide, and of the team that it guides."""
        own, independent = hidden.split([self.actor.hidden_size, self.independent.hidden_size], dim=-1)
        return own, independent

    def encode_step(self, step: Step, hidden: Tensor) -> tuple[Features, Tensor]:
        """The guide's features of one step; the other team remembers the step, too."""
        own, independent = self.split_hidden(hidden)
        features, own = super().encode_step(step, own)
        if self.independent.hidden_size:
            _, independent = self.independent.encode_step(step, independent)
        return features, torch.cat([own, independent], dim=-1)

    def encode_batch(self, batch: EpisodeBatch, deciding: Tensor | None = None) -> Features:
        return super().encode_batch(batch.remembering(self.split_hidden(batch.first_hidden)[0]), deciding)

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        """The guide's view of recorded actions, and in `independent` that of the team that it guides."""
        guide = super().evaluate(batch, fraction, generators, with_stats)
        of_independent = batch.remembering(self.split_hidden(batch.first_hidden)[1])
        return guide._replace(independent=self.independent.evaluate(of_independent, fraction, generators))
