"""Train on Aloha and plot the learning curve beside the density of the DAG: python examples/train_and_plot.py."""

import sys

from matplotlib import pyplot as plt

import bn_mappo


class Watch(bn_mappo.Callback):
    """Prints the test return whenever there is a new one."""

    def on_update(self, trainer, row):
        if "test_return_mean" in row:
            print(f"step {trainer.clock.t_env}: test return {row['test_return_mean']:.2f}")


def main(*settings: str) -> None:
    config = bn_mappo.load_config("bn_mappo", "aloha", "t_max=100000", "test_interval=10000", *settings)
    run = bn_mappo.train(config, callbacks=[Watch()])

    figure, axes = plt.subplots(2, 1, sharex=True)
    for axis, metric in zip(axes, ("test_return_mean", "dag_density"), strict=True):
        points = [(row["step"], row[metric]) for row in run.rows if metric in row]
        axis.plot(*zip(*points, strict=True))
        axis.set_ylabel(metric)
    axes[-1].set_xlabel("environment steps")
    figure.savefig(run.folder / "curve.png")

    episodes = bn_mappo.evaluate(run, n_episodes=200)
    print(f"mean return of {len(episodes['return'])} episodes: {episodes['return'].mean():.2f}")
    print(f"run, checkpoints and picture: {run.folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
