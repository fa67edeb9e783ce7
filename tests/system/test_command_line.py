"""Every mistake ends with exit status 2 and one helpful message, before anything is written."""

import re
import subprocess
import sys

import pytest
import torch

from bn_mappo.cli import entry
from bn_mappo.config.loading import config_names
from helpers import run_main

CG = ["--config=mappo", "--env-config=coordination_game"]
QMIX = ["--config=qmix", "--env-config=two_step"]
MAT = ["--config=mat", "--env-config=coordination_game"]
ALOHA = ["--config=bn_mappo", "--env-config=aloha"]


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = [
    ([], "--config=bn_mapo --env-config=aloha", ["bn_mapo", "bn_mappo", "mappo"]),
    ([], "--config=bn_mappo --env-config=alohaa", ["alohaa", "'aloha'", "coordination_game"]),
    ([], "", ["--config", "missing", "bn_mappo"]),
    ([], "--env-config=aloha", ["--config", "missing", "bn_mappo"]),
    ([], "--config=mappo", ["--env-config", "missing", "aloha"]),
    (CG, "with gama=0.9", ["gama", "'gamma'"]),
    (CG, "with dag.permuation=identity", ["dag.permuation", "'permutation'"]),
    (CG, "with dag=learned", ["section", "dag.generator"]),
    (CG, "with lr=abc", ["lr='abc'", "number"]),
    (CG, "with batch_size=3.5", ["batch_size=3.5", "integer"]),
    (CG, "with t_max=True", ["t_max=True", "number"]),
    (CG, "with gamma=1.5", ["gamma=1.5", "less than or equal to 1"]),
    (CG, "with t_max=-1", ["t_max=-1", "greater than or equal to 1"]),
    (CG, "with batch_size_run=0", ["batch_size_run=0"]),
    (CG, "with batch_size_run=32 batch_size=5", ["batch_size=5", "divide"]),
    (CG, "with use_cuda=maybe", ["use_cuda='maybe'"]),
    (CG, "with device=gpu", ["device='gpu': must be cpu, cuda, or cuda:NUMBER"]),
    (CG, "with device=cuda:99", ["device=cuda:99: this machine has", "Use device=cpu"]),
    (CG, "with runner=vectr", ["runner 'vectr'", "'vector'", "parallel", "episode"]),
    (CG, "with lr={'start':0.1}", ["lr.end", "missing"]),
    (CG, "with env_args.n_agentz=3", ["env_args.n_agentz", "'n_agents'", "epsilon"]),
    (CG, "with env_args.n_agents=two", ["env_args.n_agents='two'", "integer"]),
    (CG, "with env_args.epsilon=nan", ["env_args.epsilon", "valid number"]),
    (CG, "with env_args.n_agents=True", ["env_args.n_agents=True", "integer"]),
    (CG, "with env_args.difference_bound=-1", ["env_args.difference_bound=-1"]),
    (CG, "with env_args.epsilon=2", ["env_args.epsilon=2", "between 0 and 1"]),
    (CG, "with env_args.reward_bound=exact", ["env_args.reward_bound='exact'", "inclusive", "strict"]),
    (CG, "with mac=dag_control", ["dag_control", "'dag_controller'", "basic_mac"]),
    (CG, "with agent=gru", ["agent 'gru'", "mlp, rnn"]),
    (CG, "with critic_type=central", ["central", "cv_critic"]),
    (CG, "with learner=bn_mappo", ["learner=bn_mappo", "mac=dag_controller"]),
    (CG, "with mac=q_controller", ["mac=q_controller", "learner=q_learner"]),
    (CG, "with learner=q_learner batch_size=8", ["learner=q_learner", "mac=q_controller"]),
    (QMIX, "with mixer=qmixx", ["mixer 'qmixx'", "'qmix'", "vdn"]),
    (QMIX, "with mixer=vdn mixing_dim=8", ["mixing_dim", "without effect"]),
    (QMIX, "with epsilon=1.5", ["epsilon=1.5", "less than or equal to 1"]),
    (QMIX, "with td_lamda=0.5", ["td_lamda", "'td_lambda'"]),
    (QMIX, "with buffer_size=8 batch_size=16", ["batch_size=16", "at most buffer_size=8"]),
    (QMIX, "with buffer_size=100000000000", ["buffer_size=100000000000", "GiB", "at most"]),
    (QMIX, "with epochs=3", ["epochs", "without effect"]),
    (QMIX[:1], "--env-config=matrix_game with env_args.penalty=3", ["env_args.penalty=3", "at most 0"]),
    (QMIX[:1], "--env-config=matrix_game with env_args.payoff=climb", ["env_args.payoff='climb'", "climbing"]),
    (CG, "with critic_type=mac_critic", ["critic_type=mac_critic", "mac=mat_controller"]),
    (CG, "with mac=mat_controller", ["learner=ppo_learner", "critic_type=mac_critic"]),
    (MAT, "with critic_lr=0.1", ["critic_lr", "without effect"]),
    (MAT, "with agent=rnn", ["agent", "without effect"]),
    (MAT, "with n_heads=3", ["n_heads=3", "hidden_dim=64"]),
    (MAT, "with n_blocks=0", ["n_blocks=0", "greater than or equal to 1"]),
    (MAT, "with order=randm", ["order", "fixed", "random"]),
    (["--config=mat_dec", CG[1]], "with order=random", ["order", "without effect"]),
    (ALOHA, "with dag.generator=lerned", ["dag.generator 'lerned'", "'learned'", "empty"]),
    (ALOHA, "with dag.generator=fixed", ["dag.adjacency"]),
    (ALOHA, "with dag.generator=fixed dag.adjacency=[[0,1],[0,0]]", ["2 rows", "10 x 10"]),
    (
        ["--config=bn_mappo", "--env-config=coordination_game"],
        "with dag.generator=fixed dag.adjacency=[[0,1],[1,0]]",
        ["cycle", "0 -> 1 -> 0"],
    ),
    (ALOHA, "with learner=ppo_learner", ["plackett_luce", "learner=bn_mappo", "dag.permutation=identity"]),
    (ALOHA, "with annealing.eta.begin=0.9", ["annealing.eta", "begin=0.9", "behind"]),
    (ALOHA, "with lr.kind=cosin lr.start=1", ["lr.kind=cosin", "cosine"]),
    (ALOHA, "with dag.order_noise=0", ["dag.order_noise is without effect", "dag.permutation=plackett_luce"]),
    (ALOHA, "with dag.generator=full dag.temperature=2", ["dag.temperature is without effect", "dag.generator=full"]),
    (ALOHA[:1], "--env-config=aloha t_max=100", ["put the word `with` before", "with t_max=100"]),
    (ALOHA, "with lr=-1", ["lr=-1", "greater than 0"]),
    (ALOHA, "with seed=4294967296", ["seed=4294967296", "less than"]),
    (ALOHA, f"with local_results_path={__file__}", ["local_results_path", "cannot be written to"]),
    (ALOHA, "with annealing.eta=2", ["annealing.eta=2", "less than or equal to 1"]),
    (CG, "with dag.generator=full", ["dag.generator", "without effect", "mac=basic_mac"]),
    (ALOHA, "with checkpoint_path=nowhere", ["checkpoint_path=nowhere", "no such"]),
    (ALOHA, "with checkpoint_path=.", ["no checkpoint"]),
    (ALOHA, "with evaluate=True", ["evaluate=True", "checkpoint_path"]),
    (ALOHA, "with save_steps=True", ["save_steps=True", "needs evaluate=True"]),
    (ALOHA, "with papr", ["preset of aloha", "'papr'", "'paper'"]),
    (ALOHA, "with lr=0.1 no_such_thing", ["no_such_thing", "Allowed: paper"]),
    (ALOHA, "with entropy_coef.strat=0.1", ["entropy_coef.strat", "'start'"]),
    (ALOHA, "--no-such-flag", ["unknown option '--no-such-flag'", "--beat-interval"]),
    (ALOHA, "--t-max=100", ["unknown option '--t-max'", "behind the word `with`"]),
]


