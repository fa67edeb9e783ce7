"""What the runners ask of an environment."""


class MultiAgentEnv:
    """Also: step, reset, get_obs, get_state, get_avail_actions, their sizes, close, save_replay."""

    def get_env_info(self):
        return {
            "state_shape": self.get_state_size(),
            "obs_shape": self.get_obs_size(),
            "n_actions": self.get_total_actions(),
            "n_agents": self.n_agents,
            "episode_limit": self.episode_limit,
        }

    def get_stats(self):
        return {}

    def save_replay(self):
        pass
