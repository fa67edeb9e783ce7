"""Searches for settings: as many trials as asked for, gone on with, never mixed; mistakes are met before they start."""

import pytest

from bn_mappo.cli.sweep import main
from bn_mappo.sweep.cells import Cell


@pytest.mark.slow
def test_a_search_tries_as_many_trials_as_it_says_and_goes_on_where_it_was(tmp_path, capsys):
    optuna = pytest.importorskip("optuna")
    path = tmp_path / "search.yaml"
    text = """
config: mappo
env_config: coordination_game
t_max: 160
settings: [batch_size_run=4, test_nepisode=4, hidden_dim=8]
search:
  n_trials: {n_trials}
  sampler: sobol
  space:
    lr: {{low: 0.0001, high: 0.01, log: true}}
    epochs: {{low: 1, high: 3, integer: true}}
    agent: {{choices: [mlp, rnn]}}
"""
    for n_trials in (2, 3):
        path.write_text(text.format(n_trials=n_trials))
        assert main([str(path), "--output", str(tmp_path / "out")]) == 0
        assert f"{n_trials} trials complete, 0 ended early, 0 failed" in capsys.readouterr().out
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "out" / "runs" / "study.log"))
    )
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 3
    for trial in study.trials:
        own = next((tmp_path / "out" / "runs").glob(f"mappo_{trial.number:04d}"))
        cell = Cell(own.name, 0, "mappo", "coordination_game", 160)
        assert trial.value == cell.rows(tmp_path / "out" / "runs")[-1]["test_return_mean"]
        assert 0.0001 <= trial.params["lr"] <= 0.01 and trial.params["epochs"] in (1, 2, 3)


@pytest.mark.slow
def test_a_search_is_not_mixed_with_another_and_its_metric_can_be_corrected(tmp_path, capsys):
    pytest.importorskip("optuna")
    path, out = tmp_path / "search.yaml", ["--output", str(tmp_path / "out")]
    text = """
config: mappo
env_config: coordination_game
t_max: 160
settings: [batch_size_run=4, test_nepisode=4, hidden_dim=8, gamma={gamma}]
search: {{n_trials: 1, metric: {metric}, space: {{lr: {{low: 0.0001, high: 0.01}}}}}}
"""
    path.write_text(text.format(gamma=0.9, metric="test_retrun_mean"))
    assert main([str(path), *out]) == 1
    assert "Did you mean 'test_return_mean'?" in capsys.readouterr().err
    path.write_text(text.format(gamma=0.9, metric="test_return_mean"))
    assert main([str(path), *out]) == 0
    assert "1 trials complete, 0 ended early, 1 failed" in capsys.readouterr().out
    for gamma, metric, change in [
        (0.5, "test_return_mean", "gamma: 0.9 -> 0.5"),
        (0.9, "return_mean", "metric: test_return_mean -> return_mean"),
    ]:
        path.write_text(text.format(gamma=gamma, metric=metric))
        assert main([str(path), *out]) == 2
        assert change in capsys.readouterr().err
    for option in ("--retries", "--seeds"):
        assert main([str(path), *out, option, "2"]) == 2
        assert f"{option} is an option of grids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("lr: {low: 1}", "low and high, or choices"),
        ("lr: {low: 1, high: 0.5}", "below high"),
        ("lr: {low: 0, high: 1, log: true}", "above 0"),
        ("lr: {lo: 0, high: 1}", "lo"),
        ("lrr: {choices: [1]}", "lr"),
        ("lr: {choices: []}", "at least one"),
        ("gamma: {low: 0.5, high: 2}", "gamma=2"),
        ("agent: {choices: [mlp, mpl]}", "'mlp'"),
    ],
)
def test_a_mistake_in_a_search_is_named(section, message, tmp_path, capsys):
    path = tmp_path / "s.yaml"
    path.write_text(f"{{config: mappo, env_config: aloha, search: {{n_trials: 1, space: {{{section}}}}}}}")
    assert main([str(path), "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
