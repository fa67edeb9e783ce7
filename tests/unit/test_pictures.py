"""Pictures: labels do not overlap, titles are not cut off."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from bn_mappo.analysis.episode import record_episode
from bn_mappo.analysis.pictures import draw_dag, mark_references, spread
from bn_mappo.training.build import build
from helpers import make_config


def test_values_are_moved_only_where_they_are_too_close_and_as_little_as_possible():
    assert spread([], 1) == []
    assert spread([0, 2, 5], 1) == [0, 2, 5]
    assert spread([0, 0], 1) == [-0.5, 0.5]
    assert spread([0, 5, 5.5, 5.5], 1) == pytest.approx([0, 13 / 3, 16 / 3, 19 / 3])
    assert spread([0, 0.5, 1.2], 1) == pytest.approx([-13 / 30, 17 / 30, 47 / 30])
    values = np.sort(np.random.default_rng(0).normal(size=20))
    assert (np.diff(spread(list(values), 0.3)) >= 0.3 - 1e-12).all()


def test_labels_of_scripted_policies_do_not_overlap():
    figure = Figure(figsize=(6, 6.2), layout="constrained")
    axis = figure.subplots()
    axis.set_ylim(5.5, 10)
    marks = {"fixed senders": 6.2, "colours in turn": 9.0, "heavier colour first": 9.14, "most messages": 9.28}
    mark_references(axis, marks, 5.5, 10)
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in axis.texts), key=lambda box: box.y0)
    assert len(boxes) == 4 and all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))
    assert all(box.x1 <= figure.bbox.width for box in boxes), "a label is cut off"


@pytest.mark.parametrize(("env", "updates"), [("aloha", {}), ("skirmish", {"env_args__map_name": "3m"})])
def test_titles_of_the_dag_are_inside_the_picture(env, updates, tmp_path, monkeypatch):
    drawn = []

    def save(figure, path, dpi):
        figure.draw_without_rendering()
        drawn.extend((axis.title.get_window_extent(), figure.bbox) for axis in figure.axes)

    monkeypatch.setattr(Figure, "savefig", save)
    config = make_config("bn_mappo", env, **updates)
    setup = build(config)
    draw_dag(record_episode(config, setup.mac, 0), setup.info, tmp_path / "dag.png")
    assert len(drawn) == 2
    for title, picture in drawn:
        assert picture.x0 <= title.x0 and title.x1 <= picture.x1 and picture.y0 <= title.y0 and title.y1 <= picture.y1
