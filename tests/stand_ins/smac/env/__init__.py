"""A class StarCraft2Env that answers as the real one does, also where that is awkward; its battles are a toy.

Its "game" is a process that sleeps. A file in the folder $STAND_IN orders a fault, once: `crash`, `hang`, `die` in a
step, `crash_at_reset`, `hang_at_launch`, `fail_at_launch`; `slow_launch` delays, `no_launch` fails every launch, and
`always_crash` every step. Each game's process id is a line of the file `launched`, and of `closed` when it was asked to
end and did.
"""

import atexit
import os
import subprocess
import time
from pathlib import Path

import numpy as np

MAPS = {"3m": (3, 3, 60), "8m": (8, 8, 120), "MMM2": (10, 12, 180)}  # agents, enemies, limit in steps
HIT_POINTS = 4


def stands(order: str) -> bool:
    """Whether this order is given, for good."""
    return (Path(os.environ.get("STAND_IN", "")) / order).exists()


def note(file: str, pid: int) -> None:
    """Write down a game's process; at the end of the interpreter the test and its folder are gone."""
    if "STAND_IN" in os.environ:
        with open(Path(os.environ["STAND_IN"]) / file, "a") as lines:
            lines.write(f"{pid}\n")


def ordered(fault: str) -> bool:
    """Whether this fault is to happen now; of several processes, one gets it."""
    try:
        (Path(os.environ["STAND_IN"]) / fault).unlink()
    except (KeyError, FileNotFoundError):
        return False
    return True


