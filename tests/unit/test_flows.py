"""Flow files: what is recognised, what of each is a flow, and what is told of the rest."""

from __future__ import annotations

import io
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from evenflow.errors import InputError
from evenflow.formats.flows import FileKind, open_flows, recognise
from evenflow.kernel import files
from evenflow.model.finding import Finding
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from pathlib import Path

    from evenflow.model.flows import FlowBlock, FlowSource

Row = tuple[str, str, int, int, int, int | None]


def rows_of(source: FlowSource) -> list[Row]:
    """All flows as (source, destination, protocol, ports, bytes)."""
    return [row for block in source.blocks() for row in block_rows(block)]


def block_rows(block: FlowBlock) -> list[Row]:
    def address(words: np.ndarray, row: int) -> str:
        if block.family is Family.IPV4:
            return str(ip_address(int(words[row])))
        return str(ip_address(b"".join(int(word).to_bytes(4, "big") for word in words[:, row])))

    return [
        (
            address(block.source, row),
            address(block.destination, row),
            int(block.protocol[row]),
            int(block.source_port[row]),
            int(block.destination_port[row]),
            None if block.size_bytes is None else int(block.size_bytes[row]),
        )
        for row in range(len(block))
    ]


def opened(content: bytes, tmp_path: Path, name: str = "flows") -> FlowSource:
    file = tmp_path / name
    file.write_bytes(content)
    return files.open_flows(str(file))


# --- what it is ----------------------------------------------------------------------------------------------------

HEADS = {
    b"\xd4\xc3\xb2\xa1....": FileKind.PCAP,
    b"\x0a\x0d\x0d\x0a....": FileKind.PCAPNG,
    b"PAR1....": FileKind.PARQUET,
    b"src,dst\n": FileKind.CSV,
    b"tcp      6 117 SYN_SENT src=10.0.0.1 dst=1.1.1.1 sport=1 dport=2 [UNREPLIED]": FileKind.CONNTRACK,
    b"ipv4     2 udp      17 29 src=10.0.0.1 dst=1.1.1.1 sport=1 dport=53 src=": FileKind.CONNTRACK,
}


@pytest.mark.parametrize(("head", "kind"), HEADS.items())
def test_a_file_is_known_by_its_content(head: bytes, kind: FileKind) -> None:
    assert recognise(head) is kind


NOT_FLOWS = {
    b"": "flows-empty",
    b"\x1f\x8b\x08": "flows-compressed",
    b"\x7fELF\0\0": "flows-unknown",
    b"hello world\n": "flows-unknown",
    b"\n\n": "flows-unknown",
}


@pytest.mark.parametrize(("head", "code"), NOT_FLOWS.items())
def test_what_is_no_flow_file_is_one_finding(head: bytes, code: str) -> None:
    finding = recognise(head, "x.csv")
    assert isinstance(finding, Finding)
    assert finding.code == code


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_can_not_be_opened_is_one_finding(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"opened|directory"):
        files.open_flows(str(tmp_path / name))
    with pytest.raises(InputError, match="standard input"):
        files.open_flows("-")


# --- conntrack -------------------------------------------------------------------------------------------------------

CONNTRACK = b"""\
tcp      6 431999 ESTABLISHED src=192.168.1.2 dst=1.1.1.1 sport=4000 dport=443 packets=5 bytes=600 \
src=1.1.1.1 dst=192.168.1.2 sport=443 dport=4000 packets=4 bytes=400 [ASSURED] mark=0 use=1
ipv6     10 udp      17 29 src=2001:db8::1 dst=2001:db8::2 sport=5 dport=53 src=2001:db8::2 dst=2001:db8::1 \
sport=53 dport=5 mark=0 use=1
ipv4     2 icmp     1 29 src=10.0.0.1 dst=1.1.1.1 type=8 code=0 id=7 src=1.1.1.1 dst=10.0.0.1 type=0 code=0 id=7 use=1
nonsense
tcp      6 10 CLOSE src=10.0.0.999 dst=1.1.1.1 sport=1 dport=2 src=
conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.
"""


def test_conntrack_lists_one_flow_a_line(tmp_path: Path) -> None:
    source = opened(CONNTRACK, tmp_path)
    assert sorted(rows_of(source)) == [
        ("10.0.0.1", "1.1.1.1", 1, 0, 0, None),
        ("192.168.1.2", "1.1.1.1", 6, 4000, 443, None),  # the ICMP one has no bytes, so the block has none
        ("2001:db8::1", "2001:db8::2", 17, 5, 53, None),
    ]
    assert [(one.reason, one.rows, one.first) for one in source.skipped()] == [
        ("no connection", 1, 4),
        ("no address", 1, 5),
    ]
    assert source.part_read() == 1.0


