"""The bugs that are planted to test the simulation, by where they are. `make sim-bugs` shows how fast each is found."""

from typing import Final

from freehold.sim.bugs import fences, hosts, ledger, owners, telling, views, volumes

BUGS: Final = (
    *ledger.BUGS,
    *hosts.BUGS,
    *owners.BUGS,
    *views.BUGS,
    *telling.BUGS,
    *fences.BUGS,
    *volumes.BUGS,
)
