"""What the metadata of aggregates says, and whether it is as an extra spec wants it."""

import pytest

from freehold.vocabulary.aggregate import Aggregate, matches, projects


def an_aggregate(**metadata: str) -> Aggregate:
    return Aggregate(id="a", number=1, name="a", metadata=metadata)


@pytest.mark.parametrize(
    ("has", "wanted", "fits"),
    [
        ("true", "true", True),
        ("true", "True", False),
        ("a,b , c", "b", True),
        ("a,b", "a,b", False),
        ("b", "<or> a <or> b", True),
        ("c", "<or> a <or> b", False),
        ("abc", "<in> bc", True),
        ("abc", "<in> d", False),
        ("x", "s== x", True),
        ("x", "s!= x", False),
        ("8", "= 4", True),
        ("8", ">= 8", True),
        ("8", ">= 8.5", False),
        ("8", "<= 9", True),
        ("8", "== 8.0", True),
        ("8", "!= 8", False),
        ("many", ">= 8", False),
        ("8", ">= many", False),
        ("8", ">=", False),
        ("1e999", ">= 1", False),
        ("> 8", "> 8", True),
        ("", "", True),
    ],
)
def test_how_metadata_is_compared(has: str, wanted: str, fits: bool) -> None:
    assert matches(an_aggregate(disk=has), "disk", wanted) is fits


def test_what_is_not_there_is_never_as_wanted() -> None:
    assert not matches(an_aggregate(), "disk", "!= 8") and not matches(an_aggregate(), "disk", "")


@pytest.mark.parametrize(
    ("metadata", "for_whom"),
    [
        ({"ssd": "true"}, None),
        ({"filter_tenant_id": "p1"}, {"p1"}),
        ({"filter_tenant_id": "p1, p2", "filter_tenant_id_more": "p3"}, {"p1", "p2", "p3"}),
        ({"filter_tenant_id": ""}, set()),
    ],
)
def test_for_whom_hosts_are_kept(metadata: dict[str, str], for_whom: set[str] | None) -> None:
    assert projects(an_aggregate(**metadata)) == for_whom