def test_bytes_of_both_directions_count(tmp_path: Path) -> None:
    assert rows_of(opened(CONNTRACK.splitlines()[0], tmp_path)) == [("192.168.1.2", "1.1.1.1", 6, 4000, 443, 1000)]


# --- tables ----------------------------------------------------------------------------------------------------------


def test_csv_with_names_and_numbers(tmp_path: Path) -> None:
    text = "src,dst,proto,sport,dport,bytes,time\n10.0.0.1,1.1.1.1,tcp,1000,443,1500,1700000000.5\n"
    text += "2001:db8::1,2001:db8::2,17,5,53,80,1700000001\n10.0.0.2,1.1.1.1,1,0,0,64,\n"
    source = opened(text.encode(), tmp_path)
    blocks = list(source.blocks())
    assert [row for block in blocks for row in block_rows(block)] == [
        ("10.0.0.1", "1.1.1.1", 6, 1000, 443, 1500),
        ("10.0.0.2", "1.1.1.1", 1, 0, 0, 64),
        ("2001:db8::1", "2001:db8::2", 17, 5, 53, 80),
    ]
    times = blocks[0].start_s
    assert times is not None
    assert times[0] == 1700000000.5
    assert np.isnan(times[1])


def test_nfdump_is_csv_with_names_of_its_own(tmp_path: Path) -> None:
    text = "ts,te,td,sa,da,sp,dp,pr,flg,ibyt,obyt\n"
    text += "2026-11-22 10:00:00.500,2026-11-22 10:01:00.500,60.0,10.0.0.1,1.1.1.1,1000,443,TCP,...AP.SF,100,900\n"
    text += "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n1,1000,2,3,4,5\n" + text.splitlines()[1] + "\n" * 1
    text += (text.splitlines()[1] + "\n") * 3
    source = opened(text.encode(), tmp_path)
    (block,) = source.blocks()
    assert source.what == "nfdump CSV"
    assert block_rows(block) == [("10.0.0.1", "1.1.1.1", 6, 1000, 443, 1000)] * 5
    assert block.start_s is not None
    assert block.end_s is not None
    assert (block.end_s - block.start_s).tolist() == [60.0] * 5
    (skipped,) = source.skipped()
    assert (skipped.rows, skipped.first, source.unit) == (3, 3, "line")


WRONG_CELLS = {
    "10.0.0.1,1.1.1.1,tcp,1,99999": "no destination port",
    "10.0.0.1,1.1.1.1,tcp,-1,2": "no source port",
    "10.0.0.1,1.1.1.1,nonsense,1,2": "no protocol",
    "10.0.0,1.1.1.1,tcp,1,2": "no source address",
    "10.0.0.1,1.1.1.1.1,tcp,1,2": "no destination address",
    "10.0.0.256,1.1.1.1,tcp,1,2": "no source address",
    "10.0.0.1,2001:db8::1,tcp,1,2": "addresses of two families",
    "10.0.0.1": "no destination address",
}


@pytest.mark.parametrize(("line", "reason"), WRONG_CELLS.items(), ids=WRONG_CELLS)
def test_a_wrong_cell_is_counted_with_its_line(line: str, reason: str, tmp_path: Path) -> None:
    good = "10.0.0.1,1.1.1.1,tcp,1,2\n"
    source = opened(f"src,dst,proto,sport,dport\n{good}{line}\n{good}".encode(), tmp_path)
    assert len(rows_of(source)) == 2
    (skipped,) = source.skipped()
    assert (skipped.reason, skipped.rows, skipped.first) == (reason, 1, 3)


def test_a_table_of_rubbish_is_one_error(tmp_path: Path) -> None:
    source = opened(b"src,dst\n1,2\n3,4\n10.0.0.1,1.1.1.1\n", tmp_path)
    with pytest.raises(InputError, match="2 of 3 rows are no flows; the first: line 2, no source address: 1"):
        rows_of(source)


def test_missing_columns_are_named_and_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column dst; there are: src, dest"):
        opened(b"src,dest\n10.0.0.1,1.1.1.1\n", tmp_path)


