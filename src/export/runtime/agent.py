"""One agent as a machine that is fed frames and the time, and returns frames: it opens no socket and reads no clock."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from bn_mappo.core.specs import Array
from bn_mappo.export.runtime.contract import Contract
from bn_mappo.export.runtime.dags import depths
from bn_mappo.export.runtime.faults import Faults
from bn_mappo.export.runtime.network import Network, OnnxNetwork
from bn_mappo.export.runtime.wire import ENVIRONMENT, Body, Inbox, Outbox, Refused

Missing = Literal["none", "last"]  # what stands for a message that does not come


class Outgoing(NamedTuple):
    """A frame to send."""

    to: int  # an agent, or ENVIRONMENT
    frame: bytes
    delay_s: float = 0.0


@dataclass
class Turn:
    """The step in which the agent is, from what it sees to its action."""

    tick: int
    patience_s: float  # for the messages of the parents
    deadline: float  # when what has not come counts as missing
    inputs: dict[str, Array]  # of the policy
    parents: list[int] | None  # None: the agents have not computed the DAG yet
    children: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How the agents of a team deal with one another."""

    dag_by: Literal["coordinator", "agents"] = "coordinator"
    missing_message: Missing = "none"  # none: as if that agent were no parent; last: its last message
    faults: Faults = field(default_factory=Faults)


class Networks(NamedTuple):
    """What an agent computes with; the last two of communicating teams only."""

    policy: Network
    message: Network | None = None
    dag: Network | None = None


def load_networks(folder: Path, contract: Contract) -> Networks:
    """The networks of an agent's folder, in onnxruntime."""
    policy, described = OnnxNetwork(folder, contract.policy), contract.communication
    if described is None:
        return Networks(policy)
    return Networks(policy, OnnxNetwork(folder, described.message), OnnxNetwork(folder, described.dag))


