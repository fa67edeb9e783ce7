"""Agents as machines that are fed frames: what they refuse, and that whatever they are fed breaks nothing."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

msgpack = pytest.importorskip("msgpack")

from bn_mappo.controllers.basic_controller import Step  # noqa: E402
from bn_mappo.export.folder import write_agent  # noqa: E402
from bn_mappo.export.recording import Steps  # noqa: E402
from bn_mappo.export.runtime.agent import Agent, Conduct, Networks  # noqa: E402
from bn_mappo.export.runtime.contract import NetworkFile  # noqa: E402
from bn_mappo.export.runtime.dags import depths  # noqa: E402
from bn_mappo.export.runtime.faults import Faults  # noqa: E402
from bn_mappo.export.runtime.wire import (  # noqa: E402
    ENVIRONMENT,
    MOST_BYTES,
    UNKNOWN,
    Inbox,
    Outbox,
    Refused,
    sign,
)
from export.exported import sharpen  # noqa: E402
from helpers import make_config, make_rollout  # noqa: E402

TOKEN = b"a token for tests"
NONCES = [bytes([i]) * 16 for i in range(3)]
ENVIRONMENT_NONCE = b"e" * 16


class Team:
    """Three agents, each a parent of all later ones, straight from the controller: nothing is written."""

    file_format = "onnx"

    def __init__(self):
        config = make_config(env="coordination_game", dag__generator="full", env_args__n_agents=3, fusion="hidden")
        self.mac = make_rollout(config)[0].mac
        sharpen(self.mac)
        adjacency = np.triu(np.ones((1, 3, 3), np.float32), 1)
        steps = Steps(None, None, None, None, None, adjacency, None, None)
        self.agents, self.made = [], {}
        for number in range(3):
            contract = write_agent(self.mac, self.mac.info, number, Path(), self, True, steps)
            self.agents.append((contract, Networks(*(self.made[name] for name in ("policy", "message", "dag")))))

    def write(self, graph, folder):
        """Instead of a NetworkWriter: the module itself as a function of arrays."""

        @torch.inference_mode()
        def network(inputs):
            values = graph.module(**{name: torch.tensor(inputs[name]) for name in graph.example})
            values = values if isinstance(values, tuple) else (values,)
            return {port.name: value.numpy() for port, value in zip(graph.outputs, values, strict=True)}

        self.made[graph.name] = network
        return NetworkFile(file="", inputs=graph.inputs, outputs=graph.outputs)

    def write_again(self, name, folder):
        return None

    def agent(self, number: int, nonce: bytes, conduct: Conduct) -> Agent:
        return Agent(*self.agents[number], TOKEN, nonce, conduct)

    def expected(self) -> list[int]:
        """The controller's own joint action where agent i sees the i-th unit vector."""
        obs, state = torch.eye(3).unsqueeze(0), torch.zeros(1, 3)
        step = Step(obs, state, None, torch.full((1, 3), -1), torch.ones(1))
        return self.mac.select_actions(step, self.mac.init_hidden(1), {}).actions[0].tolist()


@pytest.fixture(scope="module")
def team() -> Team:
    return Team()


class Meeting:
    """The environment's hand, and three agents that have been told of one another."""

    def __init__(self, team: Team, **conduct):
        self.environment = Outbox(TOKEN, ENVIRONMENT)
        self.environment.session = 5
        self.answers = Inbox(TOKEN, ENVIRONMENT_NONCE)
        self.answers.begin(5)
        self.agents = [team.agent(i, NONCES[i], Conduct(**conduct)) for i in range(3)]
        self.hello()

    def hello(self) -> None:
        for i, agent in enumerate(self.agents):
            assert len(agent.handle(self.environment.seal("hello", UNKNOWN, reply_to=ENVIRONMENT_NONCE), 0.0)) == 1
            agent.handle(self.environment.seal("peers", NONCES[i], nonces=NONCES, addresses=["tcp://x"] * 3), 0.0)

    def act(self, agent: int, tick: int, parents=(), children=(), **changes) -> bytes:
        obs = np.eye(3, dtype="<f4")[agent]
        fields = {
            "tick": tick, "start": tick == 0, "obs": obs.tobytes(), "avail_actions": b"", "last_action": -1,
            "parents": list(parents), "children": list(children), "patience_ms": 100,
        }  # fmt: skip
        return self.environment.seal("act", NONCES[agent], **{**fields, **changes})

    def body(self, outgoing) -> dict:
        body = self.answers.open(outgoing.frame)
        assert body is not None
        return body


