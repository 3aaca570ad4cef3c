import ipaddress

import h11
import pytest

from aicd_sandbox.egress.request import BadRequestError, target_of
from aicd_sandbox.egress.rules import allowed, is_public


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("pypi.org", "pypi.org"),
        ("PyPI.org", "pypi.org"),
        ("pypi.org.", "pypi.org"),
        ("files.example.com", "*.example.com"),
        ("a.b.example.com", "*.example.com"),
    ],
)
def test_a_host_on_the_list_is_allowed(host: str, entry: str) -> None:
    assert allowed(host, [entry])


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("pypi.org.evil.net", "pypi.org"),
        ("evilpypi.org", "pypi.org"),
        ("www.pypi.org", "pypi.org"),
        ("example.com", "*.example.com"),
        ("evilexample.com", "*.example.com"),
        ("", "pypi.org"),
        ("*.example.com", "pypi.org"),
    ],
)
def test_a_host_that_only_looks_like_one_on_the_list_is_not(host: str, entry: str) -> None:
    assert not allowed(host, [entry])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_addresses_on_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
    ],
)
def test_addresses_of_this_machine_and_its_networks_are_not(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


def request(method: str, target: str) -> h11.Request:
    return h11.Request(method=method, target=target, headers=[("Host", "x")])


@pytest.mark.parametrize(
    ("method", "target", "host", "port", "path"),
    [
        ("CONNECT", "pypi.org:443", "pypi.org", 443, ""),
        ("CONNECT", "[2001:db8::1]:443", "2001:db8::1", 443, ""),
        ("CONNECT", "pypi.org", "pypi.org", 443, ""),
        ("GET", "http://Example.com", "example.com", 80, "/"),
        ("GET", "http://example.com:8080/a?b=c", "example.com", 8080, "/a?b=c"),
    ],
)
def test_a_request_says_where_it_wants_to_go(method: str, target: str, host: str, port: int, path: str) -> None:
    found = target_of(request(method, target))
    assert (found.host, found.port, found.path) == (host, port, path)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/relative"),
        ("GET", "ftp://example.com/"),
        ("GET", "https://example.com/"),
        ("GET", "http://user:pass@example.com/"),
        ("CONNECT", "example.com:99999"),
        ("CONNECT", "example.com:x"),
        ("CONNECT", "user@example.com:443"),
        ("CONNECT", "[::1:443"),
        ("CONNECT", ":443"),
    ],
)
def test_what_is_no_address_for_a_proxy_is_refused(method: str, target: str) -> None:
    with pytest.raises(BadRequestError):
        target_of(request(method, target))