@pytest.mark.parametrize(
    "ends",
    [
        {"src": ["10.0.0.1"], "dst": ["1.1.1.1"]},
        {"src": pl.Series([0x0A000001], dtype=pl.UInt32), "dst": pl.Series([0x01010101], dtype=pl.UInt32)},
        {"src": pl.Series([0x0A000001], dtype=pl.Int64), "dst": pl.Series([0x01010101], dtype=pl.Int64)},
        {"src": [ip_address("10.0.0.1").packed], "dst": [ip_address("1.1.1.1").packed]},
    ],
    ids=["text", "unsigned", "signed", "bytes"],
)
def test_parquet_has_addresses_in_many_forms(ends: dict[str, object], tmp_path: Path) -> None:
    columns = {**ends, "proto": [17], "sport": [5], "dport": [53], "bytes": [100], "start": [1.7e12], "duration": [2.0]}
    pl.DataFrame(columns).write_parquet(tmp_path / "flows.parquet")
    source = files.open_flows(str(tmp_path / "flows.parquet"))
    (block,) = source.blocks()
    assert block_rows(block) == [("10.0.0.1", "1.1.1.1", 17, 5, 53, 100)]
    assert block.start_s is not None
    assert block.end_s is not None
    assert (block.start_s[0], block.end_s[0]) == (1.7e9, 1.7e9 + 2)
    assert source.part_read() == 1.0


def test_a_damaged_parquet_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Parquet file that can be read"):
        opened(b"PAR1" + b"\0" * 64, tmp_path)


# --- captures --------------------------------------------------------------------------------------------------------


def ipv4(source: str, destination: str, protocol: int, payload: bytes, *, fragment: int = 0, ident: int = 1) -> bytes:
    ends = ip_address(source).packed + ip_address(destination).packed
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0) + ends + payload


def tcp(sport: int, dport: int, flags: int, sequence: int = 0) -> bytes:
    return struct.pack("!HHIIBBHHH", sport, dport, sequence, 0, 0x50, flags, 1000, 0, 0)


def udp(sport: int, dport: int, size: int = 0) -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + size, 0) + bytes(size)


def ethernet(packet: bytes, kind: int = 0x0800, tag: bytes = b"") -> bytes:
    return bytes(12) + tag + struct.pack("!H", kind) + packet


def pcap(frames: list[tuple[float, bytes]], *, order: str = "<", nano: bool = False, link: int = 1) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    units = 1_000_000_000 if nano else 1_000_000
    found = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for when_s, frame in frames:
        found += struct.pack(f"{order}IIII", int(when_s), round(when_s % 1 * units), len(frame), len(frame)) + frame
    return found


