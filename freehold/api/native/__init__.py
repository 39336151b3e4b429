"""Freehold's own door: what OpenStack's APIs have no place for. `status`: owners and how old our knowledge of them
is; `story`:
everything that happened to a guest or a request, from the owners' logs.
"""
