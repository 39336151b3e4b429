"""How a host is chosen for a guest, told to those who ask: which hosts are left out, and for what."""

from enum import StrEnum

from freehold.vocabulary.guest import HostQuestion
from freehold.vocabulary.request import Build
from freehold.vocabulary.word import Message, Word


class Filter(StrEnum):
    """What leaves a host out, in the order in which it is looked at."""

    CLOSED = "closed"
    SILENT = "silent"
    ZONE = "zone"
    VCPUS = "vcpus"
    MEMORY = "memory"
    DISK = "disk"
    TARGET = "target"
    HINT = "hint"
    GROUP = "group"
    REFUSED = "refused"


class Explain(Message, frozen=True, kw_only=True):
    """Asks a scheduler how it would choose a host for a build now. Answer: Choice."""

    build: Build


class LeftOut(Word, frozen=True, kw_only=True):
    """How many hosts something leaves out, of those that all before it have left."""

    filter: Filter
    hosts: int


class Choice(Word, frozen=True, kw_only=True):
    """What a scheduler knows of its hosts. `best`: the names of the first few of those that fit, the best first."""

    hosts: int
    left_out: tuple[LeftOut, ...]
    fit: int
    best: tuple[str, ...] = ()


SchedulerQuestion = HostQuestion | Explain