SYN, ACK, FIN, RST = 2, 16, 1, 4
HOST, SERVER = "10.0.0.1", "1.1.1.1"
THERE = ethernet(ipv4(HOST, SERVER, 6, tcp(1000, 443, SYN, 7)))
BACK = ethernet(ipv4(SERVER, HOST, 6, tcp(443, 1000, SYN | ACK, 9)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_both_directions_are_one_flow(order: str, *, nano: bool, tmp_path: Path) -> None:
    source = opened(pcap([(1.5, THERE), (2.25, BACK)], order=order, nano=nano), tmp_path)
    (block,) = source.blocks()
    assert block_rows(block) == [(HOST, SERVER, 6, 1000, 443, 80)]
    assert block.start_s is not None
    assert block.end_s is not None
    assert (block.start_s[0], block.end_s[0]) == pytest.approx((1.5, 2.25))


ANOTHER = ethernet(ipv4(HOST, SERVER, 6, tcp(1000, 443, SYN, 8)))
QUERY, ANSWER = ethernet(ipv4(HOST, SERVER, 17, udp(5, 53))), ethernet(ipv4(SERVER, HOST, 17, udp(53, 5)))
TAG = b"\x81\x00\x00\x05"

CONNECTIONS = {
    "a SYN sent again is the same": ([(0, THERE), (1, THERE)], 1),
    "a SYN with another number is another": (
        [(0, THERE), (1, ANOTHER)],
        2,
    ),
    "the middle of a connection is one": ([(0, ethernet(ipv4(HOST, SERVER, 6, tcp(1000, 443, ACK))))], 1),
    "UDP within its time": (
        [(0, QUERY), (29, QUERY)],
        1,
    ),
    "UDP after its time": (
        [(0, QUERY), (31, QUERY)],
        2,
    ),
    "answered UDP lasts longer": ([(0, QUERY), (1, ANSWER), (100, QUERY)], 1),
    "two pings": (
        [(0, ethernet(ipv4(HOST, SERVER, 1, struct.pack("!BBHHH", 8, 0, 0, ident, 1)))) for ident in (1, 2)],
        2,
    ),
    "a ping and its answer": (
        [
            (0, ethernet(ipv4(HOST, SERVER, 1, struct.pack("!BBHHH", 8, 0, 0, 1, 1)))),
            (0, ethernet(ipv4(SERVER, HOST, 1, struct.pack("!BBHHH", 0, 0, 0, 1, 1)))),
        ],
        1,
    ),
    "an ICMP error belongs to what it is about": (
        [
            (0, THERE),
            (1, ethernet(ipv4("192.0.2.1", HOST, 1, struct.pack("!BBHI", 3, 1, 0, 0) + THERE[14:]))),
        ],
        1,
    ),
    "fragments are one packet": (
        [
            (0, ethernet(ipv4(HOST, SERVER, 17, udp(5, 53, 16), fragment=0x2000))),
            (0, ethernet(ipv4(HOST, SERVER, 17, bytes(24), fragment=3))),
        ],
        1,
    ),
    "VLAN tags are no matter": ([(0, ethernet(THERE[14:], tag=TAG))], 1),
}


@pytest.mark.parametrize(("frames", "count"), CONNECTIONS.values(), ids=CONNECTIONS)
def test_packets_are_counted_as_connections(frames: list[tuple[float, bytes]], count: int, tmp_path: Path) -> None:
    source = opened(pcap(frames), tmp_path)
    rows = rows_of(source)
    assert len(rows) == count
    assert not source.skipped()
    assert sum(row[5] or 0 for row in rows) == sum(
        len(frame.replace(b"\x81\x00\x00\x05", b"")) - 14 for _, frame in frames
    )


LINKS = {1: THERE, 101: THERE[14:], 12: THERE[14:], 113: bytes(14) + b"\x08\x00" + THERE[14:],
         276: b"\x08\x00" + bytes(18) + THERE[14:], 0: b"\x02\0\0\0" + THERE[14:]}  # fmt: skip


@pytest.mark.parametrize("link", LINKS)
def test_links_of_many_kinds(link: int, tmp_path: Path) -> None:
    assert rows_of(opened(pcap([(0, LINKS[link])], link=link), tmp_path)) == [(HOST, SERVER, 6, 1000, 443, 40)]


def test_what_is_no_ip_is_counted_with_its_packet(tmp_path: Path) -> None:
    arp = ethernet(bytes(28), 0x0806)
    source = opened(pcap([(0, arp), (0, THERE), (0, arp), (0, THERE[:20])]), tmp_path)
    assert len(rows_of(source)) == 1
    assert [(one.reason, one.rows, one.first) for one in source.skipped()] == [
        ("not IP", 2, 1),
        ("too little of the packet was captured", 1, 4),
    ]


def test_of_a_capture_that_is_cut_short_the_beginning_counts(tmp_path: Path) -> None:
    source = opened(pcap([(0, THERE), (0, BACK)])[:-5], tmp_path)
    assert rows_of(source) == [(HOST, SERVER, 6, 1000, 443, 40)]
    (skipped,) = source.skipped()
    assert (skipped.reason, skipped.first) == ("the capture is cut short, and what follows", 2)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_has_interfaces_of_their_own(order: str, tmp_path: Path) -> None:
    nanoseconds = struct.pack(f"{order}HHB3xHH", 9, 1, 9, 0, 0)
    content = block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    content += block(order, 1, struct.pack(f"{order}HHI", 1, 0, 65535))
    content += block(order, 1, struct.pack(f"{order}HHI", 101, 0, 65535) + nanoseconds)
    content += block(order, 5, bytes(12))
    for interface, when, frame in ((0, 1_500_000, THERE), (1, 2_250_000_000, BACK[14:])):
        head = struct.pack(f"{order}IIIII", interface, when >> 32, when & 0xFFFF_FFFF, len(frame), len(frame))
        content += block(order, 6, head + frame)
    (found,) = opened(content, tmp_path).blocks()
    assert block_rows(found) == [(HOST, SERVER, 6, 1000, 443, 80)]
    assert found.end_s is not None
    assert found.end_s[0] == pytest.approx(2.25)


def test_open_flows_takes_an_open_file(tmp_path: Path) -> None:
    content = pcap([(0, THERE)])
    assert len(rows_of(open_flows(io.BytesIO(content), str(tmp_path / "x"), len(content)))) == 1
