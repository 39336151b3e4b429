"""Where volumes lie, and how hosts reach them: `interface` has the promises; `simulated` and `files` keep them.

What both decide is decided once: `checks` (who may have what, and how it is named) and `chain` (which layers a volume
with snapshots has).
"""
