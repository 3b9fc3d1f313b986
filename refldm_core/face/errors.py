"""Errors of finding, choosing and putting back faces."""

from __future__ import annotations

from ..errors import ReFLDMError


class FaceError(ReFLDMError):
    """A face, or a set of faces, that the work cannot go on with: none found, impossible landmarks, a wrong number."""


class MissingPackageError(ReFLDMError):
    """A package that only this part needs is not installed, or does not import."""
