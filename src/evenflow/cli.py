"""The command line, `evenflow COMMAND …`. Exit status 0 done, 1 a mistake, 2 wrong usage, 3 the system refused."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenflow import __version__
from evenflow.errors import EvenflowError, InputError, LabError, SystemRefusedError
from evenflow.model.finding import Finding, Severity, has_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evenflow.formats.configuration import Loaded
    from evenflow.kernel.linux import Kernel
    from evenflow.kernel.reconcile import Prospect
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: Where the daemon listens unless told otherwise; the systemd unit makes the directory.
_SOCKET = "/run/evenflow/control.sock"

DONE, MISTAKE, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130

# --- reading the configuration ---------------------------------------------------------------------------------------


def load(file: str) -> Loaded:
    """Read a policy (`.toml`) or a RouterOS script (`.rsc`) and look it over.

    Raises:
        InputError: the file can't be read at all.
    """
    from evenflow.kernel.files import read_configuration

    return read_configuration(file)


def load_for_this_machine(file: str, machine: Machine) -> tuple[Router, tuple[Finding, ...]]:
    """A router that can run here, and findings that do not keep it from doing so.

    Raises:
        InputError: it can't; all findings are with it.
    """
    from evenflow.core.lint import lint_machine

    loaded = load(file)
    findings = loaded.findings
    if loaded.router is not None and not has_errors(findings):
        findings = (*findings, *lint_machine(loaded.router, machine))
    if loaded.router is None or has_errors(findings):
        raise InputError(findings)
    return loaded.router, findings


# --- telling ---------------------------------------------------------------------------------------------------------


def tell(findings: Iterable[Finding]) -> None:
    """Print findings to standard error, one a line; remarks are for `evenflow check`."""
    for finding in findings:
        if finding.severity is not Severity.INFO:
            print(finding, file=sys.stderr)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _open_kernel() -> Any:
    from evenflow.kernel.linux import LinuxKernel

    return LinuxKernel()


# --- commands --------------------------------------------------------------------------------------------------------


def check(arguments: argparse.Namespace) -> int:
    """`evenflow check`: findings, also about this machine, but those only as warnings: it may be meant for another."""
    from evenflow.core.lint import lint_machine
    from evenflow.formats.plan import findings_to_json

    loaded = load(arguments.config)
    findings = loaded.findings
    if loaded.router is not None and not has_errors(findings):
        machine = _machine_if_readable()
        if machine is not None:
            about_here = lint_machine(loaded.router, machine)
            findings += tuple(replace(finding, severity=Severity.WARNING) for finding in about_here)
    if arguments.json:
        _print_json({"findings": findings_to_json(findings)})
    else:
        for finding in findings:
            print(finding)
        if not findings:
            print(f"{arguments.config}: nothing to remark")
    return MISTAKE if has_errors(findings) else DONE


def _machine_if_readable() -> Machine | None:
    try:
        with _open_kernel() as kernel:
            machine: Machine = kernel.read_machine()
            return machine
    except SystemRefusedError:
        return None  # a checker need not be on a router at all


def plan(arguments: argparse.Namespace) -> int:
    """`evenflow plan`: what apply would change, and nothing else happens."""
    from evenflow.formats.plan import findings_to_json, plan_to_json, render_lines

    with _open_kernel() as kernel:
        prospect, findings = _look_ahead(kernel, arguments)
    if arguments.json:
        _print_json({**plan_to_json(prospect.plan), "findings": findings_to_json(findings)})
        return DONE
    tell(findings)
    for operation in prospect.plan.operations:
        for line in render_lines(operation):
            print(line)
    if prospect.plan.in_sync:
        print("in sync: nothing to do")
    return DONE


def _look_ahead(kernel: Kernel, arguments: argparse.Namespace) -> tuple[Prospect, tuple[Finding, ...]]:
    from evenflow.kernel.reconcile import look_ahead

    machine = kernel.read_machine()
    router, findings = load_for_this_machine(arguments.config, machine)
    prospect = look_ahead(kernel, router, machine, arguments.seed)
    return prospect, (*findings, *prospect.findings)


def apply(arguments: argparse.Namespace) -> int:
    """`evenflow apply`: make it so once, read it back, verify it; on any failure the old state is put back."""
    from evenflow.formats.plan import findings_to_json, plan_to_json
    from evenflow.kernel.reconcile import carry_out, only_one

    with _open_kernel() as kernel, only_one():
        prospect, findings = _look_ahead(kernel, arguments)
        if not arguments.json:
            tell(findings)
        carry_out(kernel, prospect)
    if arguments.json:
        _print_json({"applied": True, **plan_to_json(prospect.plan), "findings": findings_to_json(findings)})
    else:
        print(_summary(prospect))
    return DONE


def _summary(prospect: Prospect) -> str:
    if prospect.plan.in_sync:
        return "in sync: nothing to do"
    desired = prospect.desired
    table = desired.table
    rules = sum(len(chain.rules) for chain in table.chains.values()) if table else 0
    return (
        f"applied and verified: {len(prospect.plan.operations)} operations; in force are {rules} nft rules, "
        f"{len(desired.routes)} routes, {len(desired.rules)} route rules, {len(desired.sysctls)} sysctls"
    )


def down(arguments: argparse.Namespace) -> int:
    """`evenflow down`: take all of ours away."""
    from evenflow.formats.plan import plan_to_json
    from evenflow.kernel.reconcile import carry_out, look_at_down, only_one

    with _open_kernel() as kernel, only_one():
        prospect = look_at_down(kernel)
        carry_out(kernel, prospect)
    if arguments.json:
        _print_json({"applied": True, **plan_to_json(prospect.plan)})
    elif prospect.plan.in_sync:
        print("nothing of evenflow's is here")
    else:
        print(f"all of evenflow's is gone: {len(prospect.plan.operations)} operations, verified")
    return DONE


def daemon(arguments: argparse.Namespace) -> int:
    """`evenflow run`, and the commands that speak to it."""
    from evenflow.daemon import commands

    status: int = getattr(commands, arguments.command)(arguments)
    return status


def lab(arguments: argparse.Namespace) -> int:
    """`evenflow lab`: play a scenario in network namespaces; nothing outside them is touched."""
    from rich.console import Console

    from evenflow.kernel.namespaces import enter_private
    from evenflow.lab.article import play_article
    from evenflow.lab.progress import ConsoleProgress
    from evenflow.lab.scenarios import scenario_named
    from evenflow.lab.terminal import print_report

    if arguments.scenario and (arguments.scenario == "failover" or scenario_named(arguments.scenario)):
        return _play_scenarios(arguments)
    file = arguments.scenario or str(Path(__file__).parent / "examples" / "seed.rsc")
    loaded = load(file)
    if loaded.router is None or has_errors(loaded.findings):
        raise InputError(loaded.findings)
    enter_private()
    html = None if arguments.no_html else Path(arguments.html)
    with ConsoleProgress(Console(stderr=arguments.json)) as progress:
        report = play_article(
            lambda: _apply_in_lab(file, arguments.seed),
            _down_in_lab,
            title=Path(file).name,
            html=html,
            progress=progress,
        )
    if arguments.json:
        _print_json(report.to_json())
    else:
        print_report(report, Console())
        if html is not None:
            print(f"the report with pictures: {html.resolve()}")
    return DONE if report.held else MISTAKE


def _play_scenarios(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from evenflow.kernel.namespaces import enter_private
    from evenflow.lab.scenarios import SCENARIOS, play_scenario
    from evenflow.lab.timeline import print_played, print_verdict

    enter_private()
    console = Console(stderr=arguments.json)
    played = []
    for scenario in SCENARIOS:
        if arguments.scenario in ("failover", scenario.name):
            played.append(play_scenario(scenario, seed=arguments.seed))
            print_played(played[-1], console)
    print_verdict(played, console)
    if arguments.json:
        _print_json({"scenarios": [one.to_json() for one in played]})
    return DONE if all(one.held for one in played) else MISTAKE


def _apply_in_lab(file: str, seed: int | None) -> None:
    from evenflow.kernel.reconcile import carry_out, look_ahead

    with _open_kernel() as kernel:
        machine = kernel.read_machine()
        router, _ = load_for_this_machine(file, machine)
        carry_out(kernel, look_ahead(kernel, router, machine, seed))


def _down_in_lab() -> None:
    from evenflow.kernel.reconcile import carry_out, look_at_down

    with _open_kernel() as kernel:
        carry_out(kernel, look_at_down(kernel))


# --- arguments -------------------------------------------------------------------------------------------------------

_EPILOG = """\
A configuration is a policy (.toml) or an unchanged RouterOS script (.rsc).
Begin with:  evenflow lab                    see it work, in a world of its own
             evenflow check my.toml          is it right?
             sudo evenflow plan my.toml      what would change here?
             sudo evenflow apply my.toml     change it; `sudo evenflow down` takes it back
