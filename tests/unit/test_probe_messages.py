"""What probes send and how answers are read, without a socket."""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import ip_address

import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.kernel.probes.dns_query import fault_of, query_for
from evenflow.kernel.probes.echo import TOKEN_BYTES, only_type6, request4
from evenflow.kernel.probes.http_get import request_for
from evenflow.kernel.probes.inbox import arrival_s
from evenflow.kernel.probes.probe import reason_of
from evenflow.kernel.probes.socket_filter import half_equals
from evenflow.model.health import ProbeMethod, ProbeTarget

u16 = st.integers(0, 0xFFFF)


@given(u16, u16, st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES))
def test_an_echo_request_sums_up_to_nothing(ident: int, sequence: int, token: bytes) -> None:
    message = request4(ident, sequence, token)
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
    assert message[:2] == b"\x08\x00"
    assert message[4:] == struct.pack("!HH", ident, sequence) + token


@given(st.integers(0, 255))
def test_one_type_passes_and_255_do_not(kind: int) -> None:
    bits = int.from_bytes(struct.pack("<8I", *struct.unpack("=8I", only_type6(kind))), "little")
    assert bits == (1 << 256) - 1 - (1 << kind)


def run_filter(program: bytes, packet: bytes) -> int:
    """Classic BPF as the kernel runs it: the instructions that we use."""
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = index = 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        match operation:
            case 0xB1:
                index = (packet[k] & 15) * 4
            case 0x28 | 0x48:
                start = k + (index if operation == 0x48 else 0)
                if start + 2 > len(packet):
                    return 0
                accumulator = int.from_bytes(packet[start : start + 2], "big")
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x06:
                return int(k)
            case _:
                pytest.fail(f"{operation:#x} is not one of ours")


@given(u16, u16, st.integers(5, 15), st.integers(0, 80))
def test_the_filter_lets_our_identifier_through(ours: int, theirs: int, header_words: int, length: int) -> None:
    message = struct.pack("!BBHHH", 0, 0, 0, theirs, 1)
    packet = (bytes((0x40 | header_words,)) + bytes(header_words * 4 - 1) + message)[:length]
    whole = len(packet) >= header_words * 4 + 6
    if packet:
        passed = run_filter(half_equals(4, ours, after_ip_header=True), packet)
        assert (passed > 0) == (whole and ours == theirs)
    assert (run_filter(half_equals(4, ours), message[:length]) > 0) == (length >= 6 and ours == theirs)


def stamp(wall_ns: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, 64, struct.pack("=qq", *divmod(wall_ns, 1_000_000_000))


@given(st.integers(0, 10**19 // 2), st.integers(0, 10**12))
def test_a_stamp_of_the_past_gives_the_time_of_arrival(wall_ns: int, age_ns: int) -> None:
    arrived_s = arrival_s([(41, 52, b"abcd"), stamp(wall_ns - min(age_ns, wall_ns))], 5000.0, wall_ns)
    assert arrived_s == pytest.approx(5000.0 - min(age_ns, wall_ns) / 1e9)


def test_a_stamp_of_the_future_or_none_tells_nothing() -> None:
    assert arrival_s([stamp(10**18 + 1)], 5000.0, 10**18) is None
    assert arrival_s([], 5000.0, 10**18) is None
    assert arrival_s([(socket.SOL_SOCKET, 64, b"short")], 5000.0, 10**18) is None


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENETDOWN, "network is down"),
        (errno.ENODEV, "no such device"),
        (errno.ENXIO, "no such device"),
        (errno.EHOSTUNREACH, "no route to host"),
        (errno.EADDRNOTAVAIL, "no address on the interface"),
        (errno.ECONNREFUSED, "connection refused"),
        (None, "input/output error"),
    ],
)
def test_a_reason_is_in_words(number: int | None, words: str) -> None:
    assert reason_of(OSError(number, "") if number else OSError("timed out")) == words


QUERY = query_for("www.example.com")


def answer() -> bytes:
    made = dns.message.make_response(QUERY)
    made.answer.append(dns.rrset.from_text("www.example.com.", 300, "IN", "A", "192.0.2.1"))
    return made.to_wire()


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=6), st.integers(0, 60))
def test_no_answer_of_dns_makes_the_reader_fall(changes: list[tuple[int, int]], cut: int) -> None:
    wire = bytearray(answer())
    for at, value in changes:
        wire[at % len(wire)] = value
    fault = fault_of(bytes(wire[: len(wire) - cut]), QUERY)
    if cut:
        assert fault
    if not fault:
        assert wire[:2] == QUERY.id.to_bytes(2, "big")
        assert wire[2] & 0xF8 == 0x80
        assert wire[3] & 15 in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}


@given(st.binary(max_size=600))
def test_noise_is_no_answer(wire: bytes) -> None:
    assert fault_of(wire, QUERY)


def test_a_right_answer_has_no_fault() -> None:
    assert fault_of(answer(), QUERY) == ""
    assert {query_for("a.example").id for _ in range(64)} != {query_for("a.example").id}


@pytest.mark.parametrize("name", ["a" * 64, "a..b", ".".join(["a" * 60] * 5)])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        query_for(name)


@pytest.mark.parametrize(
    ("method", "port", "name", "host"),
    [
        (ProbeMethod.HTTP, 80, "", "192.0.2.1"),
        (ProbeMethod.HTTP, 0, "a.example", "a.example"),
        (ProbeMethod.HTTP, 443, "a.example", "a.example:443"),
        (ProbeMethod.HTTPS, 443, "a.example", "a.example"),
        (ProbeMethod.HTTPS, 80, "a.example", "a.example:80"),
    ],
)
def test_the_host_is_named_as_browsers_do(method: ProbeMethod, port: int, name: str, host: str) -> None:
    address = ip_address("192.0.2.1")
    request = request_for(ProbeTarget(method, address, port, name), address)
    assert request.startswith(b"GET / HTTP/1.1\r\n")
    assert f"\r\nHost: {host}\r\n".encode() in request
    assert request.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("name", "path"), [("a b\r\nX: y", "/"), ("a.example", "/ä"), ("a.example", "/ HTTP/1.1\r\nX: y")]
)
def test_what_can_not_stand_in_a_request_is_refused(name: str, path: str) -> None:
    address = ip_address("192.0.2.1")
    with pytest.raises(OSError, match="Invalid argument"):
        request_for(ProbeTarget(ProbeMethod.HTTP, address, 80, name, path), address)
