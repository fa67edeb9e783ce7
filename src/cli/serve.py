"""Command line: bn-mappo serve DIR lets exported agents listen, for an environment that plays with them elsewhere."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bn_mappo.core.errors import ConfigError, RunError, fail
from bn_mappo.core.files import write_whole
from bn_mappo.core.program import program

DESCRIPTION = """Starts one process per agent of an exported team, each on onnxruntime alone, and writes where they
listen. They belong to whoever knows the token: set the variable BN_MAPPO_TOKEN (16 characters or more) here and where
`play` runs. Without it, one is made and written to TOKEN_FILE, readable by its owner alone. Ctrl-C ends them."""


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog=program("serve"), description=DESCRIPTION)
    parser.add_argument("folder", type=Path, metavar="DIR", help="what bn-mappo export has written")
    parser.add_argument("--agent", type=int, action="append", metavar="I", help="only this one; may be repeated")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument(
        "--port", type=int, default=0, help="of the first agent, the others follow (default: free ones)"
    )
    parser.add_argument(
        "--dag-by", choices=("coordinator", "agents"), default="coordinator", help="who computes the DAG"
    )
    parser.add_argument("--missing-message", choices=("none", "last"), default="none", help="what stands for one")
    parser.add_argument("--agents", type=Path, default=Path("agents.json"), metavar="FILE", help="default: agents.json")
    parser.add_argument("--token-file", type=Path, default=Path("agents.token"), help="default: agents.token")
    return parser


def serve(options: argparse.Namespace) -> None:
    """Start the agents, say where they are, and wait for them to end."""
    from bn_mappo.export.launch import Agents, new_token
    from bn_mappo.export.runtime.agent import Conduct
    from bn_mappo.export.runtime.process import TOKEN, read_token
    from bn_mappo.export.team import read_team

    n_agents = len(read_team(options.folder)["agents"])
    for number in options.agent or ():
        if not 0 <= number < n_agents:
            raise ConfigError(f"--agent {number}: the agents are 0 to {n_agents - 1}")
    if not 0 <= options.port <= 65_535 - n_agents:
        raise ConfigError(f"--port {options.port}: give a number from 1 to {65_535 - n_agents}, or 0 for free ones")
    if os.environ.get(TOKEN):
        token, where = read_token().decode(), f"${TOKEN}"
    else:
        token, where = new_token(), str(options.token_file)
        options.token_file.unlink(missing_ok=True)
        with os.fdopen(os.open(options.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
    conduct = Conduct(dag_by=options.dag_by, missing_message=options.missing_message)
    with Agents(options.folder, token, conduct, options.agent, options.host, options.port) as agents:
        pairs = zip(agents.numbers, agents.addresses, strict=True)
        content = {"agents": [{"agent": number, "address": address} for number, address in pairs]}
        write_whole(options.agents, (json.dumps(content, indent=2) + "\n").encode())
        for entry in content["agents"]:
            print(f"agent {entry['agent']}: {entry['address']}")
        flags = f" --dag-by {options.dag_by}" * (options.dag_by != "coordinator")
        print(f"Token: {where}\nPlay:  {TOKEN}=... {program('play')} {options.folder} --agents {options.agents}{flags}")
        sys.stdout.flush()
        agents.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 2 with one message for a user's mistake, 1 where an agent could not start."""
    options = make_parser().parse_args(arguments)
    try:
        serve(options)
    except KeyboardInterrupt:
        return 0
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except (ConfigError, OSError) as error:
        fail(error, 2)
    return 0
