"""One page about a run, or about several: curves, DAGs, animation, configuration, provenance, statistics over seeds.

The page needs no other file and no network: plotly's library is part of it, and its Content-Security-Policy forbids the
browser to load anything.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bn_mappo.analysis.comparison import FEWEST_SEEDS, Contest, contest, interquartile_mean
from bn_mappo.analysis.curves import gather, labels
from bn_mappo.analysis.html_figures import dag_slider, mean_curves, metric_curves
from bn_mappo.analysis.provenance import provenance
from bn_mappo.analysis.seed_statistics import mean_intervals
from bn_mappo.analysis.study_files import TEMPLATES
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.extras import load
from bn_mappo.core.files import write_whole
from bn_mappo.core.named_runs import named_folder, near_runs
from bn_mappo.core.nested import flatten
from bn_mappo.core.secrets import mask
from bn_mappo.core.specs import Array
from bn_mappo.envs.registry import is_batched, make_vec_env
from bn_mappo.tracking.files import read_json
from bn_mappo.tracking.metrics import METRICS_FILE, read_metrics, series
from bn_mappo.tracking.recorded import RecordedRun, group_key, short_name, without_continued
from bn_mappo.training.evaluator import evaluate
from bn_mappo.training.step_recorder import StepRecorder
from bn_mappo.training.trained import Run, load_run

METRIC = "test_return_mean"
MOST_ANIMATION_BYTES = 20_000_000
KINDS = {".gif": "image/gif", ".mp4": "video/mp4"}


class Film(NamedTuple):
    """An animation as part of the page."""

    name: str
    kind: str  # of media
    data: str  # base64


class Section(NamedTuple):
    """A heading with what stands below it."""

    title: str
    text: str = ""
    figure: str = ""  # HTML
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    film: Film | None = None


def find(given: Sequence[Path]) -> list[RecordedRun]:
    """The runs in these folders: each is a run, or holds some at any depth. ConfigError where there is none."""
    folders: list[Path] = []
    for name in given:
        path = named_folder(name)
        if not path.is_dir():
            raise ConfigError(f"{name}: there is no such folder{near_runs(str(name))}")
        inside = sorted(file.parent for file in path.rglob(METRICS_FILE))
        if not inside:
            raise ConfigError(f"{path}: no run is recorded here (no {METRICS_FILE}, here or below)")
        folders += [path] if (path / METRICS_FILE).is_file() else inside
    return [_read(folder) for folder in dict.fromkeys(folders)]


def _read(folder: Path) -> RecordedRun:
    try:
        config = flatten(read_json(folder / "config.json"))
        run = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: the run cannot be read: {error}") from error
    return RecordedRun(folder, {"start_time": "", **run}, config, str(run.get("status", "")))


def write_page(runs: Sequence[RecordedRun], path: Path, n_episodes: int) -> Path:
    """The page of these runs; n_episodes are recorded anew for a single run."""
    go = load("plotly.graph_objects")
    sections = of_one(go, runs[0], n_episodes) if len(runs) == 1 else of_several(go, runs)
    title = short_name(runs[0].folder.resolve()) if len(runs) == 1 else f"{len(runs)} runs"
    made_by = tuple((name, text) for name, text in provenance().items())
    sections = [*sections, Section("This page", header=("", ""), rows=made_by)]
    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    library = load("plotly.offline").get_plotlyjs().replace("</script", "<\\/script")
    text = page.get_template("run.html").render(title=title, sections=sections, library=library)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, text.encode())


def of_one(go: Any, recorded: RecordedRun, n_episodes: int) -> list[Section]:
    """Curves, DAGs, animation, configuration and provenance of one run."""
    curves = metric_curves(go, read_metrics(recorded.folder))
    found = [Section("Learning curves", "No smoothing. The menu chooses the metric.", html(curves, "curves"))]
    found.append(_dag_section(go, recorded, n_episodes))
    films = [_film(file) for file in sorted(recorded.folder.iterdir()) if file.suffix in KINDS]
    found += [Section(f"Animation: {film.name}", film=film) for film in films if film is not None]
    return [*found, _configuration(recorded), _provenance(recorded)]


def _dag_section(go: Any, recorded: RecordedRun, n_episodes: int) -> Section:
    title = "The DAG, step by step"
    if not any((recorded.folder / "checkpoints").glob("*.pt")):
        return Section(title, "The run has no checkpoint to play episodes with.")
    run = load_run(recorded.folder)
    columns, returns = record_steps(run, n_episodes)
    many = "s" * (n_episodes != 1)
    played = f"{n_episodes} episode{many}, greedy policy, return{many} {', '.join(f'{x:.3g}' for x in returns)}. "
    text = "An arrow leads from parent to child. Agents of one colour take one action; point at one to read it."
    if not columns["adjacency"].any():
        text = "No step has an edge: the agents act independently. Agents of one colour take one action."
    return Section(title, played + text, html(dag_slider(go, columns, run.setup.info), "dag"))


def record_steps(run: Run, n_episodes: int) -> tuple[dict[str, Array], Array]:
    """The steps of n_episodes episodes of the greedy policy, and their returns."""
    config = replace(run.config, runner="vector") if is_batched(run.config.env) else run.config
    env = make_vec_env(config, n_episodes, "record")
    try:
        recorder = StepRecorder(env)
        played = evaluate(env, run.setup.mac.deployed, n_episodes, config.seed, run.t_env, True, 1.0, recorder)
        return recorder.columns(), played["return"]
    finally:
        env.close()


def of_several(go: Any, runs: Sequence[RecordedRun]) -> list[Section]:
    """Mean curves, statistics over seeds, and the list of the runs."""
    curves = gather(list(runs), METRIC, None)
    text = "Mean over seeds, with the 95 % bootstrap interval of the mean as a band. No smoothing."
    found = [Section("Learning curves", text, html(mean_curves(go, curves, METRIC), "curves"))]
    scores = last_scores(runs)
    header = ("", "seeds", "mean", "95 % interval", "interquartile mean", "lowest", "highest")
    text = f"The last {METRIC} of each run; intervals are percentile bootstraps over seeds (rliable, SciPy)."
    found.append(Section("Statistics", text, header=header, rows=tuple(_statistics(*pair) for pair in scores.items())))
    pairs = [(x, y) for x, y in combinations(scores, 2) if len(scores[x]) > 1 and len(scores[y]) > 1]
    if pairs:
        rows = tuple(_compared(x, y, contest(scores[x], scores[y])) for x, y in pairs)
        text = (
            "A variant is called better only where the interval lies on one side of one half, from "
            f"{FEWEST_SEEDS} seeds a side on."
        )
        columns = ("", "probability", "verdict", "")
        found.append(Section("Probability of improvement", text, header=columns, rows=rows))
    listed = tuple(
        (short_name(run.folder.resolve()), run.status.lower(), str(run.config.get("seed", "")), _last(run))
        for run in runs
    )
    return [*found, Section("Runs", header=("run", "status", "seed", METRIC), rows=listed)]


def _compared(x: str, y: str, found: Contest) -> tuple[str, ...]:
    verdict = {1: f"{x} is better", -1: f"{y} is better", 0: "undecided"}[found.outcome]
    return f"P({x} > {y})", str(found.probability), verdict, found.remark


def last_scores(runs: Sequence[RecordedRun]) -> dict[str, Array]:
    """The last test return of every seed [n], by configuration; of a seed that was run twice, the longer run's."""
    groups: dict[Any, dict[Any, tuple[int, float]]] = {}
    for run in without_continued([run for run in runs if not run.config.get("evaluate")])[0]:
        steps, values = series(read_metrics(run.folder), METRIC)
        if values:
            of_seed, seed = groups.setdefault(group_key(run), {}), run.config.get("seed")
            of_seed[seed] = max(of_seed.get(seed, (-1, 0.0)), (steps[-1], values[-1]), key=lambda pair: pair[0])
    named = zip(labels(list(groups)), groups.values(), strict=True)
    return {label: np.array([value for _, value in of_seed.values()]) for label, of_seed in named}


