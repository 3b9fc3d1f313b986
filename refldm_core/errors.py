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
    """A model file cannot be read, recognised or loaded."""


class UnsafeCheckpointError(CheckpointError):
    """A pickled model file asks to run code when loaded; it was not run."""


class ReferencesError(ReFLDMError):
    """A reference set does not fit the model or the pictures that it is used with."""


class SettingsError(ReFLDMError):
    """A setting, or a combination of settings, that has no meaning."""


class ImageFileError(ReFLDMError):
    """A picture cannot be read or written."""


class OutputError(ReFLDMError):
    """A result cannot be written where it was asked for."""


class DownloadError(ReFLDMError):
    """A download failed or gave another file than the published one."""


class NotFiniteError(ReFLDMError):
    """A computation gave values that are not finite (NaN or infinity)."""


class NotEnoughMemoryError(ReFLDMError):
    """The memory of the machine or of its GPU is not enough for what was asked."""
