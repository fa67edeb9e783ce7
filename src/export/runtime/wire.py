"""Messages between processes: signed, counted, and refused where they are anything but what they should be.

A frame is HMAC-SHA256(token, body) followed by the body, a map in msgpack. Every body names its kind, its sender, the
session, the nonce of its receiver (drawn when that process began) and a number that rises from message to message. So
who has no token can send nothing that is read, and what is recorded cannot be sent again: not in the same session, nor
to a process that has been started anew. Nothing is ever unpickled. The token keeps others out; it hides nothing from
who can read the network.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from bn_mappo.core.extras import load

ENVIRONMENT = -1  # the number of the process that plays the environment; agents are 0 to N - 1
SIGNATURE_BYTES, NONCE_BYTES = 32, 16
MOST_BYTES = 65_536  # of a frame; the library itself cuts connections at four times as many
LARGEST_INT = 2**62
SHORTEST_TOKEN = 16  # characters
UNKNOWN = b"\0" * NONCE_BYTES  # the nonce of a receiver that has not told its own yet

Body = dict[str, Any]
Check = Callable[[Any], bool]


class Refused(StrEnum):
    """Why a message was not read."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"  # no map in msgpack, or a map of other fields than its kind has
    FORGED = "forged"  # not signed with our token
    REPLAYED = "replayed"  # of another session, for another process, or with a number that has been there
    LATE = "late"  # for a step that is over
    UNEXPECTED = "unexpected"  # in order, but nothing that this process waits for


def integer(low: int, high: int = LARGEST_INT) -> Check:
    """An integer within limits."""
    return lambda value: type(value) is int and low <= value <= high


def octets(least: int, most: int) -> Check:
    """Bytes, so many."""
    return lambda value: type(value) is bytes and least <= len(value) <= most


def is_bool(value: Any) -> bool:
    """True or False."""
    return type(value) is bool


def list_of(check: Check, most: int) -> Check:
    """A list of at most so many values."""
    return lambda value: type(value) is list and len(value) <= most and all(map(check, value))


def is_counts(value: Any) -> bool:
    """Numbers by name."""
    return (
        type(value) is dict
        and len(value) <= 64
        and all(type(name) is str and len(name) <= 64 and type(n) is int and n >= 0 for name, n in value.items())
    )


MOST_AGENTS = 256
AGENT = integer(0, MOST_AGENTS - 1)
TICK = integer(0)
AGENTS = list_of(AGENT, MOST_AGENTS)
VALUES = octets(0, MOST_BYTES)  # float32; whoever reads it knows how many there must be

KINDS: Mapping[str, Mapping[str, Check]] = {
    # from the environment
    "hello": {"reply_to": octets(NONCE_BYTES, NONCE_BYTES)},
    "peers": {
        "nonces": list_of(octets(NONCE_BYTES, NONCE_BYTES), MOST_AGENTS),
        "addresses": list_of(lambda value: type(value) is str and len(value) <= 256, MOST_AGENTS),
    },
    "act": {
        "tick": TICK,
        "start": is_bool,  # of an episode
        "obs": VALUES,
        "avail_actions": octets(0, 4096),  # a byte an action; empty: all can be taken
        "last_action": integer(-1, 4095),
        "parents": AGENTS,
        "children": AGENTS,
        "patience_ms": integer(0, 600_000),  # for the messages of the parents
    },
    "count": {},
    "stop": {},
    # from agents to the environment
    "ready": {"own_nonce": octets(NONCE_BYTES, NONCE_BYTES), "n_agents": integer(1, MOST_AGENTS)},
    "action": {"tick": TICK, "action": integer(0, 4095), "n_missing": integer(0, MOST_AGENTS)},
    "counts": {"counts": is_counts},
    # between agents
    "message": {"tick": TICK, "values": VALUES},
    "observation": {"tick": TICK, "values": VALUES},
}
HEAD: Mapping[str, Check] = {
    "kind": lambda value: type(value) is str,
    "sender": integer(ENVIRONMENT, MOST_AGENTS - 1),
    "session": integer(1),
    "nonce": octets(NONCE_BYTES, NONCE_BYTES),
    "number": integer(1),
}


def sign(token: bytes, body: bytes) -> bytes:
    """The frame of a packed body."""
    return hmac.digest(token, body, "sha256") + body


def is_well_formed(body: Any) -> bool:
    """Whether a body has the fields of its kind and no others, each with a value that it can have."""
    if type(body) is not dict or not all(name in body and check(body[name]) for name, check in HEAD.items()):
        return False
    fields = KINDS.get(body["kind"])
    if fields is None or body.keys() != HEAD.keys() | fields.keys():
        return False
    return all(check(body[name]) for name, check in fields.items())


class Outbox:
    """Signs and numbers what one process sends."""

    def __init__(self, token: bytes, sender: int):
        self.token, self.sender, self.session, self.number = token, sender, 1, 0
        self.pack: Callable[[Any], bytes] = load("msgpack").packb

    def seal(self, kind: str, nonce: bytes, **fields: Any) -> bytes:
        """A frame for the process with this nonce."""
        self.number += 1
        head = {"kind": kind, "sender": self.sender, "session": self.session, "nonce": nonce, "number": self.number}
        return sign(self.token, self.pack({**head, **fields}))


class Inbox:
    """Reads what one process receives, or refuses and counts it. Never raises, whatever it is given."""

    def __init__(self, token: bytes, nonce: bytes):
        self.token, self.nonce, self.session = token, nonce, 0
        self.numbers: dict[int, int] = {}  # the highest number of every sender in this session
        self.refused: Counter[str] = Counter()
        self.msgpack = load("msgpack")

    def begin(self, session: int) -> None:
        """From here on messages of this session count, and of no other."""
        self.session, self.numbers = session, {}

    def open(self, frame: bytes) -> Body | None:
        """The body of a frame; None where it is refused."""
        body = self._checked(frame)
        if isinstance(body, Refused):
            self.refuse(body)
            return None
        self.numbers[body["sender"]] = body["number"]
        return body

    def refuse(self, why: Refused) -> None:
        """Count a message that is not read."""
        self.refused[str(why)] += 1

    def _checked(self, frame: bytes) -> Body | Refused:
        if len(frame) > MOST_BYTES:
            return Refused.OVERSIZED
        packed = frame[SIGNATURE_BYTES:]
        if not hmac.compare_digest(hmac.digest(self.token, packed, "sha256"), frame[:SIGNATURE_BYTES]):
            return Refused.FORGED
        try:
            body = self.msgpack.unpackb(packed, raw=False, strict_map_key=True)
        except (ValueError, TypeError, RecursionError, self.msgpack.exceptions.UnpackException):
            return Refused.MALFORMED
        if not is_well_formed(body):
            return Refused.MALFORMED
        if body["kind"] == "hello":  # it begins a session, later than the last
            if body["sender"] != ENVIRONMENT:
                return Refused.UNEXPECTED
            if body["nonce"] != UNKNOWN or body["session"] <= self.session:
                return Refused.REPLAYED
            self.begin(body["session"])
            return body
        if body["session"] != self.session or body["nonce"] != self.nonce:
            return Refused.REPLAYED
        return body if body["number"] > self.numbers.get(body["sender"], 0) else Refused.REPLAYED
