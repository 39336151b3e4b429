"""Freehold's own door, before the same cloud as the compute door."""

from tests.api.compute.conftest import compute

__all__ = ["compute"]
