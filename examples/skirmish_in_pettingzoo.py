"""Skirmish as a parallel environment of PettingZoo, with random agents.

python examples/skirmish_in_pettingzoo.py [MAP [EPISODES]]
"""

import sys

from bn_mappo.envs.exports.pettingzoo import parallel_env


def main(map_name: str = "8m", n_episodes: str = "3") -> None:
    env = parallel_env("skirmish", map_name=map_name)
    n_won = 0.0
    for episode in range(int(n_episodes)):
        observations, infos = env.reset(seed=episode)
        while env.agents:
            actions = {
                agent: env.action_space(agent).sample(observations[agent]["action_mask"]) for agent in env.agents
            }
            observations, _, _, _, infos = env.step(actions)
        n_won += infos["agent_0"]["battle_won"]
    print(f"{n_episodes} battles, {n_won:.0f} won")
    env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
