"""Nested dictionaries against worked examples."""

from bn_mappo.core.nested import differences, flatten


def test_flat_keys_have_dots_and_an_empty_section_stays_a_value():
    assert flatten({"a": 1, "b": {"c": 2, "d": {"e": [3]}}, "f": {}}) == {"a": 1, "b.c": 2, "b.d.e": [3], "f": {}}


def test_what_differs_is_named_with_all_values():
    before = {"lr": 0.1, "dag": {"noise": "replay", "order": {"start": 1, "end": 0}}, "same": {"x": [1, 2]}}
    after = {"lr": 0.2, "dag": {"noise": "replay", "order": {"start": 1, "end": 0.5}}, "same": {"x": [1, 2]}}
    assert differences(before, after) == {"lr": (0.1, 0.2), "dag.order.end": (0, 0.5)}
    assert differences(before, before) == {}
    assert differences({"a": 1}, {"a": 1}, {"a": 2}) == {"a": (1, 1, 2)}


def test_a_key_that_one_of_them_lacks():
    assert differences({"old": 1, "none": None}, {"new": 2}) == {"old": (1, None), "new": (None, 2)}
    assert differences({"a": 1}, {"a": None}, {}, absent="-") == {"a": (1, None, "-")}


def test_a_section_that_lost_a_key_or_became_a_number_is_one_value():
    """A key cannot be taken away by laying something over it, so the section has to be given as a whole."""
    ramp, shorter = {"start": 1, "end": 0, "until": 1}, {"start": 1, "end": 0}
    assert differences({"lr": ramp}, {"lr": shorter}) == {"lr": (ramp, shorter)}
    assert differences({"lr": ramp}, {"lr": 0.1}) == {"lr": (ramp, 0.1)}
    assert differences({"lr": 0.1}, {"lr": ramp}) == {"lr": (0.1, ramp)}
    assert differences({"lr": shorter}, {"lr": ramp}) == {"lr.until": (None, 1)}
