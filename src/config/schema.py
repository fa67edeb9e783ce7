"""The configuration: types and ranges of every key in default.yaml, and how the layers merge into one frozen object."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from yaml import YAMLError

from bn_mappo.core.errors import ConfigError, nearest, unknown
from bn_mappo.core.schedules import Linear

CONFIG_DIR = Path(__file__).parent
EXAMPLE = "python src/main.py --config=bn_mappo --env-config=aloha with t_max=200000 seed=3"


def _number(value: Any) -> Any:
    """Let 2e5 stand for 200000, but neither true nor "3" for a number."""
    if isinstance(value, (bool, str)):
        raise ValueError("must be a number")
    return value


Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Count = Annotated[Int, Field(ge=1)]  # at least one of something
Natural = Annotated[Int, Field(ge=0)]
Fraction = Annotated[Float, Field(ge=0, le=1)]
Positive = Annotated[Float, Field(gt=0)]
NonNegative = Annotated[Float, Field(ge=0)]


class Section(BaseModel):
    """A part of the configuration: no unknown keys, no missing ones, no change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PositiveRamp(Section):
    """A linear schedule of a quantity that must stay above zero."""

    start: Positive
    end: Positive
    until: Annotated[Float, Field(gt=0, le=1)]


class NonNegativeRamp(Section):
    """A linear schedule of a quantity that may reach zero."""

    start: NonNegative
    end: NonNegative
    until: Annotated[Float, Field(gt=0, le=1)]


PositiveSchedule = Positive | PositiveRamp
NonNegativeSchedule = NonNegative | NonNegativeRamp


def schedule(value: float | PositiveRamp | NonNegativeRamp) -> Linear:
    """The function of the fraction of training that a configured schedule stands for."""
    if isinstance(value, (int, float)):
        return Linear(value, value, 1.0)
    return Linear(value.start, value.end, value.until)


class DAGConfig(Section):
    """Section `dag` of default.yaml."""

    generator: str
    permutation: Literal["identity", "gumbel_sinkhorn", "plackett_luce"]
    edge_index: Literal["agent", "rank"]
    edge_net: Literal["mlp", "deep_set"]
    context: Literal["obs", "state"]
    edge_bias: Float
    lr: PositiveSchedule | None
    temperature: PositiveSchedule
    edge_noise: NonNegativeSchedule
    order_noise: NonNegativeSchedule
    sinkhorn_iterations: Count
    noise: Literal["replay", "resample"]
    parent_actions: Literal["recorded", "resampled"]
    clip_gradients: bool
    probability: Fraction
    adjacency: list[list[Literal[0, 1]]] | None
    parent_inputs: Literal["actions", "actions_and_obs"]
    fusion: Literal["input", "hidden", "encoded"]


class AnnealingConfig(Section):
    """Section `annealing` of default.yaml (paper, section 6.3)."""

    a: Fraction
    b: Fraction
    c: Fraction
    l_1: Count
    l_2: Count
    eta_start: Fraction
    eta_end: Fraction
    alpha_start: NonNegative
    alpha_end: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.a <= self.b <= self.c:
            raise ValueError(f"the break points must rise: a={self.a}, b={self.b}, c={self.c}")
        return self


class Config(Section):
    """All of default.yaml, typed. Comments and units stand there."""

    name: str
    seed: Natural
    t_max: Count
    use_cuda: bool
    torch_threads: Count
    local_results_path: str
    env: str
    env_args: dict[str, Any]
    runner: Literal["vector", "parallel", "episode"]
    batch_size_run: Count
    segment_length: Count
    env_timeout_s: Positive
    max_worker_restarts: Natural
    test_nepisode: Count
    test_interval: Count
    test_greedy: bool
    log_interval: Count
    evaluate: bool
    save_replay: bool
    save_facts: bool
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
    mac: str
    agent: str
    hidden_dim: Count
    share_params: bool
    share_heads: bool
    obs_agent_id: bool
    obs_layer_norm: bool
    obs_last_action: bool
    learner: str
    critic_type: str
    lr: PositiveSchedule
    critic_lr: PositiveSchedule
    optim_eps: Positive
    grad_norm_clip: Positive
    gamma: Fraction
    gae_lambda: Fraction
    epochs: Count
    batch_size: Count | None
    eps_clip: Positive
    value_clip: NonNegative
    huber_delta: Positive
    value_coef: NonNegative
    entropy_coef: NonNegativeSchedule
    standardise_advantages: bool
    standardise_returns: bool
    returns_decay: Annotated[Float, Field(ge=0, lt=1)]
    bootstrap_truncated: bool
    dag: DAGConfig
    annealing: AnnealingConfig

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.batch_size and self.batch_size_run % self.batch_size:
            raise ValueError(
                f"batch_size={self.batch_size} must divide batch_size_run={self.batch_size_run}: "
                "a gradient step takes whole segments of batch_size games"
            )
        draws_order = self.dag.generator == "learned" and self.dag.permutation == "plackett_luce"
        if self.mac == "dag_controller" and draws_order and self.learner != "bn_mappo":
            raise ValueError(
                f"dag.permutation=plackett_luce is learned by learner=bn_mappo alone, and learner={self.learner}: "
                "set learner=bn_mappo, or dag.permutation=identity"
            )
        if self.evaluate and not self.checkpoint_path:
            raise ValueError("evaluate=True needs checkpoint_path=FOLDER, the run to evaluate")
        for key in ("save_replay", "save_facts"):
            if getattr(self, key) and not self.evaluate:
                raise ValueError(f"{key}=True needs evaluate=True: it is evaluated games that are kept")
        return self


