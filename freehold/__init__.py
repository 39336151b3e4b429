"""Freehold: the control plane of a private compute cloud in which each host owns its own data.

ARCHITECTURE.md is the map; the words that everything is said in are in ``freehold.vocabulary``.
"""

__version__ = "0.1.0"
