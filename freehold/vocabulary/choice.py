"""How a host is chosen for a guest, told to those who ask: which hosts are left out, and for what."""

from dataclasses import dataclass
from enum import StrEnum

from freehold.vocabulary.guest import HostQuestion
from freehold.vocabulary.request import Build
from freehold.vocabulary.word import Message, Word


class Filter(StrEnum):
    """What leaves a host out, in the order in which it is looked at."""

    CLOSED = "closed"
    SILENT = "silent"
    ZONE = "zone"
    AGGREGATE = "aggregate"
    TENANT = "tenant"
    TRAITS = "traits"
    IMAGE = "image"
    VCPUS = "vcpus"
    MEMORY = "memory"
    DISK = "disk"
    TARGET = "target"
    HINT = "hint"
    GROUP = "group"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Need:
    """What a host's qualities are to be, told to people as `filter`: all of `every`, none of `none`, and of each of
    `some` at least one.
    """

    filter: Filter
    every: frozenset[str] = frozenset()
    none: frozenset[str] = frozenset()
    some: tuple[frozenset[str], ...] = ()


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
