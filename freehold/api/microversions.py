"""Microversions: the one that a call is in, of those that a service speaks (OpenStack's API-SIG, "Microversions")."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from freehold.api.call import Answer, Call, Serve
from freehold.api.faults import HttpRefusal
from freehold.vocabulary.errors import BadRequest, NotFound

HEADER: Final = "openstack-api-version"
KEPT_MAX: Final = 256

_FORM: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


class Version(NamedTuple):
    """A microversion; ordered as they came."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Microversions:
    """Those of one service. `older`: a header of its own that names the version too, if it has one."""

    def __init__(self, service: str, lowest: Version, highest: Version, older: str = "") -> None:
        self._service, self._lowest, self._highest = service, lowest, highest
        self._older, self._vary = older.lower(), ", ".join(filter(None, ("OpenStack-API-Version", older)))
        self._kept = lru_cache(maxsize=KEPT_MAX)(self._read)
        self._told = lru_cache(maxsize=KEPT_MAX)(self._headers)

    def of(self, call: Call) -> Version:
        """The version a call is in; the lowest if it names none.

        Raises BadRequest for one that isn't a version, HttpRefusal 406 for one that isn't served.
        """
        return self._kept(call.headers.get(HEADER, ""), call.headers.get(self._older))

    def headers(self, call: Call) -> Mapping[str, str]:
        """What every answer says of its version."""
        try:
            version = self.of(call)
        except (BadRequest, HttpRefusal):
            version = self._lowest
        return self._told(version)

    def negotiated(self, serve: Serve) -> Serve:
        """`serve`, after the version was found to be one of ours."""

        async def checked(call: Call) -> Answer:
            self.of(call)
            return await serve(call)

        return checked

    def between(self, serve: Serve, first: Version | None = None, last: Version | None = None) -> Serve:
        """`serve`, for calls in versions from `first` to `last`; in others there is no such resource."""
        low, high = first or self._lowest, last or self._highest

        async def gated(call: Call) -> Answer:
            if not low <= self.of(call) <= high:
                raise NotFound("The resource could not be found.")
            return await serve(call)

        return gated

    def _read(self, named: str, older: str | None) -> Version:
        asked = self._asked(named) or older
        if asked is None:
            return self._lowest
        if asked == "latest":
            return self._highest
        form = _FORM.fullmatch(asked)
        if form is None:
            raise BadRequest(
                f"API Version String {asked[:32]} is of invalid format. Must be of format MajorNum.MinorNum."
            )
        version = Version(int(form[1]), int(form[2]))
        if not self._lowest <= version <= self._highest:
            message = f"Version {version} is not supported by the API. Minimum is {self._lowest} and maximum is "
            raise HttpRefusal(406, f"{message}{self._highest}.")
        return version

    def _asked(self, named: str) -> str | None:
        for part in named.split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == self._service and version:
                return version.strip()
        return None

    def _headers(self, version: Version) -> Mapping[str, str]:
        older = {self._older: str(version)} if self._older else {}
        return {HEADER: f"{self._service} {version}", **older, "vary": self._vary}
