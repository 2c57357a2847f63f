"""Verdicts, and the expressions that rules are made of."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class VerdictCode(enum.Enum):
    """What a verdict does with the packet or the evaluation (kernel: NF_* and NFT_*)."""

    DROP = 0
    ACCEPT = 1
    JUMP = -3
    GOTO = -4
    RETURN = -5


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict, with the chain that JUMP and GOTO go to."""

    code: VerdictCode
    chain: str | None = None


ACCEPT = Verdict(VerdictCode.ACCEPT)
DROP = Verdict(VerdictCode.DROP)
RETURN = Verdict(VerdictCode.RETURN)


def jump(chain: str) -> Verdict:
    """Go to `chain` and come back behind this rule."""
    return Verdict(VerdictCode.JUMP, chain)


def goto(chain: str) -> Verdict:
    """Go to `chain` and come back to where this chain was called from."""
    return Verdict(VerdictCode.GOTO, chain)


class MetaKey(enum.Enum):
    """NFT_META_*: numbers of the kernel."""

    MARK = 3
    IIFNAME = 6
    OIFNAME = 7
    NFPROTO = 15
    L4PROTO = 16
    IIFTYPE = 8


class CtKey(enum.Enum):
    """NFT_CT_*: numbers of the kernel."""

    STATE = 0
    STATUS = 2
    MARK = 3


class PayloadBase(enum.Enum):
    """NFT_PAYLOAD_*: which header an offset counts from."""

    LINK = 0
    NETWORK = 1
    TRANSPORT = 2


class CmpOp(enum.Enum):
    """NFT_CMP_*: comparison of byte strings in network order."""

    EQ = 0
    NEQ = 1
    LT = 2
    LTE = 3
    GT = 4
    GTE = 5


@dataclass(frozen=True, slots=True)
class Meta:
    """Load meta data of the packet into register `to`."""

    key: MetaKey
    to: int = 0


@dataclass(frozen=True, slots=True)
class MetaSet:
    """Set meta data of the packet from register `source`."""

    key: MetaKey
    source: int = 0


@dataclass(frozen=True, slots=True)
class Ct:
    """Load something of the connection into register `to`."""

    key: CtKey
    to: int = 0


@dataclass(frozen=True, slots=True)
class CtSet:
    """Set something of the connection from register `source`."""

    key: CtKey
    source: int = 0


@dataclass(frozen=True, slots=True)
class Payload:
    """Load `length_bytes` of a header into register `to`."""

    base: PayloadBase
    offset_bytes: int
    length_bytes: int
    to: int = 0


@dataclass(frozen=True, slots=True)
class Bitwise:
    """`to = (source & mask) ^ xor`; both strings have the length of the value."""

    mask: bytes
    xor: bytes
    source: int = 0
    to: int = 0


@dataclass(frozen=True, slots=True)
class Cmp:
    """Go on with the rule only if the comparison holds."""

    op: CmpOp
    data: bytes
    source: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Go on only if the value is (or with `negated`, is not) within first..last, both included."""

    first: bytes
    last: bytes
    negated: bool = False
    source: int = 0


@dataclass(frozen=True, slots=True)
class Lookup:
    """Look the value of register `source` up.

    In a set: go on only if it is there (`negated`: is not). In a verdict map (`verdict`): act on what is
    found, go on with the next rule's expressions if nothing is.
    """

    set_name: str
    source: int = 0
    negated: bool = False
    verdict: bool = False


@dataclass(frozen=True, slots=True)
class Hash:
    """Jenkins hash of `length_bytes` from register `source`: `to = (jhash(…, seed) * modulus) >> 32`."""

    length_bytes: int
    modulus: int
    seed: int
    source: int = 0
    to: int = 0


@dataclass(frozen=True, slots=True)
class NumberGenerator:
    """`to` = a number below `modulus`, host order: the rule's counter of the packets that get here, or `random`.

    The first packet that a rule counts gets 0 (Linux, nft_ng_inc_init()). What was counted is not part of the value.
    """

    modulus: int
    random: bool = False
    to: int = 0


@dataclass(frozen=True, slots=True)
class ToNetworkOrder:
    """`to = htonl(source)`, 4 bytes: what is to be compared with `<` has to be in network order."""

    source: int = 0
    to: int = 0


@dataclass(frozen=True, slots=True)
class FibType:
    """Load the address type of the packet's source or destination (RTN_*, 4 bytes, host order).

    With `on_out_interface` an address is local only if it is an address of the interface that the packet leaves by.
    """

    of_source: bool
    to: int = 0
    on_out_interface: bool = False


@dataclass(frozen=True, slots=True)
class Immediate:
    """Put a constant into register `to`."""

    data: bytes
    to: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """Put a verdict into the verdict register: the rule ends."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Masq:
    """Masquerade."""


@dataclass(frozen=True, slots=True)
class Nat:
    """Source or destination NAT.

    `family` is "ip" or "ip6"; the registers hold first and last address, first and last port (2 bytes,
    network order); None where that part is left as it is.
    """

    destination: bool
    family: str
    address_min: int | None = None
    address_max: int | None = None
    port_min: int | None = None
    port_max: int | None = None


@dataclass(frozen=True, slots=True)
class Redir:
    """Destination NAT to the machine itself; registers as in `Nat`."""

    port_min: int | None = None
    port_max: int | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """Log the packet with a prefix."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Counter:
    """Count packets and bytes. What was counted is not part of the value."""


@dataclass(frozen=True, slots=True)
class FlowOffload:
    """Hands the packet's connection to a flowtable: its next packets, both ways, go by that and meet no rule."""

    flowtable: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An expression that we never write: somebody else changed our table. Compares equal to nothing we ask for."""

    name: str
    data: bytes


Expression = (
    Meta
    | MetaSet
    | Ct
    | CtSet
    | Payload
    | Bitwise
    | Cmp
    | Range
    | Lookup
    | Hash
    | NumberGenerator
    | ToNetworkOrder
    | FibType
    | Immediate
    | Act
    | Masq
    | Nat
    | Redir
    | Log
    | Counter
    | FlowOffload
    | Unknown
)
