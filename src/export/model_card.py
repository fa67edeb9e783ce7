"""MODEL_CARD.md: what an exported team is for, how good it is, and what it must not be trusted with."""

import json
from pathlib import Path
from typing import Any

from bn_mappo.analysis.markdown import table
from bn_mappo.export.runtime.contract import Contract

CARD = """# Model card: {title}

{n_agents} agents that were trained together, {alone}. Made by `bn-mappo export`.

## Use

One folder per agent, each with its networks and `contract.json`, which names every input and output. On a machine
with onnxruntime and NumPy alone:

```python
import json, numpy, onnxruntime

contract = json.load(open("agent_0/contract.json"))
session = onnxruntime.InferenceSession("agent_0/policy.onnx")
print([(port["name"], port["dtype"], port["shape"]) for port in contract["policy"]["inputs"]])
```

`bn-mappo import FOLDER` evaluates the whole team, `bn-mappo play FOLDER` plays it with one process per agent.

## Training

{training}

The complete configuration stands in `team.json`.

## Measured

{measured}

The exported team and the checkpoint played the same {games} games; {equal} of them ended with the same return.
Intervals are 95 % bootstrap intervals over games of one training run: they say nothing of other seeds.

## Communication

{communication}

## Limits

* The policy is greedy: `action` is the likeliest one. It was judged on the environment that it was trained on, and on
  no other.
* The networks trust their inputs. Numbers outside the range seen in training give actions without any warning.
* {limits}
* Licence of the code that made it: {licence}. The data are games played against the simulator or game named above.
"""


def model_card(contract: Contract, origin: dict[str, Any], report: dict[str, Any], folder: Path) -> str:
    """The text of the card; `folder` holds the files that it counts."""
    communicates = contract.communication is not None
    outcome = report["return"]
    names = ("run", "algorithm", "environment", "seed", "trained_steps", "trained_at_commit", "exported_at_commit")
    size = sum(path.stat().st_size for path in (folder / f"agent_{contract.agent}").iterdir()) / 1e6
    rows = [
        ("return, exported team", _interval(outcome["exported"])),
        ("return, checkpoint", _interval(outcome["checkpoint"])),
        ("recorded steps compared", f"{report['steps']:,}"),
        ("largest difference of a logit", f"{report['largest_logit_difference']:.2g}"),
        ("equal actions", f"{report['equal_actions']:.4%} ({report['ties']} ties)"),
        ("density of the DAG", f"{report['density']:.4f}"),
        ("size of one agent's folder", f"{size:.2f} MB"),
    ]
    env_args = json.dumps(origin["config"]["env_args"])
    training = [*[(name.replace("_", " "), origin[name]) for name in names], ("env_args", env_args)]
    return CARD.format(
        title=f"{origin['algorithm']} on {origin['environment']}",
        n_agents=contract.n_agents,
        alone="and act along a DAG of messages" if communicates else "and act each on its own observation alone",
        training=table(["", ""], training),
        measured=table(["", ""], rows),
        games=outcome["games"],
        equal=outcome["games_with_equal_return"],
        communication=_communication(contract),
        limits="Lost or late messages cost return: measure it (`bn-mappo play --help`)."
        if communicates
        else "Agents know nothing of one another at run time.",
        licence=origin["licence"],
    )


def _interval(summary: dict[str, float]) -> str:
    return f"{summary['mean']:.4g} [{summary['low']:.4g}, {summary['high']:.4g}]"


def _communication(contract: Contract) -> str:
    if contract.communication is None:
        return "None: in all recorded steps the DAG was empty."
    described = contract.communication
    size = f"{described.message_dim} float32 numbers, {4 * described.message_dim} bytes"
    return (
        f"{described.rule}\n\nA message: {size}. Each `contract.json` names the agent's parents, and how "
        "often it needs them."
    )