class Agent:
    """Owns what one agent knows: its networks, its recurrent state, and the messages for this step and the next.

    With a coordinator, `act` names parents and children. Where agents compute the DAG, each sends its observation to
    all others first, and runs the network of the DAG on what it has got: an observation that is missing counts as the
    last one, so two agents can come to different DAGs, and who then waits in vain acts without that message.
    """

    def __init__(self, contract: Contract, networks: Networks, token: bytes, nonce: bytes, conduct: Conduct):
        self.contract, self.conduct = contract, conduct
        self.number, self.n_agents = contract.agent, contract.n_agents
        self.policy, self.message, self.dag = networks
        self.width = contract.communication.message_dim if contract.communication else 0  # of a message
        self.inbox, self.outbox = Inbox(token, nonce), Outbox(token, self.number)
        self.environment = b""  # its nonce
        self.nonces: list[bytes] = []  # of the other agents
        self.addresses: list[str] = []
        self.counts: Counter[str] = Counter()  # what was read, sent and lost
        self.is_over = False
        self._begin()

    def _begin(self) -> None:
        """Before the first step of a session."""
        self.tick = -1  # the last step in which it acted
        self.turn: Turn | None = None
        self.hidden = np.zeros((1, self.contract.recurrent_width), np.float32)
        self.messages: dict[int, dict[int, Array]] = {}  # by tick and sender
        self.observations: dict[int, dict[int, Array]] = {}  # likewise
        self.last_messages: dict[int, Array] = {}  # by sender, of this episode
        self.last_observations = np.zeros((self.n_agents, self.contract.obs_dim), np.float32)

    def handle(self, frame: bytes, now: float) -> list[Outgoing]:
        """Take a frame in at a time (seconds, of any clock that runs evenly); what is to be sent then."""
        body = self.inbox.open(frame)
        if body is None:
            return []
        answer = self._from_environment(body, now) if body["sender"] == ENVIRONMENT else self._from_agent(body)
        if isinstance(answer, Refused):
            self.inbox.refuse(answer)
            return []
        self.counts["read"] += 1
        return answer

    def poll(self, now: float) -> list[Outgoing]:
        """What is to be sent when time has passed: who has waited long enough acts on what there is."""
        return self._advance(is_late=True) if self.turn is not None and now >= self.turn.deadline else []

    def _from_environment(self, body: Body, now: float) -> list[Outgoing] | Refused:
        kind = body["kind"]
        if kind == "hello":
            self.environment, self.outbox.session = body["reply_to"], body["session"]
            self._begin()
            return [self._to_environment("ready", own_nonce=self.inbox.nonce, n_agents=self.n_agents)]
        if kind == "stop":
            self.is_over = True
            return []
        if kind == "count":
            return [self._to_environment("counts", counts={**self.inbox.refused, **self.counts})]
        if kind == "peers" and len(body["nonces"]) == len(body["addresses"]) == self.n_agents:
            self.nonces, self.addresses = body["nonces"], body["addresses"]
            return []
        if kind == "act" and (self.conduct.dag_by == "coordinator" or self.nonces):
            return self._start_turn(body, now)
        return Refused.UNEXPECTED

    def _start_turn(self, body: Body, now: float) -> list[Outgoing] | Refused:
        contract, others = self.contract, {*body["parents"], *body["children"]}
        obs = self._values(body["obs"], contract.obs_dim)
        avail = np.frombuffer(body["avail_actions"], np.uint8).astype(bool)
        masks = len(avail) == contract.n_actions and bool(avail.any()) if contract.masks_actions else not len(avail)
        knows = body["last_action"] < contract.n_actions and all(i < self.n_agents and i != self.number for i in others)
        can_talk = bool(self.width and self.nonces) or not others
        if obs is None or not (masks and knows and can_talk):
            return Refused.UNEXPECTED
        if body["tick"] <= self.tick:
            return Refused.LATE
        if body["start"]:
            self.hidden = np.zeros_like(self.hidden)
            self.last_messages = {}
            self.last_observations = np.zeros_like(self.last_observations)
        inputs = {"obs": obs[None], "last_action": np.array([body["last_action"]]), "hidden": self.hidden}
        if contract.masks_actions:
            inputs["avail_actions"] = avail[None]
        agents_compute = self.conduct.dag_by == "agents" and self.width > 0
        patience_s = body["patience_ms"] / 1000
        parents = None if agents_compute else body["parents"]
        self.turn = Turn(body["tick"], patience_s, now + patience_s, inputs, parents, body["children"])
        self.tick = body["tick"]
        for waiting in (self.messages, self.observations):
            for tick in [tick for tick in waiting if tick < self.tick]:
                del waiting[tick]
        if not agents_compute:
            return self._advance()
        everybody = [i for i in range(self.n_agents) if i != self.number]
        sent = self._to_agents("observation", everybody, obs)
        return sent + self._advance()

    def _from_agent(self, body: Body) -> list[Outgoing] | Refused:
        waiting = {"message": self.messages, "observation": self.observations}.get(body["kind"])
        size = self.width if body["kind"] == "message" else self.contract.obs_dim
        values = self._values(body["values"], size)
        is_peer = body["sender"] != self.number and body["sender"] < self.n_agents
        is_early = body["tick"] > self.tick + 1  # a faster agent can be one step ahead, and not more
        if waiting is None or values is None or not self.width or not is_peer or is_early:
            return Refused.UNEXPECTED
        is_open = self.turn is not None and self.turn.tick == body["tick"]
        if body["tick"] <= self.tick and not is_open:
            return Refused.LATE
        waiting.setdefault(body["tick"], {})[body["sender"]] = values
        return self._advance()

    def _advance(self, is_late: bool = False) -> list[Outgoing]:
        """Go as far as what has arrived allows; `is_late`: what is missing now will not be waited for."""
        turn = self.turn
        if turn is None:
            return []
        if turn.parents is None:
            known = self.observations.get(turn.tick, {})
            if len(known) < self.n_agents - 1 and not is_late:
                return []
            self._compute_dag(turn, known)
            is_late = False  # the messages have a deadline of their own
        assert turn.parents is not None
        arrived = self.messages.get(turn.tick, {})
        if any(parent not in arrived for parent in turn.parents) and not is_late:
            return []
        return self._act(turn, arrived)

    def _compute_dag(self, turn: Turn, known: dict[int, Array]) -> None:
        assert self.dag is not None
        for sender, obs in known.items():
            self.last_observations[sender] = obs
        self.last_observations[self.number] = turn.inputs["obs"][0]
        adjacency = self.dag({"context": self.last_observations[None]})["adjacency"][0]  # [N, N]
        turn.parents = np.flatnonzero(adjacency[:, self.number]).tolist()
        turn.children = np.flatnonzero(adjacency[self.number]).tolist()
        turn.deadline += turn.patience_s * int(depths(adjacency)[self.number])

    def _act(self, turn: Turn, arrived: dict[int, Array]) -> list[Outgoing]:
        assert turn.parents is not None
        inputs = turn.inputs
        n_missing = sum(parent not in arrived for parent in turn.parents)
        if self.width:
            self.last_messages.update(arrived)
            stale = self.last_messages if self.conduct.missing_message == "last" else arrived
            heard = {parent: stale[parent] for parent in turn.parents if parent in stale}
            inputs["messages"] = np.zeros((1, self.n_agents, self.width), np.float32)
            inputs["parents"] = np.zeros((1, self.n_agents), np.float32)
            for parent, values in heard.items():
                inputs["messages"][0, parent], inputs["parents"][0, parent] = values, 1.0
        outputs = self.policy(inputs)
        self.hidden, self.turn = outputs.get("next_hidden", self.hidden), None
        sent: list[Outgoing] = []
        if self.message is not None and turn.children:
            message = self.message({"action": outputs["action"], "obs": inputs["obs"]})["message"][0]  # [M]
            sent = self._to_agents("message", turn.children, message)
        faults = self.conduct.faults
        if faults.action_loss and faults.lost_actions(turn.tick, self.n_agents)[0, self.number]:
            self.counts["actions_lost"] += 1
            return sent
        action = int(outputs["action"][0])
        return [*sent, self._to_environment("action", tick=turn.tick, action=action, n_missing=n_missing)]

    def _to_agents(self, kind: str, receivers: list[int], values: Array) -> list[Outgoing]:
        """One frame for each; those that the faults lose are left out, and those that they delay go later."""
        faults, content = self.conduct.faults, np.ascontiguousarray(values, np.dtype("<f4")).tobytes()
        lost = delays = None
        if kind == "message" and faults.message_loss:
            lost = faults.lost_messages(self.tick, self.n_agents)[0, self.number]  # [N]
        if kind == "message" and faults.delay_ms:
            delays = faults.delays_ms(self.tick, self.n_agents)[0, self.number]  # [N]
        sent = []
        for receiver in receivers:
            if lost is not None and lost[receiver]:
                self.counts["messages_lost"] += 1
                continue
            frame = self.outbox.seal(kind, self.nonces[receiver], tick=self.tick, values=content)
            sent.append(Outgoing(receiver, frame, 0.0 if delays is None else float(delays[receiver]) / 1000))
            self.counts[f"{kind}s_sent"] += 1
            self.counts[f"{kind}_bytes"] += len(content)
            self.counts["frame_bytes"] += len(frame)
        return sent

    def _to_environment(self, kind: str, **fields: object) -> Outgoing:
        return Outgoing(ENVIRONMENT, self.outbox.seal(kind, self.environment, **fields))

    @staticmethod
    def _values(content: bytes, size: int) -> Array | None:
        """float32 [size]; None where these are other bytes, or no finite numbers."""
        if len(content) != 4 * size:
            return None
        values = np.frombuffer(content, np.dtype("<f4"))
        return values if np.isfinite(values).all() else None
