"""Errors of face detection, selection and pasting."""

from __future__ import annotations

from ..errors import ReFLDMError


class FaceError(ReFLDMError):
    """A face or a set of faces is unusable: no face was found, landmarks are impossible, or a number is wrong."""


class MissingPackageError(ReFLDMError):
    """An optional package is not installed, or its import fails."""
