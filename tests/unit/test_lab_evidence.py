"""How the lab judges what was counted."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

from evenflow.lab.clients import Dial
from evenflow.lab.failover import Move, find_move
from evenflow.lab.footprint import difference
from evenflow.lab.tally import Conversation, Sighting, parse_sighting, passages
from evenflow.lab.topology import CLIENTS
from evenflow.lab.traffic import Attempt, Watched, by_owner

HERE, THERE = IPv4Address("100.64.1.2"), IPv4Address("198.51.100.10")
ONE, OTHER = Conversation(HERE, 40_001, THERE, 80), Conversation(HERE, 40_002, THERE, 80)


def test_a_connection_over_two_uplinks_is_no_kept_one() -> None:
    sightings = {
        "isp1": Sighting(sent={ONE: 5, OTHER: 4}, received={ONE: 4}),
        "isp2": Sighting(sent={OTHER: 1}),
    }
    kept, strayed = passages([ONE, OTHER], sightings)
    assert kept.kept_to("isp1")
    assert kept.packets == {"isp1": 9}
    assert not strayed.kept_to("isp1")
    assert strayed.packets == {"isp1": 4, "isp2": 1}


def test_a_connection_that_nobody_saw_or_that_went_elsewhere_is_no_kept_one() -> None:
    unseen, elsewhere = passages([ONE, OTHER], {"isp1": Sighting(), "isp2": Sighting(received={OTHER: 2})})
    assert not unseen.kept_to("isp1")
    assert not elsewhere.kept_to("isp1")
    assert elsewhere.kept_to("isp2")


def nft_set(name: str, *elements: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    if elements:
        found["elem"] = [
            {"elem": {"val": value, "counter": {"packets": packets, "bytes": 60 * packets}}}
            for value, packets in elements
        ]
    return {"set": found}


def test_what_nft_lists_is_read() -> None:
    val = {"concat": [str(HERE), 40_001, str(THERE), 80]}
    text = json.dumps(
        {"nftables": [{"metainfo": {}}, nft_set("sent", (val, 3)), nft_set("received"), nft_set("accepted"),
                      nft_set("foreign", ("10.10.1.10", 2))]}
    )  # fmt: skip
    assert parse_sighting(text) == Sighting(sent={ONE: 3}, foreign={IPv4Address("10.10.1.10"): 2})


def attempt(began_s: float, ended_s: float, uplink: str | None, owner: str = "isp1") -> Attempt:
    return Attempt(Watched(Dial(CLIENTS, HERE, THERE, 80), owner), began_s, ended_s, uplink)


def moved(uplink: str | None) -> bool:
    return uplink == "isp2"


def test_the_time_runs_to_the_first_answer_of_one_begun_after_the_cut() -> None:
    attempts = [
        attempt(0.5, 1.5, "isp2"),  # begun before: it says nothing
        attempt(1.01, 2.4, None),
        attempt(1.02, 1.05, "isp2"),
        attempt(1.06, 1.08, "isp2"),
        attempt(1.07, 1.09, "isp2"),
    ]
    move = find_move(attempts, 1.0, moved)
    assert move.after_s is not None
    assert round(move.after_s, 6) == 0.05
    assert (move.lost, move.later, move.later_right) == (1, 2, 2)


def test_one_that_goes_wrong_later_is_seen() -> None:
    attempts = [attempt(1.0, 1.1, "isp2"), attempt(1.2, 1.3, "isp1"), attempt(1.3, 2.7, None)]
    assert find_move(attempts, 0.9, moved) == Move(1.1 - 0.9, lost=0, later=2, later_right=0)


def test_nothing_moved() -> None:
    assert find_move([attempt(1.1, 2.5, None), attempt(0.1, 0.2, "isp2")], 1.0, moved) == Move(None, 1, 0, 0)
    assert find_move([], 1.0, moved) == Move(None, 0, 0, 0)


def test_attempts_are_told_apart_by_owner() -> None:
    mine, other = attempt(1, 2, "isp1"), attempt(1, 2, "isp2", owner="isp2")
    assert by_owner([mine, other], "isp2") == [other]


def test_a_footprint_differs_by_line() -> None:
    before = {"routes": frozenset({"a", "b"}), "rules": frozenset({"x"})}
    after = {"routes": frozenset({"b", "c"}), "rules": frozenset({"x"})}
    assert difference(before, after) == {"routes": ["- a", "+ c"]}
    assert difference(before, before) == {}
