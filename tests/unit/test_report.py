"""The report after a run: its commands can be typed as they stand, and it can be switched off."""

import shlex

import pytest
from sacred.arg_parser import get_config_updates

from bn_mappo.analysis import report
from bn_mappo.analysis.report import as_word
from helpers import run_main


@pytest.mark.parametrize(
    "value", ["3m", "MMM2", "7", "None", "", "a folder", "/tmp/x", "1e3", 7, 0.5, None, True, [[0, 1]]]
)
def test_a_printed_setting_is_read_as_what_it_was(value):
    (word,) = shlex.split(shlex.quote(f"key={as_word(value)}"))
    updates, _ = get_config_updates([word])
    assert updates == {"key": value}


def test_a_plain_text_needs_no_quotes():
    assert shlex.quote(f"env_args.map_name={as_word('3m')}") == "env_args.map_name=3m"


SMALL = ["t_max=64", "batch_size_run=4", "segment_length=8", "hidden_dim=8", "test_nepisode=4", "report=False"]


def test_without_a_report_nothing_is_played_or_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("references", "record_episode", "draw_learning_curve", "draw_dag"):
        monkeypatch.setattr(report, name, None)
    status, out, error = run_main(["--config=bn_mappo", "--env-config=aloha", "with", *SMALL], capsys)
    assert status == 0, error
    folder = "results/sacred/bn_mappo/aloha/1"
    assert "Means of an episode" in out and "this run (greedy policy, 4 episodes)" in out
    assert f"Run:       {folder}" in out and "report=False" in out and "random" not in out
    assert not [path for path in (tmp_path / folder).iterdir() if path.suffix in (".png", ".gif", ".mp4")]
