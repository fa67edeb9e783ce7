"""The process of one agent: `python -m bn_mappo.export.runtime.process FOLDER`, with the token in the environment.

It prints one line of JSON, its number and the address that it listens on, and ends with its session, or on SIGTERM.
"""

import argparse
import heapq
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.core.extras import load
from bn_mappo.export.runtime.agent import Agent, Conduct, Outgoing, load_networks
from bn_mappo.export.runtime.contract import read_contract
from bn_mappo.export.runtime.faults import Faults
from bn_mappo.export.runtime.wire import ENVIRONMENT, MOST_BYTES, NONCE_BYTES, SHORTEST_TOKEN

TOKEN = "BN_MAPPO_TOKEN"  # the environment variable: no list of processes shows it
LOOPBACK = "127.0.0.1"
WAIT_MS = 200  # for a frame, before signals are looked at


class Sockets:
    """The agent's own socket, where frames come in and answers to the environment go out, and one to each child."""

    def __init__(self, host: str, port: int):
        zmq = load("zmq")
        self.zmq, self.context = zmq, zmq.Context()
        self.own = self._socket(zmq.ROUTER)
        try:
            self.own.bind(f"tcp://{host}:{port or '*'}")
        except zmq.ZMQError as error:
            raise ConfigError(f"--host {host} --port {port}: cannot listen there: {error}") from error
        self.address: str = self.own.getsockopt_string(zmq.LAST_ENDPOINT)
        self.environment = b""  # the identity of its connection
        self.others: dict[str, Any] = {}  # by address
        self.unsent = 0

    def _socket(self, kind: int) -> Any:
        socket = self.context.socket(kind)
        socket.setsockopt(self.zmq.LINGER, 0)
        socket.setsockopt(self.zmq.MAXMSGSIZE, 4 * MOST_BYTES)
        socket.setsockopt(self.zmq.RCVHWM, 1000)
        socket.setsockopt(self.zmq.SNDHWM, 100)
        return socket

    def receive(self, wait_ms: int) -> tuple[bytes, bytes] | None:
        """Identity of the connection and frame; None where nothing has come in time. More than one part is no frame."""
        if not self.own.poll(wait_ms):
            return None
        parts = self.own.recv_multipart()
        return (parts[0], parts[1]) if len(parts) == 2 else (parts[0], b"")

    def send(self, frame: bytes, address: str | None) -> None:
        """To the environment, or to the agent at an address; what cannot be sent at once is lost, and counted."""
        try:
            if address is None:
                self.own.send_multipart([self.environment, frame], self.zmq.NOBLOCK)
                return
            if address not in self.others:
                self.others[address] = self._socket(self.zmq.DEALER)
                self.others[address].connect(address)
            self.others[address].send(frame, self.zmq.NOBLOCK)
        except self.zmq.ZMQError:
            self.unsent += 1

    def close(self) -> None:
        """Close them all."""
        self.context.destroy(linger=100)


def run(agent: Agent, sockets: Sockets, parent: int) -> None:
    """Until the environment says stop, or a signal does, or the parent process has gone (0: whoever that is)."""
    later: list[tuple[float, int, Outgoing]] = []  # frames that faults delay, by time
    n_later = 0
    stopped: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda number, _: stopped.append(number))
    while not agent.is_over and not stopped and parent in (0, os.getppid()):
        now = time.monotonic()
        times = [entry[0] for entry in later[:1]] + ([agent.turn.deadline] if agent.turn is not None else [])
        wait_ms = min([WAIT_MS, *[max(0, int(1000 * (when - now)) + 1) for when in times]])
        received = sockets.receive(wait_ms)
        outgoing: list[Outgoing] = []
        if received is not None:
            session = agent.inbox.session
            outgoing += agent.handle(received[1], time.monotonic())
            if agent.inbox.session != session:
                sockets.environment = received[0]
        now = time.monotonic()
        outgoing += agent.poll(now)
        while later and later[0][0] <= now:
            outgoing.append(heapq.heappop(later)[2]._replace(delay_s=0.0))
        for message in outgoing:
            if message.delay_s > 0:
                n_later += 1
                heapq.heappush(later, (now + message.delay_s, n_later, message))
            else:
                sockets.send(message.frame, None if message.to == ENVIRONMENT else agent.addresses[message.to])
    sockets.close()


def read_token() -> bytes:
    """The token of this team; ConfigError where there is none that keeps anybody out."""
    token = os.environ.get(TOKEN, "")
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"${TOKEN} has {len(token)} characters: give a secret of at least {SHORTEST_TOKEN}")
    return token.encode()


def conduct_of(text: str) -> Conduct:
    """A conduct from JSON, as `launch` writes it."""
    content = json.loads(text)
    return Conduct(**{**content, "faults": Faults(**content.pop("faults", {}))})


def main() -> int:
    """Serve one agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder of one agent")
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen on (default: {LOOPBACK}, this machine)")
    parser.add_argument("--port", type=int, default=0, help="default: one that is free")
    parser.add_argument("--parent", type=int, default=0, help="process to end with (default: none)")
    parser.add_argument("--conduct", default="{}", help="JSON: how it deals with the others")
    options = parser.parse_args()
    try:
        contract = read_contract(options.folder)
        networks = load_networks(options.folder, contract)
        agent = Agent(contract, networks, read_token(), os.urandom(NONCE_BYTES), conduct_of(options.conduct))
        sockets = Sockets(options.host, options.port)
    except ConfigError as error:
        fail(error, 2)
    print(json.dumps({"agent": agent.number, "address": sockets.address}), flush=True)
    run(agent, sockets, options.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