@pytest.mark.parametrize(("names", "arguments", "expected"), MISTAKES, ids=[case[1] for case in MISTAKES])
def test_a_mistake_is_met_before_anything_starts(in_empty_folder, capsys, names, arguments, expected):
    status, _, error = run_main([*names, *arguments.split()], capsys)
    assert status == 2, error
    assert "Traceback" not in error
    for words in expected:
        assert words in error
    assert list(in_empty_folder.iterdir()) == []


@pytest.mark.parametrize("content", ["gamma: 0.9\nlearning_rate: 1\n", "gamma: [", "- 1\n"])
def test_a_bad_yaml_file_is_named(in_empty_folder, capsys, content, monkeypatch):
    import shutil

    from bn_mappo.config import loading as config

    shutil.copytree(config.CONFIG_DIR, in_empty_folder / "config")
    monkeypatch.setattr(config, "CONFIG_DIR", in_empty_folder / "config")
    (in_empty_folder / "config" / "algs" / "mine.yaml").write_text(content)
    status, _, error = run_main(["--config=mine", "--env-config=aloha"], capsys)
    assert status == 2
    assert "mine.yaml" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_warns_and_runs_on_the_cpu(in_empty_folder, capsys):
    with pytest.warns(UserWarning, match="running on the CPU"):
        status, _, _ = run_main([*CG, "with", "t_max=640", "use_cuda=True", "test_nepisode=2"], capsys)
    assert status == 0


