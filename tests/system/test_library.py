"""The package as a library: the ten names, parts that others register, the examples, and the installed wheel."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from importlib.metadata import Distribution, distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bn_mappo
import bn_mappo.api
from bn_mappo.core.errors import ConfigError
from helpers import MAIN, run_main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TINY = ("t_max=640", "test_nepisode=4", "hidden_dim=16", "test_interval=320", "log_interval=160", "batch_size_run=8")
TINY_ENV = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}


def run_python(*arguments: str, cwd: Path, **environment: str) -> str:
    """The output of a Python process that ends well."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**TINY_ENV, **environment}, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_ten_names_and_each_is_documented():
    assert len(bn_mappo.__all__) == 10 and bn_mappo.__all__ == bn_mappo.api.__all__
    for name in bn_mappo.__all__:
        assert getattr(bn_mappo, name).__doc__, name
    with pytest.raises(AttributeError, match="load_run"):
        bn_mappo.no_such_name  # noqa: B018


def test_importing_the_package_loads_nothing_heavy(tmp_path):
    """Environment workers and other hosts import it, too."""
    code = "import sys, bn_mappo; bn_mappo.register; print(*sys.modules)"
    loaded = set(run_python("-c", code, cwd=tmp_path).split())
    assert loaded.isdisjoint({"torch", "numba", "pandas", "sacred", "pydantic", "matplotlib"})


def test_games_are_imported_without_torch(tmp_path):
    """Each worker process imports its game; torch would take a second and 200 MB of every one."""
    games = ("games.aloha", "games.coordination_game", "games.skirmish.game", "vector.subproc", "exports.smac")
    games += ("adapters.starcraft2", "adapters.gymma", "adapters.pettingzoo")
    code = "import sys; " + "; ".join(f"import bn_mappo.envs.{game}" for game in games) + "; print(*sys.modules)"
    assert "torch" not in run_python("-c", code, cwd=tmp_path).split()


def test_a_run_is_trained_loaded_evaluated_and_drawn(tmp_path):
    steps = []

    class Count(bn_mappo.Callback):
        def on_update(self, trainer, row):
            steps.append(trainer.clock.t_env)

    config = bn_mappo.load_config("bn_mappo", "aloha", *TINY, "seed=3")
    run = bn_mappo.train(config, [Count()], tmp_path / "run")
    assert steps[-1] == run.t_env >= 640 and run.rows[-1]["step"] == run.t_env
    with pytest.raises(ConfigError, match="not empty"):
        bn_mappo.train(config, folder=tmp_path / "run")

    loaded = bn_mappo.load_run(tmp_path / "run")
    left, right = (bn_mappo.evaluate(each, n_episodes=9)["return"] for each in (run, loaded))
    assert len(left) == 9 and np.array_equal(left, right)
    assert not np.array_equal(left, bn_mappo.evaluate(run, 9, greedy=False)["return"])

    dags = bn_mappo.sample_dag(loaded, n_games=5)
    assert dags.adjacency.shape == (5, 10, 10) and dags.order.shape == (5, 10)
    rank = dags.order.argsort(-1)
    for game, parent, child in np.argwhere(dags.adjacency):
        assert rank[game, parent] < rank[game, child]
    greedy = bn_mappo.sample_dag(loaded, n_games=2, greedy=True)
    assert np.array_equal(greedy.adjacency[0], greedy.adjacency[1]), "all games of Aloha start alike"
    assert bn_mappo.draw_dag(loaded, tmp_path / "dag.png").read_bytes().startswith(b"\x89PNG")


def test_a_value_based_run_is_trained_loaded_and_evaluated(tmp_path):
    """An evaluation reads no replay; without one a run can be evaluated as well."""
    config = bn_mappo.load_config("qmix", "two_step", *TINY, "batch_size=8")
    run = bn_mappo.train(config, folder=tmp_path / "run")
    assert {"return_mean", "td_error_abs", "buffer_episodes", "test_return_mean"} <= run.rows[-1].keys()
    loaded = bn_mappo.load_run(tmp_path / "run")
    assert loaded.setup.learner.replay is None and run.setup.learner.replay.size == 320
    left, right = (bn_mappo.evaluate(each, n_episodes=9, greedy=False)["return"] for each in (run, loaded))
    assert len(left) == 9 and np.array_equal(left, right)


@pytest.mark.slow
@pytest.mark.parametrize("alg", ["mat", "mat_dec"])
def test_a_run_of_the_transformer_is_trained_loaded_and_evaluated(tmp_path, alg):
    run = bn_mappo.train(bn_mappo.load_config(alg, "aloha", *TINY, "segment_length=10"), folder=tmp_path / "run")
    loaded = bn_mappo.load_run(tmp_path / "run")
    left, right = (bn_mappo.evaluate(each, n_episodes=9, greedy=False)["return"] for each in (run, loaded))
    assert len(left) == 9 and np.array_equal(left, right)
    with pytest.raises(ConfigError, match="along no DAG"):
        bn_mappo.sample_dag(loaded)


