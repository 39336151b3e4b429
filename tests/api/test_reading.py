"""Which shards of the registrar are asked for what."""

from dataclasses import replace

import pytest

from freehold.api.call import Call, Query
from freehold.api.caller import Caller, Tokens
from freehold.api.reading import shards
from freehold.vocabulary.request import Admission
from freehold.vocabulary.shards import IDENTITY_SHARD, Shards
from freehold.vocabulary.tenant import Flavor, Quota, VolumeType
from freehold.vocabulary.volume_request import VolumeAdmission
from freehold.vocabulary.word import Word
from tests.api.conftest import Api

SHARDS = Shards(8)
PROJECT, OTHER = "lab", "den"


def asked(api: Api, shape: type[Word], role: str, project: str | None = None) -> list[int]:
    call = Call(replace(api.cloud, shards=SHARDS), "GET", "volume", "/", Query(""), {}, "", Tokens(api.cloud))
    call.caller = Caller(user="u", project=PROJECT, roles=frozenset({role}))
    return sorted(shards(call, shape, project))


@pytest.mark.parametrize("shape", [Admission, VolumeAdmission, Quota])
async def test_what_projects_have_their_own_shards_keep(api: Api, shape: type[Word]) -> None:
    assert asked(api, shape, "member") == [SHARDS.of(PROJECT)]
    assert asked(api, shape, "member", OTHER) == [SHARDS.of(OTHER)]
    assert asked(api, shape, "admin") == list(range(SHARDS.count))
    assert SHARDS.of(PROJECT) != IDENTITY_SHARD


@pytest.mark.parametrize("shape", [Flavor, VolumeType])
async def test_what_is_everybody_s_the_identity_shard_keeps(api: Api, shape: type[Word]) -> None:
    assert asked(api, shape, "member") == asked(api, shape, "admin") == [IDENTITY_SHARD]
