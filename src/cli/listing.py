"""What `main.py --help` and `main.py list` print."""

from bn_mappo.cli.entry import COMMANDS
from bn_mappo.config.loading import CONFIG_DIR, EXAMPLE, config_names, preset_names
from bn_mappo.controllers import REGISTRY as MACS
from bn_mappo.core.program import program
from bn_mappo.envs.registry import REGISTRY as ENVS
from bn_mappo.envs.vector.runners import RUNNERS
from bn_mappo.learners import REGISTRY as LEARNERS
from bn_mappo.modules.agents import REGISTRY as AGENTS
from bn_mappo.modules.critics.critics import REGISTRY as CRITICS
from bn_mappo.modules.dag.generators import REGISTRY as DAG_GENERATORS
from bn_mappo.modules.mixers.mixers import REGISTRY as MIXERS

HELP = f"""Usage: {program()} --config=ALG --env-config=ENV [COMMAND] [with KEY=VALUE ...] [SACRED OPTIONS]

Trains (or, with evaluate=True, evaluates) a team of agents, and records the run under results/sacred/ALG/ENV/.

Examples:
  {EXAMPLE}
  {program()} --config=mappo --env-config=coordination_game with env_args.n_agents=5
  {program()} --config=bn_mappo --env-config=aloha with checkpoint_path=results/sacred/bn_mappo/aloha/1
  ... the same with evaluate=True added: play test_nepisode episodes with its policy
  {program()} print_config --config=bn_mappo --env-config=aloha

  {program()} --config=bn_mappo --env-config=aloha with paper        a preset: the settings of the paper's table

  {program()} --import=my_game.py --config=bn_mappo --env-config=my_game    parts of your own: they register themselves
  {program()} list        the names that configurations, environments, agents, ... go by
Other commands, each with its own --help, as in `{program("analyse")} --help`:
  {", ".join(COMMANDS)}

Every key, with its default and unit: {CONFIG_DIR / "default.yaml"}.
Sacred's options, such as -F DIR and -n NAME, work too.
"""


def _first_comment(kind: str, name: str) -> str:
    first = (CONFIG_DIR / kind / f"{name}.yaml").read_text().split("\n", 1)[0]
    return first.removeprefix("#").strip()


def _presets() -> dict[str, str]:
    """Each preset, and the environments that have it."""
    owners: dict[str, list[str]] = {}
    for env in config_names("envs"):
        for preset in preset_names(env):
            owners.setdefault(preset, []).append(env)
    return {preset: f"of {', '.join(envs)}" for preset, envs in owners.items()}


def listing() -> str:
    """All names, a line each."""
    sections: dict[str, dict[str, str]] = {
        "--config": {name: _first_comment("algs", name) for name in config_names("algs")},
        "--env-config": {**ENVS.descriptions, **{name: _first_comment("envs", name) for name in config_names("envs")}},
        "with": _presets(),
    }
    for registry in (ENVS, RUNNERS, MACS, AGENTS, LEARNERS, CRITICS, MIXERS, DAG_GENERATORS):
        sections[registry.key] = registry.descriptions
    lines = []
    for key, entries in sections.items():
        lines.append(key if key == "with" else f"{key}=")
        lines += [f"  {name:<20} {description}" for name, description in entries.items()]
    return "\n".join(lines)
