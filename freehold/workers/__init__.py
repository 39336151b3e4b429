"""The roles that own something, and the scheduler, which owns nothing.

Each has the same five files: `lifecycle` (rules, pure), `effects` (what touches the world), `records` (its store),
`reconciler` (looks at the world and the store), `worker` (the loop; no rules). `base` is what they share: how an owner
speaks.
"""
