"""Units and times.

A *clock time* is a hybrid logical time in one integer: milliseconds since 1970 (UTC) in the upper 48 bits, a counter
in the lower 16. It orders what one process did and what it heard of; it is for people and for "as of", never
for deciding who wins (Kulkarni et al., "Logical Physical Clocks", 2014).
"""

from datetime import UTC, datetime

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

COUNTER_BITS = 16


def clock_time(unix_ms: int, counter: int = 0) -> int:
    """The clock time of `unix_ms` milliseconds since 1970."""
    return unix_ms << COUNTER_BITS | counter


def unix_ms(time: int) -> int:
    """Milliseconds since 1970 of a clock time."""
    return time >> COUNTER_BITS


def iso_seconds(time: int) -> str:
    """`2026-11-23T22:41:06Z`: what Nova, Glance and Neutron show."""
    return datetime.fromtimestamp(unix_ms(time) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_micros(time: int) -> str:
    """`2026-11-23T22:41:06.000000`, without a zone: Nova's form for launch times."""
    return datetime.fromtimestamp(unix_ms(time) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def iso_millis(time: int) -> str:
    """`2026-11-23T22:41:06.123Z`: for stories and logs."""
    return datetime.fromtimestamp(unix_ms(time) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
