"""Checkpoints: written whole or not at all, read without running code from them."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.files import write_whole
from bn_mappo.core.named_runs import named_folder, near_runs
from bn_mappo.core.nested import differences, flatten

FORMAT = 2  # 1: before the configuration had parts
PREFIX, SUFFIX = "step_", ".pt"


def _to_tensors(value: Any) -> Any:
    """Arrays as tensors, in nested dictionaries and lists: what torch reads back without unpickling code."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_tensors(item) for item in value]
    return value


def to_arrays(value: Any) -> Any:
    """Tensors of a checkpoint as the arrays that environments gave, in nested dictionaries and lists."""
    if isinstance(value, torch.Tensor):
        return value.cpu().numpy()
    if isinstance(value, dict):
        return {key: to_arrays(item) for key, item in value.items()}
    return [to_arrays(item) for item in value] if isinstance(value, list) else value


def checkpoint_file(folder: Path, t_env: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"{PREFIX}{t_env}{SUFFIX}"


def save_checkpoint(folder: Path, t_env: int, content: dict[str, Any]) -> Path:
    """Write folder/step_<t_env>.pt, as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    content_bytes = io.BytesIO()  # torch.save on a full disk raises whatever it likes; a plain write raises OSError
    torch.save({"format": FORMAT, "t_env": t_env, **_to_tensors(content)}, content_bytes)
    return write_whole(checkpoint_file(folder, t_env), content_bytes.getbuffer())


def checkpoints(folder: Path) -> dict[int, Path]:
    """All checkpoints below a folder by their environment steps."""
    return {int(path.stem.removeprefix(PREFIX)): path for path in folder.rglob(f"{PREFIX}*{SUFFIX}")}


def find_checkpoint(given: str, load_step: int) -> Path:
    """The checkpoint that checkpoint_path and load_step mean: a file, or the latest (or a named) one of a run."""
    path = named_folder(Path(given))
    if not path.exists():
        raise ConfigError(f"checkpoint_path={given}: there is no such file or folder{near_runs(given)}")
    if path.is_file():
        return path
    found = list(path.rglob(f"{PREFIX}*{SUFFIX}"))
    if not found:
        raise ConfigError(f"checkpoint_path={given}: no checkpoint ({PREFIX}*{SUFFIX}) in this folder")
    folders = sorted({str(p.parent.parent) for p in found})
    files = {int(p.stem.removeprefix(PREFIX)): p for p in found}
    if len(folders) > 1:
        raise ConfigError(f"checkpoint_path={given} holds several runs; name one of them: {', '.join(folders)}")
    if load_step == 0:
        return files[max(files)]
    if load_step not in files:
        steps = ", ".join(str(step) for step in sorted(files))
        raise ConfigError(f"load_step={load_step}: {given} has checkpoints of the steps {steps}")
    return files[load_step]


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """The content of a checkpoint; a file that is none raises ConfigError."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise ConfigError(f"checkpoint_path: {path} is not a checkpoint, or a broken one") from error
    if not isinstance(content, dict) or "format" not in content:
        raise ConfigError(f"checkpoint_path: {path} is not a checkpoint of this program")
    if content["format"] != FORMAT:
        raise ConfigError(
            f"checkpoint_path: {path} was written by another version of this program (its format is "
            f"{content['format']}, this one reads {FORMAT}). Use the commit that is recorded in the run's run.json"
        )
    return content


def check_fits(path: Path, saved: dict[str, torch.Tensor], present: dict[str, torch.Tensor], what: str) -> None:
    """Refuse weights of another architecture, naming the first difference."""
    for name in [*present, *saved]:
        there = tuple(saved[name].shape) if name in saved else "absent"
        here = tuple(present[name].shape) if name in present else "absent"
        if there != here:
            raise ConfigError(
                f"checkpoint_path: {path} holds another architecture: {what} '{name}' is {there} there, {here} here. "
                "Use the configuration of the run that wrote it (config.json beside its checkpoints)."
            )


def check_rules(path: Path, checkpoint: dict[str, Any], rules: str, evaluates: bool) -> None:
    """Warn of a policy that was trained by other rules than those that are played here; refuse to go on with it."""
    there = checkpoint.get("rules", "")
    if not rules or there == rules:
        return
    difference = f"checkpoint_path: {path} was trained by {there or 'older rules'}, and the games here follow {rules}"
    if not evaluates:
        raise ConfigError(f"{difference}: it cannot go on by other rules. Add evaluate=True, or train anew")
    warnings.warn(f"{difference}: this is not what it was trained for", stacklevel=3)


def check_resumes(path: Path, checkpoint: dict[str, Any], present: dict[str, Any]) -> None:
    """Refuse to go on with other games than those that were running, or with nothing left to do."""
    for key in ("env", "env_args", "runner", "batch_size_run"):
        there, here = checkpoint["config"][key], present[key]
        if there != here:
            raise ConfigError(
                f"checkpoint_path: {path} is of a run with {key}={there}; it cannot go on with {key}={here}"
            )
    if checkpoint["t_env"] >= present["t_max"]:
        raise ConfigError(
            f"checkpoint_path: {path} is at step {checkpoint['t_env']}, and t_max={present['t_max']}: "
            "raise t_max to go on, or add evaluate=True"
        )


def differences_of_play(saved: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """Settings of the games and of the policy in which an evaluation differs from the run that wrote the checkpoint."""
    keys = ("env", "env_args", "common_reward", "agent", "dag", "epsilon", "order")
    before, now = (flatten({key: values[key] for key in keys if key in values}) for values in (saved, present))
    both = before.keys() & now.keys()  # a key that is younger than the run has had its default
    changed = differences(*({key: values[key] for key in both} for values in (before, now)))
    return [f"{key}: {json.dumps(old)} -> {json.dumps(new)}" for key, (old, new) in changed.items()]


def describe_difference(saved: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """Keys of the configuration in which a resumed run differs from the one that wrote its checkpoint."""
    ignored = {"checkpoint_path", "load_step", "evaluate", "name", "local_results_path", "t_max"}
    ignored |= {"save_replay", "save_steps", "report"}
    relevant = present.keys() - ignored
    before, now = ({key: values[key] for key in values if key in relevant} for values in (saved, present))
    return [f"{key}: {json.dumps(old)} -> {json.dumps(new)}" for key, (old, new) in differences(before, now).items()]
