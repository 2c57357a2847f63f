"""Whom a policy asks whether an uplink works: notation and defaults.

::

    "1.1.1.1"                              ICMP echo
    "gateway"                              the gateway itself, by ARP or neighbour solicitation
    "icmp://gateway"                       the gateway, by ICMP echo
    "tcp://192.0.2.1:443"                  a TCP connection
    "dns://9.9.9.9/example.com"            a DNS query for that name; without one for the name servers of the root
    "https://192.0.2.1/path#example.com"   a GET of /path, the server being called example.com

A host is an address, never a name that would have to be looked up: the line that the question goes by may be the one
that is down. IPv6 addresses stand in brackets where a port may follow.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from evenflow.formats.policy.values import Refusal, host_address
from evenflow.model.flow import Family, family_of
from evenflow.model.health import ProbeMethod, ProbeTarget
from evenflow.model.policy import DEFAULT_TARGETS

if TYPE_CHECKING:
    from evenflow.model.flow import Address

_GATEWAY = "gateway"

#: The IPv6 addresses of the operators in `DEFAULT_TARGETS`, in their order.
DEFAULT_TARGETS_V6 = tuple(
    ProbeTarget(ProbeMethod.ICMP, IPv6Address(address))
    for address in ("2606:4700:4700::1111", "2001:4860:4860::8888", "2620:fe::fe")
)

#: Where a method has a port: the usual one, None where it must be said.
_PORTS: dict[ProbeMethod, int | None] = {
    ProbeMethod.TCP: None,
    ProbeMethod.DNS: 53,
    ProbeMethod.HTTP: 80,
    ProbeMethod.HTTPS: 443,
}

_METHODS = {method.value: method for method in ProbeMethod}
_WITH_PATH = frozenset((ProbeMethod.HTTP, ProbeMethod.HTTPS))

#: How targets are written, for messages.
_NOTATIONS = (
    'write an address, "gateway", "tcp://ADDRESS:PORT", "dns://ADDRESS/NAME" or "https://ADDRESS/PATH#NAME" '
    "(an IPv6 address with a port or path in brackets)"
)

_URL = re.compile(r"([a-z]+)://(\[[^\]]*\]|[^][/#:]*)(?::([0-9]{1,5}))?(/[^#]*)?(?:#(.*))?", re.ASCII)
_BARE_V6 = re.compile(r"(icmp|neighbour)://([0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*)")
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
_PATH = re.compile(r"/[!-\"$-~]*")
_LIKE_A_NAME = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)


def default_targets(gateways: tuple[Address, ...], *, learns: bool) -> tuple[ProbeTarget, ...]:
    """Whom to ask when the policy does not say: hosts of IPv6 where the uplink has nothing else."""
    only_v6 = bool(gateways) and not learns and all(family_of(address) is Family.IPV6 for address in gateways)
    return DEFAULT_TARGETS_V6 if only_v6 else DEFAULT_TARGETS


def target(text: str) -> ProbeTarget | Refusal:
    """One target from its notation."""
    if text == _GATEWAY:
        return ProbeTarget(ProbeMethod.NEIGHBOUR, None)
    if "://" not in text:
        host = host_address(text)
        if isinstance(host, Refusal):
            return Refusal(f'target "{text}" {host.reason}; {_how_to_write(text)}')
        return ProbeTarget(ProbeMethod.ICMP, host)
    bare = _BARE_V6.fullmatch(text)
    match = _URL.fullmatch(f"{bare[1]}://[{bare[2]}]" if bare else text)
    method = _METHODS.get(match[1]) if match else None
    if match is None or method is None:
        return Refusal(f'target "{text}" is not understood; {_NOTATIONS}')
    return _of_url(text, method, match)


def _of_url(text: str, method: ProbeMethod, match: re.Match[str]) -> ProbeTarget | Refusal:
    where = match[2].removeprefix("[").removesuffix("]")
    host = None if where == _GATEWAY else host_address(where)
    if isinstance(host, Refusal):
        return Refusal(f'target "{text}": "{where}" {host.reason}; {_how_to_write(text)}')
    port = _port(method, match[3])
    if port is None:
        return Refusal(f'target "{text}" needs a port from 1 to 65535; write "{method.value}://{match[2]}:443"')
    name, path = match[5], match[4]
    if method is ProbeMethod.DNS and name is None:
        name, path = (path or "/").removeprefix("/"), None
    if method not in _WITH_PATH and (path or (name is not None and method is not ProbeMethod.DNS)):
        return Refusal(f'target "{text}" ends in something that {method.value}:// does not have; {_NOTATIONS}')
    if port == 0 and match[3]:
        return Refusal(f'target "{text}": {method.value}:// has no port; write "{method.value}://{match[2]}"')
    if path and not _PATH.fullmatch(path):
        return Refusal(f'target "{text}": the path has a character that a request can\'t hold; write it as %XX')
    if name and not _NAME.fullmatch(name):
        return Refusal(f'target "{text}": "{name}" is not the name of a host; write one like example.com')
    return ProbeTarget(method, host, port, name or "", path or "/")


def _port(method: ProbeMethod, text: str | None) -> int | None:
    """0 where the method has no port; None where one is missing or out of range."""
    if method not in _PORTS:
        return 0
    if text is None:
        return _PORTS[method]
    return int(text) if 1 <= int(text) <= 65535 else None


def _how_to_write(text: str) -> str:
    """What to write where a host's name may have been meant."""
    match = _URL.fullmatch(text)
    method = _METHODS.get(match[1]) if match else None
    host = match[2] if match else text
    if not _LIKE_A_NAME.fullmatch(host) or host.replace(".", "").isdecimal():
        return "write an address"
    if match is not None and method in _WITH_PATH:
        return f'write the address and the name behind it: "{match[1]}://ADDRESS{match[4] or "/"}#{host}"'
    return "write its address: a name could not be looked up while the line is down"


def target_text(asked: ProbeTarget) -> str:
    """The shortest notation that `target` reads back as the same target."""
    method, address = asked.method, asked.address
    host = _GATEWAY if address is None else str(address)
    if method not in _PORTS:
        usual = ProbeMethod.NEIGHBOUR if address is None else ProbeMethod.ICMP
        return host if method is usual else f"{method.value}://{host}"
    if isinstance(address, IPv6Address):
        host = f"[{host}]"
    text = f"{method.value}://{host}"
    if asked.port != _PORTS[method]:
        text += f":{asked.port}"
    if method is ProbeMethod.DNS:
        return f"{text}/{asked.name}" if asked.name else text
    if method in _WITH_PATH:
        text += asked.path
        return f"{text}#{asked.name}" if asked.name else text
    return text
