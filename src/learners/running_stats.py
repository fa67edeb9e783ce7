"""Running moments of the returns, in whose units the critic learns. Nothing here waits for a GPU."""

import torch
from torch import Tensor, nn

from bn_mappo.core.ranks import total

SMALLEST_VARIANCE = 1e-4


class RunningMoments(nn.Module):
    """Exponentially decaying mean and variance, without bias towards their start; the identity until first updated."""

    mean: Tensor
    square: Tensor
    weight: Tensor

    def __init__(self, decay: float):
        super().__init__()
        self.decay = decay
        for name in ("mean", "square", "weight"):  # decayed sums of x, x^2 and 1
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, values: Tensor, weight: Tensor) -> None:
        """Take in values that count with `weight` (0 or 1), as one step of the average."""
        doubles = values.double()
        sums = [weight.sum(dtype=torch.float64), (doubles * weight).sum(), (doubles.square() * weight).sum()]
        count, first, second = total(torch.stack(sums)).unbind()
        for moment, power in ((self.mean, first / count), (self.square, second / count), (self.weight, 1.0)):
            moved = self.decay * moment + (1 - self.decay) * power
            moment.copy_(torch.where(count > 0, moved, moment))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation."""
        weight = self.weight.clamp(min=torch.finfo(torch.float64).tiny)  # of no values, all sums are 0
        mean = self.mean / weight
        variance = (self.square / weight - mean.square()).clamp(min=SMALLEST_VARIANCE)
        return mean.float(), torch.where(self.weight > 0, variance.sqrt(), 1.0).float()

    def normalise(self, values: Tensor) -> Tensor:
        """Into units of the running deviation about the running mean."""
        mean, deviation = self.moments()
        return (values - mean) / deviation

    def denormalise(self, values: Tensor) -> Tensor:
        """Back from these units."""
        mean, deviation = self.moments()
        return values * deviation + mean
