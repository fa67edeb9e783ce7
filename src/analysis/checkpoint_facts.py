"""What the policy of one checkpoint does: games won, edges, parents, divergence from the same policy without edges."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from bn_mappo.analysis.altered_dags import ImpairedDAG, acting_along
from bn_mappo.analysis.parent_choice import Choice, by_episode, choices, pooled
from bn_mappo.analysis.trained_policy import load_policy
from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.modules.action_selectors import kl_divergence
from bn_mappo.modules.dag.generators import DAGGenerator, StaticDAG
from bn_mappo.modules.dag.ops import depth
from bn_mappo.training.evaluator import evaluate
from bn_mappo.training.step_recorder import StepRecorder

# sampled: as in training; greedy: the likeliest actions and graphs; graphs: the likeliest actions along sampled graphs;
# alone: the likeliest actions, with no edges at all
Mode = Literal["sampled", "greedy", "graphs", "alone"]
MOST_GAMES = 128  # played at a time


class Facts(NamedTuple):
    """Of E episodes of one checkpoint; N agents. Edges count between living agents: the dead have no choice to tell."""

    outcome: dict[str, Array]  # [E] each: return, ep_length, battle_won, ...
    n_steps: Array  # [E]
    edges: Array  # [E] sum over the steps
    depth: Array  # [E] likewise, edges on the longest path
    edges_of_dead: Array  # [E] likewise, edges from or to agents that have died
    kl: Array  # [E, N] sum over the steps in which the agent lives, in nats
    n_alive: Array  # [E, N] such steps
    n_actions: int
    choices: dict[str, Choice]  # by quantity; empty where the environment tells no facts


class PolicyRecorder(StepRecorder):
    """Besides, `kl_to_empty_dag` [K, N]: KL(pi^i(. | o^i, a^{P^i}) || pi^i(. | o^i, no parents)) of each agent."""

    def __init__(self, env: VecEnv, mac: DAGMAC):
        super().__init__(env)
        self.mac, self.hidden = mac, mac.init_hidden(env.batch_size)

    def before(self, step: Step, selection: Selection, counts: Array) -> None:
        super().before(step, selection, counts)
        self.rows["kl_to_empty_dag"].append(divergence(self.mac, step, self.hidden, selection)[counts])
        self.hidden = selection.hidden


@torch.inference_mode()
def divergence(mac: DAGMAC, step: Step, hidden: torch.Tensor, selection: Selection) -> Array:
    """KL(pi^i(. | o^i, a^{P^i}) || pi^i(. | o^i, no parents)) in B games, [B, N], in nats."""
    if selection.adjacency is None:
        return np.zeros(selection.actions.shape)
    own, _ = mac.encode_step(step, hidden)  # [N, B, .]
    logits = mac.local_logits(selection.adjacency, own, step.obs, selection.actions)  # [N, B, A]
    with_parents = mac.masked(logits, step.avail_actions).double().log_softmax(0)  # [A, B, N]
    without = mac.masked(mac.actor.logits(own), step.avail_actions).double().log_softmax(0)  # [A, B, N]
    result: Array = kl_divergence(with_parents, without).clamp(min=0).cpu().numpy()
    return result


def gather(checkpoint: Path, mode: Mode, n_episodes: int) -> Facts:
    """Play episodes with the policy of a checkpoint file. The starts depend on the run's seed and on its step alone."""
    policy = load_policy(str(checkpoint), 0)
    mac, seed = policy.mac, policy.config.seed
    env = make_vec_env(policy.config, min(n_episodes, MOST_GAMES), "facts")
    parts = []
    try:
        with acting_along(mac, dag_of(mac, mode, seed)):
            for first in range(0, n_episodes, MOST_GAMES):  # in rounds, for the recorded steps take memory
                recorder, n_now = PolicyRecorder(env, mac), min(n_episodes - first, MOST_GAMES)
                played = derive_seed(seed, "facts", first), policy.t_env, mode != "sampled", policy.fraction
                outcome = evaluate(env, mac, n_now, *played, recorder)
                parts.append(facts(recorder.columns(), outcome, mac.info.n_actions))
    finally:
        env.close()
    return join(parts)


def dag_of(mac: DAGMAC, mode: Mode, seed: int) -> DAGGenerator:
    """What the agents act along."""
    pairs = torch.ones_like(mac.agent_ids)  # [N, N]
    if mode == "alone":
        return StaticDAG(torch.zeros_like(pairs))
    if mode == "graphs" and not mac.dag.is_empty:
        generator = torch.Generator(pairs.device).manual_seed(derive_seed(seed, "graphs"))
        return ImpairedDAG(mac.dag, is_sampled=True, generator=generator, kept=pairs, loss=0.0)  # nothing is lost
    return mac.dag


def join(parts: list[Facts]) -> Facts:
    """Several evaluations of one policy as one: their episodes side by side."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("n_steps", "edges", "depth", "edges_of_dead", "kl", "n_alive")
    }
    outcome = {name: np.concatenate([part.outcome[name] for part in parts]) for name in parts[0].outcome}
    known = {name: pooled([part.choices[name] for part in parts]) for name in parts[0].choices}
    return Facts(outcome=outcome, n_actions=parts[0].n_actions, choices=known, **arrays)


def facts(steps: dict[str, Array], outcome: dict[str, Array], n_actions: int) -> Facts:
    """From the recorded steps and the outcomes of the same episodes."""
    episode, adjacency = steps["episode"], steps["adjacency"] > 0  # [K], [K, N, N]
    alive = steps.get("is_alive")
    if alive is None:  # no agent is known to have died
        alive = np.ones(adjacency.shape[:2], dtype=bool)
    living = adjacency & alive[:, :, None] & alive[:, None, :]
    longest = depth(torch.from_numpy(living)).amax(-1).numpy()  # [K]
    columns = np.stack([np.ones(len(episode)), living.sum((1, 2)), longest, adjacency.sum((1, 2))], axis=1)  # [K, 4]
    n_steps, edges, depths, all_edges = by_episode(columns, episode).T  # [E]
    return Facts(
        outcome,
        n_steps,
        edges,
        depths,
        all_edges - edges,
        by_episode(np.where(alive, steps["kl_to_empty_dag"], 0.0), episode),
        by_episode(alive.astype(float), episode),
        n_actions,
        choices(steps) if "sees_ally" in steps else {},
    )
