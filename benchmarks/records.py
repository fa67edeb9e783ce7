"""What recording costs: the list of 1,000 runs, and training with a mirror of the run in MongoDB against without.

    python benchmarks/records.py list [--runs 1000] [--json FILE]
    python benchmarks/records.py mirror [--pairs 5] [--json FILE]

`mirror` needs the server for tests (requirements-dev.txt). Runs with and without take turns; each pair gives one ratio.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
ARGUMENTS = ["--config=bn_mappo", "--env-config=aloha", "with", "test_interval=100000000", "test_nepisode=2"]


def main_py(folder: Path, *overrides: str, url: str = "") -> str:
    """One training run; what it printed."""
    command = [sys.executable, str(ROOT / "src" / "main.py"), *ARGUMENTS, f"local_results_path={folder}", *overrides]
    environment = {**os.environ, "MONGO_URL": url, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def list_runs(folder: Path, n_runs: int) -> dict[str, Any]:
    """Seconds that a listing of many runs takes, as a process; the runs are copies of one of 100 rows."""
    main_py(folder, "t_max=64000", "log_interval=640")
    first = folder / "sacred" / "bn_mappo" / "aloha" / "1"
    for number in range(2, n_runs + 1):
        shutil.copytree(first, first.parent / str(number), ignore=shutil.ignore_patterns("checkpoints", "*.png"))
    command = [sys.executable, str(ROOT / "src" / "runs.py"), "list", "--results", str(folder), "--sort", "return"]
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begin)
    return {"runs": n_runs, "median_s": float(np.median(seconds)), "worst_s": max(seconds)}


def training_seconds(folder: Path, url: str, number: int) -> np.ndarray:
    """Seconds of one run: wall time from the first row of metrics to the last, and CPU time of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    main_py(folder, "t_max=60000", "log_interval=640", "save_model=False", url=url)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = (folder / "sacred" / "bn_mappo" / "aloha" / str(number) / "metrics.jsonl").read_text().splitlines()
    wall = json.loads(rows[-2])["time"] - json.loads(rows[0])["time"]
    return np.array([wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime])


def mirror(folder: Path, n_pairs: int) -> dict[str, Any]:
    """Ratios of wall and CPU time with a mirror to those without, run in turn; on a busy machine CPU time tells."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server_command = [str(Path(sys.executable).parent / "secantusd-py"), "--host", "127.0.0.1", "--port", str(port)]
    server_command += ["--storage-path", str(folder / "server"), "--standalone", "--cache-size", "64M"]
    server = subprocess.Popen(server_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ratios = []
        for pair in range(n_pairs):
            seconds = {}
            for place, with_mirror in enumerate([True, False] if pair % 2 else [False, True]):
                url = f"mongodb://127.0.0.1:{port}/runs" if with_mirror else ""
                seconds[with_mirror] = training_seconds(folder, url, 2 * pair + place + 1)
            ratios.append(seconds[True] / seconds[False])
            print(f"pair {pair}, wall and CPU time, with / without: {ratios[-1].round(3)}", flush=True)
        share = round_share(folder / "sacred" / "bn_mappo" / "aloha" / "1", f"mongodb://127.0.0.1:{port}/rounds")
    finally:
        server.terminate()
        server.wait()
    wall, cpu = np.median(ratios, axis=0).tolist()
    return {"median_wall_ratio": wall, "median_cpu_ratio": cpu, "cpu_share_of_the_mirror": share}


def round_share(run: Path, url: str) -> float:
    """CPU time of a round with one new row of metrics, as a share of the time between two rounds."""
    from bn_mappo.tracking.mirror import INTERVAL_S
    from bn_mappo.tracking.mongo import DatabaseEntry, open_database

    entry, seconds = DatabaseEntry(open_database(url), run), []
    entry.level()
    lines = (run / "metrics.jsonl").read_text().splitlines()
    for _ in range(50):
        with (run / "metrics.jsonl").open("a") as file:
            file.write(lines[-2] + "\n")
        begin = time.thread_time()
        entry.level()
        seconds.append(time.thread_time() - begin)
    return float(np.median(seconds)) / INTERVAL_S


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["list", "mirror"])
    parser.add_argument("--runs", type=int, default=1000, help="runs to list")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs with and without the mirror")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure, number = (list_runs, options.runs) if options.what == "list" else (mirror, options.pairs)
        result = measure(Path(folder), number)
    print(", ".join(f"{name}: {value:.5g}" for name, value in result.items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()
