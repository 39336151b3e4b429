"""The short form of the benchmark: what it counts holds on any machine."""

from typing import Any

import pytest

from benchmarks import pages
from freehold.api.compute import server_view


async def test_a_page_is_made_once_and_then_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[str]()
    detail = server_view.detail

    def counted(call: Any, server: Any) -> dict[str, Any]:
        made.append(server.admission.guest)
        return detail(call, server)

    counted.__name__ = detail.__name__
    monkeypatch.setattr(server_view, "detail", counted)
    figures = await pages.measured([pages.OF_TENANT, 2 * pages.OF_TENANT], 3)
    assert [point["guests"] for point in figures["curve"]] == [pages.OF_TENANT, 2 * pages.OF_TENANT]
    assert len(made) == len(set(made)) == pages.OF_TENANT
