"""How far a run is, in environment steps: the one place that turns steps into a fraction of training."""


class Clock:
    """Counts the steps of a run of t_max; what is due depends on the steps alone, so a resumed run does the same."""

    def __init__(self, t_max: int, t_env: int = 0):
        self.t_max, self.t_env = t_max, t_env
        self.before = t_env  # steps before the last `advance`

    @property
    def fraction(self) -> float:
        """The share of the training that is done, at most 1."""
        return min(self.t_env / self.t_max, 1.0)

    @property
    def is_over(self) -> bool:
        """Whether all steps have been played."""
        return self.t_env >= self.t_max

    def advance(self, n_steps: int) -> None:
        """n_steps more were played."""
        self.before, self.t_env = self.t_env, self.t_env + n_steps

    def is_due(self, interval: int) -> bool:
        """Whether a multiple of the interval was passed with the last `advance`; at the end everything is due."""
        return self.is_over or self.t_env // interval > self.before // interval
