r"""Training speed, end to end, and where the time goes: mappo, and bn_mappo along an empty, line, full and learned DAG.

With --config=qmix, or another algorithm without a DAG: mappo and that one.

    python benchmarks/throughput.py --env aloha --config bn_mappo --threads 1 [--json FILE] [KEY=VALUE ...]

On a GPU, play many games:

    python benchmarks/throughput.py --env skirmish --device cuda batch_size_run=1024 env_args.map_name=MMM2 \
        env_args.threads=16 cuda_graphs=true

Trains for real with the sizes of the paper (32 games, 5 epochs). The variants take turns, ten segments at a time, so
that a machine whose speed drifts slows them all alike. The first two of the ten are not counted: they find the caches
full of another variant's arrays, which never happens in a training. Figures are medians over segments, with the best
one beside them. MFLOP/step counts the matrix products of playing and learning; `of peak` is how much of the time they
would take at the speed of one large product on the same device.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from bn_mappo.config.loading import config_names, load_layers, merge, overlay
from bn_mappo.config.schema import used_values, validate
from bn_mappo.core.clock import Clock
from bn_mappo.core.errors import ConfigError, fail
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.training.build import build, start_collector

PARTS = ("environment", "acting", "dag_sampling", "update", "other")
COUNTED, UNCOUNTED = 8, 2  # segments of a turn
DAG_VARIANTS = ("empty", "line", "full", "learned")


def now(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Stopwatch:
    """Adds up the seconds spent inside the functions that it wraps."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Replace a method by one that is timed."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = now(self.device)
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds[part] += now(self.device) - begin

        setattr(owner, name, timed)


class Variant:
    """One algorithm in training, timed. References leave out what only the last variant can use."""

    def __init__(self, name: str, alg: str, env: str, overrides: dict[str, Any], is_reference: bool = False):
        chosen = {"dag": {"generator": name}} if name in DAG_VARIANTS else {}
        values = overlay(load_layers(alg, env), merge(overrides, chosen))
        self.name, self.config = name, validate(settle(used_values(values) if is_reference else values).values)
        setup = build(self.config)
        self.device = setup.generators.device
        self.learner, self.watch, self.clock = setup.learner, Stopwatch(self.device), Clock(self.config.t_max)
        self.rollout = start_collector(self.config, setup)
        self.rows: list[dict[str, float]] = []
        self.watch.wrap(self.rollout.env, "step", "environment")
        self.watch.wrap(self.rollout.mac, "select_actions", "acting")
        self.watch.wrap(setup.learner, "train", "update")
        if hasattr(setup.mac, "dag") and not self.config.cuda_graphs:  # a recording cannot be timed in parts
            self._time_dag_while_acting(setup.mac)

    def _time_dag_while_acting(self, mac: Any) -> None:
        """The update generates DAGs too; that time is part of the update."""
        generate = mac.generate

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = now(self.device)
            dag = generate(*args, **kwargs)
            if not dag.adjacency.requires_grad:
                self.watch.seconds["dag_sampling"] += now(self.device) - begin
            return dag

        mac.generate = timed

    def turn(self, counted: int) -> None:
        """Play some segments; keep the times of all but the first ones."""
        for _ in range(UNCOUNTED + counted):
            self.segment()
        del self.rows[-UNCOUNTED - counted : -counted]

    def warm_up(self) -> None:
        """Whatever happens only once; a learner with a replay learns nothing before it holds some episodes."""
        while not self.segment():
            pass
        self.rows.clear()

    def segment(self) -> bool:
        """Play and learn from one segment, and keep its times; whether anything was learned."""
        self.watch.seconds = dict.fromkeys(PARTS, 0.0)
        begin = now(self.device)
        fraction = self.clock.fraction
        batch = self.rollout.collect(fraction)
        self.clock.advance(batch.batch_size * batch.n_steps)
        learned = self.learner.train(batch, fraction, collect_stats=self.clock.is_due(self.config.log_interval))
        total = now(self.device) - begin
        seconds = self.watch.seconds
        seconds["acting"] -= seconds["dag_sampling"]
        seconds["other"] = total - sum(seconds.values())
        self.rows.append({**seconds, "total": total})
        return bool(learned)

    def flops(self) -> float:
        """Floating point operations of the matrix products of one environment step, learning included."""
        with FlopCounterMode(display=False) as counter:
            self.segment()
        self.rows.pop()
        return counter.get_total_flops() / (self.config.batch_size_run * self.config.segment_length)

    def result(self, peak: float) -> dict[str, Any]:
        """Medians over the counted segments; `peak` in operations per second."""
        flops, rows = self.flops(), self.rows
        steps = self.config.batch_size_run * self.config.segment_length
        total = float(np.median([row["total"] for row in rows]))
        sums = {part: sum(row[part] for row in rows) for part in PARTS}
        return {
            "env": self.config.env,
            "variant": self.name,
            "steps_per_s": steps / total,
            "best_steps_per_s": steps / min(row["total"] for row in rows),
            "flops_per_step": flops,
            "share_of_peak": flops * steps / total / peak,
            "shares": {part: sums[part] / sum(sums.values()) for part in PARTS},
        }


