"""Figure 6 from settings to files."""

import time
from pathlib import Path

from bn_mappo.paper.figure6 import judge, play_finals
from bn_mappo.paper.figure6_files import Figure6, render_report, write_finals, write_summary
from bn_mappo.paper.figure6_plot import draw_figure6
from bn_mappo.paper.results import collect, write_csv, write_marl_eval
from bn_mappo.paper.smac_plan import SmacPlan, break_points
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid
from bn_mappo.sweep.trainings import trainings


def make_figure6(plan: SmacPlan, folder: Path, runs: Path, n_episodes: int, machines: Machines) -> list[Cell]:
    """Run what is missing, play the last checkpoints, and write all files; returns the cells that failed."""
    started, cells = time.perf_counter(), plan.cells()
    failed = run_grid(cells, runs, machines)
    curves = [c for panel in plan.panels for c in collect(panel, plan.cells_on(panel), runs)]
    if not curves:
        return failed
    finals = play_finals(plan, runs, n_episodes, machines.processes)
    result = Figure6(curves, finals, judge(finals), n_episodes, time.perf_counter() - started)
    folder.mkdir(parents=True, exist_ok=True)
    breaks = break_points(plan.panels[0].map_name)
    draw_figure6(curves, finals, breaks, n_episodes, folder / "fig6")
    write_csv(curves, folder / "fig6.csv")
    write_finals(finals, folder / "last_checkpoints.csv")
    write_marl_eval(curves, folder / "marl_eval.json")
    write_summary(result, folder / "summary.json")
    (folder / "report.md").write_text(render_report(result, trainings(cells, runs)))
    return failed
