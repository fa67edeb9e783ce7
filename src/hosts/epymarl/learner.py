"""The learner that the host sees: our learner, on segments made of the host's episodes and the mac's recordings."""

from pathlib import Path
from typing import Any

import torch

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.files import write_whole
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.hosts.epymarl.mac import DAGController
from bn_mappo.hosts.epymarl.recording import Recording
from bn_mappo.hosts.epymarl.segments import make_segments
from bn_mappo.learners.bn_mappo import BNMAPPOLearner

CHECKPOINT = "bn_mappo.th"  # in the folder that the host makes
FORMAT = 1


class BNMAPPO:
    """The host's `learner`. Owns our learner; never writes into batches, which may be views of the host's buffer."""

    def __init__(self, mac: DAGController, scheme: dict[str, Any], logger: Any, args: Any):
        if not isinstance(mac, DAGController):
            raise ConfigError(f"learner=bn_mappo needs mac=dag_controller, not {type(mac).__name__}")
        self.mac, self.logger, self.args, self.settings = mac, logger, args, mac.settings
        self.core = BNMAPPOLearner(self.settings.learner, mac.info, mac.policy, mac.generators)
        self.scheme = {**mac.policy.scheme(), **self.core.scheme()}
        self.log_stats_t = -self.settings.host.learner_log_interval - 1

    def train(self, batch: Any, t_env: int, episode_num: int) -> None:
        """One update, as soon as all episodes of the batch are new; the host may ask after every run of several."""
        recordings = self.mac.ring.take()
        if recordings is None:
            return
        is_due = t_env - self.log_stats_t >= self.settings.host.learner_log_interval
        segments = self.segments(batch, recordings)
        with torch.enable_grad():  # forks play, and learn, without
            statistics = self.core.train(segments, recordings[0].fraction, collect_stats=is_due)
        if is_due:
            for name, value in statistics.items():
                self.logger.log_stat(name, float(value), t_env)
            self.log_stats_t = t_env

    def segments(self, batch: Any, recordings: list[Recording]) -> EpisodeBatch:
        """What our learner learns from."""
        hidden = self.mac.policy.init_hidden(batch.batch_size)
        believe_ends = self.settings.host.time_outs == "reported"
        return make_segments(batch, recordings, self.scheme, hidden, believe_ends)

    def cuda(self) -> None:
        """Everything lies where `args.device` says from the start."""
        self.mac.cuda()

    def save_models(self, path: str) -> None:
        """One file that a run can be evaluated or continued from."""
        state = {
            "format": FORMAT,
            "settings": self.settings.values(),
            "learner": self.core.state_dict(),
            "generators": self.mac.generators.state_dict(),
            "test_generators": self.mac.test_generators.state_dict(),
        }
        write_whole(Path(path) / CHECKPOINT, lambda file: torch.save(state, file))

    def load_models(self, path: str) -> None:
        """Go on from `save_models`; ConfigError where its networks have other sizes."""
        file = Path(path) / CHECKPOINT
        try:
            state = torch.load(file, map_location=self.mac.device, weights_only=True)
        except FileNotFoundError:
            raise ConfigError(f"{path} holds no {CHECKPOINT}: it is no checkpoint of bn_mappo") from None
        if state["format"] != FORMAT:
            raise ConfigError(f"{file} has format {state['format']}; this version reads format {FORMAT}")
        present = self.core.state_dict()
        for part in ("mac", "critic"):
            check_sizes(file, state["learner"][part], present[part])
        self.core.load_state_dict(state["learner"])
        self.mac.generators.load_state_dict(state["generators"])
        self.mac.test_generators.load_state_dict(state["test_generators"])


def check_sizes(file: Path, saved: dict[str, torch.Tensor], present: dict[str, torch.Tensor]) -> None:
    """ConfigError where weights are missing, or have other shapes than those of this run."""
    of_saved = {name: tuple(value.shape) for name, value in saved.items()}
    of_present = {name: tuple(value.shape) for name, value in present.items()}
    names = [name for name in {**of_saved, **of_present} if of_saved.get(name) != of_present.get(name)]
    if names:
        name = names[0]
        raise ConfigError(
            f"{file} does not fit this run: weight '{name}' has the shape {of_saved.get(name, 'none')} there, and "
            f"{of_present.get(name, 'none')} here ({len(names)} differ). Use the settings that it was trained with"
        )
