"""The whole house on a virtual clock: production code, one process, one seed, and everything going wrong that can.

`loop` is an asyncio loop that never waits; `process` what can be killed or paused; `network`, `disk` and `machine` the
world that fails; `world` a cloud in it; `plan` what a seed makes go wrong and what clients ask; `clients` and
`checkers` say what must hold; `witness` hands what was seen to the model of deeds; `run` plays seeds, shrinks one that
fails, and tells it as a story.
"""
