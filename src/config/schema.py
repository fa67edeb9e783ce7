"""The configuration of a run: types and ranges of the keys that every run has, and those of the parts that it chooses.

A controller, a learner, a mixer and a DAG generator declare their own keys (their class `Options`); which of them a run
has follows from the names that it gives (mac, learner, mixer, dag.generator). Keys of other parts do not exist for it.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from bn_mappo.config.explain import explain
from bn_mappo.controllers import REGISTRY as MACS
from bn_mappo.core.declared import Tree, claimed, options_of, parts, prune, to_plain
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.nested import flatten
from bn_mappo.core.options import Chosen, Count, Natural, Positive, Seed, options
from bn_mappo.learners import REGISTRY as LEARNERS


def _check_device(name: str) -> str:
    if re.fullmatch(r"cpu|cuda(:\d+)?", name):
        return name
    raise ValueError("must be cpu, cuda, or cuda:NUMBER")


@options
class Config:
    """A checked configuration. Comments and units stand in default.yaml."""

    name: str
    seed: Seed
    t_max: Count
    device: Annotated[str, AfterValidator(_check_device)]
    use_cuda: bool
    cuda_graphs: bool
    torch_threads: Count
    local_results_path: str
    plugins: list[str]
    env: str
    env_args: dict[str, Any]
    runner: str
    common_reward: bool
    reward_scalarisation: Literal["sum", "mean"]
    batch_size_run: Count
    segment_length: Count
    env_timeout_s: Positive
    max_worker_restarts: Natural
    games_per_worker: Count | None
    test_nepisode: Count
    test_interval: Count
    test_greedy: bool
    log_interval: Count
    evaluate: bool
    save_replay: bool
    save_steps: bool
    report: bool
    save_model: bool
    save_model_interval: Count
    checkpoint_path: str
    load_step: Natural
    mongo_url: Annotated[str, Field(pattern=r"^(mongodb(\+srv)?://.+)?$")]
    mongo_required: bool
    mongo_checkpoints: bool
    use_tensorboard: bool
    use_wandb: bool
    wandb_mode: Literal["offline", "online"]
    wandb_project: str
    wandb_team: str
    mac: Annotated[Chosen, MACS]
    learner: Annotated[Chosen, LEARNERS]

    def __post_init__(self) -> None:
        LEARNERS[self.learner.name].check_games(self.learner.options, self.batch_size_run)  # type: ignore[attr-defined]
        if self.evaluate and not self.checkpoint_path:
            raise ConfigError("evaluate=True needs checkpoint_path=FOLDER, the run to evaluate")
        for key in ("save_replay", "save_steps"):
            if getattr(self, key) and not self.evaluate:
                raise ConfigError(f"{key}=True needs evaluate=True: it is evaluated games that are kept")

    def values(self) -> dict[str, Any]:
        """All keys as plain data, as YAML has them; schedules without what stands at its default."""
        return to_plain(self)


def used_values(values: dict[str, Any]) -> dict[str, Any]:
    """Of values that may hold keys for every part there is, those of the parts that they choose."""
    return prune(values, claimed(Config, values))


def unused_keys(values: dict[str, Any], tree: Tree, prefix: str = "") -> Iterator[str]:
    """Keys, with dots, that mean nothing to this run."""
    for key, value in values.items():
        if key not in tree:
            yield from (prefix + name for name in flatten({key: value}))
        elif tree[key] and isinstance(value, dict):
            yield from unused_keys(value, tree[key], f"{prefix}{key}.")


def validate(values: dict[str, Any]) -> Config:
    """Plain data -> Config; all mistakes are reported in one ConfigError."""
    unused = list(unused_keys(values, claimed(Config, values)))
    if unused:
        chosen = ", ".join(f"{key}={values[key]}" for key in ("mac", "learner"))
        raise ConfigError(
            f"{', '.join(unused)}: without effect in this run ({chosen}). Leave it out, or choose a mac, learner, "
            "mixer or dag.generator that has it: the command print_config shows the keys of a run"
        )
    errors: list[str] = []
    config = parse(Config, values, "", errors)
    if errors:
        raise ConfigError("\n".join(dict.fromkeys(errors)))
    assert isinstance(config, Config)
    return config


def parse(cls: type, values: dict[str, Any], prefix: str, errors: list[str]) -> Any:
    """An instance of a class of options, and of those that it chooses; None where there are errors."""
    given: dict[str, Any] = {}
    before = len(errors)
    for name, hint, registry in parts(cls, values):
        if registry is not None and name in values:
            chosen = str(values[name])
            given[name] = Chosen(chosen, parse(options_of(registry, chosen), values, prefix, errors))
        elif is_dataclass(hint):
            given[name] = parse(hint, values.get(name, {}), f"{prefix}{name}.", errors)  # type: ignore[arg-type]
    model = leaf_model(cls)
    try:
        checked = model.model_validate({key: values[key] for key in model.model_fields if key in values})
    except ValidationError as error:
        errors += explain(error, values, prefix)
    if len(errors) > before:
        return None
    try:
        return cls(**given, **{key: getattr(checked, key) for key in model.model_fields})
    except ValueError as error:  # of a check across keys
        errors.append(f"{prefix}{error}")
        return None


@cache
def leaf_model(cls: type) -> type[BaseModel]:
    """A pydantic model of the fields of a class of options that are neither sections nor names of parts."""
    defaults = {field.name: field.default for field in fields(cls)}
    leaves: Any = {
        name: (hint, ... if defaults[name] is MISSING else defaults[name])
        for name, hint, registry in parts(cls, {})
        if registry is None and not is_dataclass(hint)
    }
    return create_model(cls.__name__, __config__=ConfigDict(extra="forbid", protected_namespaces=()), **leaves)
