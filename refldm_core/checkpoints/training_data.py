"""What a model was trained on, where its file says so, and what a user must be told of it."""

from __future__ import annotations

from collections.abc import Mapping

TRAINED_ON_KEY = "refldm.trained_on"
"""In the metadata of a .safetensors or ONNX file: the only kind of pictures that the model knows."""

DRAWN_PEOPLE = "drawn people"
"""What this project's own face networks are trained on."""


def caution(metadata: Mapping[str, Mapping[str, str]]) -> str:
    """One sentence about models that know one kind of pictures only; "" where there are none.

    Args:
        metadata: what the file of each model says of itself, by the model's part, such as "model" or "detector".
    """
    training_data = {part: texts[TRAINED_ON_KEY] for part, texts in metadata.items() if texts.get(TRAINED_ON_KEY)}
    if not training_data:
        return ""
    *others, last = (f"the {part}" for part in training_data)
    subject = f"{', '.join(others)} and {last} were" if others else f"{last} was"
    kinds = " and ".join(dict.fromkeys(training_data.values()))
    return (
        f"{subject[0].upper()}{subject[1:]} trained on {kinds} only: with other pictures, such as photos of real "
        "people, the results are worthless."
    )
