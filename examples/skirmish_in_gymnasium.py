"""Skirmish as a vector environment of Gymnasium: 16 battles on arrays, one controller for all agents, random here.

python examples/skirmish_in_gymnasium.py [MAP [EPISODES]]
"""

import sys

import numpy as np

from bn_mappo.envs.exports.gymnasium import VectorGames


def main(map_name: str = "8m", n_episodes: str = "32") -> None:
    env = VectorGames("skirmish", num_envs=16, seed=0, map_name=map_name)
    rng, n_ended, n_won = np.random.default_rng(0), 0, 0
    observation, _ = env.reset()
    while n_ended < int(n_episodes):
        avail = observation["avail_actions"]  # [16, N, A]
        actions = (rng.random(avail.shape) * avail).argmax(-1)  # [16, N]
        observation, _, _, _, infos = env.step(actions)
        if "final_info" in infos:
            ended = np.flatnonzero(infos["_final_info"])[: int(n_episodes) - n_ended]
            n_ended, n_won = n_ended + len(ended), n_won + infos["final_info"]["battle_won"][ended].sum()
    print(f"{n_ended} battles, {n_won:.0f} won")
    env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