def config_names(kind: str) -> list[str]:
    """The names that --config (algs) or --env-config (envs) take."""
    return sorted(path.stem for path in (CONFIG_DIR / kind).glob("*.yaml"))


def preset_names(env: str) -> list[str]:
    """The presets that this environment has: presets/NAME/ENV.yaml."""
    return sorted(path.parent.name for path in (CONFIG_DIR / "presets").glob(f"*/{env}.yaml"))


def load_preset(name: str, env: str, values: dict[str, Any]) -> dict[str, Any]:
    """What `with NAME` lays over everything but the command line, for a run whose settings are else `values`.

    Of the preset's `cases` those apply whose `when` (keys with dots, and their values) holds for the run.
    """
    path = CONFIG_DIR / "presets" / name / f"{env}.yaml"
    preset, source, present = load_yaml(path), f"src/config/presets/{name}/{env}.yaml", OmegaConf.create(values)
    cases, allowed = preset.pop("cases", []), default_values()
    check_keys(preset, allowed, source)
    for case in cases:
        when = case.pop("when")
        check_keys(case, allowed, source)
        if all(OmegaConf.select(present, key) == value for key, value in when.items()):
            preset = merge(preset, case)
    return preset


def load_yaml(path: Path) -> dict[str, Any]:
    """One YAML file as plain Python data."""
    try:
        data = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold keys and values, not {type(data).__name__}")
    return {str(key): value for key, value in data.items()}


def default_values() -> dict[str, Any]:
    """default.yaml, which has every key there is."""
    return load_yaml(CONFIG_DIR / "default.yaml")


def load_layers(alg: str, env: str) -> dict[str, Any]:
    """default.yaml, overridden by envs/<env>.yaml and then by algs/<alg>.yaml; neither may bring a key of its own."""
    default = default_values()
    layers = [default]
    for kind, option, name in (("envs", "--env-config", env), ("algs", "--config", alg)):
        if name not in config_names(kind):
            raise unknown(option, name, config_names(kind))
        layers.append(load_yaml(CONFIG_DIR / kind / f"{name}.yaml"))
        check_keys(layers[-1], default, source=f"src/config/{kind}/{name}.yaml")
    return merge(*layers, {"name": alg})


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over one another; later ones win key by key."""
    merged = OmegaConf.to_container(OmegaConf.merge(*layers))
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def check_keys(given: dict[str, Any], allowed: dict[str, Any], source: str, prefix: str = "") -> None:
    """Refuse keys that default.yaml does not have; env_args are checked against the environment."""
    for key, value in given.items():
        if key not in allowed:
            raise ConfigError(f"{source}: there is no key '{prefix}{key}'.{nearest(key, allowed)}")
        if isinstance(allowed[key], dict) and key != "env_args":
            if not isinstance(value, dict):
                example = f"{prefix}{key}.{next(iter(allowed[key]))}"
                raise ConfigError(f"{source}: '{prefix}{key}' is a section; set its keys, such as {example}=...")
            check_keys(value, allowed[key], source, f"{prefix}{key}.")


def validate(values: dict[str, Any]) -> Config:
    """Plain data -> Config; every mistake is told in one ConfigError."""
    if values.get("env") is None:
        raise ConfigError(f"no environment given: add --env-config=NAME. Allowed: {', '.join(config_names('envs'))}.")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, values)) from None


def explain(error: ValidationError, values: dict[str, Any], prefix: str = "") -> str:
    """A pydantic error in the words of the command line: key=value: what is wrong, what is allowed."""
    details = [dict(detail) for detail in error.errors() if detail["type"] != "none_required"]
    of_ramps = [detail for detail in details if not (isinstance(detail["input"], dict) and _is_of_number(detail))]
    details = of_ramps or details  # {start: ...} that is wrong is no number either: that need not be told
    details = [detail for detail in details if detail["type"] != "model_type"] or details  # nor that "abc" is no ramp
    messages = dict.fromkeys(_explain_one(detail, values, prefix) for detail in details)
    return "\n".join(messages)


def _is_of_number(detail: dict[str, Any]) -> bool:
    return "number" in str(detail["msg"])


def _explain_one(detail: dict[str, Any], values: dict[str, Any], prefix: str) -> str:
    # locations of a union carry the name of the branch, such as 'PositiveRamp': not a key of the user's
    path = [
        str(part)
        for part in detail["loc"]
        if not str(part).startswith(("function-", "constrained", "Positive", "NonNegative"))
    ]
    key = prefix + ".".join(path)
    kind, message, given = detail["type"], str(detail["msg"]), detail["input"]
    if kind == "extra_forbidden":
        siblings: Any = values
        for part in path[:-1]:
            siblings = siblings.get(part, {})
        return f"there is no key '{key}'.{nearest(path[-1], [k for k in siblings if k != path[-1]])}"
    if kind == "missing":
        return f"the key '{key}' is missing"
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key}={given!r}: {message}" if key else message
