"""As much of JSON Schema (2020-12) as the schemas in docs/ use; but a property that one lacks is a fault here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parent.parent / "docs"
TRACE_SCHEMA, SIMULATE_SCHEMA = _DOCS / "trace.schema.json", _DOCS / "simulate.schema.json"

_TYPES = {
    "string": str, "integer": int, "number": int | float, "boolean": bool, "null": type(None), "object": dict,
    "array": list,
}  # fmt: skip
_KNOWN = frozenset(
    ("$schema", "title", "$ref", "$defs", "type", "required", "properties", "items", "enum", "anyOf", "minimum")
) | {"maximum", "pattern", "additionalProperties"}


def faults(value: object, file: Path = TRACE_SCHEMA) -> list[str]:
    """What of a value the schema does not allow; [] when it fits."""
    schema = json.loads(file.read_text(encoding="utf-8"))
    return _Checker(schema).faults(value, schema, "$")


class _Checker:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def faults(self, value: Any, schema: dict[str, Any], where: str) -> list[str]:
        unknown = schema.keys() - _KNOWN
        assert not unknown, f"this checker does not know {unknown}"
        if "$ref" in schema:
            return self.faults(value, self._root["$defs"][schema["$ref"].rpartition("/")[2]], where)
        if "anyOf" in schema:
            tried = [self.faults(value, one, where) for one in schema["anyOf"]]
            return [] if [] in tried else tried[-1]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {value!r} is none of {schema['enum']}"]
        if "type" in schema and not _is(value, schema["type"]):
            return [f"{where}: {value!r} is no {schema['type']}"]
        if isinstance(value, dict):
            return self._of_object(value, schema, where)
        if isinstance(value, list):
            return [
                fault for n, item in enumerate(value) for fault in self.faults(item, schema["items"], f"{where}[{n}]")
            ]
        return _of_plain(value, schema, where)

    def _of_object(self, value: dict[str, Any], schema: dict[str, Any], where: str) -> list[str]:
        if "additionalProperties" in schema:
            every = schema["additionalProperties"]
            return [fault for name, member in value.items() for fault in self.faults(member, every, f"{where}.{name}")]
        found = [f"{where}: {name} is missing" for name in schema["required"] if name not in value]
        found += [f"{where}: {name} is not in the schema" for name in value if name not in schema["properties"]]
        for name, member in value.items():
            if name in schema["properties"]:
                found += self.faults(member, schema["properties"][name], f"{where}.{name}")
        return found


def _is(value: object, names: str | list[str]) -> bool:
    wanted = [names] if isinstance(names, str) else names
    return any(
        isinstance(value, _TYPES[name]) and not (name in ("integer", "number") and isinstance(value, bool))
        for name in wanted
    )


def _of_plain(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return [f"{where}: {value!r} does not match {schema['pattern']}"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            return [f"{where}: {value} is not from {low} to {high}"]
    return []
