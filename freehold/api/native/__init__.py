"""Freehold's own door: what OpenStack's APIs have no place for. `requests` and `events`: what a project has asked for,
how far it has come, and news of it; `status`: owners and how old our knowledge of them is; `story`: everything that
happened to a guest or a request, from the owners' logs.
"""
