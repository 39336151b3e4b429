"""`freehold status`: how old what is shown of an owner is."""

import pytest

from freehold.cli.ask import _stands, backed_up, doubts, heard, reasons


@pytest.mark.parametrize(
    ("state", "age_s", "silent_s", "said"),
    [
        ("heard", 1.2, 1.2, "1.2 s ago"),
        ("silent", 47.0, 47.0, "UNKNOWN: silent for 47.0 s"),
        ("never", None, 9.5, "UNKNOWN: not heard since the API started, 9.5 s ago"),
    ],
)
def test_an_owner_that_is_not_heard_is_unknown(state: str, age_s: float | None, silent_s: float, said: str) -> None:
    assert heard({"state": state, "age_s": age_s, "silent_s": silent_s}) == said


@pytest.mark.parametrize(
    ("state", "enabled", "reason", "said"),
    [
        ("heard", True, "", "up"),
        ("heard", False, "", "up, drained"),
        ("silent", False, "fans", "UNKNOWN, drained: fans"),
        ("never", True, "", "UNKNOWN"),
    ],
)
def test_a_host_that_is_drained_says_so(state: str, enabled: bool, reason: str, said: str) -> None:
    host = {"state": state, "enabled": enabled, "disabled_reason": reason, "fences": [], "quarantined": 0}
    assert _stands(host) == said


def test_a_host_that_is_fenced_says_by_what_evidence() -> None:
    host = {"state": "silent", "enabled": True, "disabled_reason": "", "quarantined": 2}
    assert _stands(host | {"fences": [{"evidence": "its plug is out"}]}) == (
        "FENCED: its plug is out, keeps 2 old copies"
    )


def test_what_is_not_believed_is_said() -> None:
    owners = [
        {"role": "host", "name": "h7", "store": "1", "refused": {"another host's": 3}},
        {"role": "image", "name": "", "store": "2", "refused": {}},
    ]
    hosts = [
        {"name": "h7", "contradictions": {"no deed": 2, "over capacity": 1}},
        {"name": "h8", "contradictions": {"something new": 4}},
    ]
    assert doubts(owners, hosts) == [
        "host h7: 3 records refused: another host's",
        "host h7: tells of guests that the ledger hasn't given it: 2; they are shown nowhere",
        "host h7: its guests take more than it has registered",
        "host h8: something new",
    ]
    assert doubts([], []) == []


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        (None, "none"),
        ({"seq": 7, "entries": 0, "seconds": 0.0}, "up to date"),
        ({"seq": 7, "entries": 3, "seconds": 61.2}, "3 entries, 61 s behind"),
        ({"seq": 7, "entries": 0, "seconds": 2.0}, "0 entries, 2 s behind"),
    ],
)
def test_how_far_a_backup_is_behind_is_said(lag: dict[str, float] | None, said: str) -> None:
    assert backed_up({"backup": lag}) == said


def test_why_a_guest_is_where_it_is_is_said() -> None:
    left_out = [{"filter": "memory", "hosts": 12, "means": "with too little memory free"}]
    told = {"guest": "g", "host": "h", "refusals": [], "hosts": 15, "left_out": left_out, "fit": 3, "best": ["a", "b"]}
    assert reasons(told) == [
        "guest g: given to host h",
        "now, of 15 hosts:",
        "       12 with too little memory free",
        "        3 fit, the best first: a, b",
    ]
    nowhere = told | {"host": None, "refusals": ["no room"], "fit": 0, "best": []}
    assert reasons(nowhere)[:2] == ["guest g: given to no host", "  a host refused it: no room"]
    assert reasons(nowhere)[-1] == "        0 fit"
