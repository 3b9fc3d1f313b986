"""The errors that this package raises on purpose.

Each message says the problem, what was expected and the remedy. The command line and the ComfyUI nodes show the message
unchanged.
"""

from __future__ import annotations


class ReFLDMError(Exception):
    """Base of every error that a user can cause and fix.

    Args:
        problem: The problem, with the name of the file, tensor or value.
        expected: A correct input.
        remedy: An action of the user that solves the problem.
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
    """A pickled model file asks to run code while it is loaded. The code was not run."""


class ReferencesError(ReFLDMError):
    """References do not fit the model or the pictures that they are used with."""


class SettingsError(ReFLDMError):
    """A setting or a combination of settings has no meaning."""


class OutOfRangeError(SettingsError):
    """A value of a spec is missing, no number, not finite or outside its range.

    Args:
        name: Name of the spec's field.
        value: The wrong value, as text.
        expected: The range.
        source: Where the value comes from. "" where that is unknown.
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
    """A tensor of pictures has an unexpected shape, type or range."""


class OutputError(ReFLDMError):
    """A result cannot be written to its path."""


class UnsafePathError(ReFLDMError):
    """A name from a file would lead out of the folder that it belongs to."""


class DownloadError(ReFLDMError):
    """A download failed, or its content is not the published one."""


class NotFiniteError(ReFLDMError):
    """A computation gave values that are not finite (NaN or infinity)."""


class NotEnoughMemoryError(ReFLDMError):
    """The memory of the machine or of its GPU is not enough for the task."""


def shorten(value: object, length: int = 80) -> str:
    """Return a value's `repr` for a message, cut to `length` characters. For a container, return only its type.

    The `repr` of nested containers that share their parts (YAML aliases) can have gigabytes.
    """
    if isinstance(value, str | bytes):
        text = repr(value[:length])
    elif isinstance(value, bool | int | float | None):
        text = _number_text(value)
    else:
        text = f"a {type(value).__name__}"
    return text if len(text) <= length else text[: length - 3] + "..."


def _number_text(value: float | None) -> str:
    # Python refuses to write whole numbers of more than 4300 digits, and is slow for numbers just below that limit.
    return repr(value) if not isinstance(value, int) or value.bit_length() < 256 else "a number of more than 70 digits"
