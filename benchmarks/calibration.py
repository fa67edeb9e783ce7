"""Skirmish beside the real game: what the same scripts win there and here, and how fast MAPPO learns.

    python benchmarks/calibration.py [--games 500] [--starts random ...] [--runs RUN ...] [--out FOLDER]

Writes calibration.csv, calibration.md and calibration.png to the folder (results/calibration). The published numbers
and their sources are in calibration.yaml. How units stand at the start of the real game is not known, and it decides
some maps, so the scripts play from several starts: what they win here is known no better than the spread of these.
--runs: folders of training runs on Skirmish (any folder above them will do), whose evaluations are drawn beside the
published points. Runs that were played by other rules of Skirmish are left out.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from bn_mappo.config.reading import load_yaml
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.games.skirmish.game import RULES
from bn_mappo.envs.games.skirmish.orders import Battle, attack_closest, fight, fight_by_actions, stay_with_closest
from bn_mappo.envs.games.skirmish.scripted import alternate_fire
from bn_mappo.tracking.metrics import read_metrics, series

matplotlib.use("agg")
WON = "test_battle_won_mean"
Z_95 = 1.96  # standard deviations of a two-sided interval of 95 %
OURS, THEIRS, INK = "#2f6db3", "#c8502d", "#30343b"
MARKS = ("o", "^", "s", "D")  # of the starts after the first
Row = dict[str, Any]


SCRIPTS: dict[str, Callable[[Skirmish], Battle]] = {
    "stay with closest": lambda game: fight(game, stay_with_closest(game)),
    "attack closest": lambda game: fight(game, partial(attack_closest, game)),
    "alternate fire": lambda game: fight_by_actions(game, partial(alternate_fire, game)),
}


STARTS: dict[str, dict[str, Any]] = {
    "random": {"start": "random"},
    "fixed, grid 0.5": {"start": "fixed", "start_grid": 0.5},
    "fixed, grid 0.25": {"start": "fixed", "start_grid": 0.25},
}


def play_scripts(published: list[Row], n_games: int, starts: list[str]) -> Iterator[Row]:
    """The rows of each published number, with ours from each start."""
    for entry in published:
        for start in starts:
            battle = SCRIPTS[entry["script"]](Skirmish(n_games, 0, map_name=entry["map"], **STARTS[start]))
            share = float(battle.won.mean())
            yield {
                **entry,
                "start": start,
                "won_here": share,
                "error_here": Z_95 * (share * (1 - share) / n_games) ** 0.5,
                "score_here": float(battle.score.mean()),
                "deaths_here": float(battle.dead_allies.mean()),
            }


def by_script(scripts: list[Row]) -> list[list[Row]]:
    """The rows of each published number together, one of each start."""
    n_starts = len({row["start"] for row in scripts})
    return [scripts[k : k + n_starts] for k in range(0, len(scripts), n_starts)]


def read_runs(folders: list[Path]) -> Iterator[Row]:
    """Each run of these rules: its map, algorithm, seed, and evaluations (steps, shares won)."""
    for path in sorted({path.parent for folder in folders for path in folder.rglob("metrics.jsonl")}):
        config = json.loads((path / "config.json").read_text())
        rows = read_metrics(path)
        if config["env"] != "skirmish" or not any(row.get("skirmish_rules") == RULES for row in rows):
            print(f"left out: {path} (not played by rules {RULES} of Skirmish)")
            continue
        steps, won = series(rows, WON)
        if steps:
            yield {"map": config["env_args"]["map_name"], "name": config["name"], "seed": config["seed"],
                   "steps": steps, "won": won}  # fmt: skip


def first_step(run: Row, won: float) -> int | None:
    """The step of the first evaluation that reaches this share, None: none does."""
    return next((step for step, share in zip(run["steps"], run["won"], strict=True) if share >= won), None)


def compare_learning(published: list[Row], runs: list[Row]) -> Iterator[Row]:
    """The row of each published point and each run on its map; a row without a run where there is none."""
    for entry in published:
        ours = [run for run in runs if run["map"] == entry["map"]]
        for run in ours or [None]:
            step = first_step(run, entry["won"]) if run else None
            who = {"name": run["name"], "seed": run["seed"], "steps_played": run["steps"][-1]} if run else {}
            yield {**entry, **who, "steps_here": step, "ratio": step / entry["steps"] if step else None}


def markdown(scripts: list[Row], learning: list[Row], sources: dict[str, str], command: str) -> str:
    """Both tables, with the sources."""
    battles = by_script(scripts)
    starts = [row["start"] for row in battles[0]]
    lines = [
        f"    {command}", "", f"Rules {RULES} of Skirmish. Won here, by start; with the score (agents lost).", "",
        f"| map | script | won in the real game, score | {' | '.join(starts)} | source |",
        f"|---|---|---|{'---|' * len(starts)}---|",
    ]  # fmt: skip
    for rows in battles:
        first = rows[0]
        score = f", {first['score']:.3f}" if "score" in first else ""
        cells = [
            f"{row['won_here']:.1%} +- {row['error_here']:.1%}, {row['score_here']:.3f} ({row['deaths_here']:.2f})"
            for row in rows
        ]
        names = f"{first['map']} | {first['script']} | {first['won']:.0%}{score}"
        lines.append(f"| {names} | {' | '.join(cells)} | {first['source']} |")
    lines += ["", "| map | share won | steps in the real game | steps here | ratio | run |", "|---|" + "---|" * 5]
    for row in learning:
        run = f"{row['name']}, seed {row['seed']}" if "name" in row else "none"
        reached = f"{row['steps_here']:,}" if row["steps_here"] else ""
        reached = reached or (f"not within {row['steps_played']:,}" if "name" in row else "")
        ratio = f"{row['ratio']:.2f}" if row["ratio"] else ""
        lines.append(f"| {row['map']} | {row['won']:.0%} | {row['steps']:,} | {reached} | {ratio} | {run} |")
    return "\n".join([*lines, "", *(f"- **{name}**: {text}" for name, text in sources.items()), ""])


def draw(path: Path, scripts: list[Row], learning: list[Row], runs: list[Row]) -> None:
    """Bars of the scripts, and below them, where there are runs, a panel of learning curves for each of their maps."""
    from matplotlib.figure import Figure

    maps = [name for name in dict.fromkeys(row["map"] for row in learning) if any(run["map"] == name for run in runs)]
    n_rows = (len(maps) + 2) // 3
    figure = Figure(figsize=(10, 3.8 + 2.3 * n_rows), layout="constrained")
    heights = [3.8, 2.3 * n_rows] if maps else [3.8]
    top, *below = np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights))
    draw_scripts(top.subplots(), by_script(scripts))
    for bottom in below:
        panels = bottom.subplots(n_rows, 3, squeeze=False)
        for panel, map_name in zip(panels.flat, maps, strict=False):
            draw_learning(panel, map_name, learning, runs)
        for panel in panels.flat[len(maps) :]:
            panel.set_visible(False)
        bottom.supxlabel("environment steps", fontsize=9)
        bottom.supylabel("battles won, %", fontsize=9)
    figure.savefig(path, dpi=120)


def draw_scripts(axis: Any, battles: list[list[Row]]) -> None:
    """The real game and ours from the first start as bars, ours from the other starts as marks."""
    places, starts = np.arange(len(battles)), [row["start"] for row in battles[0]]
    won = [100 * rows[0]["won"] for rows in battles]
    here = np.array([[100 * row["won_here"] for row in rows] for rows in battles])  # [scripts, starts]
    axis.bar(places - 0.2, won, 0.4, color=THEIRS, label="real game (calibration.yaml has the sources)")
    axis.bar(places + 0.2, here[:, 0], 0.4, color=OURS, label=f"Skirmish, rules {RULES}, start: {starts[0]}")
    axis.errorbar(places + 0.2, here[:, 0], [100 * rows[0]["error_here"] for rows in battles], ls="", color=INK)
    for start, shares, mark in zip(starts[1:], here.T[1:], MARKS, strict=False):
        axis.plot(places + 0.2, shares, mark, color=INK, ms=5, mfc="white", label=f"start: {start}", clip_on=False)
    for place, share in zip(places, won, strict=True):
        axis.text(place - 0.2, share + 2, f"{share:.0f}", ha="center", fontsize=8)
    names = [f"{rows[0]['map']}\n{rows[0]['script']}" for rows in battles]
    axis.set_xticks(places, names, rotation=30, ha="right", fontsize=8)
    axis.set(ylabel="battles won, %", ylim=(0, 115), title="The same scripts")
    axis.legend(loc="upper center", fontsize=8)


def draw_learning(panel: Any, map_name: str, learning: list[Row], runs: list[Row]) -> None:
    """The published points of a map and the curves of our runs on it."""
    points = sorted({(row["steps"], 100 * row["won"]) for row in learning if row["map"] == map_name})
    panel.plot(*zip(*points, strict=True), "o", color=THEIRS, label="MAPPO, real game")
    for run in runs:
        if run["map"] == map_name:
            shares = [100 * share for share in run["won"]]
            panel.plot(run["steps"], shares, lw=1, label=f"{run['name']}, seed {run['seed']}")
    panel.set(title=map_name, xscale="log", xlim=(1e5, 6e7), ylim=(-3, 103))
    panel.legend(fontsize=7, loc="lower right")


def main() -> None:
    """Play the scripts, read the runs, write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=500, help="battles of a script on a map")
    parser.add_argument("--starts", choices=list(STARTS), nargs="+", default=list(STARTS), metavar="START")
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("results/calibration"))
    options = parser.parse_args()
    published = load_yaml(Path(__file__).with_suffix(".yaml"))
    scripts = list(play_scripts(published["scripts"], options.games, options.starts))
    runs = list(read_runs(options.runs))
    learning = list(compare_learning(published["learning"], runs))
    options.out.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/calibration.py --games {options.games}"
    if options.starts != list(STARTS):
        command += "".join([" --starts", *(f" '{start}'" for start in options.starts)])
    command += "".join([" --runs", *(f" {run}" for run in options.runs)]) if options.runs else ""
    text = markdown(scripts, learning, published["sources"], command)
    (options.out / "calibration.md").write_text(f"# Skirmish beside the real game\n\n{text}")
    with (options.out / "calibration.csv").open("w", newline="") as file:
        names = list(dict.fromkeys(name for row in (*scripts, *learning) for name in row))
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*scripts, *learning])
    draw(options.out / "calibration.png", scripts, learning, runs)
    print(text)
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
