"""Flavors and images ask for hosts by names; words that nobody understands are refused at once."""

import json

import pytest

from tests.api.asgi import Reply
from tests.api.compute.conftest import V21, Compute
from tests.api.native.test_requests import urn_of
from tests.api.native.test_why import left_out, why


def message(reply: Reply) -> str:
    (fault,) = reply.json.values()
    return str(fault["message"])


async def flavor(compute: Compute, **specs: str) -> str:
    made = {"name": f"needy-{len(specs)}", "vcpus": 1, "ram": 64, "disk": 1}
    key = str((await compute.admin.post(f"{V21}/flavors", {"flavor": made})).json["flavor"]["id"])
    reply = await compute.admin.post(f"{V21}/flavors/{key}/os-extra_specs", {"extra_specs": specs})
    assert reply.status == 200, reply.body
    return key


async def say(compute: Compute, **properties: str) -> None:
    """Gives the image properties."""
    patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in properties.items()]
    content = {"content-type": "application/openstack-images-v2.1-json-patch"}
    reply = await compute.admin.ask("PATCH", f"/image/v2/images/{compute.image}", json.dumps(patch).encode(), content)
    assert reply.status == 200, reply.body


async def test_a_flavors_traits_are_those_of_the_host(compute: Compute) -> None:
    key = await flavor(compute, **{"trait:COMPUTE_IMAGE_TYPE_RAW": "required", "trait:CUSTOM_GPU": "forbidden"})
    await compute.running(flavorRef=key)


async def test_of_a_trait_that_no_host_has_the_server_says_so(compute: Compute) -> None:
    key = await flavor(compute, **{"trait:HW_CPU_X86_AVX2": "required"})
    reply = await compute.member.post(f"{V21}/servers", compute.wanted(flavorRef=key))
    assert reply.status == 202
    fault = (await compute.settled(reply.json["server"]["id"], "ERROR"))["fault"]
    assert "No valid host was found" in fault["message"]
    assert "(2 without trait HW_CPU_X86_AVX2). Choose another flavor or image." in fault["message"]
    told = await why(compute, urn_of(reply))
    assert left_out(told) == {"traits": 2}
    assert [one["means"] for one in told["left_out"] if one["hosts"]] == [
        "without a trait that it requires, or with one that it forbids"
    ]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ({"trait:CUSTOM_GPU": "maybe"}, "it is 'maybe' and can be required or forbidden"),
        ({"trait:CUSTOM_GPU": ""}, "can be required or forbidden"),
        ({"trait:custom_gpu": "required"}, "a trait's name has capitals"),
        ({"trait:": "required"}, "a trait's name has capitals"),
        ({f"trait:CUSTOM_{number}": "required" for number in range(51)}, "51 traits are asked for"),
        ({"aggregate_instance_extra_specs:": "x"}, "a name of metadata"),
        ({f"aggregate_instance_extra_specs:{number}": "x" for number in range(51)}, "at most 50"),
    ],
)
async def test_extra_specs_that_nobody_understands_change_nothing(
    compute: Compute, specs: dict[str, str], said: str
) -> None:
    path = f"{V21}/flavors/1/os-extra_specs"
    reply = await compute.admin.post(path, {"extra_specs": specs})
    assert reply.status == 400 and said in message(reply) and list(reply.json) == ["badRequest"]
    assert (await compute.admin.get(path)).json == {"extra_specs": {}}
    one, value = next(iter(specs.items()))
    if len(specs) == 1 and one[-1] != ":":
        assert (await compute.admin.put(f"{path}/{one}", {one: value})).status == 400


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"trait:CUSTOM_GPU": "forbidden"}, "it is 'forbidden' and can be required"),
        ({"trait:gpu": "required"}, "a trait's name has capitals"),
        ({f"trait:CUSTOM_{number}": "required" for number in range(51)}, "51 traits are asked for by image property"),
        ({"hw_architecture": "z80"}, "made for the architecture 'z80', which isn't known"),
        ({"architecture": "z80"}, "made for the architecture 'z80', which isn't known"),
        ({"img_hv_type": "xen"}, "made for the hypervisor 'xen'; hosts of this cloud run qemu and kvm"),
        ({"hypervisor_type": "vmware"}, "made for the hypervisor 'vmware'"),
        ({"hw_vm_mode": "xen"}, "asks for the VM mode 'xen'; hosts of this cloud run hvm"),
        ({"vm_mode": "uml"}, "asks for the VM mode 'uml'"),
    ],
)
async def test_an_image_that_nobody_can_run_is_refused_at_once(
    compute: Compute, properties: dict[str, str], said: str
) -> None:
    await say(compute, **properties)
    reply = await compute.member.post(f"{V21}/servers", compute.wanted())
    assert reply.status == 400 and said in message(reply) and list(reply.json) == ["badRequest"]


async def test_an_image_asks_for_hosts_that_are_there(compute: Compute) -> None:
    await say(
        compute,
        hw_architecture="AMD64",
        img_hv_type="kvm",
        hw_vm_mode="hvm",
        **{"trait:COMPUTE_IMAGE_TYPE_RAW": "required"},
    )
    await compute.running()


async def test_an_image_of_an_architecture_that_no_host_has(compute: Compute) -> None:
    await say(compute, hw_architecture="aarch64")
    fault = (await compute.settled(await compute.create(), "ERROR"))["fault"]
    assert "(2 not of architecture aarch64)" in fault["message"]


async def test_an_image_requires_what_the_flavor_forbids(compute: Compute) -> None:
    await say(compute, **{"trait:COMPUTE_IMAGE_TYPE_RAW": "required"})
    key = await flavor(compute, **{"trait:COMPUTE_IMAGE_TYPE_RAW": "forbidden"})
    reply = await compute.member.post(f"{V21}/servers", compute.wanted(flavorRef=key))
    assert reply.status == 400 and "which flavor needy-1 forbids" in message(reply)
