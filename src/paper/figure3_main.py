"""Figure 3 from settings to files."""

import resource
import sys
import time
from pathlib import Path

from bn_mappo.analysis.provenance import provenance
from bn_mappo.core.progress import progress
from bn_mappo.paper.figure3 import Case, Plan, run_case, seed_batches, step_size, work
from bn_mappo.paper.figure3_files import Figure3, write_csv, write_summary
from bn_mappo.paper.figure3_plot import draw_figure3
from bn_mappo.paper.figure3_report import render_report
from bn_mappo.tabular.corollary import PAYOFFS, demonstrate
from bn_mappo.tabular.dags import named_dag


def make_figure3(cases: list[Case], plan: Plan, folder: Path) -> Figure3:
    """Run every case along every DAG and write fig3.png, fig3.svg, fig3.csv, summary.json and report.md."""
    for case in cases:  # meet every mistake before the first run starts
        step_size(plan, case.game)
        next(seed_batches(case.game, plan.seeds))
        for dag in plan.dags:
            named_dag(dag, case.game.n_agents)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    total = sum(work(case, len(plan.seeds), plan.iterations) for case in cases) * len(plan.dags)
    with progress(total) as report:
        curves = [run_case(case, dag, plan, report) for case in cases for dag in plan.dags]
    demonstrations = [demonstrate(name, len(plan.seeds), plan.iterations) for name in PAYOFFS]
    result = Figure3(plan, curves, demonstrations, provenance(), time.perf_counter() - started, peak_memory_mib())
    write_csv(curves, folder / "fig3.csv")
    write_summary(result, folder / "summary.json")
    draw_figure3(curves, folder / "fig3")
    (folder / "report.md").write_text(render_report(result))
    return result


def peak_memory_mib() -> float:
    """The largest memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
