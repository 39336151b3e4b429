"""Where volumes lie, and how hosts reach them: `interface` has the promises; `simulated` and `files` keep them.

What both decide is decided once: `checks` (who may have what, and how it is named) and `chain` (which layers a volume
with snapshots has).

On files: `pool_folder` and `volume_folder` are what lies where, `layers` makes and joins files of layers and `merging`
decides when. `servers` has a `server` for each reader, which keeps a `daemon` at what is written down; `server_command`
is what that is told. `authority` makes certificates, `turns` keeps verbs apart. `nbd` is the reader's side: it asks
what an export is before a guest sees it.
"""
