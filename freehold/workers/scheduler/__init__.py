"""The scheduler: it decides where a guest goes, from its view, and owns nothing, so it has no records.

`lifecycle` has the decision, `effects` asks the registrar for the deed and carries commands to hosts, `worker` is
the loop. What
would be a reconciler is the registrar's resending: a build that a scheduler lost comes again.
"""