def _statistics(label: str, scores: Array) -> tuple[str, ...]:
    low, high = (float(bound[0]) for bound in mean_intervals(scores[:, None]))
    middle = str(interquartile_mean(scores)) if len(scores) > 1 else f"{scores[0]:.4g}"
    ends = (f"{scores.min():.4g}", f"{scores.max():.4g}")
    return (label, str(len(scores)), f"{scores.mean():.4g}", f"[{low:.4g}, {high:.4g}]", middle, *ends)


def _last(run: RecordedRun) -> str:
    values = series(read_metrics(run.folder), METRIC)[1]
    return f"{values[-1]:.4g}" if values else ""


def _configuration(run: RecordedRun) -> Section:
    rows = tuple(
        (key, mask(value if isinstance(value, str) else json.dumps(value))) for key, value in run.config.items()
    )
    return Section("Configuration", header=("key", "value"), rows=rows)


def _provenance(recorded: RecordedRun) -> Section:
    run = recorded.run
    experiment, host = run.get("experiment", {}), run.get("host", {})
    repositories = experiment.get("repositories") or [{}]
    entries = {
        "folder": str(recorded.folder.resolve()),
        "status": recorded.status,
        "started": recorded.started,
        "ended": str(run.get("stop_time") or "")[:16].replace("T", " "),
        "commit": str(repositories[0].get("commit", "")),
        "host": str(host.get("hostname", "")),
        "processor": str(host.get("cpu", "")),
        "Python": str(host.get("python_version", "")),
        "packages": ", ".join(experiment.get("dependencies", [])),
        "continues": str(run.get("continues", "")),
    }
    return Section("Provenance", header=("", ""), rows=tuple((name, text) for name, text in entries.items() if text))


def _film(file: Path) -> Film | None:
    """An animation of the run's folder; None where it would be too much for a page."""
    if file.stat().st_size > MOST_ANIMATION_BYTES:
        return None
    return Film(file.name, KINDS[file.suffix], base64.b64encode(file.read_bytes()).decode())


def html(figure: Any, name: str) -> str:
    """A figure of plotly as a part of a page that has the library; empty where there is none."""
    if figure is None:
        return ""
    settings = {"displaylogo": False, "responsive": True}
    part: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=settings, auto_play=False)
    return part
