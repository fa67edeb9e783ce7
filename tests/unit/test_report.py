"""What a run tells its user can be typed as it stands."""

import shlex

import pytest
from sacred.arg_parser import get_config_updates

from bn_mappo.analysis.report import as_word


@pytest.mark.parametrize(
    "value", ["3m", "MMM2", "7", "None", "", "a folder", "/tmp/x", "1e3", 7, 0.5, None, True, [[0, 1]]]
)
def test_a_printed_setting_is_read_as_what_it_was(value):
    (word,) = shlex.split(shlex.quote(f"key={as_word(value)}"))
    updates, _ = get_config_updates([word])
    assert updates == {"key": value}


def test_a_plain_text_needs_no_quotes():
    assert shlex.quote(f"env_args.map_name={as_word('3m')}") == "env_args.map_name=3m"
