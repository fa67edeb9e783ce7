"""What a policy is worth exactly, in games that are small enough to be written down: no episode is sampled."""

import numpy as np
import torch

from bn_mappo.controllers.basic_controller import MAC
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.controllers.value_controller import QMAC
from bn_mappo.core.seeding import Generators
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, Observation
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.tabular.evaluation import policy_values, start_value
from bn_mappo.tabular.game import TabularModel
from bn_mappo.tabular.optimum import optimal_value

DAG_SAMPLES = 32  # DAGs drawn in each state for the policy with sampled DAGs
MOST_ROWS = 100_000  # states times joint actions times DAGs evaluated at once: memory


class ExactValue:
    """The price of anarchy V_pi(mu) / max V(mu) of the policy, in environments with a tabular model.

    The policy is the stochastic one; of value-based methods the greedy one. `test_poa` takes each state's DAG at zero
    noise, and is left out where DAGs are random by intention. `test_poa_sampled_dag` averages the joint policy over
    DAGs drawn as in training. The discount is the game's (0.95 in the paper).
    """

    def __init__(self, env: VecEnv, mac: MAC, seed: int):
        self.mac, self.seed = mac, seed
        model = env.tabular_model()
        self.model: TabularModel | None = None if mac.has_memory else model
        if self.model is not None:
            self.best = optimal_value(self.model.game)

    def __call__(self, t_env: int, fraction: float) -> dict[str, float]:
        """The metrics under the present policy; empty where there is no model. Draws from no generator of training."""
        if self.model is None:
            return {}
        generators = Generators(derive_seed(self.seed, "exact_value", t_env), self.mac.agent_ids.device)
        values = {}
        if not (isinstance(self.mac, DAGMAC) and self.mac.dag.is_random):
            values["test_poa"] = self.poa(joint_policy(self.mac, self.model, generators, fraction, n_dags=0))
        if "dag_edge_noise" in self.mac.scheme() or "dag_order_noise" in self.mac.scheme():
            sampled = joint_policy(self.mac, self.model, generators, fraction, n_dags=DAG_SAMPLES)
            values["test_poa_sampled_dag"] = self.poa(sampled)
        return values

    def poa(self, joint: Array) -> float:
        """V_pi(mu) / max V(mu) of a joint policy [*A, S]."""
        assert self.model is not None
        values = policy_values(self.model.game, joint[..., None, :])  # [1, S]
        return float(start_value(self.model.game, values)[0] / self.best)


@torch.no_grad()
def joint_policy(mac: MAC, model: TabularModel, generators: Generators, fraction: float, n_dags: int) -> Array:
    """pi(a | s) as [*A, S], from the log-probabilities of all joint actions in all states.

    n_dags 0: the DAG at zero noise; else the mean over that many DAGs drawn anew for each state, each of which all
    joint actions share.
    """
    game = model.game
    actions = torch.tensor(list(np.ndindex(*game.n_actions)), device=generators.device)  # [K, N]
    n_draws, n_states = max(n_dags, 1), game.n_states
    joint = np.zeros((len(actions), n_states))
    at_once = max(1, MOST_ROWS // (len(actions) * n_states))
    for begin in range(0, n_draws, at_once):
        draws = min(at_once, n_draws - begin)
        noise = mac.draw_noise(n_states * draws, generators, fraction)
        noise = {name: value if n_dags else torch.zeros_like(value) for name, value in noise.items()}
        batch = every_choice(mac, model.observation, actions, noise, draws)
        if isinstance(mac, DAGMAC):
            batch = batch.with_fields(**recorded_dags(mac, batch, fraction))
        if isinstance(mac, QMAC):
            best = mac.best_actions(mac.values(batch), mac.avail_actions(batch)).view(batch["actions"].shape)
            log_prob = (best == batch["actions"]).all(-1).float().log()  # [S * draws, K]
        else:
            log_prob = mac.evaluate(batch, fraction, generators).log_prob.sum(-1)
        joint += log_prob.double().exp().view(n_states, draws, -1).sum(1).T.cpu().numpy()
    return (joint / n_draws).reshape(*game.n_actions, n_states)


def recorded_dags(mac: DAGMAC, batch: EpisodeBatch, fraction: float) -> dict[str, torch.Tensor]:
    """What a batch records of the DAGs that agents would act along; all steps of a game have one state and DAG noise.

    Orders [B, K, N] and edges [B, K, N, N], where the generator records them.
    """
    noise = {name: batch[name][:, 0] for name in mac.dag.noise_shapes()}
    dag = mac.generate(batch["obs"][:, 0], batch["state"][:, 0], noise, fraction)
    fields = {"dag_order": dag.order} if mac.dag.records_order else {}
    if dag.edge_actions is not None:
        fields["dag_edges"] = dag.edge_actions.edges
    n_steps = batch["actions"].shape[1]
    return {name: value.unsqueeze(1).expand(-1, n_steps, *value.shape[1:]) for name, value in fields.items()}


def every_choice(
    mac: MAC, observation: Observation, actions: torch.Tensor, noise: dict[str, torch.Tensor], draws: int
) -> EpisodeBatch:
    """A batch of S * draws games whose K "steps" are the joint actions [K, N], all in the same state with one noise."""
    n_rows, n_steps = len(observation.obs) * draws, len(actions)
    device = actions.device

    def spread(values: Array) -> torch.Tensor:  # [S, ...] -> [S * draws, K, ...]
        rows = torch.from_numpy(values).to(device).repeat_interleave(draws, 0)
        return rows.unsqueeze(1).expand(-1, n_steps, *values.shape[1:])

    n_agents = actions.shape[-1]
    fields = {
        "obs": spread(observation.obs),
        "state": spread(observation.state),
        "actions": actions.expand(n_rows, -1, -1),
        "episode_start": torch.ones(n_rows, n_steps, device=device),
        "filled": torch.ones(n_rows, n_steps, device=device),
        "log_prob": torch.zeros(n_rows, n_steps, n_agents, device=device),
        **{name: value.unsqueeze(1).expand(-1, n_steps, *value.shape[1:]) for name, value in noise.items()},
    }
    if observation.avail_actions is not None:
        fields["avail_actions"] = spread(observation.avail_actions)
    return EpisodeBatch(fields, mac.init_hidden(n_rows))
