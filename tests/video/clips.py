"""Small video files with sound, and networks that stand in: a bright square is a face."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from refldm_core.face.alignment import face_from_landmarks
from refldm_core.face.template import template
from refldm_core.face.types import Face, Landmarks5

av = pytest.importorskip("av")

HEIGHT, WIDTH, FACE = 96, 128, 40
RATE = Fraction(25)
SAMPLES = 1920
"""Samples of sound in a frame, at 48 kHz."""


def picture(k: int, *, faces: int = 1, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return frame `k`: a gray picture with bright squares, which have noise and move to the right."""
    random = np.random.default_rng(k)
    pixels = np.full((height, width, 3), 45, dtype=np.uint8)
    for i in range(faces):
        left, top = 8 + 44 * i + k % 30, 20
        pixels[top : top + FACE, left : left + FACE] = (230, 210 - 60 * i, 190)
        pixels[top : top + FACE, left : left + FACE] += random.integers(0, 12, (FACE, FACE, 3), dtype=np.uint8)
    return pixels


class SquareDetector:
    """Finds the squares of `picture`. Frames of `missed` show it nothing."""

    def __init__(self, missed: Sequence[int] = ()) -> None:
        self.missed = missed
        self.calls = 0

    def detect(self, image: np.ndarray) -> list[Face]:
        self.calls += 1
        if self.calls - 1 in self.missed:
            return []
        columns = np.flatnonzero(image[20 + FACE // 2, :, 0] > 150)
        if not len(columns):
            return []
        starts = [columns[0], *columns[1:][np.diff(columns) > 1]]
        return [face_from_landmarks(Landmarks5(template(FACE) + np.array([float(start), 20.0]))) for start in starts]


def stripe(crops: Tensor, faces: Sequence[Face]) -> Tensor:
    """Restore crops: a face gets stripes, and a face of another track other stripes."""
    x = torch.arange(crops.shape[-1])
    stripes = torch.stack([0.6 * torch.sin(x * (1.0 + 0.2 * (face.track or 0))) for face in faces])
    return (crops + stripes[:, None, None]).clamp(-1.0, 1.0)


def write_clip(
    path: Path,
    frames: int = 12,
    *,
    audio: str | None = "aac",
    container: str | None = None,
    tracks: int = 1,
    timestamps: Sequence[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    pix_fmt: str = "yuv444p",
    **options: int,
) -> Path:
    """Write a video with tracks of sound.

    Args:
        path: the file.
        frames: number of frames.
        audio: encoder of the sound, or None.
        container: FFmpeg's name of the container, if the ending does not say it.
        tracks: number of tracks of sound.
        timestamps: time stamp of each frame in units of 1 / 12800 seconds. None is a constant rate.
        size: (height, width).
        pix_fmt: FFmpeg's name of the format of the pixels.
        options: of `picture`.
    """
    with av.open(str(path), "w", format=container) as output:
        video = output.add_stream("libx264", rate=RATE, options={"crf": "5", "bf": "2"})
        video.height, video.width, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base = Fraction(1, 12800)
        sounds = [output.add_stream(audio, rate=48_000) for _ in range(tracks)] if audio else []
        for sound in sounds:
            sound.layout = "mono"
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(k, height=size[0], width=size[1], **options), format="rgb24")
            frame.pts, frame.time_base = (512 * k if timestamps is None else timestamps[k]), Fraction(1, 12800)
            output.mux(video.encode(frame))
            for i, sound in enumerate(sounds):
                wave = 8000 * np.sin(np.arange(k * SAMPLES, (k + 1) * SAMPLES) * 0.03 * (i + 1))
                samples = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 48_000, k * SAMPLES, Fraction(1, 48_000)
                output.mux(sound.encode(samples))
        for stream in (video, *sounds):
            output.mux(stream.encode())
    return path


def sound_packets(path: Path) -> list[list[tuple[Fraction, str]]]:
    """Return the time in seconds and the hash of each packet of each track of sound."""
    with av.open(str(path)) as container:
        packets: list[list[tuple[Fraction, str]]] = [[] for _ in container.streams.audio]
        first = len(container.streams.video)
        for packet in container.demux(list(container.streams.audio)) if packets else ():
            if packet.size:
                digest = hashlib.sha256(bytes(packet)).hexdigest()
                packets[packet.stream.index - first].append((packet.pts * packet.time_base, digest))
    return packets