def test_a_configuration_is_that_of_the_command_line():
    config = bn_mappo.load_config("bn_mappo_annealed", "skirmish", "paper", "env_args.map_name=MMM2", "gamma=0.5")
    values = config.values()
    assert values["gamma"] == 0.5 and values["segment_length"] == 400 and values["batch_size"] == 4
    assert values["annealing"]["alpha"]["end"] == 0.5
    for settings, words in (
        (("gama=1",), "'gamma'"),
        (("papr",), "'paper'"),
        (("gamma=2",), "less than or equal to 1"),
        (("dag.generator=lerned",), "'learned'"),
    ):
        with pytest.raises(ConfigError, match=words):
            bn_mappo.load_config("bn_mappo", "skirmish", *settings)
    with pytest.raises(ConfigError, match="along no DAG"):
        mappo = bn_mappo.load_config("mappo", "aloha")
        bn_mappo.sample_dag(bn_mappo.api.Run(mappo, bn_mappo.build(mappo), 0, Path()))
    with pytest.raises(ConfigError, match=r"dag\.generator"):
        bn_mappo.register("dag.generater", "mine", "a typing error")


def test_games_of_a_configuration_can_be_stepped():
    env = bn_mappo.make_env(bn_mappo.load_config("mappo", "coordination_game", "env_args.n_agents=3"), n_games=4)
    assert env.reset(0).obs.shape[:2] == (4, 3)
    assert env.step(np.zeros((4, 3), dtype=np.int64)).reward.shape == (4,)
    env.close()


# --- parts from outside ---

PLUGIN = """
import numpy as np
import bn_mappo
import bn_mappo.api
from bn_mappo.core.specs import EnvInfo
from bn_mappo.envs.multiagentenv import MultiAgentEnv

@bn_mappo.register("env", "plugin_game", "for a test")
class PluginGame(MultiAgentEnv):
    def __init__(self, seed: int, *, bonus: float = 1.0):
        self.info, self.bonus = EnvInfo(2, 2, 1, 1, 5), bonus
    def reset(self, seed=None):
        self.clock = 0
    def step(self, actions):
        self.clock += 1
        return self.bonus, False, self.clock >= 5, {}
    def get_obs(self):
        return np.zeros((2, 1), dtype=np.float32)
    def get_state(self):
        return np.zeros(1, dtype=np.float32)
"""


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["episode", "parallel"])
def test_an_environment_from_a_file_trains_resumes_and_is_analysed(tmp_path, runner):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    names = ["--import", "plugin.py", "--config=bn_mappo", "--env-config=plugin_game", "with", f"runner={runner}"]
    words = [*TINY, "batch_size_run=2", "env_args.bonus=2.0", "dag.generator=full", f"report={runner == 'episode'}"]
    out = run_python(MAIN, *names, *words, cwd=tmp_path)
    assert re.search(r"-> +10\.00", out) and f"--import={tmp_path / 'plugin.py'}" in out
    run = "results/sacred/bn_mappo/plugin_game/1"
    run_python(MAIN, *names, *words, f"checkpoint_path={run}", "t_max=960", cwd=tmp_path)
    if runner == "episode":
        analyse = MAIN.with_name("analyse.py")
        out = run_python(analyse, run, "--episodes", "2", "--loss", "0", cwd=tmp_path)
        assert "Page:" in out, "it imports the plugin"


@pytest.mark.parametrize(
    ("plugin", "words"),
    [("nowhere.py", "no such file"), ("no_such_module_x", "cannot be imported"), ("json.py", "taken")],
)
def test_a_plugin_that_cannot_be_imported_is_named(tmp_path, monkeypatch, capsys, plugin, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "json.py").write_text("")
    status, _, error = run_main(["--import", plugin, "--config=mappo", "--env-config=aloha"], capsys)
    assert status == 2 and plugin in error and words in error and "Traceback" not in error


@pytest.mark.slow
def test_an_installed_package_registers_by_an_entry_point(tmp_path):
    (tmp_path / "their_package.py").write_text(PLUGIN)
    (tmp_path / "their_package-1.0.dist-info").mkdir()
    (tmp_path / "their_package-1.0.dist-info" / "METADATA").write_text("Name: their-package\nVersion: 1.0\n")
    points = "[bn_mappo.plugins]\ntheirs = their_package\n"
    (tmp_path / "their_package-1.0.dist-info" / "entry_points.txt").write_text(points)
    assert "plugin_game" in run_python(MAIN, "list", cwd=tmp_path, PYTHONPATH=str(tmp_path))


