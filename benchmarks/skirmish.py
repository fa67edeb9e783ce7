"""Environment steps of Skirmish a second, and what share of the time goes where.

    python benchmarks/skirmish.py [--maps MMM2 6h_vs_8z] [--games 1 8 64] [--rounds 7] [--json FILE]
    python benchmarks/skirmish.py --threads 1 2 --games 256 1024  # in seconds on the wall
    python benchmarks/skirmish.py --references [N]  # what scripted policies win in N games (500) of every map
    python benchmarks/skirmish.py --mirror [N]      # N games (2000) between equal scripted sides

A step is one step (8 game loops) of one game, observations, state, available actions and restarts included; random
available actions, which are chosen outside of the measured time. Best of the rounds, in CPU seconds of this process,
which other processes on the machine disturb less than the clock on the wall; with --threads, on the wall. First of all:
how long importing, compiling or loading the compiled code, and one step take.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

MIRRORS = ("3m", "8m", "25m", "MMM", "2s3z", "3s5z", "1c3s5z")  # maps with equal sides
STEPS_OF_A_ROUND = 16384  # over all games


def measure(map_name: str, n_games: int, n_rounds: int, threads: int, seconds: Callable[[], float]) -> dict[str, float]:
    """Steps a second of the best round, and in it the shares of physics, of observations and of all else."""
    from bn_mappo.envs.games.skirmish import Skirmish

    game, rng = Skirmish(n_games, 0, map_name=map_name, threads=threads), np.random.default_rng(0)
    spent = dict.fromkeys(("advance", "observe", "observe_restarted", "start"), 0.0)
    for name in spent:  # the parts of BatchedGame.step
        setattr(game, name, _timed(getattr(game, name), spent, name, seconds))
    avail_actions, best = game.reset().avail_actions, {"steps_per_second": 0.0}
    for _ in range(n_rounds):
        spent.update(dict.fromkeys(spent, 0.0))
        total = 0.0
        for _ in range(STEPS_OF_A_ROUND // n_games):
            actions = (rng.random(avail_actions.shape, dtype=np.float32) * avail_actions).argmax(-1)
            begin = seconds()
            avail_actions = game.step(actions).observation.avail_actions
            total += seconds() - begin
        speed = STEPS_OF_A_ROUND / total
        if speed > best["steps_per_second"]:
            seen = spent["observe"] + spent["observe_restarted"]
            shares = {
                "physics": spent["advance"] / total,
                "observations": seen / total,
                "starts": spent["start"] / total,
            }
            best = {"steps_per_second": speed, **shares, "rest": 1 - sum(shares.values())}
    return best


def _timed(function, spent: dict[str, float], name: str, seconds: Callable[[], float]):
    """The function, adding its time to spent[name]."""

    def timed(*arguments):
        begin = seconds()
        result = function(*arguments)
        spent[name] += seconds() - begin
        return result

    return timed


def start_seconds(map_name: str) -> float:
    """From before the import of the environment to after its first step, in seconds on the wall."""
    begin = time.perf_counter()
    from bn_mappo.envs.games.skirmish import Skirmish

    game = Skirmish(1, 0, map_name=map_name)
    game.reset()
    game.step(np.zeros((1, game.info.n_agents), dtype=np.int64))
    return time.perf_counter() - begin


def show_references(n_games: int) -> None:
    """Mean return and share of battles won of each scripted policy on each map, as a table in Markdown."""
    from bn_mappo.envs.games.skirmish import Skirmish
    from bn_mappo.envs.games.skirmish.data import map_names
    from bn_mappo.envs.references import reference_outcomes

    names = list(Skirmish(1, 0, map_name="3m").reference_policies())
    print(f"| map | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for map_name in map_names():
        facts = reference_outcomes(Skirmish(n_games, 0, map_name=map_name), seed=0)
        cells = [f"{facts[name]['return']:.2f}, {facts[name]['battle_won']:.1%}" for name in names]
        print(f"| {map_name} | {' | '.join(cells)} |", flush=True)


def show_mirror(n_games: int) -> None:
    """How often the agents' side wins where both sides follow the enemies' policy, as a table in Markdown."""
    from bn_mappo.envs.games.skirmish import Skirmish, core

    print("| map | won | lost | both gone | still fighting | share won |\n|---|---|---|---|---|---|")
    for map_name in MIRRORS:
        game = Skirmish(n_games, 11, map_name=map_name)
        game.allies_are_scripted = True
        game.reset()
        outcome, actions = np.zeros(n_games, dtype=int), np.ones((n_games, game.info.n_agents), dtype=np.int64)
        for _ in range(game.info.episode_limit):
            game.advance(actions)
            outcome = np.where(outcome == core.RUNNING, game.outcome, outcome)
        won, lost, drawn = (int((outcome == kind).sum()) for kind in (core.WON, core.LOST, core.DRAWN))
        rest = n_games - won - lost - drawn
        print(f"| {map_name} | {won} | {lost} | {drawn} | {rest} | {won / (won + lost):.1%} |", flush=True)


def main() -> None:
    """Measure every pair, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", default=["MMM2", "6h_vs_8z"])
    parser.add_argument("--games", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", help="values of env_args.threads")
    parser.add_argument("--references", type=int, nargs="?", const=500, metavar="N", help="games of a map")
    parser.add_argument("--mirror", type=int, nargs="?", const=2000, metavar="N", help="games of a map")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    if min(options.games) < 1 or max(options.games) > STEPS_OF_A_ROUND or options.rounds < 1:
        parser.error(f"--games takes 1 to {STEPS_OF_A_ROUND}, --rounds at least 1")
    if options.references or options.mirror:
        if options.references:
            show_references(options.references)
        if options.mirror:
            show_mirror(options.mirror)
        return
    print(f"import, compiled code and first step: {start_seconds(options.maps[0]):.1f} s")
    seconds = time.perf_counter if options.threads else time.process_time
    rows = [
        {
            "map": map_name,
            "games": n_games,
            "threads": threads,
            **measure(map_name, n_games, options.rounds, threads, seconds),
        }
        for map_name in options.maps
        for n_games in options.games
        for threads in options.threads or [1]
    ]
    table = Table(title="Skirmish")
    for column in ("map", "games", "threads", "steps/s", "physics", "observations", "starts", "rest"):
        table.add_column(column, justify="right")
    for row in rows:
        shares = [f"{row[name]:.0%}" for name in ("physics", "observations", "starts", "rest")]
        table.add_row(row["map"], str(row["games"]), str(row["threads"]), f"{row['steps_per_second']:,.0f}", *shares)
    Console(width=100).print(table)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
        print(f"written: {options.json}")


if __name__ == "__main__":
    main()
