REGISTRY = {}

from .episode_runner import EpisodeRunner  # noqa: E402
from .parallel_runner import ParallelRunner  # noqa: E402

REGISTRY["episode"] = EpisodeRunner
REGISTRY["parallel"] = ParallelRunner