def peak_flops(device: torch.device, size: int = 1024) -> float:
    """Floating point operations per second of the best of ten products of two square matrices."""
    a, b = torch.rand(2, size, size, device=device)
    seconds = []
    for _ in range(10):
        begin = now(device)
        torch.mm(a, b)
        seconds.append(now(device) - begin)
    return 2 * size**3 / min(seconds)


def place(device: torch.device) -> str:
    """The name of a GPU, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def show(rows: list[dict[str, Any]], title: str) -> None:
    """The table, with ratios to mappo."""
    table = Table(title=title)
    for column in ("variant", "steps/s", "best", "time / mappo", "MFLOP/step", "of peak", *PARTS):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for row in rows:
        shares = [f"{row['shares'][part]:.0%}" for part in PARTS]
        ratio = rows[0]["steps_per_s"] / row["steps_per_s"]
        speeds = (f"{row['steps_per_s']:,.0f}", f"{row['best_steps_per_s']:,.0f}", f"{ratio:.2f}")
        products = (f"{row['flops_per_step'] / 1e6:.2g}", f"{row['share_of_peak']:.0%}")
        table.add_row(row["variant"], *speeds, *products, *shares)
    Console(width=140).print(table)


def main() -> None:
    """Time all variants in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="aloha", choices=config_names("envs"))
    parser.add_argument("--config", default="bn_mappo", choices=config_names("algs"))
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:NUMBER: where networks and batches lie")
    parser.add_argument("--segments", type=int, default=24, help="counted segments of each variant (default: 24)")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as env_args.n_agents=5")
    options = parser.parse_args()
    overrides: Any = OmegaConf.to_container(OmegaConf.from_dotlist(options.overrides))
    overrides = merge(overrides, {"torch_threads": options.threads, "device": options.device})
    try:
        variants = [Variant("mappo", "mappo", options.env, overrides, is_reference=True)]
        has_dag = load_layers(options.config, options.env)["mac"] == "dag_controller"
        names = DAG_VARIANTS if has_dag else (options.config,)
        for name in names:
            is_reference = name != names[-1]
            variants.append(Variant(name, options.config, options.env, overrides, is_reference))
    except ConfigError as error:
        fail(error, 2)
    for variant in variants:
        variant.warm_up()
    turns = [COUNTED] * (options.segments // COUNTED) + [options.segments % COUNTED] * bool(options.segments % COUNTED)
    for counted in track(turns, description="training", console=Console(stderr=True), refresh_per_second=1):
        for variant in variants:
            variant.turn(counted)
    peak = peak_flops(variants[0].device)
    rows = [variant.result(peak) for variant in variants]
    config = variants[0].config
    epochs = config.learner.options.epochs
    title = f"{options.env} {' '.join(options.overrides)}: {config.batch_size_run} games, {epochs} epochs, "
    title += f"{options.threads} thread(s), {place(variants[0].device)}, median of {options.segments} segments; "
    title += f"one large product: {peak / 1e9:.0f} GFLOP/s"
    show(rows, title)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()
