"""Games as .npz files: arrays P [S, A_1, ..., A_N, S'], r [S, A_1, ..., A_N] or [S], gamma (a number), mu [S]."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from bn_mappo.core.errors import ConfigError, unknown
from bn_mappo.tabular.game import Game, game_from_arrays

KEYS = ("P", "r", "gamma", "mu")


def load_game(path: str | Path) -> Game:
    """The game in the file; ConfigError if the file is not valid."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"no game file at '{file}'")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (BadZipFile, ValueError, TypeError, OSError) as error:  # TypeError: a single array, from a .npy file
        raise ConfigError(f"'{file}' is not a .npz file of plain arrays ({error})") from error
    for key in arrays:
        if key not in KEYS:
            raise unknown(f"array in '{file}'", key, KEYS)
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise ConfigError(f"'{file}' lacks {', '.join(missing)}; a game file holds {', '.join(KEYS)}")
    if arrays["gamma"].size != 1:
        raise ConfigError(f"gamma in '{file}' has shape {list(arrays['gamma'].shape)}; it must be one number")
    try:
        gamma = float(arrays["gamma"].item())
    except ValueError as error:
        raise ConfigError(f"gamma in '{file}' is not a number: {error}") from error
    return game_from_arrays(arrays["P"], arrays["r"], gamma, arrays["mu"], name=file.stem)
