"""Figure 5: the DAG that a run has learned, step by step over the islands of Aloha, with backlogs and who sends."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_mappo.analysis.episode import Episode, record_episode
from bn_mappo.analysis.figures import save
from bn_mappo.analysis.markdown import table
from bn_mappo.analysis.pictures import BLUE, GREEN, GREY, ORANGE, draw_arrow, positions
from bn_mappo.analysis.provenance import listed, provenance
from bn_mappo.analysis.trained_policy import TrainedPolicy
from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.core.specs import Array, EnvInfo
from bn_mappo.envs.games.aloha import neighbour_matrix
from bn_mappo.paper.figure4_plan import aloha_panel
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.run import run_grid

mpl.use("Agg")
FRAMES_A_SECOND = 1
STEPS_OF_A_RUN, STEPS_OF_A_QUICK_RUN = 1_000_000, 50_000
CLAIM = "The paper's figure 5 shows one DAG that was learned on Aloha: who sees whose action changes with the backlogs."


class Scene(NamedTuple):
    """One greedy episode of Aloha, as it is drawn."""

    episode: Episode
    backlog: Array  # [T, N] messages that wait
    info: EnvInfo
    agent: int  # whose parents are marked


def train_run(root: Path, is_quick: bool) -> Path:
    """The folder of figure 4's context-aware run of seed 0, with its grid at `root`; trained where it is not done."""
    (cell,) = aloha_panel().cells(range(1), ("context_aware",), STEPS_OF_A_QUICK_RUN if is_quick else STEPS_OF_A_RUN)
    failed = run_grid([cell], root, Machines(processes=1))
    trained = cell.run_folder(root)
    if failed or trained is None:
        raise RunError(f"the training failed; see log.txt under {root}")
    return trained


