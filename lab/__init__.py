"""A cloud of many machines on one: a laboratory in which plugs are pulled.

Each machine is a network namespace with processes of its own, as an operator would start them: one control machine, and
two clusters, each with a broker, a network worker and three hosts. Switches are bridges in a namespace of their own, so
a cluster is cut off by taking its uplink down. `layout` says what there is, `wires` makes namespaces and switches,
`machines` runs processes, `cloud` brings all of it up, `faults` breaks it. `python -m lab` is the door.

Everything that it makes has a name that begins with `fhlab-`, or is in a namespace that has: that is how it finds what
an earlier run has left, and takes it away.
"""
