"""Acting as one CUDA graph: on a GPU, hundreds of small operations are launched at once instead of one by one."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.seeding import Generators
from bn_mappo.training.acting import Player

WARM_UP = 3  # calls before the recording: libraries choose their kernels and take their memory in the first ones
Inputs = dict[str, Tensor]


class Recording(NamedTuple):
    """A call that can be repeated on other values in the same places."""

    inputs: Inputs  # where it reads
    replay: Callable[[], Selection]  # gives the tensors that hold its results until the next replay


class GraphedPlayer:
    """A player whose `select_actions` is recorded once for each shape of its arguments, and replayed from then on.

    What it reads besides them (weights) must stay where it lies; noise is an argument. `fraction` is that of the
    recording: in acting it is of no effect, since noise is scaled when it is drawn.
    """

    def __init__(self, player: Player):
        self.player, self.agent_ids = player, player.agent_ids
        self.recordings: dict[tuple[tuple[str, torch.Size], ...], Recording] = {}

    def init_hidden(self, batch_size: int) -> Tensor:
        """The hidden state before an episode, [B, N, H_rnn]."""
        return self.player.init_hidden(batch_size)

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """All randomness of one step of B games."""
        return self.player.draw_noise(batch_size, generators, fraction, greedy)

    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games."""
        seen = {name: value for name, value in step._asdict().items() if value is not None}
        inputs: Inputs = {**seen, "hidden": hidden, **noise}
        shapes = tuple((name, value.shape) for name, value in inputs.items())
        if shapes not in self.recordings:

            def act(given: Inputs) -> Selection:
                own_noise = {name: given[name] for name in noise}
                own_step = step._replace(**{name: given[name] for name in seen})
                return self.player.select_actions(own_step, given["hidden"], own_noise, fraction)

            self.recordings[shapes] = record(act, inputs)
        recording = self.recordings[shapes]
        for name, value in inputs.items():
            recording.inputs[name].copy_(value)
        actions, after, recorded, adjacency = recording.replay()
        return Selection(
            actions.clone(),
            after.clone(),
            {name: value.clone() for name, value in recorded.items()},
            None if adjacency is None else adjacency.clone(),
        )


def record(function: Callable[[Inputs], Selection], inputs: Inputs) -> Recording:
    """Record a call on a GPU; on a CPU, where nothing has to be launched, a replay is another call."""
    own, device = {name: value.clone() for name, value in inputs.items()}, inputs["hidden"].device
    if device.type == "cpu":
        return Recording(own, lambda: function(own))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                function(own)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph):
            selection = function(own)

    def replay() -> Selection:
        graph.replay()
        return selection

    return Recording(own, replay)
