"""Compares what two checkouts learn, bit for bit: python tests/equivalence/golden.py BEFORE AFTER [--only NAME ...].

For a change that must change no number. Trains small runs of many kinds by each checkout's own command line, and holds
the SHA-256 of their weights and their rows of metrics against one another. Bits hold on one kind of machine alone, so
nothing is stored. Exit status 1 where anything differs.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

SMALL = "hidden_dim=16 test_nepisode=8 batch_size_run=8 batch_size=4 segment_length=10 save_model_interval=100000"
RUNS = {  # name: (--config, --env-config, settings)
    "mappo": ("mappo", "aloha", "t_max=400"),
    "ippo": ("ippo", "coordination_game", "t_max=400"),
    "rnn": ("mappo", "aloha", "t_max=400 agent=rnn obs_last_action=True runner=episode env_args.episode_limit=7"),
    "identity": ("bn_mappo", "aloha", "t_max=400 dag.permutation=identity"),
    "gumbel_sinkhorn": ("bn_mappo", "coordination_game", "t_max=400 dag.permutation=gumbel_sinkhorn agent=rnn"),
    "plackett_luce": ("bn_mappo", "aloha", "t_max=400 dag.permutation=plackett_luce"),
    "full": ("bn_mappo", "coordination_game", "t_max=400 dag.generator=full env_args.n_agents=5"),
    "random": ("bn_mappo", "aloha", "t_max=400 dag.generator=random share_params=False"),
    "annealed": ("bn_mappo_annealed", "skirmish", "t_max=800 env_args.map_name=3m"),
    "skirmish": ("mappo", "skirmish", "t_max=800 env_args.map_name=2s3z lr={'start':1e-3,'end':1e-4,'until':0.5}"),
    "qmix": ("qmix", "aloha", "t_max=800 buffer_size=20 samples_per_insert=2 target_update_interval=3"),
    "iql": ("iql", "coordination_game", "t_max=800 agent=rnn obs_last_action=True runner=episode"),
}
OFTEN = "test_interval=160 log_interval=80"


def train(checkout: Path, name: str, folder: Path) -> dict[str, str]:
    """The hashes of one run of a checkout."""
    alg, env, settings = RUNS[name]
    words = [*SMALL.split(), *OFTEN.split(), *settings.split()]
    command = [sys.executable, str(checkout / "src" / "main.py"), f"--config={alg}", f"--env-config={env}"]
    done = subprocess.run([*command, "with", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed in {checkout}:\n{done.stdout}{done.stderr}")
    run = folder / "results" / "sacred" / alg / env / "1"
    (checkpoint,) = (run / "checkpoints").glob("step_*.pt")
    learner = torch.load(checkpoint, weights_only=True)["learner"]
    digest = hashlib.sha256()
    for part in (part for part in ("mac", "critic", "mixer") if part in learner):
        for key, value in sorted(learner[part].items()):
            digest.update(f"{part}.{key}".encode() + value.contiguous().numpy().tobytes())
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("time")
    metrics = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    return {"weights": digest.hexdigest(), "metrics": metrics, "rows": str(len(rows))}


def main() -> int:
    """Compare; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--only", nargs="+", default=list(RUNS), choices=list(RUNS))
    options = parser.parse_args()
    differs = False
    for name in options.only:
        results = []
        for checkout in (options.before, options.after):
            with tempfile.TemporaryDirectory() as folder:
                results.append(train(checkout.resolve(), name, Path(folder)))
        before, after = results
        changed = [key for key in before if before[key] != after[key]]
        differs |= bool(changed)
        outcome = f"DIFFERS in {', '.join(changed)}" if changed else "equal"
        print(f"{name:<16} {outcome:<24} weights {after['weights'][:12]}  metrics {after['metrics'][:12]}", flush=True)
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
