"""The `freehold` command. It starts things through `assemble`, and asks a running cloud over HTTP."""
