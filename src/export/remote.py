"""The environment's side of a team of processes: tells every agent what it sees, and collects what it does."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.core.extras import load
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import Array
from bn_mappo.export.runtime.contract import read_contract
from bn_mappo.export.runtime.dags import depths
from bn_mappo.export.runtime.network import OnnxNetwork
from bn_mappo.export.runtime.wire import ENVIRONMENT, MOST_BYTES, NONCE_BYTES, UNKNOWN, Body, Inbox, Outbox, Refused
from bn_mappo.export.team import read_team

START_S = 60.0  # for all agents to answer for the first time


class Waiting(NamedTuple):
    """For how long, and what happens then."""

    patience_ms: int = 50  # for each round of messages along the DAG, and for the answer to the environment
    missing_action: str = "last"  # last: an agent that does not answer repeats its action; first: it takes the first
    dag_by: Literal["coordinator", "agents"] = "coordinator"


class RemoteTeam:
    """Plays one game at a time in the evaluator, with every agent in a process of its own. It is also the coordinator:
    the environment knows the joint observation, and so computes the DAG, unless the agents do so themselves."""

    def __init__(
        self,
        folder: Path,
        addresses: Sequence[str],
        token: bytes,
        waiting: Waiting,
        on_tick: Callable[[int], None] = lambda tick: None,
    ):
        """`on_tick` is called before each step, such as to end an agent in it."""
        zmq = load("zmq")
        first = folder / read_team(folder)["agents"][0]
        self.contract, self.waiting, self.on_tick = read_contract(first), waiting, on_tick
        self.n_agents = self.contract.n_agents
        if len(addresses) != self.n_agents:
            raise ConfigError(f"{len(addresses)} addresses for the {self.n_agents} agents of {folder}")
        described = self.contract.communication
        self.coordinates = described is not None and waiting.dag_by == "coordinator"
        self.dag = OnnxNetwork(first, described.dag) if described is not None and self.coordinates else None
        if described is not None and described.dag_context == "state" and not self.coordinates:
            raise ConfigError(
                "--dag-by agents: this DAG is computed from the state, which no agents see: use --dag-by coordinator"
            )
        self.agent_ids = torch.eye(self.n_agents)  # [N, N]
        nonce = os.urandom(NONCE_BYTES)
        self.inbox, self.outbox = Inbox(token, nonce), Outbox(token, ENVIRONMENT)
        self.outbox.session = time.time_ns()
        self.inbox.begin(self.outbox.session)
        self.addresses, self.tick, self.n_missing_actions, self.n_missing_messages = list(addresses), -1, 0, 0
        self.zmq, self.context = zmq, zmq.Context()
        self.sockets = [self._connect(address) for address in addresses]
        self.poller = zmq.Poller()
        for socket in self.sockets:
            self.poller.register(socket, zmq.POLLIN)
        self.nonces = self._meet(nonce)

    def _connect(self, address: str) -> Any:
        socket = self.context.socket(self.zmq.DEALER)
        socket.setsockopt(self.zmq.LINGER, 0)
        socket.setsockopt(self.zmq.MAXMSGSIZE, 4 * MOST_BYTES)
        try:
            socket.connect(address)
        except self.zmq.ZMQError as error:
            raise ConfigError(f"{address} is no address such as tcp://127.0.0.1:5555: {error}") from error
        return socket

    def _meet(self, nonce: bytes) -> list[bytes]:
        """Say hello to every agent, and tell each where the others are; returns their nonces."""
        for socket in self.sockets:
            socket.send(self.outbox.seal("hello", UNKNOWN, reply_to=nonce))
        ready = self._collect("ready", time.monotonic() + START_S)
        missing = [i for i in range(self.n_agents) if i not in ready]
        if missing:
            where = ", ".join(f"{i} at {self.addresses[i]}" for i in missing)
            raise RunError(f"no answer from agents {where}: are they running, with this token?")
        nonces = [ready[i]["own_nonce"] for i in range(self.n_agents)]
        self._tell_all(nonces, "peers", [{"nonces": nonces, "addresses": self.addresses}] * self.n_agents)
        return nonces

    def init_hidden(self, batch_size: int) -> Tensor:
        """Nothing: the agents keep their states themselves."""
        return torch.zeros(batch_size, self.n_agents, 0)

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """None: the agents take their likeliest actions."""
        if not greedy:
            raise ValueError("agents in processes of their own are greedy")
        return {}

    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in one game."""
        if len(step.obs) != 1:
            raise ValueError(f"{len(step.obs)} games: a team of processes plays one at a time")
        self.tick += 1
        self.on_tick(self.tick)
        adjacency = np.zeros((self.n_agents, self.n_agents))
        if self.dag is not None and self.contract.communication is not None:
            context = step.state if self.contract.communication.dag_context == "state" else step.obs
            adjacency = self.dag({"context": context.numpy()})["adjacency"][0]  # [N, N]
        rounds = depths(adjacency)  # [N]
        self._tell_all(
            self.nonces, "act", [self._act(step, i, adjacency, int(rounds[i])) for i in range(self.n_agents)]
        )
        most_rounds = int(rounds.max()) if self.coordinates or not self.contract.communication else self.n_agents
        deadline = time.monotonic() + (most_rounds + 1) * self.waiting.patience_ms / 1000
        answers = self._collect("action", deadline)
        self.n_missing_messages += sum(answer["n_missing"] for answer in answers.values())
        actions = np.array([self._action(step, i, answers.get(i)) for i in range(self.n_agents)])  # [N]
        shown = torch.from_numpy(adjacency).float()[None] if self.coordinates else None
        return Selection(torch.from_numpy(actions)[None], hidden, {}, shown)

    def _act(self, step: Step, agent: int, adjacency: Array, depth: int) -> Body:
        """What one agent is told in this step."""
        agents_compute = not self.coordinates and self.contract.communication is not None
        avail = step.avail_actions
        return {
            "tick": self.tick,
            "start": bool(step.episode_start[0] > 0),
            "obs": step.obs[0, agent].numpy().astype("<f4").tobytes(),
            "avail_actions": b"" if avail is None else avail[0, agent].numpy().astype(np.uint8).tobytes(),
            "last_action": int(step.last_actions[0, agent]),
            "parents": np.flatnonzero(adjacency[:, agent]).tolist(),
            "children": np.flatnonzero(adjacency[agent]).tolist(),
            "patience_ms": self.waiting.patience_ms * (1 if agents_compute else depth),
        }

    def _action(self, step: Step, agent: int, answer: Body | None) -> int:
        """The action of an agent: its answer or, where none that can be played has come, what stands for it."""
        avail = None if step.avail_actions is None else step.avail_actions[0, agent].numpy()
        possible = np.ones(self.contract.n_actions, dtype=bool) if avail is None else avail
        if answer is not None and answer["action"] < len(possible) and possible[answer["action"]]:
            return int(answer["action"])
        self.n_missing_actions += 1
        last = int(step.last_actions[0, agent])
        return (
            last if self.waiting.missing_action == "last" and last >= 0 and possible[last] else int(possible.argmax())
        )

    def _tell_all(self, nonces: Sequence[bytes], kind: str, fields: Sequence[Body]) -> None:
        for socket, nonce, content in zip(self.sockets, nonces, fields, strict=True):
            with suppress(self.zmq.Again):  # its queue is full, for it has long been dead: it will count as missing
                socket.send(self.outbox.seal(kind, nonce, **content), self.zmq.NOBLOCK)

    def _collect(self, kind: str, deadline: float) -> dict[int, Body]:
        """The answers of one kind by agent, for this step, until all are there or time is up."""
        found: dict[int, Body] = {}
        while len(found) < self.n_agents:
            left_ms = int(1000 * (deadline - time.monotonic()))
            ready = dict(self.poller.poll(max(left_ms, 0)))
            for number, socket in enumerate(self.sockets):
                if socket not in ready:
                    continue
                body = self.inbox.open(socket.recv())
                if body is None:
                    continue
                if body["sender"] != number or body["kind"] != kind:
                    self.inbox.refuse(Refused.UNEXPECTED)
                elif body.get("tick", self.tick) != self.tick:
                    self.inbox.refuse(Refused.LATE)
                else:
                    found[number] = body
            if left_ms <= 0 and not ready:
                break
        return found

    def counts(self, wait_s: float = 1.0) -> dict[str, int]:
        """What agents and environment have read, sent, lost and refused, summed up."""
        self._tell_all(self.nonces, "count", [{}] * self.n_agents)
        total: dict[str, int] = {f"environment_{name}": n for name, n in self.inbox.refused.items()}
        for body in self._collect("counts", time.monotonic() + wait_s).values():
            for name, n in body["counts"].items():
                total[name] = total.get(name, 0) + n
        return {**total, "missing_messages": self.n_missing_messages, "missing_actions": self.n_missing_actions}

    def close(self, stop_agents: bool = True) -> None:
        """End the session and, unless they are to wait for another, the agents."""
        if stop_agents:
            self._tell_all(self.nonces, "stop", [{}] * self.n_agents)
        self.context.destroy(linger=200)
