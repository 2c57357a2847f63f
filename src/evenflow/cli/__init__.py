"""The command line, `evenflow COMMAND …`; `cli.telling` has the exit statuses.

Each command is a function of its parsed arguments that returns the exit status; its module is imported when it is asked
for, so that `--help` and the quick commands start fast.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from evenflow import __version__
from evenflow.cli.accept_option import add_accepting
from evenflow.cli.check_options import add_options as add_check_options
from evenflow.cli.convert_options import add_options as add_convert_options
from evenflow.cli.simulate_options import add_options as add_simulate_options
from evenflow.cli.telling import (
    DONE,
    INTERRUPTED,
    MISTAKE,
    REFUSED,
    UNTOLD,
    USAGE,
    UnwrittenError,
    complain,
    finish_output,
    give_up,
    prepare_output,
    print_json,
    tell,
)
from evenflow.cli.trace_options import add_options as add_trace_options
from evenflow.errors import EvenflowError, InputError, LabError, SystemRefusedError
from evenflow.model.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DONE", "INTERRUPTED", "MISTAKE", "REFUSED", "UNTOLD", "USAGE", "main", "parser"]

#: The module of each command, which has a function of the command's name.
_KERNEL, _DAEMON, _LAB = "evenflow.cli.kernel", "evenflow.cli.daemon", "evenflow.cli.lab"
_CHECK = "evenflow.cli.check"
_TRACE = "evenflow.cli.trace"
_SIMULATE = "evenflow.cli.simulate"
_CONVERT = "evenflow.cli.convert"

#: Where the daemon listens unless told otherwise; the systemd unit makes the directory.
_SOCKET = "/run/evenflow/control.sock"

_EPILOG = """\
A configuration is a policy (.toml) or an unchanged RouterOS script (.rsc, or - for one on standard input).
Begin with:  evenflow lab                    see it work, in a world of its own
             evenflow check my.toml          is it right?
             evenflow trace my.toml --in br0 --src 192.168.1.10 --dst 198.51.100.7
                                             where will this connection go, and why?
             evenflow simulate my.toml flows.csv
                                             what would it make of yesterday's connections?
             sudo evenflow plan my.toml      what would change here?
             sudo evenflow apply my.toml     change it; `sudo evenflow down` takes it back
