"""What a user does: plug in, remove, or launch; on copies of the stand-in or, with EPYMARL=PATH, of a real checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bn_mappo.cli.entry import main as command_line
from bn_mappo.core.declared import hints
from bn_mappo.hosts.epymarl import plug_in
from bn_mappo.hosts.epymarl.checkout import Checkout
from bn_mappo.hosts.epymarl.config import option_names
from bn_mappo.hosts.epymarl.yaml_files import CONFIG, host_yamls, read_comments
from bn_mappo.learners.bn_mappo import BNMAPPOLearner

STAND_IN = Path(__file__).parents[1] / "stand_ins" / "epymarl"
HOST = Path(os.environ.get("EPYMARL", STAND_IN)).resolve()
REPOSITORY = Path(__file__).parents[2]
SHORT = [
    "use_cuda=False",
    "t_max=100",
    "test_nepisode=2",
    "test_interval=1000",
    "learner_log_interval=1",
    "log_interval=100",
    "batch_size=4",
    "batch_size_run=4",
    "buffer_size=4",
    "env_args.key=rendezvous:Rendezvous-v0",
    "env_args.time_limit=8",
]


@pytest.fixture
def checkout(tmp_path):
    """A copy of the host, in a folder whose name has a space."""
    folder = tmp_path / "my host"
    ignore = shutil.ignore_patterns("__pycache__", "results", ".git")
    shutil.copytree(HOST, folder, ignore=ignore, symlinks=True)
    return folder


def content(folder):
    """Every file of a tree, links as their targets; caches of Python and what the host records of runs aside."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if "__pycache__" in name.parts or name.parts[0] == "results":
            continue
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def environment(*folders):
    """Variables of a process that finds our package in the folders alone, or nowhere."""
    paths = [str(folder) for folder in folders] + [str(STAND_IN / "games"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def as_installed(tmp_path_factory):
    """A folder in which the package has its name."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "bn_mappo").symlink_to(REPOSITORY / "src")
    return folder


def run_host(arguments, cwd, *folders):
    command = [sys.executable, "-W", "ignore", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(*folders), capture_output=True, text=True, timeout=300)


def mistake(capsys, *arguments):
    """The message of a command that ends with status 2."""
    with pytest.raises(SystemExit) as stop:
        command_line(["plug-in", *map(str, arguments)])
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("ending", ["as it is", "no newline", "CRLF", "CRLF, no newline"])
@pytest.mark.parametrize("option", [[], ["--copy"]])
def test_remove_leaves_every_byte_as_it_was(checkout, capsys, ending, option):
    pytest.importorskip("gymnasium")
    for room in ("controllers", "learners"):
        file = checkout / "src" / room / "__init__.py"
        text = file.read_bytes()
        if "CRLF" in ending:
            text = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        file.write_bytes(text.rstrip(b"\r\n") if "no newline" in ending else text)
    before = content(checkout)
    assert command_line(["plug-in", "--epymarl", str(checkout), *option]) == 0
    assert "src/main.py --config=bn_mappo" in capsys.readouterr().out
    changed = {str(name) for name, value in content(checkout).items() if before.get(name, b"") != value}
    registries = {"src/controllers/__init__.py", "src/learners/__init__.py"}
    algorithms = {f"src/config/algs/{name}.yaml" for name in host_yamls()}
    assert {name for name in changed if not name.startswith("src/bn_mappo/")} - {"src/bn_mappo"} == (
        registries | algorithms
    )
    for name in registries:
        old, new = before[Path(name)], content(checkout)[Path(name)]
        assert (
            new.startswith(old) and new.count(b"bn_mappo plug-in") == 1 and new.endswith(b"\n") == old.endswith(b"\n")
        )
        assert len(new.splitlines()) == len(old.splitlines()) + 1
        compile(new, name, "exec")
    assert command_line(["plug-in", "--epymarl", str(checkout), "--remove"]) == 0
    assert content(checkout) == before
    assert command_line(["plug-in", "--epymarl", str(checkout), "--remove"]) == 0
    assert "is not in" in capsys.readouterr().out


def test_lines_that_came_later_stay(checkout):
    plug_in.plug_in(Checkout(checkout))
    registry = checkout / "src" / "learners" / "__init__.py"
    registry.write_bytes(registry.read_bytes() + b'REGISTRY["mine"] = None\n')
    plug_in.remove(Checkout(checkout))
    assert registry.read_bytes().endswith(b'REGISTRY["mine"] = None\n') and b"bn_mappo" not in registry.read_bytes()


def test_mistakes_are_told(checkout, capsys):
    pytest.importorskip("gymnasium")
    assert "no such folder" in mistake(capsys, "--epymarl", checkout / "nowhere")
    told = mistake(capsys, "--epymarl", checkout / "src")
    assert "no checkout of EPyMARL" in told and "src/controllers/__init__.py" in told
    assert command_line(["plug-in", "--epymarl", str(checkout)]) == 0
    capsys.readouterr()
    before = content(checkout)
    assert "already plugged in" in mistake(capsys, "--epymarl", checkout)
    assert content(checkout) == before


def test_what_others_put_there_is_left_alone(checkout, capsys):
    pytest.importorskip("gymnasium")
    mine = checkout / "src" / "config" / "algs" / "bn_mappo.yaml"
    mine.write_text("lr: 1\n")
    before = content(checkout)
    assert f"{mine} exists" in mistake(capsys, "--epymarl", checkout)
    plug_in.remove(Checkout(checkout))
    assert content(checkout) == before


def test_a_failure_leaves_nothing_behind(checkout, monkeypatch):
    before = content(checkout)
    monkeypatch.setattr(plug_in, "with_line", lambda text, line: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plug_in.plug_in(Checkout(checkout))
    assert content(checkout) == before


@pytest.mark.parametrize("start", ["plug-in", pytest.param("launcher", marks=pytest.mark.slow)])
def test_a_missing_package_is_named(checkout, capsys, as_installed, start):
    file = checkout / "src" / "envs" / "__init__.py"
    file.write_text("import package_that_nobody_has.part\n" + file.read_text())
    before = content(checkout)
    if start == "plug-in":
        told = mistake(capsys, "--epymarl", checkout)
    else:
        done = run_host(["-m", "bn_mappo.hosts.epymarl", checkout, "--config=bn_mappo"], checkout.parent, as_installed)
        told = done.stderr
        assert done.returncode == 2 and "Traceback" not in told
    assert "package_that_nobody_has (imported by src/envs/__init__.py)" in told and "pip install" in told
    assert content(checkout) == before


def test_only_what_is_imported_at_once_is_needed(checkout):
    file = checkout / "src" / "envs" / "__init__.py"
    optional = "try:\n    import a_b_c\nexcept ImportError:\n    pass\n\n\ndef later():\n    import d_e_f\n"
    file.write_text(file.read_text() + optional)
    found = Checkout(checkout).imported_packages()
    assert {"torch", "yaml", "sacred", "numpy", "gymnasium"} <= set(found)
    assert not {"a_b_c", "d_e_f", "controllers", "run", "os"} & set(found)


def test_an_old_or_absent_python_is_refused(checkout, capsys, tmp_path):
    assert "cannot be asked" in mistake(capsys, "--epymarl", checkout, "--python", tmp_path / "python")
    old = tmp_path / "old_python"
    old.write_text("#!/bin/sh\necho '[[3, 8], []]'\n")
    old.chmod(0o755)
    assert "needs 3.11" in mistake(capsys, "--epymarl", checkout, "--python", old)


def test_the_yaml_has_every_key_of_ours():
    for name, text in host_yamls().items():
        values = yaml.safe_load(text)
        default = yaml.safe_load((CONFIG / "default.yaml").read_text())
        assert set(option_names().values()) <= set(values) and values["name"] == name
        assert set(values["dag"]) == set(default["dag"])
        assert set(values["annealing"]) == set(hints(hints(BNMAPPOLearner.Options)["annealing"]))
        assert not {"t_max", "env", "env_args", "use_cuda"} & set(values)
        assert not any(key.startswith(("test_", "save_model")) or key.endswith("_interval") for key in values)
        assert max(map(len, text.splitlines())) <= 140
        sections = {key for key, value in values.items() if isinstance(value, dict)}
        assert sections == {"dag", "annealing"}, "over a number of default.yaml they are TypeErrors"
    assert yaml.safe_load(host_yamls()["bn_mappo_annealed"])["annealing"]["alpha"]["end"] == 1.0


def test_comments_are_those_of_our_yaml():
    comments = read_comments("a: 1  # one\n          # two\nb:  # of b\n  c: 3\n  d: x # of d\n# no key's\n")
    assert comments == {"a": ["one", "two"], "b": ["of b"], "b.d": ["of d"]}
    assert "# discount per step" in host_yamls()["bn_mappo"]


BLOCKED = ["filelock", "gymnasium", "jinja2", "matplotlib", "numba", "omegaconf", "pandas", "pydantic", "pymongo"]
BLOCKED += ["rapidfuzz", "rich", "sacred", "yaml"]
IMPORT = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Refuse())
import torch, scipy
before = set(sys.modules)
import bn_mappo.hosts.epymarl.mac, bn_mappo.hosts.epymarl.learner
import json
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
print(json.dumps(sorted({{name.split(".")[1] for name in sys.modules if name.startswith("bn_mappo.")}})))
"""


def test_the_host_needs_torch_numpy_and_scipy_alone(as_installed, tmp_path):
    done = run_host(["-c", IMPORT], tmp_path, as_installed)
    assert done.returncode == 0, done.stderr
    tops, rooms = map(json.loads, done.stdout.splitlines())
    assert not {"controllers", "learners", "modules", "utils", "envs", "components", "run"} & set(tops)
    assert set(rooms) <= {"core", "modules", "data", "controllers", "learners", "hosts"}


def metrics(checkout):
    """What Sacred recorded of the only run."""
    (file,) = (checkout / "results").rglob("metrics.json")
    return json.loads(file.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("option", [[], ["--copy"]])
def test_a_plugged_in_checkout_trains_by_its_own_command(checkout, option):
    """Where nothing of ours is installed."""
    pytest.importorskip("gymnasium")
    before = content(checkout)
    assert command_line(["plug-in", "--epymarl", str(checkout), *option]) == 0
    more = ["dag.permutation=plackett_luce", "dag.temperature=0.5", "annealing.alpha.end=0.1", "lr=0.001:0.0001:0.5"]
    more += ["annealing.eta.kind=linear", "dag.edge_noise.start=2.0", "save_model=True", "save_model_interval=50"]
    arguments = [checkout / "src" / "main.py", "--config=bn_mappo", "--env-config=gymma", "with", *SHORT, *more]
    done = run_host(arguments, checkout)
    assert done.returncode == 0, done.stderr[-2000:]
    recorded = metrics(checkout)
    assert max(recorded["first_ratio_error"]["values"] + recorded["first_dag_order_ratio_error"]["values"]) < 1e-5
    assert "test_return_mean" in recorded
    (folder, *_) = sorted((checkout / "results" / "models").glob("*"))
    evaluate = [f"checkpoint_path={folder}", "evaluate=True"]
    done = run_host([*arguments, *evaluate], checkout)
    assert done.returncode == 0 and "test_return_mean" in done.stderr + done.stdout, done.stderr[-2000:]
    plug_in.remove(Checkout(checkout))
    assert content(checkout) == before


@pytest.mark.slow
def test_the_launcher_leaves_the_checkout_untouched(checkout, as_installed, tmp_path):
    pytest.importorskip("gymnasium")
    before = content(checkout)
    launch = ["-m", "bn_mappo.hosts.epymarl", "my host", "--config=bn_mappo_annealed", "--env-config=gymma", "with"]
    done = run_host([*launch, *SHORT, "dag.generator=random"], tmp_path, as_installed)
    assert done.returncode == 0, done.stderr[-2000:]
    assert max(metrics(checkout)["first_ratio_error"]["values"]) < 1e-5
    assert content(checkout) == before
    assert not list(checkout.rglob("__pycache__"))
    done = run_host([*launch, *SHORT, "dag.permuation=identity"], tmp_path, as_installed)
    assert done.returncode != 0 and "permuation" in done.stderr + done.stdout, "Sacred knows the nested keys"


@pytest.mark.slow
def test_the_launcher_tells_mistakes(as_installed, tmp_path):
    done = run_host(["-m", "bn_mappo.hosts.epymarl", tmp_path / "nowhere", "--config=bn_mappo"], tmp_path, as_installed)
    assert done.returncode == 2 and "no such folder" in done.stderr and "Traceback" not in done.stderr
