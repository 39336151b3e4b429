"""Which URLs are receivers', by their spelling and by the address they lead to."""

import pytest

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.receiver import inside, networks, receiver_of, refused_host


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("https://hooks.example.com/a?b=c", "https", "hooks.example.com", 443),
        ("http://hooks.example.com:8080/", "http", "hooks.example.com", 8080),
        ("HTTP://Hooks.Example.Com", "http", "hooks.example.com", 80),
        ("https://198.41.0.4/x", "https", "198.41.0.4", 443),
        ("https://[2001:500:2f::f]:8443/", "https", "2001:500:2f::f", 8443),
    ],
)
def test_a_url_leads_somewhere(url: str, scheme: str, host: str, port: int) -> None:
    assert receiver_of(url) == (scheme, host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "//hooks.example.com/",
        "https:///nowhere",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com./",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks example.com/",
        "https://hooks.example.com/\r\nX: y",
        "https://h\u00f6\u00f6ks.example.com/",
        "https://127\u30020\u30020\u30021/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:25/",
        "https://hooks.example.com:6000/",
        "https://[fe80::1%25eth0]/",
        "https://[::1]x/",
        "https://[127.0.0.1]/",
        "https://-a.example.com/",
        "https://" + "a." * 130 + "com/",
        "https://hooks.example.com/" + "a" * 2000,
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://hooks.example.0x/",
    ],
)
def test_a_url_that_could_lead_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        receiver_of(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "4000::1",
        "not an address",
    ],
)
def test_nothing_is_sent_inside(address: str) -> None:
    assert inside(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:500:2f::f", "64:ff9b::808:808", "2620:fe::fe"]
)
def test_what_is_outside_is_a_receiver(address: str) -> None:
    assert inside(address) == ""


def test_an_operator_allows_networks_of_theirs_and_no_more() -> None:
    allowed = networks(("10.1.0.0/16", "fd00:1::/48"))
    assert inside("10.1.2.3", allowed) == "" and inside("fd00:1::5", allowed) == ""
    assert inside("10.2.0.1", allowed) and inside("::ffff:10.1.2.3", allowed)
    with pytest.raises(BadRequest, match=r"10\.1\.0\.0/16"):
        networks(("10.1.0.1/16",))


def test_a_name_is_judged_when_it_is_resolved() -> None:
    assert refused_host("localhost") == ""
    assert refused_host("127.0.0.1") == "this machine"
    assert refused_host("::1") == "this machine"
