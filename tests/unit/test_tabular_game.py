"""What the loader accepts, what it refuses and how it says so; the DAGs by name."""

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.games.coordination_game import tabular_coordination_game
from bn_mappo.tabular.dags import check_adjacency, family, named_dag, parents
from bn_mappo.tabular.game import game_from_arrays
from bn_mappo.tabular.game_file import load_game


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "P": rng.dirichlet(np.ones(3), size=(3, 2, 4)),
        "r": rng.random((3, 2, 4)),
        "gamma": np.array(0.9),
        "mu": np.array([0.2, 0.3, 0.5]),
    }


def test_a_saved_game_loads_as_it_was(tmp_path, arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    game = load_game(tmp_path / "mine.npz")
    assert (game.name, game.n_actions, game.n_states, game.gamma) == ("mine", (2, 4), 3, 0.9)
    for state in range(3):
        np.testing.assert_array_equal(game.transition[1 * 4 + 3, state], arrays["P"][state, 1, 3])
        assert game.reward[1, 3, 0, state] == arrays["r"][state, 1, 3]


def test_a_reward_of_the_state_alone_and_a_forgetful_transition_are_recognised(arrays):
    forgetful = np.broadcast_to(arrays["P"][:1], (3, 2, 4, 3))
    game = game_from_arrays(forgetful, np.arange(3.0), 0.9, arrays["mu"])
    assert game.forgets_state and game.reward.shape == (1, 1, 1, 3)
    assert not game_from_arrays(**{**renamed(arrays)}).forgets_state


def renamed(arrays):
    return {"transition": arrays["P"], "reward": arrays["r"], "gamma": float(arrays["gamma"]), "mu": arrays["mu"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": np.ones((3, 2, 4, 2))}, r"P has shape \[3, 2, 4, 2\]"),
        ({"P": np.full((3, 2, 4, 3), 0.3)}, r"P\[0, 0, 0\] sums to 0.9"),
        ({"r": np.ones((3, 4, 2))}, r"r has shape \[3, 4, 2\].*must be \[3, 2, 4\]"),
        ({"r": np.full((3, 2, 4), np.nan)}, "r contains 24 values that are not finite"),
        ({"mu": np.array([0.5, 0.5])}, r"mu has shape \[2\]"),
        ({"mu": np.array([-0.5, 1.0, 0.5])}, r"mu\[0\] = -0.5"),
        ({"mu": np.array([0.5, 0.6, 0.5])}, "mu sums to 1.6"),
        ({"gamma": np.array(1.0)}, "gamma=1.0: the discount"),
        ({"gamma": np.array([0.9, 0.8])}, r"gamma in .* has shape \[2\]"),
        ({"gamma": np.array("high")}, "gamma in .* is not a number"),
        ({"r": np.array(["a", "b", "c"])}, "r is not an array of real numbers"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, arrays, change, message):
    np.savez(tmp_path / "bad.npz", **{**arrays, **change})
    with pytest.raises(ConfigError, match=message):
        load_game(tmp_path / "bad.npz")


def test_missing_and_misspelt_arrays_and_files_are_named(tmp_path, arrays):
    np.savez(tmp_path / "short.npz", P=arrays["P"], r=arrays["r"])
    with pytest.raises(ConfigError, match="lacks gamma, mu"):
        load_game(tmp_path / "short.npz")
    np.savez(tmp_path / "typo.npz", gama=arrays["gamma"])
    with pytest.raises(ConfigError, match="Did you mean 'gamma'"):
        load_game(tmp_path / "typo.npz")
    with pytest.raises(ConfigError, match="no game file"):
        load_game(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(ConfigError, match=r"not a \.npz file"):
        load_game(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", P=np.array([{}], dtype=object))
    with pytest.raises(ConfigError, match="plain arrays"):
        load_game(tmp_path / "objects.npz")
    np.save(tmp_path / "single.npy", np.ones(3))
    with pytest.raises(ConfigError, match=r"not a \.npz file"):
        load_game(tmp_path / "single.npy")


def test_coordination_game_refuses_impossible_settings():
    for settings in ({"n_agents": 0}, {"n_agents": 2, "epsilon": 1.5}, {"n_agents": 2, "gamma": 1.0}):
        with pytest.raises(ConfigError):
            tabular_coordination_game(**settings)


@pytest.mark.parametrize(("name", "edges"), [("uncorrelated", 0), ("line", 4), ("full", 10), ("line_released", 3)])
def test_named_dags_have_their_edges(name, edges):
    dag = check_adjacency(named_dag(name, 5), 5)
    assert dag.sum() == edges
    assert named_dag(name, 1).sum() == 0


def test_row_is_parent_and_column_is_child():
    line = named_dag("line", 3)
    assert line[0, 1] == 1 and line[1, 0] == 0
    assert parents(line, 2) == (1,) and family(line, 2) == (1, 2)
    released = named_dag("line_released", 3)
    assert parents(released, 1) == (0,) and parents(released, 2) == ()


@pytest.mark.parametrize(
    ("adjacency", "message"),
    [([[0, 1], [1, 0]], "cycle"), ([[1, 0], [0, 0]], "cycle"), ([[0, 2], [0, 0]], "0 and 1"), ([[0, 1]], "shape")],
)
def test_what_is_not_a_dag_is_refused(adjacency, message):
    with pytest.raises(ConfigError, match=message):
        check_adjacency(adjacency, 2)


def test_unknown_dag_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean 'full'"):
        named_dag("ful", 3)
