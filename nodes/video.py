"""The node that restores the faces of a whole video file."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import InputImpl, io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.detection import DetectionSettings, FaceNetwork, SearchingDetector
from ..refldm_core.face.identity import Recognizer
from ..refldm_core.face.matching import SAME_PERSON
from ..refldm_core.face.selection import select_faces
from ..refldm_core.face.tracking import face_seed
from ..refldm_core.files import atomic_write
from ..refldm_core.images import model_to_bhwc
from ..refldm_core.presets import PRESETS, describe_presets
from ..refldm_core.video.film import SEARCHING, OnProgress, VideoReport, restore_video
from ..refldm_core.video.parts import Parts
from ..refldm_core.video.restoration import VideoSettings
from ..refldm_core.video.search import FaceFinder
from . import host
from .face_types import FaceDetector, FaceRecognizer
from .images import to_model
from .people import centroid_of, parse_names
from .restoring import sample_latents
from .sampling_inputs import averaging_input, steadying_input
from .types import ADVANCED, CATEGORY, References, ReferenceSet, where_supported

_DEFAULT_PRESET = "video"
_DEFAULTS = VideoSettings()
_SEARCH_PERCENT = 20
"""Percent of the progress bar for finding faces. Restoring takes the rest."""
_NO_FACE = (
    "choose another face detector, switch rotated on, or lower threshold so that more faces are taken for the people"
)


class RestoreVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_RestoreVideo",
            category=CATEGORY,
            display_name="Restore Video",
            description="Restores the faces of a video of any length without flicker, and keeps its sound. Only a few "
            "frames are in memory at a time.",
            **where_supported(
                search_aliases=["video restoration", "restore video", "video face", "old film", "deflicker", "refldm"],
            ),
            inputs=[
                io.Model.Input("model", tooltip="Connect the MODEL of Load ReF-LDM Model, with or without LoRA."),
                io.Vae.Input("vae", tooltip="Connect the VAE of Load ReF-LDM Model."),
                FaceDetector.Input("face_detector", tooltip="Connect Load Face Detector."),
                io.Video.Input("video", tooltip="Connect the VIDEO of Load Video."),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="Connect one person for all faces. Several people of Batch References need face_recognizer "
                    "too. Without references, faces are restored without knowledge of the person and "
                    "without guidance.",
                ),
                FaceRecognizer.Input(
                    "face_recognizer",
                    optional=True,
                    tooltip="Connect Load Face Recognizer to restore only the faces of the connected people, each with "
                    "its own references.",
                ),
                io.Int.Input(
                    "seed",
                    default=2024,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed for the initial noise. A face has the same noise in all frames.",
                ),
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default=_DEFAULT_PRESET,
                    tooltip=f"Choose the settings of the sampler. {describe_presets()}.",
                ),
                steadying_input(
                    _DEFAULTS.steadying,
                    "Set the weight of the earlier frames. Before restoring, each face is averaged with them "
                    "where it is at rest. 0 is off and flickers.",
                ),
                averaging_input(
                    _DEFAULTS.landmark_averaging,
                    "Set over how many frames before and after the places of eyes, nose and mouth are "
                    "averaged, so that the face does not tremble. 0 is off.",
                ),
                io.Float.Input(
                    "threshold",
                    default=SAME_PERSON,
                    min=-1.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Set the lowest similarity of a face to its person. It counts if face_recognizer is "
                    "connected. Use 0.25 to 0.3 for degraded videos.",
                    **ADVANCED,
                ),
                io.Boolean.Input(
                    "rotated",
                    default=False,
                    tooltip="Also search for faces that lie on their side. The search then takes three times as long.",
                    **ADVANCED,
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="Holds the restored video with its sound, as MP4."),
                io.String.Output(display_name="report", tooltip="Says how many faces were restored, and of whom."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        model: Any,
        vae: Any,
        face_detector: FaceNetwork,
        video: Any,
        seed: int,
        preset: str,
        steadying: float,
        averaging: float,
        threshold: float,
        rotated: bool,
        references: tuple[ReferenceSet, ...] = (),
        face_recognizer: Recognizer | None = None,
    ) -> io.NodeOutput:
        host.require_model(model)
        spec = host.require_vae(vae).refldm_spec
        settings = VideoSettings(steadying, averaging)
        people = dict(zip(parse_names("", len(references)), references, strict=True))
        _require_recognizer(len(people), face_recognizer is not None)
        host.warn_of_training({"model": vae.refldm_metadata})
        detector = SearchingDetector(face_detector, DetectionSettings(turns=(0, 1, 3) if rotated else (0,)))
        recognizer = face_recognizer if people else None
        finder = FaceFinder(
            detector,
            recognizer,
            {} if recognizer is None else {n: centroid_of(recognizer, person, n) for n, person in people.items()},
            threshold,
            only_person=next(iter(people), None) if recognizer is None else None,
        )

        def restore_crops(crops: Tensor, faces: Sequence[face.Face]) -> Tensor:
            sets = tuple(None if item.person is None else people[item.person] for item in faces)
            seeds = [face_seed(seed, item, 0) for item in faces]
            lq_latents = vae.encode(model_to_bhwc(crops))
            latents = sample_latents(
                model, lq_latents, sets, seeds, PRESETS[preset].settings, seed=seed, shows_steps=False
            )
            return torch.stack(list(to_model(vae.decode(latents), "restored")))

        with host.temporary_folder() as folder:
            restored = folder / "restored.mp4"
            report = restore_video(
                _file_of(video, folder),
                restored,
                Parts(folder / "parts", {}, resume=False),
                finder,
                restore_crops,
                crop_size=spec.crop_size,
                settings=settings,
                select=partial(select_faces, when_empty="pass"),
                people=list(people) if recognizer else (),
                remedy_without_faces=_NO_FACE,
                on_progress=_shown_progress(),
            )
            # The folder and its files are gone after an error.
            target = restored.replace(host.temporary_file(".mp4"))
        text = _in_words(report)
        host.show_text(text)
        return io.NodeOutput(InputImpl.VideoFromFile(str(target)), text)


def _require_recognizer(people: int, has_recognizer: bool) -> None:
    if people > 1 and not has_recognizer:
        raise SettingsError(
            f"{people} people cannot be told apart without a face recognizer.",
            expected="a face recognizer, or the references of one person",
            remedy="connect Load Face Recognizer to face_recognizer",
        )


def _file_of(video: Any, folder: Path) -> Path:
    """Return the file of a VIDEO. One that is trimmed, or in memory, is written into the folder first."""
    start, duration = video.get_active_trim_window() if hasattr(video, "get_active_trim_window") else (0.0, 0.0)
    source = folder / "source.mp4"
    if start or duration or not isinstance(video, InputImpl.VideoFromFile):
        video.save_to(str(source))
        return source
    stream = video.get_stream_source()
    if isinstance(stream, str):
        return Path(stream)
    with atomic_write(source) as temporary:
        temporary.write_bytes(stream.getbuffer())
    return source


def _shown_progress() -> OnProgress:
    """Return a callback that shows the progress of both stages in one bar."""
    progress = host.Progress(100)

    def show(stage: str, done: int, total: int | None) -> None:
        share = min(1.0, done / total) if total else 0.0
        searched = share * _SEARCH_PERCENT
        progress.show(round(searched if stage == SEARCHING else _SEARCH_PERCENT + share * (100 - _SEARCH_PERCENT)))

    return show


def _in_words(report: VideoReport) -> str:
    names = f" People: {', '.join(report.people)}." if report.people else ""
    text = f"{report.frames} frames, {report.faces} faces restored, {report.tracks} different ones.{names}"
    return "\n".join([text, *(f"{remark[0].upper()}{remark[1:]}." for remark in report.remarks)])