Exit status: 0 done, 1 a mistake in the configuration (or the lab did not hold), 2 wrong usage,
3 the system refused, 4 done, but the output could not be written, 130 interrupted.
"""

#: Commands that have changed something by the time that they print.
_CHANGING = frozenset({"apply", "convert", "down", "drain", "undrain", "reload"})


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="evenflow",
        description="Spread connections over several Internet uplinks, each connection kept on its own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"evenflow {__version__}")
    commands = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    seed_help = "32-bit seed of the classifier's hash; left out: the one in force, else drawn by chance"
    for name, summary in (
        ("check", "look a configuration over; nothing is changed"),
        ("plan", "show what apply would change in this kernel; nothing is changed"),
        ("apply", "put a configuration in force, all of it or nothing, and verify it"),
    ):
        command = _command(commands, name, _CHECK if name == "check" else _KERNEL, summary)
        command.add_argument("config", metavar="CONFIG", help="a policy (.toml) or a RouterOS script (.rsc)")
        add_accepting(command)
        if name == "check":
            add_check_options(command)
        else:
            command.add_argument("--seed", type=_seed, metavar="N", help=seed_help)
    add_trace_options(_command(commands, "trace", _TRACE, "one packet's way, step by step, and why"), _seed)
    simulating = _command(commands, "simulate", _SIMULATE, "share of each uplink over the flows of a file, and why")
    add_simulate_options(simulating, _seed)
    add_convert_options(_command(commands, "convert", _CONVERT, "a policy as a RouterOS script, a script as a policy"))
    _daemon_commands(commands, seed_help)
    _command(commands, "down", _KERNEL, "take all of evenflow's out of this kernel, and put its settings back")
    playing = _command(commands, "lab", _LAB, "play a router with clients, providers and servers in namespaces")
    playing.add_argument(
        "scenario",
        metavar="SCENARIO",
        nargs="?",
        help="a configuration for the interfaces USER_01, ether1 and pppoe-out1; or a failover scenario with the "
        "daemon: carrier, gateway, far, loss, latency, all, flapping, dhcp (needs dnsmasq and udhcpc), interface, "
        "drift, kill, reload, drain, or failover for every one of them; left out: the article's router",
    )
    playing.add_argument("--seed", type=_seed, metavar="N", help=seed_help)
    playing.add_argument("--html", default="lab-report.html", metavar="FILE", help="the report (default: %(default)s)")
    playing.add_argument("--no-html", action="store_true", help="write no report")
    return top


def _daemon_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], seed_help: str) -> None:
    running = _command(commands, "run", _DAEMON, "the daemon, in the foreground: health, failover, drift mended")
    running.add_argument("config", metavar="CONFIG", help="a policy (.toml) or a RouterOS script (.rsc)")
    add_accepting(running)
    running.add_argument("--seed", type=_seed, metavar="N", help=seed_help)
    running.add_argument("--verbose", action="store_true", help="log doubts and their ends, too")
    speaking = [
        _command(commands, "status", _DAEMON, "how the uplinks of the running daemon stand, and the last events"),
        _command(commands, "events", _DAEMON, "what happens in the running daemon, as it happens"),
        _command(commands, "reload", _DAEMON, "have the daemon read its configuration anew; a bad one is refused"),
    ]
    for name, summary in (
        ("drain", "no new connections by an uplink; the old ones finish there"),
        ("undrain", "new connections by an uplink again"),
    ):
        command = _command(commands, name, _DAEMON, summary)
        command.add_argument("uplink", metavar="UPLINK", help="its name, as `evenflow status` shows it")
        speaking.append(command)
    for command in (running, *speaking):
        command.add_argument(
            "--socket", default=_SOCKET, metavar="PATH", help="the daemon's control socket (default: %(default)s)"
        )


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, module: str, summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    command.set_defaults(module=module)
    command.add_argument("--json", action="store_true", help="print one JSON object instead (docs/json.md)")
    return command


def _seed(text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 4294967295")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    prepare_output()
    command, status = "", DONE
    try:
        chosen = _chosen(arguments)
        command = chosen.command
        status = _carried_out(chosen)
        finish_output()
    except UnwrittenError as problem:
        return _untold(problem, status or UNTOLD, "what was asked for is done, but " if command in _CHANGING else "")
    return status


def _chosen(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser().parse_args(arguments)
    except SystemExit:
        finish_output()  # of --help
        raise


def _untold(problem: UnwrittenError, status: int, before: str = "") -> int:
    give_up(sys.stdout)
    if isinstance(problem.__cause__, BrokenPipeError):
        return status if status != UNTOLD else DONE  # whoever read it has gone: there is nobody to tell
    complain(f"evenflow: {before}standard output can't be written: {problem}")
    return status


def _carried_out(chosen: argparse.Namespace) -> int:
    try:
        with _signals_interrupt():
            status: int = getattr(import_module(chosen.module), chosen.command)(chosen)
    except InputError as problem:
        return _fail(chosen, MISTAKE, problem)
    except LabError as problem:
        return _fail(chosen, MISTAKE, problem)
    except EvenflowError as problem:
        return _fail(chosen, REFUSED, problem)
    except KeyboardInterrupt as interruption:
        left = getattr(interruption, "__notes__", ["nothing is left half done"])
        complain(f"interrupted; {'; '.join(left)}")
        return INTERRUPTED
    except OSError as problem:
        return _fail(chosen, REFUSED, SystemRefusedError(f"the system refused: {problem}"))
    return status


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """A closed terminal (SIGHUP) or `kill` (SIGTERM) is like Ctrl-C: what was begun is put back."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(chosen: argparse.Namespace, status: int, problem: EvenflowError) -> int:
    from evenflow.formats.plan import findings_to_json

    findings = problem.findings if isinstance(problem, InputError) else ()
    told = [finding for finding in findings if isinstance(finding, Finding)]
    if chosen.json:
        try:
            print_json({"error": str(problem) if not told else "", "findings": findings_to_json(told)}, flush=True)
        except UnwrittenError as unwritten:
            return _untold(unwritten, status)
    elif told:
        tell(told)
    else:
        complain(f"evenflow: {problem}")
    return status
