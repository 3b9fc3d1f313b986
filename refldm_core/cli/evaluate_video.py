"""The work of `refldm evaluate --video`: the flicker of restored videos. Its options are in `arguments/evaluate.py`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from ..checkpoints.faces import load_detector
from ..errors import SettingsError
from ..evaluation.identity import RecognizerSource, open_identity_judge
from ..evaluation.video import judge_videos, markdown_lines, require_no_results, write_reports
from ..face.detection import DetectionSettings
from .arguments.model import MODEL_FOLDER
from .cautions import warn
from .memory import Stage, explained_memory_errors
from .options import choose_device
from .output import Output


def require_one_kind(args: argparse.Namespace) -> None:
    """Check that the arguments name pictures or videos to judge, each with its truth, and not both.

    Raises:
        SettingsError: an argument is missing, or belongs to the other kind.
    """
    pictures = {"--predictions": args.predictions, "--ground-truth": args.ground_truth}
    videos = {"--video": args.video, "--truth": args.truth}
    chosen, others = (videos, pictures) if args.video or args.truth else (pictures, videos)
    missing = [name for name, value in chosen.items() if not value]
    misplaced = [name for name, value in others.items() if value]
    if missing or misplaced:
        raise SettingsError(
            f"{' and '.join(missing)} must be set." if missing else f"{' and '.join(misplaced)} is of pictures.",
            expected="--predictions and --ground-truth for pictures, or --video and --truth for videos",
            remedy="see `refldm evaluate --help`",
        )


def run_video(
    args: argparse.Namespace,
    methods: Mapping[str, Path],
    recognizer: RecognizerSource | None,
    stage: Stage,
    output: Output,
) -> int:
    """Judge the videos, write the reports and print the table.

    Args:
        args: arguments of the command.
        methods: name -> file of a restored video.
        recognizer: judge of the identity, or None.
        stage: stage of the judging, for errors of memory.
        output: output of the command.

    Returns:
        The exit code.
    """
    with explained_memory_errors(stage):
        judge = None if recognizer is None else open_identity_judge(recognizer)
        detector = load_detector(args.detector, MODEL_FOLDER, DetectionSettings(), choose_device(args.judge_device))
    metadata = {"detector": detector.network.metadata}
    if judge is None:
        output.remark("The identity is left out: no recognizer was named, and none is in the folder of models.")
    else:
        metadata["recognizer"] = judge.metadata
    warn(output, metadata)
    require_no_results(args.output, overwrite=args.overwrite)
    with explained_memory_errors(stage), output.bar("judging", unit="frame") as bar:
        scores = judge_videos(args.truth, methods, detector, judge, lambda: bar.update(1))
    files = write_reports(scores, "Flicker of " + ", ".join(methods), args.output)
    text = "\n".join([*markdown_lines(scores), f"Report: {files[-1]}"])
    output.result(text, {**scores.as_json(), "files": [str(path) for path in files]})
    return 0
