"""Whether an exported team is the policy that it came from: step by step, and in games."""

from typing import Any

import numpy as np

from bn_mappo.analysis.seed_statistics import mean_intervals
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array
from bn_mappo.export.recording import Steps
from bn_mappo.export.team import ExportedTeam, Seen, everything

TIE = 1e-4  # two logits this close are a tie: either may win by the rounding of float32
ROWS_AT_ONCE = 2_000


def compare_steps(team: ExportedTeam, steps: Steps) -> dict[str, Any]:
    """The exported networks on recorded steps, with the messages of the recorded actions.

    Of every agent the largest difference of logits of available actions and the share of equal actions; where the team
    communicates, the share of equal DAGs.
    """
    logits, adjacency = _outputs(team, steps)
    possible = steps.logits > np.finfo(np.float32).min  # [K, N, A]
    difference = np.where(possible, np.abs(logits - steps.logits), 0.0).max(-1)  # [K, N]
    chosen = logits.argmax(-1)[..., None]  # [K, N, 1]
    differs = chosen[..., 0] != steps.actions  # [K, N]
    gap = steps.logits.max(-1) - np.take_along_axis(steps.logits, chosen, -1)[..., 0]  # [K, N]
    is_tie = differs & (gap <= TIE)
    report: dict[str, Any] = {
        "steps": len(steps.actions),
        "largest_logit_difference": float(difference.max()),
        "equal_actions": float(1 - differs.mean()),
        "ties": int(is_tie.sum()),
        "wrong_actions": int((differs & ~is_tie).sum()),
        "agents": [
            {"agent": i, "largest_logit_difference": float(d.max()), "equal_actions": float(1 - w.mean())}
            for i, (d, w) in enumerate(zip(difference.T, differs.T, strict=True))
        ],
    }
    if adjacency is not None:
        report["equal_dags"] = float((adjacency == steps.adjacency).all((1, 2)).mean())
    return report


def _outputs(team: ExportedTeam, steps: Steps) -> tuple[Array, Array | None]:
    """Logits [K, N, A] of the exported agents, and the exported DAGs [K, N, N]."""
    logits, dags = [], []
    for begin in range(0, len(steps.actions), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        avail = None if steps.avail_actions is None else steps.avail_actions[part]
        seen = Seen(steps.obs[part], avail, steps.last_actions[part], steps.hidden[part])
        if team.communicates:
            arrived = everything(steps.adjacency[part], team.messages(steps.actions[part], seen.obs))
            logits.append(team.choose(seen, *arrived).logits)
            dags.append(team.adjacency(seen.obs, steps.state[part]))
        else:
            logits.append(team.choose(seen, None, None).logits)
    found = [dag for dag in dags if dag is not None]
    return np.concatenate(logits), np.concatenate(found) if found else None


def check(report: dict[str, Any]) -> None:
    """ConfigError where the exported team differs from its policy in more than ties."""
    if report["wrong_actions"] or report.get("equal_dags", 1.0) < 0.999:
        raise ConfigError(
            f"the exported agents are not this policy: {report['wrong_actions']} actions of {report['steps']} steps "
            f"differ by more than a tie, the logits by up to {report['largest_logit_difference']:.2g}, and "
            f"{report.get('equal_dags', 1.0):.2%} of the DAGs are equal. Nothing was written: this controller or this "
            "network does something that single agents cannot do"
        )


def compare_returns(ours: dict[str, Array], theirs: dict[str, Array]) -> dict[str, Any]:
    """Returns of the exported team and of the checkpoint in the same games."""
    return {
        "games": len(ours["return"]),
        "exported": summary(ours["return"]),
        "checkpoint": summary(theirs["return"]),
        "games_with_equal_return": int((ours["return"] == theirs["return"]).sum()),
    }


def summary(returns: Array) -> dict[str, float]:
    """Mean return with its 95 % bootstrap interval over games."""
    low, high = (float(bound[0]) for bound in mean_intervals(returns[:, None].astype(np.float64)))
    return {"mean": float(returns.mean()), "low": low, "high": high}