def test_help_and_list_name_what_there_is(capsys):
    status, out, _ = run_main(["--help"], capsys)
    assert status == 0 and "--env-config" in out
    status, out, _ = run_main(["list"], capsys)
    assert status == 0
    for name in [*config_names("algs"), *config_names("envs"), "dag_controller", "learned", "rnn"]:
        assert re.search(rf"^  {name} ", out, re.MULTILINE), name


def test_print_config_prints_the_merged_configuration(in_empty_folder, capsys):
    status, out, _ = run_main(["print_config", *ALOHA, "with", "dag.edge_bias=3", "env_args.episode_limit=20"], capsys)
    assert status == 0
    assert re.search(r"edge_bias = \S*3", out)
    assert re.search(r"arrival_probability = 0.6", out), "arguments of the environment are complete"
    assert list(in_empty_folder.iterdir()) == []


def test_print_config_shows_the_keys_of_the_chosen_parts_alone(in_empty_folder, capsys):
    status, out, _ = run_main(["print_config", *MAT, "with", "order=random"], capsys)
    keys = re.findall(r"^\s+(\w+) = ", re.sub(r"\x1b\[\d+m", "", out), re.MULTILINE)
    assert status == 0 and {"n_blocks", "n_heads", "order", "critic_type"} <= set(keys)
    assert not {"critic_lr", "agent", "obs_last_action", "dag", "annealing"} & set(keys)


def test_a_preset_goes_over_the_defaults_and_under_the_command_line(in_empty_folder, capsys):
    status, out, _ = run_main(["print_config", *ALOHA, "with", "paper", "gamma=0.5"], capsys)
    assert status == 0
    assert re.search(r"permutation = \S*'gumbel_sinkhorn'", out) and re.search(r"entropy_coef = 0.01", out)
    assert re.search(r" gamma = 0.5", out)


def test_a_preset_knows_the_map_that_the_command_line_names(in_empty_folder, capsys):
    names = ["print_config", "--config=bn_mappo_annealed", "--env-config=skirmish", "with", "paper"]
    for map_name, alpha, games in (("MMM2", "0.5", "4"), ("6h_vs_8z", "1.0", "None")):
        status, out, _ = run_main([*names, f"env_args.map_name={map_name}"], capsys)
        out = re.sub(r"\x1b\[\d+m", "", out)
        assert status == 0 and re.search(rf"end = {alpha}", out) and re.search(rf" batch_size = {games}", out)


def test_a_number_can_take_the_place_of_a_schedule(in_empty_folder, capsys):
    status, out, _ = run_main(["print_config", *ALOHA, "with", "entropy_coef=0.02"], capsys)
    assert status == 0 and re.search(r"entropy_coef = 0.02", out)


def test_sacreds_own_flags_work(in_empty_folder, capsys):
    (in_empty_folder / "other" / "1").mkdir(parents=True)
    arguments = [*CG, "-F", "other", "-n", "my_name", "with", "t_max=640", "test_nepisode=2"]
    status, _, error = run_main(arguments, capsys)
    assert status == 0, error
    assert (in_empty_folder / "other" / "2" / "metrics.json").exists()
    folder = in_empty_folder / "results" / "sacred" / "mappo" / "coordination_game" / "1"
    assert (folder / "metrics.json").exists()


@pytest.mark.slow
def test_the_exit_status_of_a_real_process():
    command = [sys.executable, "src/main.py", *ALOHA, "with", "gamma=1.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: gamma=1.5") and "Traceback" not in done.stderr


def test_print_config_shows_what_the_run_uses_and_nothing_else(in_empty_folder, capsys):
    status, out, _ = run_main(["print_config", *CG], capsys)
    out = re.sub(r"\x1b\[\d+m", "", out)
    assert status == 0 and re.search(r"^  gamma = ", out, re.MULTILINE)
    assert not re.search(r"^  (dag|annealing):", out, re.MULTILINE)
    status, out, _ = run_main(["print_config", *CG, "with", "mac=dag_controller", "dag.generator=random"], capsys)
    out = re.sub(r"\x1b\[\d+m", "", out)
    assert status == 0 and re.search(r"^    probability = ", out, re.MULTILINE)
    assert not re.search(r"permutation|annealing", out), "keys of another generator and of another learner"


def test_a_word_that_is_no_command_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        entry.main(["analyze"])
    assert stop.value.code == 2 and "Did you mean 'analyse'?" in capsys.readouterr().err
    for command in ("runs", "sync", "analyse", "reproduce", "plug-in"):
        with pytest.raises(SystemExit) as stop:
            entry.main([command, "--help"])
        assert stop.value.code == 0 and "usage:" in capsys.readouterr().out