class StarCraft2Env:
    def __init__(
        self,
        map_name="8m",
        step_mul=8,
        move_amount=2,
        difficulty="7",
        game_version=None,
        seed=None,
        continuing_episode=False,
        obs_all_health=True,
        obs_own_health=True,
        obs_last_action=False,
        obs_pathing_grid=False,
        obs_terrain_height=False,
        obs_instead_of_state=False,
        obs_timestep_number=False,
        state_last_action=True,
        state_timestep_number=False,
        reward_sparse=False,
        reward_only_positive=True,
        reward_death_value=10,
        reward_win=200,
        reward_defeat=0,
        reward_negative_scale=0.5,
        reward_scale=True,
        reward_scale_rate=20,
        replay_dir="",
        replay_prefix="",
        window_size_x=1920,
        window_size_y=1200,
        heuristic_ai=False,
        heuristic_rest=False,
        debug=False,
    ):
        self.arguments = {name: value for name, value in locals().items() if name != "self"}
        self.map_name, self.continuing_episode, self._seed = map_name, continuing_episode, seed
        self.replay_dir, self.replay_prefix, self.state_last_action = replay_dir, replay_prefix, state_last_action
        self.obs_pathing_grid, self.move_amount, self.pathing_grid = obs_pathing_grid, move_amount, np.ones((32, 32))
        self.n_agents, self.n_enemies, self.episode_limit = MAPS[map_name]
        self.n_actions_no_attack, self.map_type = 6, "MMM" if map_name.startswith("MMM") else "marines"
        self.n_actions = 6 + self.n_enemies
        self.battles_won = self.battles_game = self.timeouts = self.force_restarts = 0
        self._episode_count = self._episode_steps = 0
        self._sc2_proc = None
        self._is_stale = False
        self.allies = None
        atexit.register(lambda: self.close())

    def _launch(self):
        if ordered("fail_at_launch") or stands("no_launch"):
            raise RuntimeError("the game could not be launched")
        if ordered("hang_at_launch"):
            time.sleep(600)
        if stands("slow_launch"):
            time.sleep(0.3)
        if self._seed is not None and not 0 <= self._seed < 2**32:
            raise ValueError(f"Value out of range: {self._seed}")
        self._sc2_proc = subprocess.Popen(["sleep", "600"])
        note("launched", self._sc2_proc.pid)

    def full_restart(self):
        self.close()
        self._launch()
        self.force_restarts += 1

    def reset(self):
        self._episode_steps = 0
        if self._episode_count == 0:
            self._launch()
        self.allies = np.full(self.n_agents, HIT_POINTS)
        self.enemies = np.full(self.n_enemies, HIT_POINTS)
        self.last_action = np.zeros((self.n_agents, self.n_actions), dtype=np.float32)
        self._is_stale = ordered("crash_at_reset")
        if self._is_stale:
            self.full_restart()
        return self.get_obs(), self.get_state()

    def step(self, actions):
        actions = [int(a) for a in actions]
        for agent, action in enumerate(actions):
            assert self.get_avail_agent_actions(agent)[action] == 1, f"Agent {agent} cannot perform action {action}"
        self.last_action = np.eye(self.n_actions, dtype=np.float32)[actions]
        if ordered("hang"):
            time.sleep(600)
        if ordered("die"):
            os._exit(7)
        if ordered("crash") or stands("always_crash"):
            self.full_restart()
            return 0, True, {}
        self._episode_steps += 1
        if self._is_stale:  # units of the game before the crash: all are gone
            self._episode_count += 1
            return 0, True, {"battle_won": False, "dead_allies": self.n_agents, "dead_enemies": self.n_enemies}
        return self._fight(actions)

    def _fight(self, actions):
        """Every attack costs its target a hit point; the first agent alive that does not stand still loses one."""
        before = self.enemies.sum()
        for action in actions:
            if action >= 6:
                self.enemies[action - 6] = max(0, self.enemies[action - 6] - 1)
        moved = [agent for agent, action in enumerate(actions) if action > 1]
        if moved:
            self.allies[moved[0]] -= 1
        reward, terminated, info = float(before - self.enemies.sum()), False, {"battle_won": False}
        info["dead_allies"], info["dead_enemies"] = int((self.allies <= 0).sum()), int((self.enemies <= 0).sum())
        if not self.enemies.any() or not (self.allies > 0).any():
            terminated, info["battle_won"] = True, not self.enemies.any()
            self.battles_game += 1
            self.battles_won += info["battle_won"]
        elif self._episode_steps >= self.episode_limit:
            terminated = True
            if self.continuing_episode:
                info["episode_limit"] = True
            self.battles_game += 1
            self.timeouts += 1
        self._episode_count += terminated
        return reward, terminated, info

    def get_obs(self):
        rows = []
        for agent in range(self.n_agents):
            obs = np.zeros(self.get_obs_size(), dtype=np.float32)
            if self.allies[agent] > 0:
                others = np.delete(self.allies, agent)
                seen = np.concatenate([np.repeat(self.enemies, 5), np.repeat(others, 5), [self.allies[agent]]])
                obs[:4], obs[4 : 4 + len(seen)] = 1, seen / HIT_POINTS
                if self.obs_pathing_grid:
                    obs[-8:] = [self.pathing_grid[16 + k * self.move_amount, 16] for k in range(-4, 4)]
            rows.append(obs)
        return rows

    def get_state(self):
        parts = [np.repeat(self.allies, 4), np.repeat(self.enemies, 3)]
        if self.state_last_action:
            parts.append(self.last_action.ravel())
        return np.concatenate(parts).astype(np.float32)

    def get_avail_agent_actions(self, agent):
        if self.allies[agent] <= 0:
            return [1] + [0] * (self.n_actions - 1)
        return [0, 1, 1, 1, 1, 1, *(int(points > 0) for points in self.enemies)]

    def get_avail_actions(self):
        return [self.get_avail_agent_actions(agent) for agent in range(self.n_agents)]

    def get_obs_move_feats_size(self):
        return 4

    def get_obs_enemy_feats_size(self):
        return self.n_enemies, 5

    def get_obs_ally_feats_size(self):
        return self.n_agents - 1, 5

    def get_obs_size(self):
        return 4 + 5 * self.n_enemies + 5 * (self.n_agents - 1) + 1 + (8 if self.obs_pathing_grid else 0)

    def get_state_size(self):
        size = 4 * self.n_agents + 3 * self.n_enemies
        return size + self.n_agents * self.n_actions if self.state_last_action else size

    def get_env_info(self):
        return {
            "state_shape": self.get_state_size(),
            "obs_shape": self.get_obs_size(),
            "n_actions": self.n_actions,
            "n_agents": self.n_agents,
            "episode_limit": self.episode_limit,
        }

    def get_stats(self):
        return {
            "battles_won": self.battles_won,
            "battles_game": self.battles_game,
            "battles_draw": self.timeouts,
            "win_rate": self.battles_won / self.battles_game,
            "timeouts": self.timeouts,
            "restarts": self.force_restarts,
        }

    def save_replay(self):
        if os.path.sep in self.replay_prefix:
            raise ValueError("Prefix contains the path separator")
        folder = Path(os.environ["SC2PATH"]) / "Replays" / self.replay_dir
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.replay_prefix or self.map_name}_2026-01-01-00-00-00.SC2Replay").write_bytes(b"replay")

    def close(self):
        if self._sc2_proc and self._sc2_proc.returncode is None:
            self._sc2_proc.terminate()
            self._sc2_proc.wait()
            note("closed", self._sc2_proc.pid)
