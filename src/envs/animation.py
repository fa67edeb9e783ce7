"""Animations as files: MP4 where ffmpeg is installed, else GIF; whole or not at all, and never over another."""

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.figure import Figure
from PIL import Image

from bn_mappo.core.specs import Array

DPI = 100  # pixels an inch; of no consequence, but that figures are measured in inches
COLOURS, SAMPLES = 96, 8  # of a GIF's palette, and the frames that it is made of


def suffix() -> str:
    """The kind of animation that can be written here."""
    return ".mp4" if FFMpegWriter.isAvailable() else ".gif"


def write_animation(
    path: Path, frame: Callable[[int], Array], n_frames: int, frames_a_second: float, last_s: float
) -> None:
    """Frames 0 to n_frames - 1, pixels [height, width, 3] uint8 each; the last one stays for last_s seconds."""
    write = _write_video if path.suffix == ".mp4" else _write_gif
    write(path, frame, n_frames, frames_a_second, last_s)


def _write_video(path: Path, frame: Callable[[int], Array], n_frames: int, rate: float, last_s: float) -> None:
    """Through matplotlib, which knows how to talk to ffmpeg; height and width must be even."""
    pixels = frame(0)
    height, width = pixels.shape[:2]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    picture = figure.figimage(pixels)
    writer = FFMpegWriter(fps=round(rate))
    with writer.saving(figure, str(path), DPI):
        for number in [*range(n_frames), *[n_frames - 1] * round(last_s * rate)]:
            picture.set_data(frame(number))
            writer.grab_frame()


def _write_gif(path: Path, frame: Callable[[int], Array], n_frames: int, rate: float, last_s: float) -> None:
    """With one palette for all frames, so that what does not move does not flicker, and costs nothing."""
    palette = _palette([frame(number) for number in range(0, n_frames, max(n_frames // SAMPLES, 1))])
    frames = (  # one at a time: hundreds of them would fill the memory
        Image.fromarray(frame(number)).quantize(palette=palette, dither=Image.Dither.NONE) for number in range(n_frames)
    )
    durations = [1000 / rate] * (n_frames - 1) + [1000 * last_s]
    next(frames).save(path, save_all=True, append_images=frames, duration=durations, loop=0, optimize=False)


def _palette(frames: list[Array]) -> Image.Image:
    return Image.fromarray(np.concatenate(frames)).quantize(COLOURS)


def keep(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """A new file name.gif or .mp4 in the folder, name_2, name_3, ... where that is taken; there once it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".animation_") as workplace:
        made = Path(workplace) / f"animation{suffix()}"
        write(made)
        for path in _free_names(folder, name, made.suffix):
            try:
                os.link(made, path)  # unlike a renaming, it fails where there is a file
            except FileExistsError:
                continue
            return path
    raise AssertionError("there is always another number")


def _free_names(folder: Path, name: str, ending: str) -> Iterator[Path]:
    yield folder / f"{name}{ending}"
    for number in count(2):
        yield folder / f"{name}_{number}{ending}"
