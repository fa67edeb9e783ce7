"""SMACv2's battles as the stand-in for SMAC plays them; with numbers of units from `capability_config`."""

import inspect

import smac.env

RACES = {"10gen_protoss": "protoss_gen", "10gen_terran": "terran_gen", "10gen_zerg": "zerg_gen"}


class StarCraft2Env(smac.env.StarCraft2Env):
    def __init__(
        self,
        map_name="8m",
        obs_own_pos=False,
        conic_fov=False,
        num_fov_actions=12,
        use_unit_ranges=False,
        min_attack_range=2,
        prob_obs_enemy=1.0,
        capability_config={},  # noqa: B006 as the package writes it
        **others,
    ):
        super().__init__("3m", **others)
        if not conic_fov:
            num_fov_actions = 0
        team = capability_config["team_gen"]
        self.n_agents, self.n_enemies, self.episode_limit = team["n_units"], team["n_enemies"], 200
        self.map_name, self.map_type = map_name, RACES[map_name]
        self.prob_obs_enemy, self.n_turns = prob_obs_enemy, num_fov_actions
        self.n_actions_no_attack = 6 + num_fov_actions
        self.n_actions = self.n_actions_no_attack + self.n_enemies
        self.teams = []

    def reset(self, episode_config={}):  # noqa: B006 as the package writes it
        self.teams.append(episode_config["team_gen"]["ally_team"])
        return super().reset()

    def get_avail_agent_actions(self, agent):
        row = super().get_avail_agent_actions(agent)
        return row[:6] + [int(self.allies[agent] > 0)] * self.n_turns + row[6 : self.n_actions - self.n_turns]


OWN, SMACS = (inspect.signature(kind).parameters for kind in (StarCraft2Env, smac.env.StarCraft2Env))
StarCraft2Env.__signature__ = inspect.Signature(  # the package's class names all of its arguments
    [parameter for name, parameter in {**SMACS, **OWN}.items() if name != "others"]
)
