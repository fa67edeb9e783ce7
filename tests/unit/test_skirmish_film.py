"""Pictures and animations of Skirmish: what they show, and that no file is ever half written or written over."""

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from bn_mappo.analysis.episode import Recorder, record_episode
from bn_mappo.core.errors import ConfigError
from bn_mappo.envs import animation
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.games.skirmish.drawing import EDGE, SIDES, Picture
from bn_mappo.envs.games.skirmish.moments import between, view_of
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.training.build import build
from bn_mappo.training.evaluator import evaluate
from helpers import make_config
from skirmish_scenes import kill, play, scene

STOP, TARGET = 1, 6


def n_pixels(picture: np.ndarray, colour: str) -> int:
    """How many pixels of the map have exactly this colour (the legend, at the right, has it too)."""
    rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return int((picture[:, : int(0.75 * picture.shape[1])] == rgb).all(-1).sum())


def test_a_picture_shows_the_living_of_both_sides_and_the_edges_between_the_living():
    game = scene([["marine", 10, 10], ["marine", 14, 10]], [["marine", 12, 14]])
    edge = np.array([[0, 1], [0, 0]])
    now = game.moment()
    picture = Picture(now, view_of([now]), has_dag=True)
    everybody = picture.pixels(now, edge)
    assert everybody.dtype == np.uint8 and everybody.shape[0] % 2 == everybody.shape[1] % 2 == 0
    assert n_pixels(everybody, SIDES[0]) > 1.5 * n_pixels(everybody, SIDES[1]) > 0
    assert (picture.pixels(now, np.zeros((2, 2))) != everybody).any()
    kill(game, 1, 2)
    alone = picture.pixels(game.moment(), edge)
    assert n_pixels(alone, SIDES[1]) == 0 < n_pixels(alone, SIDES[0]) < n_pixels(everybody, SIDES[0])
    assert n_pixels(alone, EDGE) == 0
    np.testing.assert_array_equal(picture.pixels(now, edge), everybody)  # nothing of another moment stays


def test_render_gives_pixels_where_the_game_was_made_for_it():
    game = Skirmish(2, 0, map_name="2s3z", render_mode="rgb_array")
    game.reset()
    assert game.render(1).ndim == 3 and (game.render(0) != game.render(1)).any()
    with pytest.raises(ConfigError, match="render_mode"):
        Skirmish(1, 0).render()


def test_what_lies_between_two_moments():
    game = scene([["marine", 10, 10]], [["marine", 14, 10]])
    first = game.moment()
    game.units[0, 0, 0] = 12
    play(game, TARGET)
    second = game.moment()
    middle = between(first, second, 0.5)
    np.testing.assert_allclose(middle.position[0], [11, 10])
    assert middle.shot_at[0] == 1 and (middle.health == first.health).all() and (second.health[1] < 1)
    assert between(first, second, 1.0) is second


def film_of(n_steps_most: int = 60, map_name: str = "3m"):
    game = Skirmish(1, 0, map_name=map_name)
    film = game.film()
    policy, adjacency = game.reference_policies()["nearest enemy first"], np.triu(np.ones((3, 3)), 1)
    game.reset()
    for _ in range(n_steps_most):
        film.record(adjacency)
        if game.step(policy()).final is not None:
            break
    film.record(None)
    return film


def test_a_film_ends_with_the_outcome_of_the_battle():
    film = film_of()
    *before, last = film.moments
    assert [now.step for now in film.moments] == list(range(len(film.moments)))
    assert not any(now.outcome for now in before) and last.outcome in ("won", "lost", "both sides are gone")
    sides = [(last.health[:3] > 0).any(), (last.health[3:] > 0).any()]
    assert sides == [last.outcome == "won", last.outcome == "lost"]
    shots = [(now.shot_at >= 0).sum() for now in film.moments]
    assert shots[film.highlight() + 1] == max(shots)


def test_an_animation_has_every_frame_and_stays_at_the_end(tmp_path):
    film = film_of(5)
    path = animation.keep(tmp_path, "battle", film.animate)
    if path.suffix == ".gif":
        with Image.open(path) as picture:
            picture.seek(picture.n_frames - 1)
            assert picture.n_frames <= 1 + 5 * 3 and picture.info["duration"] == 3000
    assert 1000 < path.stat().st_size < 500_000 and list(tmp_path.iterdir()) == [path]


def test_no_animation_is_written_over_or_left_half_written(tmp_path):
    ending = animation.suffix()
    (tmp_path / f"battle{ending}").write_text("mine")
    paths = [animation.keep(tmp_path, "battle", lambda path: path.write_text("new")) for _ in range(2)]
    assert [path.name for path in paths] == [f"battle_2{ending}", f"battle_3{ending}"]
    assert (tmp_path / f"battle{ending}").read_text() == "mine"

    def fail(path):
        path.write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        animation.keep(tmp_path, "other", fail)
    assert len(list(tmp_path.iterdir())) == 3


def test_an_mp4_is_written_through_ffmpeg_where_that_is_installed(tmp_path, monkeypatch):
    """A stand-in that keeps what it is fed: raw frames."""
    (tmp_path / "ffmpeg").write_text('#!/bin/sh\nfor last; do :; done\ncat > "$last"\n')
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setitem(mpl.rcParams, "animation.ffmpeg_path", str(tmp_path / "ffmpeg"))
    path = tmp_path / "battle.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (3, 40, 60, 3)).astype(np.uint8)
    animation.write_animation(path, lambda number: frames[number], 3, 5, last_s=0.4)
    fed = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 40, 60, 4)[..., :3]
    np.testing.assert_array_equal(fed, frames[[0, 1, 2, 2, 2]])


@pytest.mark.parametrize("alg", ["bn_mappo", "mappo"])
def test_the_film_is_that_of_the_first_game_of_the_evaluation(alg):
    config = make_config(alg, "skirmish", env_args__map_name="3m", dag__generator="full")
    setup = build(config)
    games = make_vec_env(config, 4, "test")
    recorder = Recorder(games)
    evaluate(games, setup.mac, 4, config.seed, 7, True, 1.0, recorder)
    alone = record_episode(config, setup.mac, 7)
    n_steps = len(alone.actions)
    np.testing.assert_array_equal(recorder.episode().actions[:n_steps], alone.actions)
    assert len(alone.film.moments) == n_steps + 1 and alone.film.moments[-1].outcome
    edges = [adjacency is not None for adjacency in alone.film.adjacency]
    assert edges == [alg == "bn_mappo"] * n_steps + [False]
    if alg == "bn_mappo":
        np.testing.assert_array_equal(np.stack(alone.film.adjacency[:-1]), alone.adjacency)


def test_a_name_that_is_a_folder_is_refused():
    with pytest.raises(ConfigError, match=r"replay_prefix.*replay_dir"):
        Skirmish(1, 0, replay_prefix="a/b")