def test_a_child_waits_for_its_parents_and_acts_as_the_team_does(team):
    meeting = Meeting(team)
    assert meeting.agents[2].handle(meeting.act(2, 0, parents=[0, 1]), 0.0) == []
    assert meeting.agents[1].handle(meeting.act(1, 0, parents=[0], children=[2]), 0.0) == []
    first = meeting.agents[0].handle(meeting.act(0, 0, children=[1, 2]), 0.0)
    assert [message.to for message in first] == [1, 2, ENVIRONMENT]
    second = meeting.agents[1].handle(first[0].frame, 0.01)
    assert [message.to for message in second] == [2, ENVIRONMENT]
    assert meeting.agents[2].handle(second[0].frame, 0.02) == []  # one parent is not enough
    third = meeting.agents[2].handle(first[1].frame, 0.03)
    bodies = [meeting.body(messages[-1]) for messages in (first, second, third)]
    assert [body["action"] for body in bodies] == team.expected()
    assert [body["n_missing"] for body in bodies] == [0, 0, 0]


def test_what_does_not_come_is_waited_for_and_then_missing(team):
    meeting = Meeting(team)
    agent = meeting.agents[1]
    assert agent.handle(meeting.act(1, 0, parents=[0]), 10.0) == [] and agent.poll(10.09) == []
    (answer,) = agent.poll(10.11)
    assert meeting.body(answer)["n_missing"] == 1
    message = meeting.agents[0].handle(meeting.act(0, 0, children=[1]), 10.2)[0]
    assert agent.handle(message.frame, 10.2) == [] and agent.inbox.refused == {Refused.LATE: 1}


@pytest.mark.parametrize("missing", ["none", "last"])
def test_the_last_message_can_stand_for_a_missing_one(team, missing):
    meeting = Meeting(team, missing_message=missing)
    agent = meeting.agents[1]
    inputs = []
    policy = agent.policy
    agent.policy = lambda given: inputs.append({name: x.copy() for name, x in given.items()}) or policy(given)
    message = meeting.agents[0].handle(meeting.act(0, 0, children=[1]), 0.0)[0]
    agent.handle(message.frame, 0.0)  # before its own turn: a faster parent
    agent.handle(meeting.act(1, 0, parents=[0]), 0.0)
    agent.handle(meeting.act(1, 1, parents=[0]), 1.0)
    agent.poll(2.0)
    agent.handle(meeting.act(1, 2, parents=[0], start=True), 3.0)  # an episode ends all memory
    agent.poll(4.0)
    assert [given["parents"][0].tolist() for given in inputs] == [
        [1, 0, 0],
        [float(missing == "last"), 0, 0],
        [0, 0, 0],
    ]
    same = np.array_equal(inputs[0]["messages"], inputs[1]["messages"])
    assert same == (missing == "last") and inputs[0]["messages"].any() and not inputs[2]["messages"].any()


def test_agents_can_compute_the_dag_from_each_others_observations(team):
    told, own = Meeting(team), Meeting(team, dag_by="agents")
    first = told.agents[0].handle(told.act(0, 0, children=[1, 2]), 0.0)
    second = [
        told.agents[1].handle(frame, 0.0) for frame in (told.act(1, 0, parents=[0], children=[2]), first[0].frame)
    ][1]
    expected = [told.body(messages[-1])["action"] for messages in (first, second)]

    waiting = [(i, message) for i in range(3) for message in own.agents[i].handle(own.act(i, 0), 0.0)]
    assert len(waiting) == 6  # everybody's observation to everybody else
    actions = {}
    while waiting:
        sender, message = waiting.pop(0)
        if message.to == ENVIRONMENT:
            actions[sender] = own.body(message)["action"]
        else:
            waiting += [(message.to, answer) for answer in own.agents[message.to].handle(message.frame, 0.0)]
    assert [actions[0], actions[1]] == expected and len(actions) == 3
    assert own.agents[0].counts["observation_bytes"] == 2 * 4 * 3