Exit status: 0 done, 1 a mistake in the configuration (or the lab did not hold), 2 wrong usage,
3 the system refused, 130 interrupted.
"""


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
    for name, does, summary in (
        ("check", check, "look a configuration over; nothing is changed"),
        ("plan", plan, "show what apply would change in this kernel; nothing is changed"),
        ("apply", apply, "put a configuration in force, all of it or nothing, and verify it"),
    ):
        command = _command(commands, name, does, summary)
        command.add_argument("config", metavar="CONFIG", help="a policy (.toml) or a RouterOS script (.rsc)")
        if name != "check":
            command.add_argument("--seed", type=_seed, metavar="N", help=seed_help)
    _daemon_commands(commands, seed_help)
    _command(commands, "down", down, "take all of evenflow's out of this kernel, and put its settings back")
    playing = _command(commands, "lab", lab, "play a router with clients, providers and servers in namespaces")
    playing.add_argument(
        "scenario",
        metavar="SCENARIO",
        nargs="?",
        help="a configuration for the interfaces USER_01, ether1 and pppoe-out1; or a failover scenario with the "
        "daemon: carrier, gateway, far, loss, latency, all, flapping, interface, drift, kill, reload, drain, or "
        "failover for every one of them; left out: the article's router",
    )
    playing.add_argument("--seed", type=_seed, metavar="N", help=seed_help)
    playing.add_argument("--html", default="lab-report.html", metavar="FILE", help="the report (default: %(default)s)")
    playing.add_argument("--no-html", action="store_true", help="write no report")
    return top


def _daemon_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], seed_help: str) -> None:
    running = _command(commands, "run", daemon, "the daemon, in the foreground: health, failover, drift mended")
    running.add_argument("config", metavar="CONFIG", help="a policy (.toml) or a RouterOS script (.rsc)")
    running.add_argument("--seed", type=_seed, metavar="N", help=seed_help)
    running.add_argument("--verbose", action="store_true", help="log doubts and their ends, too")
    speaking = [
        _command(commands, "status", daemon, "how the uplinks of the running daemon stand, and the last events"),
        _command(commands, "events", daemon, "what happens in the running daemon, as it happens"),
        _command(commands, "reload", daemon, "have the daemon read its configuration anew; a bad one is refused"),
    ]
    for name, summary in (
        ("drain", "no new connections by an uplink; the old ones finish there"),
        ("undrain", "new connections by an uplink again"),
    ):
        command = _command(commands, name, daemon, summary)
        command.add_argument("uplink", metavar="UPLINK", help="its name, as `evenflow status` shows it")
        speaking.append(command)
    for command in (running, *speaking):
        command.add_argument(
            "--socket", default=_SOCKET, metavar="PATH", help="the daemon's control socket (default: %(default)s)"
        )


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, does: object, summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    command.set_defaults(does=does)
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
    chosen = parser().parse_args(arguments)
    try:
        with _signals_interrupt():
            status: int = chosen.does(chosen)
    except InputError as problem:
        return _fail(chosen, MISTAKE, problem)
    except LabError as problem:
        return _fail(chosen, MISTAKE, problem)
    except EvenflowError as problem:
        return _fail(chosen, REFUSED, problem)
    except KeyboardInterrupt:
        print("interrupted; nothing is left half done", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: there is nobody to tell
        return DONE
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
        _print_json({"error": str(problem) if not told else "", "findings": findings_to_json(told)})
    elif told:
        tell(told)
    else:
        print(f"evenflow: {problem}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
