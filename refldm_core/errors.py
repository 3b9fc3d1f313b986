"""The errors that this package raises on purpose.

Each message says the problem, what was expected and the remedy, so that the command line and the ComfyUI nodes can
show it as it is.
"""

from __future__ import annotations


class ReFLDMError(Exception):
    """Base of every error that a user can cause and mend.

    Args:
        problem: what is wrong, naming the file, tensor or value.
        expected: what would have been right.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, *, expected: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.remedy = remedy
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [self.problem]
        if self.expected:
            lines.append(f"Expected: {self.expected}")
        if self.remedy:
            lines.append(f"Remedy: {self.remedy}")
        return "\n".join(lines)


class CheckpointError(ReFLDMError):
    """A model file cannot be read, recognized or loaded."""


class UnsafeCheckpointError(CheckpointError):
    """A pickled model file asks to run code when loaded; it was not run."""


class ReferencesError(ReFLDMError):
    """A reference set does not fit the model or the pictures that it is used with."""


class SettingsError(ReFLDMError):
    """A setting, or a combination of settings, that has no meaning."""


class OutOfRangeError(SettingsError):
    """A number of a spec that is missing, no number, not finite or outside its range.

    Args:
        name: of the spec's field.
        value: what was found there, as text.
        expected: the range.
        source: where the value comes from; "" where nobody knows.
    """

    def __init__(self, name: str, value: str, expected: str, source: str = "") -> None:
        self.name, self.value = name, value
        super().__init__(
            f"{name} is {value}{f' ({source})' if source else ''}.",
            expected=expected,
            remedy="correct the value, or use the model file and config that its authors published",
        )


class ImageFileError(ReFLDMError):
    """A picture cannot be read or written."""


class PictureError(ReFLDMError):
    """Pictures in memory have another shape, type or range than pictures have."""


class OutputError(ReFLDMError):
    """A result cannot be written where it was asked for."""


class UnsafePathError(ReFLDMError):
    """A name that a file holds would lead out of the folder that it belongs to."""


class DownloadError(ReFLDMError):
    """A download failed or gave another file than the published one."""


class NotFiniteError(ReFLDMError):
    """A computation gave values that are not finite (NaN or infinity)."""


class NotEnoughMemoryError(ReFLDMError):
    """The memory of the machine or of its GPU is not enough for what was asked."""


def shortened(value: object, length: int = 80) -> str:
    """A value's `repr` for a message, cut to `length` characters; a container's is never made whole.

    Nested containers that share their parts (YAML aliases) can have a text of gigabytes.
    """
    if isinstance(value, str | bytes):
        text = repr(value[:length])
    elif isinstance(value, bool | int | float | None):
        text = _number_text(value)
    else:
        text = f"a {type(value).__name__}"
    return text if len(text) <= length else text[: length - 3] + "..."


def _number_text(value: float | None) -> str:
    # Python refuses to write whole numbers of more than 4300 digits, and takes long for a few less.
    return repr(value) if not isinstance(value, int) or value.bit_length() < 256 else "a number of more than 70 digits"