def test_what_is_wrong_is_refused_and_counted(team):
    meeting = Meeting(team)
    agent, good = meeting.agents[0], meeting.act(0, 0)
    stranger = Outbox(b"another token", ENVIRONMENT)
    stranger.session = 5
    old = meeting.act(0, 1)
    cases = [
        (b"x" * (MOST_BYTES + 1), Refused.OVERSIZED),
        (b"", Refused.FORGED),
        (good[:-1], Refused.FORGED),
        (stranger.seal("stop", NONCES[0]), Refused.FORGED),
        (sign(TOKEN, b"\xc1"), Refused.MALFORMED),
        (sign(TOKEN, msgpack.packb([1, 2])), Refused.MALFORMED),
        (meeting.environment.seal("act", NONCES[0], tick=0), Refused.MALFORMED),
        (meeting.environment.seal("stop", NONCES[0], more=1), Refused.MALFORMED),
        (meeting.environment.seal("stop", NONCES[1]), Refused.REPLAYED),  # for another agent
        (meeting.environment.seal("hello", UNKNOWN, reply_to=ENVIRONMENT_NONCE), Refused.REPLAYED),  # no later session
        (meeting.act(0, 2, obs=b"1234"), Refused.UNEXPECTED),
        (meeting.act(0, 2, obs=np.full(3, np.nan, "<f4").tobytes()), Refused.UNEXPECTED),
        (meeting.act(0, 2, children=[3]), Refused.UNEXPECTED),
        (meeting.act(0, 2, children=[0]), Refused.UNEXPECTED),
        (meeting.environment.seal("message", NONCES[0], tick=0, values=b""), Refused.UNEXPECTED),
    ]
    for frame, why in cases:
        before = agent.inbox.refused[why]
        assert agent.handle(frame, 0.0) == [] and agent.inbox.refused[why] == before + 1, why
    assert agent.handle(old, 0.0) == [] and agent.handle(good, 0.0) == []  # numbers only rise
    assert agent.inbox.refused[Refused.REPLAYED] == 4 and not agent.is_over
    assert meeting.body(agent.handle(meeting.act(0, 3), 0.0)[0])["tick"] == 3
    late = meeting.act(0, 3)
    assert agent.handle(late, 0.0) == [] and agent.inbox.refused[Refused.LATE] == 1


def test_a_session_that_was_recorded_means_nothing_to_an_agent_that_has_been_started_anew(team):
    meeting = Meeting(team)
    recorded = meeting.act(0, 0)
    again = team.agent(0, b"n" * 16, Conduct())
    hello = Outbox(TOKEN, ENVIRONMENT)
    hello.session = 5
    again.handle(hello.seal("hello", UNKNOWN, reply_to=ENVIRONMENT_NONCE), 0.0)
    assert again.handle(recorded, 0.0) == [] and again.inbox.refused == {Refused.REPLAYED: 1}


