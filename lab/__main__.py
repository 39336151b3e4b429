"""The laboratory's door: `python -m lab up|down|status|partition|heal|kill-host|kill|kill-nats`."""

import argparse
import os
from pathlib import Path

from lab import faults, wires
from lab.cloud import FOLDER, URL, Lab, say
from lab.layout import CLUSTERS


def main() -> None:
    """Does what the command line asks for."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("what", choices=("up", "down", "status", "partition", "heal", "kill-host", "kill", "kill-nats"))
    parser.add_argument("name", nargs="?", default="", help="a cluster, a machine or a process")
    parser.add_argument("--simulated", action="store_true", help="hosts whose guests are simulated")
    given = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("lab: this makes network namespaces: run it as root")
    folder = Path(os.environ.get("FREEHOLD_LAB_STATE", FOLDER))
    lab = Lab(folder, "simulated" if given.simulated else "qemu")
    match given.what:
        case "up":
            lab.up()
            tell(lab)
        case "down":
            lab.down()
        case "status":
            status(lab)
        case "partition":
            faults.partition(given.name or CLUSTERS[0])
        case "heal":
            faults.heal(lab)
        case "kill-host":
            faults.kill_host(lab, given.name or lab.layout.hosts()[0].name)
        case "kill":
            faults.kill(lab, given.name or "control")
        case "kill-nats":
            faults.kill_nats(lab, given.name or "control")


def status(lab: Lab) -> None:
    """Prints what runs, and which clusters are cut off."""
    for running in lab.running.values():
        state = "runs" if running.runs() else "doesn't run"
        say(f"{running.process.name:<8} {running.machine.address:<12} {state}: {' '.join(running.process.roles)}")
    if wires.stands():
        for cluster in CLUSTERS:
            say(f"cluster {cluster} {'is cut off' if wires.is_cut(cluster) else 'is joined'}")


def tell(lab: Lab) -> None:
    """Prints what can be done with it now."""
    say(f"the cloud answers at {URL}, by two API processes in turn")
    say(f"use it:       . {lab.control.state / 'openrc'} && openstack hypervisor list")
    say(
        "pull a plug: make lab-partition CLUSTER=c1 | lab-kill-host HOST=c1-h2 | lab-kill PROCESS=api-2 | lab-kill-nats"
    )
    say("mend:         make lab-heal")
    say("take it down: make lab-down")


if __name__ == "__main__":
    main()
