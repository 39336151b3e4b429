"""Servers as JSON that was made when they were shown last, for those to whom they are shown as they are stored: without
what their hosts are, or when those were heard.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from freehold.api.call import AS_OF, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute import server_view
from freehold.api.compute.server_view import Server
from freehold.vocabulary.request import Admission

Shape = Callable[[Call, Server], dict[str, Any]]


def are_kept(call: Call) -> bool:
    """Whether a caller may be given what was made before."""
    return AS_OF not in call.headers and not call.caller.is_admin and call.cloud.unknown_after_s is None


def maker(call: Call, shape: Shape) -> Callable[[str], Raw | None]:
    """Gives the servers of the caller's project in a shape, by their ids; None for one that isn't in the view, or is
    another project's.
    """
    view, project = call.cloud.view, call.caller.project
    fragments, variant = view.fragments, (shape.__name__, project, mv.of(call), call.base_url)

    def fragment(guest: str) -> Raw | None:
        kept = fragments.get(guest, variant)
        if kept is not None:
            return Raw(kept)
        admission = view.get(Admission, guest)
        if admission is None or admission.project != project:
            return None
        made = msgspec.json.encode(shape(call, server_view.joined(call, admission)))
        fragments.put(project, guest, variant, made)
        return Raw(made)

    return fragment
