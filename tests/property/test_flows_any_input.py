"""Whatever a flow file has in it: flows, counts of what is none, or one clear error; never anything else."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.errors import InputError
from evenflow.formats.flows import open_flows
from evenflow.model.flow import Family

PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
PCAPNG = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
IPV4 = bytes(12) + b"\x08\x00" + bytes.fromhex("4500002800010000400600000a00000101010101") + bytes(20)
IPV6 = (
    bytes(12)
    + b"\x86\xdd"
    + bytes.fromhex("6000000000142c40")
    + bytes(32)
    + bytes.fromhex("0600000100000001")
    + bytes(20)
)
CONNTRACK = (
    b"tcp      6 10 CLOSE src=10.0.0.1 dst=1.1.1.1 sport=1 dport=2 packets=1 bytes=40 src=1.1.1.1 dst=10.0.0.1\n"
)
CSV = b"src,dst,proto,sport,dport,bytes,time\n10.0.0.1,1.1.1.1,tcp,1,2,40,1700000000\n"


def records(frames: list[bytes]) -> bytes:
    return PCAP + b"".join(struct.pack("<IIII", 1, 2, len(frame), len(frame)) + frame for frame in frames)


def blocks(frames: list[bytes]) -> bytes:
    found = PCAPNG
    for frame in frames:
        padded = frame + bytes(-len(frame) % 4)
        length = 32 + len(padded)
        found += (
            struct.pack("<IIIIIII", 6, length, 0, 0, 1, len(frame), len(frame)) + padded + struct.pack("<I", length)
        )
    return found


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The same with some bytes changed, and cut somewhere."""
    changes = st.dictionaries(st.integers(0, max(0, len(whole) - 1)), st.integers(0, 255), max_size=6)
    return st.builds(
        lambda changes, end: bytes(changes.get(place, byte) for place, byte in enumerate(whole))[:end],
        changes,
        st.integers(0, len(whole)),
    )


CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.builds(records, st.lists(st.binary(max_size=80), max_size=4)),
    st.builds(blocks, st.lists(st.binary(max_size=80), max_size=4)),
    damaged(records([IPV4, IPV6, IPV4])),
    damaged(blocks([IPV4, IPV6, IPV4])),
    damaged(CONNTRACK * 3),
    damaged(CSV + CSV.splitlines()[1] * 2),
    st.builds(lambda text: CSV + text.encode(), st.text(max_size=60)),
)


@settings(max_examples=400, deadline=None)
@given(CONTENTS)
def test_any_content_is_flows_or_one_error(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "flows")
        file.write_bytes(content)
        try:
            source = open_flows(io.BytesIO(content), str(file), len(content))
            for block in source.blocks():
                words = (1, 4)[block.family is Family.IPV6]
                assert block.source.size == block.destination.size == words * len(block)
                assert len(block.source_port) == len(block.destination_port) == len(block)
        except InputError:
            return
        assert all(skipped.rows > 0 and skipped.first > 0 for skipped in source.skipped())
