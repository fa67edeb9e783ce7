"""What a policy study leaves behind: tidy tables, a summary, and one page with everything in it."""

import base64
import csv
import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bn_mappo.analysis.policy_study import Mean, Study, mean_interval

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "img{max-width:100%}table{border-collapse:collapse}td,th{padding:.15em .8em;text-align:right;"
    "border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}"
)


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


def write_summary(study: Study, facts: dict[str, str], path: Path) -> None:
    """All means and intervals as JSON."""
    content = {
        "provenance": facts,
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


def write_page(study: Study, facts: dict[str, str], pictures: dict[str, Path], path: Path) -> None:
    """One HTML page that needs no other file."""
    method = "exact, by enumeration of all joint actions" if study.is_exact else "by samples"
    plan = study.plan
    parts = [
        f"<h1>{html.escape(facts['run'])}</h1>",
        f"<p>{len(study.plain)} episodes a variant, {'likeliest' if plan.greedy else 'sampled'} actions, "
        f"{'sampled DAGs' if plan.is_sampled else 'the mode of the DAG (zero noise)'}. Information: {method}, of the "
        "policy with sampled actions, in one random step of each episode. In brackets 95 % bootstrap intervals over "
        "episodes; of many edges, some intervals miss the truth by chance. Definitions: docs/analysis.md.</p>",
        _table(
            ("", "mean", "95 % interval"), [(name.replace("_", " "), *cells(m)) for name, m in headline(study).items()]
        ),
    ]
    for title, picture in pictures.items():
        image = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f'<h2>{title}</h2><img alt="{title}" src="data:image/png;base64,{image}">')
    rows: list[tuple[str, ...]] = [(f"{loss:g}", *cells(mean), *cells(lost)) for loss, mean, lost in loss_table(study)]
    parts.append("<h2>Message loss</h2>")
    parts.append(_table(("probability", "return", "95 % interval", "return lost", "95 % interval"), rows))
    rows = [(f"{e.parent} → {e.child}", f"{e.share:.2f}", *cells(e.information), *cells(e.value)) for e in study.edges]
    parts.append("<h2>Edges, the most valuable first</h2>")
    header = (
        "parent → child",
        "share of steps",
        "bits a step",
        "95 % interval",
        "return lost when cut",
        "95 % interval",
    )
    parts.append(_table(header, rows) if rows else "<p>The policy uses no edges.</p>")
    rows = [(str(agent), *cells(mean)) for agent, mean in enumerate(study.agents)]
    parts.append("<h2>What each agent's action tells of its parents' actions</h2>")
    parts.append(_table(("agent", "bits a step", "95 % interval"), rows))
    parts.append("<h2>Where this comes from</h2>" + _table(("", ""), facts.items()))
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Analysis</title><style>{STYLE}</style>'
    path.write_text(page + "\n".join(parts) + "</html>\n")


def cells(mean: Mean) -> tuple[str, str]:
    """A mean and its interval as text."""
    return f"{mean.mean:.4g}", f"[{mean.low:.4g}, {mean.high:.4g}]"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, texts: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts) + "</tr>"

    return "<table>" + line("th", header) + "".join(line("td", row) for row in rows) + "</table>"
