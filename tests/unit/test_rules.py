"""A checkpoint that was trained by other rules than those of the games here."""

import warnings
from pathlib import Path

import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.training.checkpoint import check_rules

PATH = Path("step_10.pt")


@pytest.mark.parametrize(("checkpoint", "words"), [({"rules": "Skirmish 1"}, "Skirmish 1"), ({}, "older rules")])
def test_other_rules_evaluate_with_a_warning_and_are_not_gone_on_with(checkpoint, words):
    with pytest.warns(UserWarning, match=f"{words}, and the games here follow Skirmish 2"):
        check_rules(PATH, checkpoint, "Skirmish 2", evaluates=True)
    with pytest.raises(ConfigError, match=words):
        check_rules(PATH, checkpoint, "Skirmish 2", evaluates=False)


@pytest.mark.parametrize(("checkpoint", "rules"), [({"rules": "Skirmish 2"}, "Skirmish 2"), ({}, "")])
def test_the_same_rules_and_environments_without_versions_pass(checkpoint, rules):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_rules(PATH, checkpoint, rules, evaluates=True)
        check_rules(PATH, checkpoint, rules, evaluates=False)
