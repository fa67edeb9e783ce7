"""The ablations: each changes what it says, and the report compares it with the run that lacks the defect alone."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bn_mappo.cli.reproduce import main
from bn_mappo.core.nested import flatten
from bn_mappo.paper.ablations import ABLATIONS, ablation_cells, compare
from bn_mappo.paper.figure4_plan import aloha_panel
from bn_mappo.paper.results import Curves


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name != "corrected"])
def test_each_differs_from_what_it_is_compared_with_in_its_own_settings_alone(name):
    other = ABLATIONS[name].compared_with
    cell, base = ablation_cells([name, other], range(1), 1000)
    settings, others = flatten(cell.settings()), flatten(base.settings())
    changed = {key for key in settings if settings[key] != others[key]}
    own = set(ABLATIONS[name].overrides) - set(ABLATIONS[other].overrides)
    assert changed == {override.split("=")[0] for override in own} and changed


@pytest.mark.slow
def test_the_verdict_follows_the_interval():
    steps = np.array([0.0, 100.0])
    values = {"corrected": 9.0, "dag_resampled": 6.0, "unclipped_dag": 9.0, "scalar": 9.0, "blind": 12.0}
    curves = [
        Curves(
            aloha_panel(),
            name,
            tuple(range(6)),
            steps,
            {"test_return_mean": value + 0.01 * np.arange(6.0)[:, None] + np.zeros((6, 2))},
            steps,
            np.ones((6, 2)),
        )
        for name, value in values.items()
    ]
    verdicts = {outcome.variant: outcome.verdict for outcome in compare(curves)}
    assert verdicts == {
        "corrected": "",
        "dag_resampled": "worse",
        "unclipped_dag": "undecided",
        "scalar": "undecided",
        "blind": "better",
    }


@pytest.mark.slow
def test_the_command_writes_table_picture_and_data(tmp_path, monkeypatch):
    panel = aloha_panel()
    small = replace(panel, overrides=(*panel.overrides, "batch_size_run=4", "test_nepisode=4", "hidden_dim=8"))
    monkeypatch.setattr("bn_mappo.paper.ablations.aloha_panel", lambda: small)
    arguments = ["ablations", "--seeds", "2", "--t-max", "240", "--output", str(tmp_path)]
    assert main([*arguments, "--variants", "corrected", "parents_resampled"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [row["variant"] for row in summary["results"]] == ["corrected", "parents_resampled"]
    assert summary["results"][1]["compared_with"] == "corrected"
    for name in ("ablations.png", "ablations.svg", "ablations.csv", "report.md"):
        assert (tmp_path / name).stat().st_size > 100


def test_a_misspelt_ablation_is_told_with_the_nearest(capsys):
    assert main(["ablations", "--variants", "blnd"]) == 2
    assert "blind" in capsys.readouterr().err
