"""What a policy study leaves behind: tidy tables, a summary, and one page with everything in it."""

import base64
import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bn_mappo.analysis.policy_study import Mean, Study, mean_interval

TEMPLATES = Path(__file__).parent / "templates"


def write_tables(study: Study, folder: Path) -> None:
    """edges.csv, agents.csv, steps.csv, and returns.csv with every episode of every variant of the policy."""
    edges = [
        (e.parent, e.child, e.share, *e.information, "exact" if study.is_exact else "samples", e.comparable, *e.value)
        for e in study.edges
    ]
    bits, value = ("cmi_bits", "cmi_low", "cmi_high"), ("value_return", "value_low", "value_high")
    _write(folder / "edges.csv", ("parent", "child", "share", *bits, "method", "comparable", *value), edges)
    names = ("agent", "parents_bits", "low", "high")
    _write(folder / "agents.csv", names, [(agent, *mean) for agent, mean in enumerate(study.agents)])
    times = zip(*study.per_time.values(), strict=True)
    _write(folder / "steps.csv", ("step", *study.per_time), [(t, *map(float, row)) for t, row in enumerate(times)])
    variants: list[tuple[tuple[Any, ...], Any]] = [(("plain", "", "", 0.0), study.plain)]
    variants += [(("message_loss", "", "", loss), returns) for loss, returns in study.losing.items()]
    variants += [(("edge_cut", *edge, 0.0), returns) for edge, returns in study.cut.items()]
    rows = [(*key, episode, float(x)) for key, returns in variants for episode, x in enumerate(returns)]
    _write(folder / "returns.csv", ("variant", "parent", "child", "loss_probability", "episode", "return"), rows)


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


def headline(study: Study) -> dict[str, Mean]:
    """The numbers that stand for a whole study."""
    return {
        "return": mean_interval(study.plain[:, None])[0],
        "total_correlation_bits": study.total_correlation,
        "messages_per_step": study.messages,
        "bytes_per_step": study.n_bytes,
        "rounds_per_step": study.depth,
        "density": study.density,
    }


def loss_table(study: Study) -> list[tuple[float, Mean, Mean]]:
    """Probability of loss, return, and return lost against the policy as it is, each with its interval."""
    losses = sorted(study.losing)
    returns = np.stack([study.losing[loss] for loss in losses], axis=1)  # [n, L]
    lost = mean_interval(study.plain[:, None] - returns)
    return list(zip(losses, mean_interval(returns), lost, strict=True))


def write_summary(study: Study, origin: dict[str, str], path: Path) -> None:
    """All means and intervals as JSON."""
    content = {
        "provenance": origin,
        "episodes": len(study.plain),
        "dag": "sampled" if study.plan.is_sampled else "mode",
        "actions": "likeliest" if study.plan.greedy else "sampled",
        "information": "exact" if study.is_exact else "samples",
        **{name: mean._asdict() for name, mean in headline(study).items()},
        "parents_bits": [mean._asdict() for mean in study.agents],
        "message_loss": [
            {"probability": loss, "return": mean._asdict(), "return_lost": lost._asdict()}
            for loss, mean, lost in loss_table(study)
        ],
        "edges": [
            {**e._asdict(), "information": e.information._asdict(), "value": e.value._asdict()} for e in study.edges
        ],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def write_page(study: Study, origin: dict[str, str], pictures: dict[str, Path], path: Path) -> None:
    """One HTML page that needs no other file."""
    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    text = page.get_template("study.html").render(
        origin=origin,
        plan=study.plan,
        n_episodes=len(study.plain),
        is_exact=study.is_exact,
        headline=[(name.replace("_", " "), *cells(mean)) for name, mean in headline(study).items()],
        pictures={title: base64.b64encode(file.read_bytes()).decode() for title, file in pictures.items()},
        losses=[(f"{loss:g}", *cells(mean), *cells(lost)) for loss, mean, lost in loss_table(study)],
        edges=[
            (f"{e.parent} → {e.child}", f"{e.share:.2f}", *cells(e.information), *cells(e.value)) for e in study.edges
        ],
        agents=[(agent, *cells(mean)) for agent, mean in enumerate(study.agents)],
    )
    path.write_text(text + "\n", encoding="utf-8")


def cells(mean: Mean) -> tuple[str, str]:
    """A mean and its interval as text."""
    return f"{mean.mean:.4g}", f"[{mean.low:.4g}, {mean.high:.4g}]"
