"""Where an exported policy comes from: run, commits, configuration, licence."""

import hashlib
from pathlib import Path
from typing import Any

from bn_mappo.analysis.provenance import git_commit
from bn_mappo.core.secrets import mask
from bn_mappo.tracking.files import read_json
from bn_mappo.training.trained import Run

LICENCE = "Apache-2.0"


def origin_of(run: Run) -> dict[str, Any]:
    """Plain data for contracts and the model card."""
    checkpoint = Path(run.config.checkpoint_path)
    return {
        "run": "/".join(run.folder.resolve().parts[-3:]),
        "algorithm": run.config.name,
        "environment": run.config.env,
        "seed": run.config.seed,
        "trained_steps": run.t_env,
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "trained_at_commit": training_commit(run.folder),
        "exported_at_commit": git_commit(),
        "licence": LICENCE,
    }


def training_commit(folder: Path) -> str:
    """The commit that a run recorded; 'unknown' where it recorded none."""
    try:
        repositories = read_json(folder / "run.json")["experiment"].get("repositories") or [{}]
        return str(repositories[0].get("commit", "unknown"))
    except (OSError, ValueError, KeyError):
        return "unknown"


def shown_config(run: Run) -> dict[str, Any]:
    """The configuration without what belongs to one machine, and without passwords."""
    values = run.config.values()
    own = ("checkpoint_path", "load_step", "evaluate", "local_results_path", "save_replay", "save_steps")
    kept = {key: value for key, value in values.items() if key not in own}
    return {**kept, "mongo_url": mask(str(values["mongo_url"]))}
