"""The files of figures 7 to 9: CSV, summary and report; and the command from settings to files."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.paper.courses import Course, make_courses, write_rows
from bn_mappo.paper.parents import FIGURES, Finding, ParentFigure, choice_of, findings
from bn_mappo.paper.parents_plot import draw_parents
from bn_mappo.paper.smac_plan import SmacPlan
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.trainings import trainings

HEADER = ("map", "variant", "seed", "env_steps", "agent", "n_parents", "parents", "others", "random", "p_steps")
TABLE = (
    "map",
    "variant",
    "agent",
    "seeds",
    "parents",
    "not chosen",
    "random",
    "parents less random",
    "p (steps)",
    "p (episodes)",
    "verdict",
)
METHOD = (
    "Parents less random parents is one number a seed, over all checkpoints in the window; its interval is "
    "Student's, over seeds, and the verdict follows it. p (steps) takes steps as independent draws, which they are "
    "not; p (episodes) takes what each episode adds beyond random parents as one draw. Both are given for each "
    "seed. Only living agents count, and agents are counted from 0. An agent with one candidate never has a choice."
)


def make_parents(
    name: str, plan: SmacPlan, folder: Path, runs: Path, n_episodes: int, machines: Machines
) -> list[Cell]:
    """Run and measure what is missing, then write all files of figure `name`; returns the cells that failed."""
    started, kind = time.perf_counter(), FIGURES[name]
    courses, cells, failed = make_courses(plan, runs, n_episodes, machines)
    if courses:
        found = findings(courses, kind.quantity)
        folder.mkdir(parents=True, exist_ok=True)
        draw_parents(courses, kind, folder / name)
        write_rows(folder / f"{name}.csv", HEADER, rows_of(courses, kind))
        write_summary(found, kind, n_episodes, folder / "summary.json")
        seconds = time.perf_counter() - started
        text = render_report(courses, found, kind, n_episodes, seconds, trainings(cells, runs))
        (folder / "report.md").write_text(text)
    return failed


def rows_of(courses: Sequence[Course], kind: ParentFigure) -> Iterator[tuple[object, ...]]:
    """One row a map, variant, seed, checkpoint and agent, and one for all agents together."""
    for course in courses:
        n_agents = course.facts[0][0].kl.shape[1]
        for c, step in enumerate(course.steps):
            for s, seed in enumerate(course.seeds):
                whole = choice_of(course, kind.quantity, c, s)
                for agent in (None, *range(n_agents)):
                    found = whole if agent is None else whole.of_agent(agent)
                    means = (found.parents_mean, found.others_mean, found.random_mean, found.p_steps)
                    place = (course.map_name, course.variant, seed, step, "all" if agent is None else agent)
                    yield (*place, int(found.n_parents.sum()), *means)


def write_summary(found: Sequence[Finding], kind: ParentFigure, n_episodes: int, path: Path) -> None:
    """All findings as JSON; what is not a number is null."""
    content = {
        "provenance": provenance(),
        "episodes": n_episodes,
        "findings": [
            {
                "map": f.map_name,
                "variant": f.variant,
                "agent": f.agent,
                "seeds": f.n_seeds,
                **{name: [none_or(x) for x in getattr(f, name)] for name in ("parents", "others", "random", "excess")},
                "p_steps": [none_or(x) for x in f.p_steps],
                "p_episodes": [none_or(x) for x in f.p_episodes],
                "verdict": f.verdict(kind),
            }
            for f in found
        ],
    }
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def none_or(value: float) -> float | None:
    """A number as strict JSON has it."""
    return value if value == value else None


def render_report(
    courses: Sequence[Course],
    found: Sequence[Finding],
    kind: ParentFigure,
    n_episodes: int,
    seconds: float,
    runs: str,
) -> str:
    """The report in Markdown."""
    number = kind.name.removeprefix("fig")
    windows = "; ".join(f"{c.map_name}, {c.variant}: {c.window[0]:g} to {c.window[1]:g}" for c in courses)
    sections = [
        f"# Figure {number}: {kind.label}",
        f"What the paper says (its section 7.4.4 and figure {number}): {kind.claim}.",
        listed(provenance()),
        f"This command took {seconds:.0f} s; runs and measurements that it found were not made again.",
        f"![figure {number}]({kind.name}.png)",
        "## Against random parents",
        f"{n_episodes} games of each checkpoint, actions and DAGs sampled as in training. Window, in fractions of the "
        f"training: {windows}. {METHOD}",
        table(
            TABLE,
            [finding_row(f, kind) for f in found],
        ),
        "Means over seeds with Student's 95 % intervals. The table makes many comparisons: of twenty without any "
        "effect, one leaves its interval by chance.",
        "## Trainings",
        runs,
    ]
    return "\n\n".join(sections) + "\n"


def finding_row(f: Finding, kind: ParentFigure) -> list[str]:
    """One row of the table."""
    agent = "all" if f.agent is None else str(f.agent)
    p_values = [" ".join(f"{p:.2g}" for p in column) for column in (f.p_steps, f.p_episodes)]
    means = [str(interval) for interval in (f.parents, f.others, f.random, f.excess)] if f.n_seeds else ["", "", "", ""]
    return [f.map_name, f.variant, agent, str(f.n_seeds), *means, *p_values, f.verdict(kind)]
