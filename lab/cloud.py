"""The laboratory's cloud as a whole: brought up, looked at, taken down."""

import shutil
from pathlib import Path
from typing import Final

from freehold.bus.passports import opened_passport
from freehold.drivers.fabric.names import namespace_prefix
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.runtime.clock import SystemClock
from freehold.store.identity import read_identity
from freehold.vocabulary.ids import short
from lab import certificates, machines, wires
from lab.layout import API_PORT, API_PORTS, CONTROL, Layout, Machine, layout
from lab.machines import ROOT, Running

FOLDER: Final = ROOT / ".lab"
RUNTIME: Final = Path("/run/freehold")
URL: Final = f"http://{CONTROL}:{API_PORT}"
_HYPERVISOR: Final = "hypervisor"


class Lab:
    """The laboratory over `folder`, with hosts of one kind of hypervisor: ``qemu`` or ``simulated``."""

    def __init__(self, folder: Path = FOLDER, hypervisor: str = "qemu") -> None:
        self.folder, kind = folder, folder / _HYPERVISOR
        self.hypervisor = kind.read_text() if kind.exists() else hypervisor
        self.layout: Layout = layout(folder / "keys", self.hypervisor)
        self.running = {
            process.name: Running(machine, process, folder)
            for machine in self.layout.machines
            for process in machine.processes
        }

    @property
    def control(self) -> Running:
        """The process with the directory, over whose state the admin's commands are given."""
        return self.running["control"]

    def of(self, machine: Machine) -> list[Running]:
        """The processes of a machine."""
        return [self.running[process.name] for process in machine.processes]

    # --- up and down -----------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Makes what isn't there, lets in who isn't, and starts what doesn't run."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / _HYPERVISOR).write_text(self.hypervisor)
        certificates.make(self.folder / "keys", self.layout.machines)
        if not wires.stands():
            say(f"{len(self.layout.machines)} machines, on switches in {wires.SWITCHES}")
            wires.up(self.layout)
        for running in self.running.values():
            running.configure()
        wires.balance(self.control.machine, API_PORTS[:1])
        self.start(self.control)
        rest = [running for running in self.running.values() if running is not self.control]
        for running in rest:
            self.let_in(running)
        brokers = [running for running in rest if "broker" in running.process.roles]
        for these in (brokers, [running for running in rest if running not in brokers]):
            self.start(*these)
        wires.balance(self.control.machine, API_PORTS)

    def let_in(self, running: Running) -> None:
        """Invites a process' machine and has it take the invitation up, if it is new."""
        if running.is_enrolled():
            return
        roles = [word for role in running.process.roles for word in ("--role", role)]
        name, cluster = running.process.name, running.machine.cluster
        running.enroll(URL, self.control.command("machine", "invite", name, "--cluster", cluster, *roles))
        say(f"{name} was let in")

    def start(self, *which: Running) -> None:
        """Starts processes, and waits until all of them are ready."""
        for running in which:
            running.start()
        for running in which:
            running.wait()
            say(f"{running.process.name} runs: {' '.join(running.process.roles)}")

    def down(self, *, keep: bool = False) -> None:
        """Ends everything, guests too, and takes all of it away. `keep`: but the state, as after a power cut."""
        for machine in reversed(self.layout.machines):
            self.cut_power(machine)
        wires.down(self.layout)
        if not keep and self.folder.exists():
            shutil.rmtree(self.folder)
        say("nothing is left" if not keep else f"stopped; {self.folder} is kept")

    # --- machines --------------------------------------------------------------------------------------------------

    def cut_power(self, machine: Machine) -> None:
        """A machine stops at once, with its guests."""
        machines.cut_power(machine, self.nested(machine))
        for folder in (folder for one in self.of(machine) for folder in one.state.glob("simulated/*/guests")):
            SimulatedHypervisor(folder, SystemClock()).restart_machine("")  # those are files, and run without power
        for store in (store for one in self.of(machine) for store in stores_of(one)):
            shutil.rmtree(RUNTIME / short(store), ignore_errors=True)  # its /run is this machine's

    def power_on(self, machine: Machine) -> None:
        """It starts again, with the disk that it had."""
        wires.plug(machine)
        if machine is self.control.machine:
            wires.balance(machine, API_PORTS)
        self.start(*self.of(machine))

    def nested(self, machine: Machine) -> list[str]:
        """The namespaces that a machine has made for its networks."""
        prefixes = tuple(namespace_prefix(store) for one in self.of(machine) for store in stores_of(one))
        return sorted(
            path.name for path in wires.NAMESPACES.glob("fh-*") if prefixes and path.name.startswith(prefixes)
        )


def stores_of(running: Running) -> tuple[str, ...]:
    """The stores that a process speaks for; none if it wasn't let in yet."""
    kept = read_identity(running.state)
    passport = None if kept is None else opened_passport(kept.passport, kept.authority)
    return () if passport is None else passport.stores


def say(line: str) -> None:
    """A line for who looks on."""
    print(f"lab: {line}", flush=True)
