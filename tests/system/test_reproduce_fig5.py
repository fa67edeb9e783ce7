"""Figure 5: what is drawn is what happened."""

import csv
import json
from graphlib import TopologicalSorter

import numpy as np
import pytest
from PIL import Image

from bn_mappo.cli.reproduce import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run on Aloha, by figure 5's own command."""
    folder = tmp_path_factory.mktemp("fig5")
    patch = pytest.MonkeyPatch()
    patch.setattr("bn_mappo.paper.figure5.STEPS_OF_A_QUICK_RUN", 640)
    assert main(["fig5", "--quick", "--output", str(folder)]) == 0
    patch.undo()
    return folder


@pytest.mark.slow
def test_the_table_is_an_episode_of_aloha(trained):
    with (trained / "fig5.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 * 10
    parents = [[int(j) for j in row["parents"].split()] for row in rows]
    for step in range(20):  # raises CycleError where agents would wait for each other
        TopologicalSorter(dict(enumerate(parents[10 * step : 10 * step + 10]))).prepare()
    backlog = np.array([int(row["backlog"]) for row in rows]).reshape(20, 10)
    assert (backlog[0] == 1).all()
    assert (np.diff(backlog, axis=0) <= 1).all(), "at most one message arrives in a step"
    shares = json.loads((trained / "summary.json").read_text())
    assert shares["density"] == pytest.approx(sum(map(len, parents)) / (20 * 45), abs=1e-6)
    with Image.open(trained / "fig5.gif") as animation:
        assert animation.n_frames == 20
    assert (trained / "fig5.png").exists()
    assert (trained / "report.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--agent", "10"], "0 to 9"), (["--steps", "25"], "0 to 19"), (["--checkpoint", "7"], "7")],
)
def test_mistakes_end_with_status_2_and_one_message(trained, arguments, message, capsys):
    run = trained / "runs" / "context_aware" / "seed_0" / "sacred" / "bn_mappo" / "aloha" / "1"
    assert main(["fig5", "--run", str(run), "--output", str(trained), *arguments]) == 2
    assert message in capsys.readouterr().err
