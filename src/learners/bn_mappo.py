"""MAPPO on a BN policy: PPO, with the DAG's density drawn towards an annealed target."""

from torch import Tensor

from components.episode_buffer import EpisodeBatch
from components.losses import masked_mean
from components.schedules import DensityTarget
from controllers.basic_controller import BasicMAC, Evaluation
from envs.vec_env import EnvInfo
from learners.ppo_learner import PPOLearner, Statistics
from modules.dag.ops import density
from utils.config import Config
from utils.errors import ConfigError
from utils.seeding import Generators


class BNMAPPOLearner(PPOLearner):
    """PPO plus alpha * |rho(G) - eta| (paper, section 6.3), with eta and alpha annealed by configuration.

    The DAG networks are part of the controller: the same optimiser and the same gradient clipping as the actor.
    """

    def __init__(self, config: Config, info: EnvInfo, mac: BasicMAC, generators: Generators):
        if config.mac != "dag_controller":
            raise ConfigError(f"learner=bn_mappo needs mac=dag_controller, not mac={config.mac}: it trains a DAG")
        super().__init__(config, info, mac, generators)
        self.target = DensityTarget(**config.annealing.model_dump())

    def regulariser(self, evaluation: Evaluation, batch: EpisodeBatch, fraction: float) -> tuple[Tensor, Statistics]:
        assert evaluation.adjacency is not None, "dag_controller gives the adjacency"
        eta, alpha = self.target.eta(fraction), self.target.alpha(fraction)
        rho = density(evaluation.adjacency)  # [B, T]
        loss = alpha * (masked_mean(rho, batch["filled"]) - eta).abs()
        statistics = {"dag_eta": rho.new_tensor(eta), "dag_alpha": rho.new_tensor(alpha)}
        for name, values in (evaluation.dag_stats or {}).items():
            statistics[name] = masked_mean(values, batch["filled"])
        return loss, statistics
