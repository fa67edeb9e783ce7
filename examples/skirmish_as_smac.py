"""Skirmish through SMAC's class, with random agents: the loop of any program that was written for SMAC.

python examples/skirmish_as_smac.py [MAP [EPISODES]]

A program that says `from smac.env import StarCraft2Env` needs no change at all:
python -m bn_mappo.envs.exports.as_smac PROGRAM ARGUMENTS
"""

import sys

import numpy as np

from bn_mappo.envs.exports.smac import StarCraft2Env


def main(map_name: str = "8m", n_episodes: str = "3") -> None:
    env = StarCraft2Env(map_name=map_name, seed=0)
    sizes = env.get_env_info()
    rng = np.random.default_rng(0)
    for _ in range(int(n_episodes)):
        env.reset()
        terminated, episode_return = False, 0.0
        while not terminated:
            env.get_obs(), env.get_state()  # what agents and critic see
            actions = [rng.choice(np.flatnonzero(env.get_avail_agent_actions(i))) for i in range(sizes["n_agents"])]
            reward, terminated, info = env.step(actions)
            episode_return += reward
        print(f"return {episode_return:.2f} of 20, won: {info['battle_won']}")
    stats = env.get_stats()
    print(f"{stats['battles_game']} battles, {100 * stats['win_rate']:.0f} % won; replay: {env.save_replay()}")
    env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
