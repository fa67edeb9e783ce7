"""The command bn-mappo: training and evaluation by --config and --env-config, and commands with a name of their own."""

import importlib
import sys
import warnings
from collections.abc import Sequence

from bn_mappo.core.errors import fail, unknown
from bn_mappo.core.secrets import conceal

COMMANDS = {  # name: module with main(arguments) -> exit status
    "analyse": "bn_mappo.cli.analyse",
    "benchmark": "bn_mappo.cli.benchmark",
    "export": "bn_mappo.cli.export",
    "import": "bn_mappo.cli.imported",
    "play": "bn_mappo.cli.play",
    "plug-in": "bn_mappo.hosts.epymarl.plug_in",
    "report": "bn_mappo.cli.report",
    "reproduce": "bn_mappo.cli.reproduce",
    "runs": "bn_mappo.cli.runs",
    "serve": "bn_mappo.cli.serve",
    "sweep": "bn_mappo.cli.sweep",
    "sync": "bn_mappo.cli.sync",
}


SACRED = ("run", "print_config", "print_dependencies", "print_named_configs", "save_config")  # of the training command
ALONE = ("help", "list")
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")  # from Sacred, at every start


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit status."""
    if arguments is None:
        sys.argv[1:] = [conceal(argument) for argument in sys.argv[1:]]  # reports and wandb quote them
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["help"] and len(words) > 1:
        words = [*words[1:2], "--help"]
    module = COMMANDS.get(words[0]) if words else None
    if words and not words[0].startswith("-") and words[0] not in (*COMMANDS, *SACRED, *ALONE):
        fail(unknown("command", words[0], (*COMMANDS, *SACRED, *ALONE)), 2)
    if module is not None:
        status: int = importlib.import_module(module).main(words[1:])
        return status
    from bn_mappo.cli.train import main as train

    return train(words)
