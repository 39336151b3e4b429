"""What can be broken in the laboratory, and mended again."""

import os
import signal
from pathlib import Path
from typing import Final

from lab import wires
from lab.cloud import Lab, say
from lab.layout import CLUSTERS
from lab.machines import Running, pids

NATS: Final = "nats-server"


def partition(cluster: str) -> None:
    """A cluster is cut off from the rest."""
    wires.cut(_cluster(cluster))
    say(f"{cluster} is cut off; `make lab-heal` joins it again")


def heal(lab: Lab) -> None:
    """Clusters are joined again, and what was killed is started."""
    for cluster in CLUSTERS:
        wires.mend(cluster)
    for machine in lab.layout.machines:
        if not (wires.NAMESPACES / machine.namespace).exists():
            lab.power_on(machine)
        else:
            lab.start(*(running for running in lab.of(machine) if not running.runs()))
    say("all machines run, and reach one another")


def kill_host(lab: Lab, name: str) -> None:
    """A machine loses power, with all that runs on it."""
    lab.cut_power(_named(lab, name).machine)
    say(f"{name} has no power; `make lab-heal` gives it back")


def kill(lab: Lab, name: str) -> None:
    """kill -9 of a process alone: its guests run on."""
    _named(lab, name).kill()
    say(f"{name} was killed; `make lab-heal` starts it")


def kill_nats(lab: Lab, name: str) -> None:
    """kill -9 of the nats-server of a process: who watches over it starts it again."""
    of = _named(lab, name)
    killed = [pid for pid in pids(of.machine.namespace) if _program(pid) == NATS]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    if not killed:
        raise SystemExit(f"lab: {name} runs no {NATS}")
    say(f"the {NATS} of {name} was killed")


def _program(pid: int) -> str:
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return ""


def _cluster(name: str) -> str:
    if name not in CLUSTERS:
        raise SystemExit(f"lab: there is no cluster {name}; there are {', '.join(CLUSTERS)}")
    return name


def _named(lab: Lab, name: str) -> Running:
    if name not in lab.running:
        raise SystemExit(f"lab: there is no {name}; there are {', '.join(lab.running)}")
    return lab.running[name]
