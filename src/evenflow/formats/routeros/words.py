"""The words of the scripting language."""

from __future__ import annotations

import re

#: Statements that begin with a colon. (`:find`, `:len` and the like give values and stand within brackets.)
SCRIPT_WORDS = frozenset((
    "beep", "break", "continue", "convert", "delay", "deserialize", "do", "environment", "error", "execute", "exit",
    "find", "for", "foreach", "global", "grep", "if", "import", "jobname", "len", "local", "log", "nothing", "onerror",
    "parse", "pick", "ping", "put", "quit", "range", "resolve", "retry", "return", "rndnum", "rndstr", "serialize",
    "set", "terminal", "time", "timestamp", "toarray", "tobool", "toid", "toip", "toip6", "tonum", "tostr", "totime",
    "typeof", "while",
))  # fmt: skip

#: How a statement goes on whose colon was left out; else the word is one of a sentence.
COLONLESS = {
    "if": re.compile(r"if[ \t]*[(\[$!]"),
    "while": re.compile(r"while[ \t]*[(\[$!]"),
    "for": re.compile(r"for[ \t]+[\w\"]+[ \t]+from="),
    "foreach": re.compile(r"foreach[ \t]+[\w\",]+[ \t]+in="),
    "do": re.compile(r"do[ \t]*(?:\{|command=)"),
    "local": re.compile(r'local[ \t]+(?:"[^"\n]*"|\w+)'),
    "global": re.compile(r'global[ \t]+(?:"[^"\n]*"|\w+)'),
    "set": re.compile(r'set[ \t]+(?:"[^"\n]*"|\w+)[ \t]+["(\[$\w]'),
    "log": re.compile(r"log[ \t]+(?:info|warning|error|debug)(?!\w)"),
    "put": re.compile(r'put[ \t]+["(\[$]'),
    "delay": re.compile(r"delay[ \t]+[\d$]"),
    "error": re.compile(r'error[ \t]+["($]'),
    "return": re.compile(r'return[ \t]*["($\[;\n]'),
}
