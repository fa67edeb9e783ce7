"""Figure 4's grid of runs: complete, resumable, and never mixed."""

import csv
import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from bn_mappo.cli.reproduce import main
from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.registry import describe
from bn_mappo.paper.figure4_plan import coordination_panel
from bn_mappo.sweep.cells import Cell, check_settings
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid

SMALL = ("batch_size_run=4", "test_nepisode=4", "hidden_dim=8")


@pytest.mark.slow
def test_the_files_hold_every_evaluation_of_every_seed_and_a_second_call_runs_nothing(tmp_path, monkeypatch):
    plan = coordination_panel(2)
    monkeypatch.setattr("bn_mappo.paper.figure4.panels", lambda *_: [replace(plan, overrides=plan.overrides + SMALL)])
    arguments = ["fig4", "--env", "coordination_game", "--seeds", "2", "--t-max", "240", "--processes", "2"]
    arguments += ["--variants", "context_aware", "uncorrelated", "--output", str(tmp_path)]
    assert main(arguments) == 0
    with (tmp_path / "fig4.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["variant"], row["seed"], row["metric"]) for row in rows}
    exact = {(v, s, "test_poa") for v in ("context_aware", "uncorrelated") for s in "01"}
    assert found == exact | {("context_aware", s, "test_poa_sampled_dag") for s in "01"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {result["metric"] for result in summary["results"]} == {"test_poa", "test_poa_sampled_dag"}
    tree = json.loads((tmp_path / "marl_eval.json").read_text())
    run = tree["coordination_game"]["coordination_game_n2"]["context_aware"]["seed_1"]
    poas = [row for row in rows if (row["variant"], row["seed"], row["metric"]) == ("context_aware", "1", "test_poa")]
    assert [run[f"step_{k}"]["test_poa"][0] for k in range(len(poas))] == pytest.approx(
        [float(r["value"]) for r in poas]
    )
    for name in ("fig4.png", "fig4.svg", "report.md"):
        assert (tmp_path / name).stat().st_size > 1000
    monkeypatch.setattr("bn_mappo.sweep.local.LocalProcesses.start", lambda *_: pytest.fail("ran again"))
    assert main(arguments) == 0


@pytest.mark.slow
def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path):
    cell = Cell("a", 0, "mappo", "coordination_game", 240, (*SMALL, "save_model_interval=80"))
    half = replace(cell, t_max=160)
    assert run_grid([half], tmp_path, Machines(1)) == []
    (cell.folder(tmp_path) / "settings.json").unlink()
    assert "checkpoint_path" in " ".join(cell.words(tmp_path))
    assert run_grid([cell], tmp_path, Machines(1)) == []
    assert [row["step"] for row in cell.rows(tmp_path)] == sorted({row["step"] for row in cell.rows(tmp_path)})


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_the_others_run(tmp_path):
    good = Cell("good", 0, "mappo", "coordination_game", 80, SMALL)
    bad = Cell("bad", 0, "mappo", "aloha", 80, (*SMALL, "env_args.collision_reward=1e39"))
    assert run_grid([bad, good], tmp_path, Machines(1)) == [bad]
    assert good.is_done(tmp_path)
    assert "not finite" in bad.last_words(tmp_path)


def test_runs_of_other_settings_are_not_mixed(tmp_path):
    cell = Cell("a", 0, "mappo", "aloha", 100)
    cell.folder(tmp_path).mkdir(parents=True)
    made_with = cell.settings()
    (cell.folder(tmp_path) / "settings.json").write_text(json.dumps(made_with))
    check_settings([cell], tmp_path)
    (cell.folder(tmp_path) / "settings.json").write_text(json.dumps({**made_with, "gamma": 0.5}))  # a default, changed
    with pytest.raises(ConfigError, match=r"gamma: 0\.5 -> 0\.9"):
        check_settings([cell], tmp_path)


def test_a_key_that_is_younger_than_a_run_has_had_its_default(tmp_path):
    cell = Cell("a", 0, "mappo", "aloha", 100)
    cell.folder(tmp_path).mkdir(parents=True)
    made_with = cell.settings()
    del made_with["gae_lambda"]  # Aloha's YAML has 0.8, the default is 0.95
    del made_with["use_wandb"]  # nobody changes it
    (cell.folder(tmp_path) / "settings.json").write_text(json.dumps(made_with))
    with pytest.raises(ConfigError, match=r"\(gae_lambda: 0\.95 -> 0\.8\)"):
        check_settings([cell], tmp_path)


def test_runs_of_other_rules_are_not_mixed(tmp_path):
    cell = Cell("a", 0, "mappo", "skirmish", 100, ("env_args.map_name=3m",))
    run = cell.folder(tmp_path) / "sacred" / "mappo" / "skirmish" / "1"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"step": 100, "return_mean": 0.0}\n')
    rules = describe("skirmish", {"map_name": "3m"})["rules"]
    for recorded in ({"environment": {"rules": rules}}, {"environment": {"rules": "1"}}, {}):
        (run / "info.json").write_text(json.dumps(recorded))
        is_ours = recorded.get("environment", {}).get("rules") == rules
        with nullcontext() if is_ours else pytest.raises(ConfigError, match=f"has the rules {rules}"):
            check_settings([cell], tmp_path)


def test_a_preset_lies_over_the_defaults_and_under_the_overrides(tmp_path):
    cell = Cell("a", 0, "bn_mappo", "aloha", 100, ("gamma=0.5",), preset="paper")
    assert "paper" in cell.words(tmp_path)
    settings = cell.settings()
    assert settings["entropy_coef"] == 0.01 and settings["gamma"] == 0.5


def test_a_wrong_setting_is_met_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match="gamma"):
        run_grid([Cell("a", 0, "mappo", "aloha", 100, ("gamma=2",))], tmp_path, Machines(1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "alhoa"], "aloha"),
        (["--variants", "ful"], "full"),
        (["--preset", "papr"], "paper"),
        (["--seeds", "0"], "at least 1"),
        (["--workers", "-1"], "--processes -1: give a number of at least 1"),
        (["--first-seed", "-1"], "from 0 to 4294967295"),
        (["--with", "gamma"], "KEY=VALUE"),
        (["--with", "gama=0.5"], "gamma"),
        (["--with", "dag.generator=full"], "the figure sets it itself"),
        (["--env", "skirmish", "--maps", "3n"], "3m"),
        (["--env", "skirmish", "--preset", "papr"], "paper"),
        (["--env", "skirmsh", "--preset", "paper"], "skirmish"),
    ],
)
def test_mistakes_end_with_status_2_and_one_message(arguments, message, capsys):
    assert main(["fig4", *arguments]) == 2
    assert message in capsys.readouterr().err
