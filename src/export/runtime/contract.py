"""contract.json: what an exported agent takes, what it gives, whom it needs, and where it comes from."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bn_mappo.core.errors import ConfigError

FORMAT = 1  # of the exported folder
CONTRACT_FILE, TEAM_FILE = "contract.json", "team.json"


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or an output of a network."""

    name: str
    dtype: str  # NumPy's name
    shape: list[int | str]  # "batch" stands for any number of rows
    meaning: str


@dataclass(frozen=True, kw_only=True)
class NetworkFile:
    """A network beside its contract."""

    file: str
    inputs: list[Port]
    outputs: list[Port]

    @property
    def input_names(self) -> frozenset[str]:
        """The names of its inputs."""
        return frozenset(port.name for port in self.inputs)


@dataclass(frozen=True, kw_only=True)
class Parent:
    """An agent whose messages this one has needed in the recorded steps."""

    share_of_steps: float
    bytes_a_message: int


@dataclass(frozen=True, kw_only=True)
class Communication:
    """What an agent of a communicating team sends and receives."""

    message_dim: int  # float32 numbers of one message
    message: NetworkFile  # from the agent's own action to the message for its children
    dag: NetworkFile  # from the joint observation (or the state) to the DAG: whoever computes it needs all of it
    dag_context: str  # obs | state
    parents: dict[str, Parent]  # by the number of the agent
    rule: str


@dataclass(frozen=True, kw_only=True)
class Contract:
    """All that a host of one agent has to know."""

    format: int
    agent: int
    n_agents: int
    network_format: str  # onnx | torch
    opset: int | None
    obs_dim: int
    actions: list[str]  # names, by number
    masks_actions: bool
    sees_last_action: bool
    recurrent_width: int  # 0: the agent keeps no state
    policy: NetworkFile
    communication: Communication | None  # None: its own observation is all that it needs
    meaning: dict[str, str]  # normalisation, mask, recurrent state, sampling: in words
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return len(self.actions)


def write_contract(contract: Contract, folder: Path) -> None:
    """contract.json in an agent's folder."""
    (folder / CONTRACT_FILE).write_text(json.dumps(asdict(contract), indent=2, allow_nan=False) + "\n")


def read_contract(folder: Path) -> Contract:
    """The contract of an agent's folder; ConfigError where there is none that this version can read."""
    content = read_object(folder / CONTRACT_FILE, "an exported agent")
    try:
        communication = content.pop("communication")
        return Contract(
            policy=_network(content.pop("policy")),
            communication=None if communication is None else _communication(communication),
            **content,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{folder / CONTRACT_FILE} is not a contract of this version: {error}") from error


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object of a file of an exported folder, its format checked."""
    if not path.is_file():
        raise ConfigError(f"{path.parent} is no folder of {what}: it holds no {path.name}. bn-mappo export makes them")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        given = content.get("format") if isinstance(content, dict) else None
        raise ConfigError(f"{path} has format {given}, and this version reads format {FORMAT}")
    return content


def _communication(content: dict[str, Any]) -> Communication:
    parents = {name: Parent(**parent) for name, parent in content.pop("parents").items()}
    message, dag = _network(content.pop("message")), _network(content.pop("dag"))
    return Communication(message=message, dag=dag, parents=parents, **content)


def _network(content: dict[str, Any]) -> NetworkFile:
    inputs, outputs = ([Port(**port) for port in content[kind]] for kind in ("inputs", "outputs"))
    return NetworkFile(file=content["file"], inputs=inputs, outputs=outputs)
