"""The commands that run the daemon or speak to it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from evenflow.cli.telling import DONE, USAGE, complain, print_json
from evenflow.daemon.client import ask, stream

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """`evenflow run`: the daemon, in the foreground."""
    from evenflow.daemon.chronicle import set_up_logging
    from evenflow.daemon.service import Options, Service
    from evenflow.formats.configuration import STANDARD_INPUT

    if arguments.config == STANDARD_INPUT:
        complain("evenflow run: the daemon reads its configuration again on reload; write it to a file and name that")
        return USAGE
    set_up_logging(journal="JOURNAL_STREAM" in os.environ, verbose=arguments.verbose)
    options = Options(arguments.config, arguments.socket, arguments.seed, arguments.accept_unsupported)

    async def serve() -> None:
        await Service(options).run()

    asyncio.run(serve())
    return DONE


def status(arguments: argparse.Namespace) -> int:
    """`evenflow status`: how the uplinks stand."""
    answer = ask(arguments.socket, {"command": "status"})
    if arguments.json:
        print_json(answer)
        return DONE
    _print_status(answer)
    return DONE


def _print_status(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("uplink", "interface", "state", "for", "share", "target", "loss", "round trip", "because"):
        table.add_column(
            title, justify="right" if title in ("for", "share", "target", "loss", "round trip") else "left"
        )
    colours = {"UP": "green", "DOWN": "red", "DRAINED": "yellow", "FALLING": "yellow", "RISING": "yellow"}
    for uplink in answer["uplinks"]:
        colour = colours.get(uplink["state"], "default")
        table.add_row(
            uplink["name"],
            uplink["interface"] or "",
            f"[{colour}]{uplink['state']}[/]",
            "" if uplink["since_s"] is None else _duration(uplink["since_s"]),
            _percent(uplink["share"]),
            _percent(uplink["target"]),
            "" if uplink["loss_percent"] is None else f"{uplink['loss_percent']} %",
            "" if uplink["rtt_ms"] is None else f"{uplink['rtt_ms']:.1f} ms",
            uplink["reason"],
        )
    console = Console()
    console.print(table)
    if not answer["in_sync"]:
        console.print("[red]the kernel is not as it should be; see the log[/]")
    if answer["events"]:
        console.print("\nlast events:")
        for event in answer["events"][-8:]:
            console.print(f"  {event['at'][11:23]}  {event['message']}", markup=False)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def drain(arguments: argparse.Namespace) -> int:
    """`evenflow drain`: no new connections there; the old ones finish."""
    return _tell_state(arguments, "drain")


def undrain(arguments: argparse.Namespace) -> int:
    """`evenflow undrain`: new connections again."""
    return _tell_state(arguments, "undrain")


def _tell_state(arguments: argparse.Namespace, command: str) -> int:
    answer = ask(arguments.socket, {"command": command, "uplink": arguments.uplink})
    if arguments.json:
        print_json(answer, indent=None)
    else:
        print(f"{answer['uplink']} is {answer['state']}")
    return DONE


def reload(arguments: argparse.Namespace) -> int:
    """`evenflow reload`: read the configuration anew; a bad one is refused and the old one goes on."""
    answer = ask(arguments.socket, {"command": "reload"})
    if arguments.json:
        print_json(answer, indent=None)
        return DONE
    for finding in answer.get("findings", ()):
        complain(finding)
    print("reloaded")
    return DONE


def events(arguments: argparse.Namespace) -> int:
    """`evenflow events`: what happens, as it happens."""
    for event in stream(arguments.socket, {"command": "events"}):
        if arguments.json:
            print_json(event, indent=None, flush=True)
        else:
            print(f"{event['at']}  {event['message']}", flush=True)
    return DONE