def mutated(frame: bytes, draw: random.Random) -> bytes:
    """A frame with something wrong, often signed with the right token: who attacks may be one of us."""
    body = bytearray(frame[32:])
    kind = draw.randrange(6)
    if kind == 0:
        return draw.randbytes(draw.randrange(200))
    if kind == 1:
        return frame[: draw.randrange(len(frame))]
    if kind == 2:
        for _ in range(draw.randrange(1, 8)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        return sign(TOKEN, bytes(body))
    if kind == 3:
        return sign(TOKEN, draw.randbytes(draw.randrange(200)))
    values = msgpack.unpackb(bytes(body))
    name = draw.choice(list(values))
    junk = [None, True, -1, 2**63 - 1, 1.5, "x" * draw.randrange(300), draw.randbytes(16), [], [1] * 300, {}, {"a": -1}]
    values[name] = draw.choice(junk)
    if kind == 5:
        values["number"] = draw.randrange(2**40)
        values.pop(draw.choice(list(values)))
    return sign(TOKEN, msgpack.packb(values))


def test_10_000_fuzzed_messages_crash_nothing(team):
    draw, meeting = random.Random(17), Meeting(team)
    agent, peer = meeting.agents[1], Outbox(TOKEN, 0)
    peer.session, tick = 5, 0
    frames = [
        lambda: meeting.act(1, tick, parents=[0], children=[2]),
        lambda: peer.seal("message", NONCES[1], tick=tick, values=b"\0" * 8),
        lambda: peer.seal("observation", NONCES[1], tick=tick, values=b"\0" * 12),
        lambda: meeting.environment.seal("count", NONCES[1]),
        lambda: meeting.environment.seal("peers", NONCES[1], nonces=NONCES, addresses=["tcp://x"] * 3),
        lambda: meeting.environment.seal("hello", UNKNOWN, reply_to=ENVIRONMENT_NONCE),
    ]
    before = agent.counts["read"]
    for _ in range(10_000):
        agent.handle(mutated(draw.choice(frames)(), draw), 0.0)
        agent.poll(draw.random())
    read = agent.counts["read"] - before
    assert sum(agent.inbox.refused.values()) == 10_000 - read
    assert {Refused.FORGED, Refused.MALFORMED, Refused.REPLAYED} <= set(agent.inbox.refused) and read < 2_000
    assert all(len(waiting) <= 2 for waiting in (agent.messages, agent.observations))

    meeting.environment.session = agent.inbox.session + 1  # it plays on as if nothing had been
    meeting.environment.number = 0
    agent.handle(meeting.environment.seal("hello", UNKNOWN, reply_to=ENVIRONMENT_NONCE), 0.0)
    fresh = Meeting(team).agents[1]
    inputs = {"obs": np.eye(3, dtype=np.float32)[1:2], "messages": np.zeros((1, 3, 2), np.float32)}
    inputs["parents"] = np.zeros((1, 3), np.float32)
    expected = fresh.policy(inputs)["action"][0]
    (answer,) = agent.handle(meeting.act(1, 0), 0.0)
    assert msgpack.unpackb(answer.frame[32:])["action"] == expected


def test_depths_are_the_longest_paths():
    adjacency = np.zeros((5, 5))
    for parent, child in ((0, 1), (1, 2), (0, 2), (3, 4)):
        adjacency[parent, child] = 1
    assert depths(adjacency).tolist() == [0, 1, 2, 0, 1]
    cycle = np.array([[0, 1], [1, 0]])
    assert depths(cycle).max() <= 2


def test_faults_come_as_often_as_they_should_and_again_from_the_same_seed():
    faults = Faults(message_loss=0.2, action_loss=0.5, delay_ms=30.0, seed=3, dead_agent=1, dead_tick=7)
    lost = np.stack([faults.lost_messages(tick, 4, 50) for tick in range(20)])
    delays = np.stack([faults.delays_ms(tick, 4, 50) for tick in range(20)])
    assert lost.mean() == pytest.approx(0.2, abs=0.02)
    assert delays.mean() == pytest.approx(30.0, rel=0.05) and (delays > 60).mean() == pytest.approx(
        np.exp(-2), abs=0.02
    )
    assert np.array_equal(lost[4], faults.lost_messages(4, 4, 50)) and not np.array_equal(lost[4], lost[5])
    assert np.array_equal(faults.lost_messages(3, 4)[0], faults.lost_messages(3, 4, 1)[0])
    assert faults.lost_actions(7, 4, 50)[:, 1].all() and not faults.lost_actions(6, 4, 50)[:, 1].all()
