"""The kind of pictures that a model was trained on, as its file states it, and the caution that users see."""

from __future__ import annotations

from collections.abc import Mapping

TRAINED_ON_KEY = "refldm.trained_on"
"""Key in the metadata of a .safetensors or ONNX file. Its text names the only kind of pictures that the model knows."""

RENDERED_PEOPLE = "rendered people"
"""The pictures that this project's own face networks are trained on."""


def caution(metadata: Mapping[str, Mapping[str, str]]) -> str:
    """Return one sentence about models that know only one kind of pictures. Return "" where no model is limited so.

    Args:
        metadata: Part of the pipeline, such as "model" or "detector" -> metadata of that model's file.
    """
    training_data = {part: texts[TRAINED_ON_KEY] for part, texts in metadata.items() if texts.get(TRAINED_ON_KEY)}
    if not training_data:
        return ""
    *models, last_model = (f"the {part}" for part in training_data)
    subject = f"{', '.join(models)} and {last_model} were" if models else f"{last_model} was"
    kinds = " and ".join(dict.fromkeys(training_data.values()))
    return (
        f"{subject[0].upper()}{subject[1:]} trained on {kinds} only: with other pictures, such as photos of real "
        "people, the results are worthless."
    )
