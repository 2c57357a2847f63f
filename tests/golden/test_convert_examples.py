"""What `convert` writes of the examples, word for word, and what it says of what it can't; RouterOS's reader takes it.

After a change that is meant, write the files anew: EVENFLOW_WRITE_GOLDEN=1 pytest tests/golden
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from evenflow.core.lint import lint
from evenflow.formats import policy, routeros
from evenflow.formats.configuration import read
from evenflow.formats.routeros.version import Version
from evenflow.formats.routeros.writing import CURRENT, LAST_SIX
from evenflow.formats.routeros.writing.conversion import POLICY, SCRIPT, Wishes, convert
from evenflow.model.finding import Severity

HERE = Path(__file__).parent / "convert"
EXAMPLES = Path(__file__).parents[2] / "examples"
OLD_SEVEN = Version(7, 16)


@pytest.mark.parametrize(
    ("source", "form", "version", "golden"),
    [
        (EXAMPLES / "seed.toml", SCRIPT, CURRENT, "seed.toml.7.rsc"),
        (EXAMPLES / "seed.toml", SCRIPT, LAST_SIX, "seed.toml.6.rsc"),
        (EXAMPLES / "seed.rsc", POLICY, None, "seed.rsc.toml"),
        (EXAMPLES / "seed.rsc", SCRIPT, None, "seed.rsc.7.rsc"),
        (HERE / "office.toml", SCRIPT, CURRENT, "office.toml.7.rsc"),
        (HERE / "office.toml", SCRIPT, OLD_SEVEN, "office.toml.7.16.rsc"),
        (HERE / "office.toml", SCRIPT, LAST_SIX, "office.toml.6.rsc"),
        (HERE / "forum.rsc", POLICY, None, "forum.rsc.toml"),
        (HERE / "forum.rsc", SCRIPT, None, "forum.rsc.7.rsc"),
    ],
)
def test_it_reads_as_before(source: Path, form: str, version: Version | None, golden: str) -> None:
    content = source.read_bytes()
    conversion = convert(read(content, source.name), content, form, Wishes(version))
    assert conversion.text is not None
    told = "".join(f"{finding}\n" for finding in conversion.findings)
    if os.environ.get("EVENFLOW_WRITE_GOLDEN"):
        (HERE / golden).write_text(conversion.text)
        (HERE / f"{golden}.findings").write_text(told)
    assert conversion.text == (HERE / golden).read_text()
    assert told == (HERE / f"{golden}.findings").read_text()
    if form == POLICY:
        assert policy.parse(conversion.text).findings == ()
    else:
        bad = [f for f in routeros.parse(conversion.text).findings if f.severity is not Severity.INFO]
        assert [finding.code for finding in bad] == ["unsupported-action"] * ("forum" in golden)


WRITTEN = ["seed.toml.7.rsc", "seed.toml.6.rsc", "seed.rsc.7.rsc", "office.toml.7.rsc", "office.toml.7.16.rsc"]


@pytest.mark.parametrize("name", WRITTEN)
def test_check_has_nothing_to_say_of_it(name: str) -> None:
    router = routeros.parse((HERE / name).read_bytes(), name).router
    assert [finding for finding in lint(router) if finding.severity is not Severity.INFO] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_run_twice_it_is_the_same_router(name: str) -> None:
    """What the first run has made is gone when the second one makes it: no item is there twice."""
    text = (HERE / name).read_text()
    once, twice = routeros.parse(text).router, routeros.parse(f"{text}{text}")
    assert [finding for finding in twice.findings if finding.severity is not Severity.INFO] == []
    for part in ("mangle", "nat", "tables", "routes", "rules", "interface_lists", "address_lists"):
        first, second = (
            [replace(item, origin=once.mangle[0].origin) for item in getattr(router, part)]
            for router in (once, twice.router)
        )
        assert first == second, part


def test_what_is_not_of_evenflow_stays() -> None:
    text = (HERE / "seed.toml.7.rsc").read_text()
    mine = "/ip route\nadd dst-address=192.0.2.0/24 gateway=10.10.0.9 comment=mine\nadd gateway=10.10.0.8 distance=9\n"
    routes = routeros.parse(mine + text).router.routes
    assert [route.comment for route in routes if not route.comment.startswith("evenflow")] == ["mine", ""]