def make_figure5(run: TrainedPolicy, steps: Sequence[int] | None, agent: int, folder: Path) -> None:
    """Write fig5.png, fig5.svg, fig5.gif, fig5.csv, summary.json and report.md of one greedy episode."""
    scene = play(run, agent)
    n_steps = len(scene.backlog)
    steps = list(steps) if steps is not None else sorted({0, n_steps // 4, n_steps // 2, 3 * n_steps // 4})
    wrong = [step for step in steps if not 0 <= step < n_steps]
    if wrong:
        raise ConfigError(f"--steps {wrong[0]}: the episode has the steps 0 to {n_steps - 1}")
    folder.mkdir(parents=True, exist_ok=True)
    draw_steps(scene, steps, run.name, folder / "fig5")
    animate(scene, run.name, folder / "fig5.gif")
    write_csv(scene, folder / "fig5.csv")
    shares = edge_shares(run, scene)
    summary = {"provenance": provenance(), "run": run.name, "checkpoint": run.checkpoint.name, **shares}
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    (folder / "report.md").write_text(render_report(run, shares))


def play(run: TrainedPolicy, agent: int) -> Scene:
    """One greedy episode of the run's policy; ConfigError where it is not one of Aloha."""
    if run.config.env != "aloha":
        raise ConfigError(f"figure 5 shows the islands of Aloha; this is a run on {run.config.env}")
    info = run.mac.info
    if not 0 <= agent < info.n_agents:
        raise ConfigError(f"--agent {agent}: the agents are 0 to {info.n_agents - 1}")
    episode = record_episode(run.config, run.mac, run.t_env)
    if info.obs_dim == 1:
        backlog = (episode.obs[..., 0] * run.config.env_args.get("max_backlog", 5)).round().astype(int)  # [T, N]
    else:
        backlog = episode.obs.argmax(-1)  # [T, N]
    return Scene(episode, backlog, info, agent)


def draw_step(axis: Axes, scene: Scene, step: int) -> None:
    """The islands with their backlogs, green where they send, and the DAG; parents of the chosen agent stand out."""
    place, adjacency = positions(scene.info), scene.episode.adjacency[step]
    for parent, child in zip(*np.nonzero(adjacency > 0), strict=True):
        is_marked = child == scene.agent
        draw_arrow(axis, place[parent], place[child], ORANGE if is_marked else BLUE, 1.0 if is_marked else 0.25)
    colours = [GREEN if action == 1 else GREY for action in scene.episode.actions[step]]
    edges = [ORANGE if i == scene.agent else "white" for i in range(scene.info.n_agents)]
    axis.scatter(place[:, 0], place[:, 1], s=420, c=colours, edgecolors=edges, linewidths=2, zorder=3)
    for (x, y), waiting in zip(place, scene.backlog[step], strict=True):
        axis.text(x, y, str(waiting), ha="center", va="center", color="white", zorder=4, fontsize=10)
    axis.set_xlim(place[:, 0].min() - 0.5, place[:, 0].max() + 0.5)
    axis.set_ylim(place[:, 1].min() - 0.6, place[:, 1].max() + 0.6)
    axis.set_aspect("equal")
    axis.axis("off")
    parents = ", ".join(str(j) for j in np.flatnonzero(adjacency[:, scene.agent])) or "none"
    axis.set_title(f"step {step}: {int(adjacency.sum())} edges; parents of {scene.agent}: {parents}", fontsize=9)


def draw_steps(scene: Scene, steps: Sequence[int], name: str, target: Path) -> None:
    """The chosen steps side by side, as target.png and target.svg."""
    columns = min(len(steps), 2)
    rows = -(-len(steps) // columns)
    figure = Figure(figsize=(5.6 * columns, 2.0 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(steps) :]:
        axis.axis("off")
    for axis, step in zip(axes, steps, strict=False):
        draw_step(axis, scene, step)
    figure.suptitle(_caption(scene, name), fontsize=9)
    save(figure, target)


def animate(scene: Scene, name: str, path: Path) -> None:
    """The whole episode as an animation."""
    figure = Figure(figsize=(6.2, 3.4), layout="constrained")
    axis = figure.subplots()
    figure.suptitle(_caption(scene, name), fontsize=8)

    def frame(step: int) -> list[Axes]:
        axis.clear()
        draw_step(axis, scene, step)
        return [axis]

    FuncAnimation(figure, frame, frames=len(scene.backlog)).save(path, PillowWriter(fps=FRAMES_A_SECOND), dpi=100)


def _caption(scene: Scene, name: str) -> str:
    return (
        f"{name}\nnumbers: messages waiting; green: sends, grey: waits; arrows: parent to child, "
        f"orange into agent {scene.agent} (counted by rows from 0)"
    )


def write_csv(scene: Scene, path: Path) -> None:
    """One row an island and step: its backlog, whether it sends, its parents."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "agent", "backlog", "sends", "parents"])
        for step, adjacency in enumerate(scene.episode.adjacency):
            for agent in range(scene.info.n_agents):
                parents = " ".join(str(j) for j in np.flatnonzero(adjacency[:, agent]))
                sends = int(scene.episode.actions[step, agent])
                writer.writerow([step, agent, int(scene.backlog[step, agent]), sends, parents])


def edge_shares(run: TrainedPolicy, scene: Scene) -> dict[str, float]:
    """How often the possible edges of a DAG are there in this episode, between neighbouring islands and others."""
    rows, columns = scene.info.layout or (1, scene.info.n_agents)
    is_near = neighbour_matrix(rows, columns, run.config.env_args.get("adjacency", "grid"))  # [N, N]
    adjacency = scene.episode.adjacency  # [T, N, N]
    either = np.triu(np.maximum(adjacency, adjacency.mT), 1)  # [T, N, N]: one entry a pair, whoever is the parent
    pairs = np.triu(np.ones_like(is_near), 1).astype(bool)
    changes = float(np.abs(np.diff(adjacency, axis=0)).sum((1, 2)).mean()) if len(adjacency) > 1 else 0.0
    return {
        "density": float(either[:, pairs].mean()),
        "pairs_of_neighbours_linked": float(either[:, pairs & is_near].mean()),
        "other_pairs_linked": float(either[:, pairs & ~is_near].mean()),
        "edges_changed_a_step": changes,
    }


def render_report(run: TrainedPolicy, shares: dict[str, float]) -> str:
    """The report in Markdown."""
    rows = [[name.replace("_", " "), f"{value:.2f}"] for name, value in shares.items()]
    sections = [
        "# Figure 5: a learned DAG on the islands",
        CLAIM,
        listed({**provenance(), "run": run.name}),
        "![figure 5](fig5.png)",
        "![the whole episode](fig5.gif)",
        "In this one greedy episode of one run, of the pairs of agents and steps:",
        table(["share", "value"], rows),
    ]
    return "\n\n".join(sections) + "\n"
