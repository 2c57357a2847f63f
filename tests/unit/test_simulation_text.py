"""What `evenflow simulate` prints: amounts, tables, and a screen for each kind of answer."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from evenflow.core.recommend import Candidate, recommend
from evenflow.formats.amounts import clock, counted, percent_range, rate, size, span
from evenflow.formats.drawing import broken, plain
from evenflow.formats.simulation import FlowFile, Told
from evenflow.formats.simulation_text import sheet
from evenflow.formats.tables import Column, cell, table
from evenflow.model.flows import Skipped
from evenflow.model.simulation import (
    Client,
    Elsewhere,
    Interval,
    Load,
    Minute,
    Moved,
    Steps,
    Stickiness,
    UplinkLoad,
)
from evenflow.model.trace import Disposition

NOON_S = 1_763_640_000.0


def uplink(name: str, share: float, target: float, **more: object) -> UplinkLoad:
    made = UplinkLoad(
        name, "ether1", target, round(1000 * share), round(1e9 * share), share, Interval(target - 0.02, target + 0.02),
        share, Interval(target - 0.01, target + 0.01), Minute(NOON_S + 60, 60, 5e6), 10_000_000, (100, 200, 0, 50),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


LOAD = Load(
    1100, 1_100_000_000, 1000, 0,
    (uplink("fibre", 0.75, 0.75), uplink("lte", 0.25, 0.25)),
    (
        Elsewhere(Disposition.DELIVERED, None, 60, 1000),
        Elsewhere(Disposition.FORWARDED, "br1", 39, 2000),
        Elsewhere(Disposition.NO_ROUTE, None, 1, 10),
    ),
    (Client(ip_address("10.0.0.7"), 12, 5_000_000, {"lte": 1_000_000, "fibre": 4_000_000}),),
    Stickiness(80, 20, 500, 3),
    Steps(NOON_S, 60.0, 4),
)  # fmt: skip

TOLD = Told("my.toml", FlowFile("/data/day.csv", "CSV", "line"), LOAD, 7)


def drawn(told: Told, width: int = 110) -> str:
    return "\n".join(plain(row) for line in sheet(told, width) for row in broken(line, width))


def line_with(text: str, told: Told) -> str:
    (found,) = [line for line in drawn(told).splitlines() if text in line]
    return " ".join(found.split())


# --- amounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (12_340, "12.3 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (10**18, "1 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_sizes_have_three_digits(number: int, text: str) -> None:
    assert size(number) == text


def test_other_amounts() -> None:
    assert rate(30_000_000) == "30 Mbit/s"
    assert rate(27_340_000) == "27.3 Mbit/s"
    assert (counted(1, "flow"), counted(1204, "flow"), counted(0, "flow")) == ("1 flow", "1,204 flows", "0 flows")
    assert percent_range(0.651, 0.6825) == "65.1–68.2 %"
    assert (clock(NOON_S), clock(NOON_S, day=True)) == ("12:00", "2025-11-20 12:00")
    assert clock(3753.5) == "1:02:33"
    assert [span(length_s) for length_s in (1, 60, 90, 7200, 129_600)] == ["1 s", "1 min", "1.5 min", "2 h", "1.5 days"]


def test_a_table_is_as_wide_as_it_must_be_and_leaves_out_what_is_spare() -> None:
    columns = (Column("name"), Column("count", right=True), Column("empty"), Column("more", spare=1))
    rows = [(cell("a b"), cell("1"), cell(""), cell("x")), (cell("c"), cell("12345678"), cell(""), cell("yy"))]

    def lines(width: int) -> list[str]:
        return [plain(row) for line in table(columns, rows, width) for row in broken(line, width)]

    assert lines(40) == ["name     count  more", "a b          1  x", "c     12345678  yy"]
    assert lines(19) == ["name     count", "a b          1", "c     12345678"]
    # What is not spare stays, however narrow it is.
    assert lines(5) == lines(19)


# --- the screen -----------------------------------------------------------------------------------------------------


def test_what_was_read_and_what_was_not() -> None:
    skipped = (Skipped("not IP", 3, 17), Skipped("no port", 1, 2000, "a\x1b[31m"))
    told = replace(TOLD, file=replace(TOLD.file, unit="packet", what="pcap", skipped=skipped))
    assert (
        line_with("day.csv", told) == "day.csv · pcap · 1,100 flows, 1.1 GB, 2025-11-20 12:00 to 2025-11-20 12:04 UTC"
    )
    assert line_with("not IP", told) == "✗ 3 packets passed over: not IP; the first is packet 17"
    assert line_with("no port", told) == "✗ 1 packet passed over: no port; the first is packet 2,000: a\\x1b[31m"


def test_each_uplink_with_its_target_and_chance() -> None:
    assert line_with("75.0 %", TOLD) == (
        "fibre 750 75.0 % 750 MB █████████│ 75.0 % 75.0 % 73.0–77.0 % ✓ 5 Mbit/s 12:01 50 %"
    )
    assert "✗" not in drawn(TOLD)


def test_a_share_that_chance_does_not_explain_is_told() -> None:
    off = replace(LOAD, uplinks=(uplink("fibre", 0.78, 0.75), uplink("lte", 0.22, 0.25)))
    text = drawn(replace(TOLD, load=off))
    assert text.count("✗") == 3
    assert "`evenflow trace` shows which" in text
    near = replace(LOAD, uplinks=(uplink("fibre", 0.77, 0.75), uplink("lte", 0.23, 0.25)))
    assert "✗" not in drawn(replace(TOLD, load=near))


def test_what_no_balance_decides_is_listed() -> None:
    assert line_with("to the router itself", TOLD) == "60 flows 1 kB to the router itself"
    assert line_with("to br1", TOLD) == "39 flows 2 kB to br1"
    assert line_with("no route", TOLD) == "1 flow 10 B refused: no route"


def test_what_the_kernel_divides_itself_is_told() -> None:
    text = drawn(replace(TOLD, load=replace(LOAD, undecided_flows=12)))
    assert "12 flows of these the kernel divides by a secret of its own" in text
    assert "secret" not in drawn(TOLD)


def test_loads_over_time_stand_against_the_bandwidth() -> None:
    slow = replace(LOAD, uplinks=tuple(replace(one, bandwidth_bps=None) for one in LOAD.uplinks))
    text = drawn(replace(TOLD, load=slow))
    assert "▅█·▃" in text
    assert "█ = 26.7 bit/s" in text
    assert "over time · bytes, 12:00 to 12:04, 1 min a sign" in text
    # The bandwidth is so much more that what there is hardly shows.
    assert "▁▁·▁" in drawn(TOLD)
    assert "█ = 10 Mbit/s, its bandwidth" in drawn(TOLD)


def test_a_long_time_is_joined_to_what_fits() -> None:
    steps = Steps(NOON_S, 60.0, 1440)
    uplinks = tuple(replace(one, series_bytes=(1,) * 1440) for one in LOAD.uplinks)
    text = drawn(replace(TOLD, load=replace(LOAD, uplinks=uplinks, steps=steps)))
    assert "2025-11-20 12:00 to 2025-11-21 12:00, 24 min a sign" in text
    assert "▁" * 60 in text
    assert "▁" * 61 not in text


def test_clients_and_how_many_are_split() -> None:
    assert line_with("20 of", TOLD) == (
        "clients · 20 of 80 clients leave by more than one uplink; 3 of 500 pairs of client and server do"
    )
    assert line_with("10.0.0.7", TOLD) == "10.0.0.7 12 flows 5 MB fibre 80 %, lte 20 %"
    part = replace(LOAD, stickiness=Stickiness(80, 20, part_counted=0.5))
    assert "20 of about 80 clients leave by more than one uplink\n" in drawn(replace(TOLD, load=part))


def test_a_loss_says_what_moves_and_what_need_not() -> None:
    moved = Moved(250, 10_000, {"lte": 250}, 0)
    text = drawn(replace(TOLD, moved=moved))
    assert "the loss moves · 250 flows of 1,100 (10 kB)" in text
    assert "✓ none needlessly" in text
    assert "chance" not in text
    text = drawn(replace(TOLD, moved=replace(moved, needless=5)))
    assert "✗ 5 of them needlessly" in text


def test_several_seeds_show_least_middle_and_most() -> None:
    shares = (0.70, 0.74, 0.76)
    loads = tuple(
        replace(LOAD, uplinks=(uplink("fibre", share, 0.75), uplink("lte", 1 - share, 0.25))) for share in shares
    )
    text = drawn(replace(TOLD, by_seed=loads))
    assert "under 3 seeds · 0 to 2" in text
    rows = [" ".join(line.split()) for line in text.splitlines() if "of 3" in line]
    assert rows == ["fibre 70.0 % 74.0 % 76.0 % 2 of 3", "lte 24.0 % 26.0 % 30.0 % 2 of 3"]


def test_without_bytes_and_times_what_they_tell_is_left_out() -> None:
    plain_uplinks = tuple(replace(one, busiest=None, series_bytes=(), size_bytes=0) for one in LOAD.uplinks)
    text = drawn(replace(TOLD, load=replace(LOAD, size_bytes=None, steps=None, uplinks=plain_uplinks)))
    assert "bytes" not in text
    assert "busiest" not in text
    assert "over time" not in text


# --- what is recommended --------------------------------------------------------------------------------------------


def candidate(name: str, reach: float, clients_split: int, pairs_split: int, fullest: float = 0.5) -> Candidate:
    """`fullest` of a line of which all traffic together, 1 Mbit/s at its peak, is more or less."""
    load = replace(
        LOAD,
        uplinks=tuple(
            replace(
                uplink(each, 0.5, 0.5),
                chance=Interval(0.5 - reach, 0.5 + reach),
                series_bytes=(10, 3_750_000),
                bandwidth_bps=round(1_000_000 * 0.5 / fullest),
            )
            for each in ("fibre", "lte")
        ),
        steps=Steps(NOON_S, 60.0, 2),
        stickiness=Stickiness(100, clients_split, 1000, pairs_split),
    )
    return Candidate(name, name, {}, load)


STICKY, MIDDLE, EVEN = (
    candidate("src-address", 0.12, 0, 0),
    candidate("both-addresses", 0.04, 90, 0),
    candidate("ports", 0.01, 100, 300),
)


def test_the_stickiest_that_is_even_enough_is_taken() -> None:
    found = recommend([EVEN, STICKY, MIDDLE])
    assert found.place == 2
    assert any("src-address is stickier, but a share may be 12.0 points off" in reason for reason in found.reasons)
    assert recommend([EVEN, replace(STICKY, load=candidate("", 0.049, 0, 0).load)]).place == 1


def test_a_line_that_would_be_full_comes_first() -> None:
    full = candidate("both-addresses", 0.04, 90, 0, fullest=0.9)
    found = recommend([full, EVEN, STICKY])
    assert found.place == 1
    assert any("both-addresses is stickier, but it fills a line to 90.0 %" in reason for reason in found.reasons)


def test_how_full_a_line_may_get_does_not_hang_on_the_seed() -> None:
    found = candidate("a", 0.1, 0, 0, fullest=0.75)
    assert found.fullest == pytest.approx(0.75)
    assert found.fullest_here == pytest.approx(7.5)
    lucky = replace(found.load.uplinks[0], busiest=Minute(NOON_S, 60, 1.0), share=0.4)
    assert replace(found, load=replace(found.load, uplinks=(lucky, found.load.uplinks[1]))).fullest == found.fullest
    unknown = replace(found.load.uplinks[0], bandwidth_bps=None)
    for load in (
        replace(found.load, uplinks=(unknown, found.load.uplinks[1])),
        replace(found.load, steps=None),
        replace(found.load, size_bytes=None),
    ):
        assert replace(found, load=load).fullest is None


def test_where_all_are_full_those_about_as_full_as_the_best_are_weighed() -> None:
    ways = [
        candidate("src-address", 0.12, 0, 0, 1.0),
        candidate("both-addresses", 0.04, 90, 0, 1.05),
        candidate("ports", 0.01, 100, 300, 1.02),
        candidate("fuller", 0.01, 0, 0, 1.2),
    ]
    found = recommend(ways)
    assert found.place == 1
    assert "none keeps every line below 80.0 %" in found.reasons[0]


def test_where_none_is_even_enough_the_most_even_is_taken() -> None:
    ways = [candidate("src-address", 0.3, 0, 0), candidate("both-addresses", 0.2, 50, 0)]
    found = recommend(ways)
    assert found.place == 1
    assert any("none does better" in reason for reason in found.reasons)


def test_a_tenth_of_a_percent_is_the_luck_of_a_seed() -> None:
    ways = [candidate("a", 0.04, 90, 3), candidate("b", 0.03, 90, 4)]
    assert recommend(ways).place == 1
    with pytest.raises(ValueError, match="nothing to choose from"):
        recommend([])


def test_the_comparison_marks_what_is_recommended() -> None:
    ways = (EVEN, STICKY, MIDDLE)
    told = replace(TOLD, compared=ways, recommended=recommend(ways))
    lines = [" ".join(line.split()) for line in drawn(told).splitlines()]
    assert "✓ both-addresses 50.0 : 50.0 4.0 points 50.0 % 500.0 % 90.0 % 0.0 %" in lines
    assert "src-address 50.0 : 50.0 12.0 points 50.0 % 500.0 % 0.0 % 0.0 %" in lines
    assert "✓ take both-addresses" in lines
