"""Text of the user's as nf_tables takes it: names, comments, log prefixes."""

from __future__ import annotations

import hashlib
import re

#: Longest name that is used as it is, and what is kept of a longer one. The kernel takes 255 bytes, with what names of
#: maps and chains put around the name of another chain.
_NAME_LENGTH, _NAME_START = 200, 120

#: The user's comments stand at the rules; nft takes and shows up to 128 bytes.
_COMMENT_BYTES = 120

#: NF_LOG_PREFIXLEN is 128, with the zero behind it.
_LOG_PREFIX_BYTES = 127


def safe_name(text: str) -> str:
    """A name for a part of a name in nf_tables: what nft can't read there is written as .XX (hex of its bytes).

    Parts are joined with "/", so that no two different things ever share a name.
    """
    return re.sub(r"[^A-Za-z0-9_\-]", lambda m: "".join(f".{byte:02x}" for byte in m[0].encode()), text)


def fitting(name: str) -> str:
    """A name made of parts, short enough: of a long one the start, and a digest of all behind two dots.

    `safe_name` never writes two dots, so that no other name is the same.
    """
    if len(name) <= _NAME_LENGTH:
        return name
    return f"{name[:_NAME_START]}..{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def rule_comment(text: str) -> str:
    """A user's comment as a rule can carry it: one line, not too long, cut between characters."""
    line = " ".join(text.replace("\0", " ").split())
    return line.encode()[:_COMMENT_BYTES].decode(errors="ignore")


def log_prefix(text: str) -> str:
    """A user's prefix as the kernel takes it: cut between characters."""
    return text.replace("\0", " ").encode()[:_LOG_PREFIX_BYTES].decode(errors="ignore")