# --- examples, README, wheel ---


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short(example):
    assert len(example.read_text().splitlines()) < 60
    assert ast.get_docstring(ast.parse(example.read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train_and_plot", "your_own_environment", "your_own_dag_generator"])
def test_an_example_that_trains_runs(tmp_path, name):
    out = run_python(EXAMPLES / f"{name}.py", *TINY, "batch_size_run=4", cwd=tmp_path)
    assert "test return" in out


@pytest.mark.slow
def test_the_example_that_looks_at_a_dag_runs(tmp_path):
    bn_mappo.train(bn_mappo.load_config("bn_mappo", "aloha", *TINY), folder=tmp_path / "run")
    out = run_python(EXAMPLES / "look_at_a_dag.py", tmp_path / "run", cwd=tmp_path)
    assert "picture:" in out and (tmp_path / "run" / "dag_of_example.png").exists()


def readme_example() -> str:
    """The Python block of the README's section on the library."""
    section = (ROOT / "README.md").read_text().split("## Use it as a library", 1)[1]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)


def test_the_optional_requirements_are_those_of_the_requirements_file():
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements-sc2.txt").read_text().splitlines()]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["sc2"] == [line for line in lines if line]


def requirements_of(wheel: Path) -> dict[str, Distribution]:
    """What a wheel says that it needs, and what that needs, as this environment has them."""
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        waiting = message_from_bytes(file.read(metadata)).get_all("Requires-Dist", [])
    found: dict[str, Distribution] = {}
    while waiting:
        needed = Requirement(waiting.pop())
        wanted = needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in needed.extras or {""})
        if wanted and canonicalize_name(needed.name) not in found:
            found[canonicalize_name(needed.name)] = distribution(needed.name)
            waiting += distribution(needed.name).requires or []
    return found


def link_into(folder: Path, distributions: Iterable[Distribution]) -> None:
    """Put installed distributions into the site-packages of another environment, as links."""
    for each in distributions:
        for name in {path.parts[0] for path in each.files or ()} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(Path(str(each.locate_file(name))))


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(tmp_path):
    """As a user without the checkout: install, train by the command, run the README's example.

    What the wheel requires is linked from here, since to download and unpack it takes minutes; nothing else is there.
    """
    source, empty = tmp_path / "source", {key: value for key, value in TINY_ENV.items() if key != "PYTHONPATH"}
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=empty, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "venv", "--without-pip", "venv")
    python = str(tmp_path / "venv" / "bin" / "python")
    pip, there = (sys.executable, "-m", "pip", "--disable-pip-version-check"), ("--python", python)
    run(*pip, "wheel", "--no-deps", "--wheel-dir", "wheels", str(source))
    (wheel,) = (tmp_path / "wheels").glob("bn_mappo-*.whl")
    (site_packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    link_into(site_packages, requirements_of(wheel).values())
    run(*pip, *there, "install", "--no-deps", str(wheel))
    run(*pip, *there, "check")
    command = str(tmp_path / "venv" / "bin" / "bn-mappo")
    out = run(command, "--config=bn_mappo", "--env-config=aloha", "with", "t_max=20000")
    assert "Finished after 20,000 environment steps" in out
    assert "bn-mappo --config=bn_mappo --env-config=aloha with checkpoint_path=" in out, "commands as they were called"
    assert "bn_mappo/aloha/1" in run(command, "runs", "list")
    assert "test return" in run(python, "-c", readme_example())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("np.zeros((2, 1), dtype", "np.zeros((2, 3), dtype", "get_obs() is of shape (2, 3)"),
        ("    def get_state(self):", "    def get_stat(self):", "abstract method"),
        ("        return np.zeros(1, dtype", "        return np.zeros(1 / 0, dtype", "ZeroDivisionError"),
        ("import bn_mappo.api", "import bn_mappo.api as", "SyntaxError"),
        ("import bn_mappo.api", "import no_such_module", "no_such_module"),
    ],
)
def test_a_mistake_in_code_of_the_user_is_one_message_before_anything_starts(old, new, message, tmp_path):
    assert old in PLUGIN
    (tmp_path / "plugin.py").write_text(PLUGIN.replace(old, new, 1))
    words = [sys.executable, str(MAIN), "--import", "plugin.py", "--config=mappo", "--env-config=plugin_game"]
    process = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert process.returncode == 2 and message in process.stderr, process.stderr
    assert "Traceback" not in process.stderr and process.stderr.count("\n") <= 2
    assert not (tmp_path / "results").exists()
