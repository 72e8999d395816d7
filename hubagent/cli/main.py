"""The command line: each command is a few lines over the agent's own functions.

Exit codes: 0 done, nothing wrong · 1 done, but something is wrong (degraded, rolled back, failed check) ·
2 the configuration or the command line is wrong · 75 not now: another hubagent is at work, or the machine
does not answer, or is too busy and is tried again (EX_TEMPFAIL of sysexits(3)) · 70 a fault of hubagent's own
(EX_SOFTWARE).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import traceback
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hubagent
from hubagent.adapters.files.lock import InstanceLock
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.machine.facts import LocalMachineFacts
from hubagent.adapters.machine.log import JournalLog
from hubagent.agent.agent import Agent
from hubagent.cli import backup, console, first_login, homes
from hubagent.cli.doctor_report import doctor_json, doctor_text
from hubagent.cli.plan_report import plan_json, plan_text
from hubagent.cli.status_report import status_text
from hubagent.config.model import Config
from hubagent.config.reading import host_names
from hubagent.config.reading.advice import advice
from hubagent.config.reading.loader import load
from hubagent.config.tree.document import MAX_BYTES
from hubagent.converge import doctor
from hubagent.converge.outcome import Order
from hubagent.converge.requests import Request, Requests
from hubagent.converge.status_file import last_status
from hubagent.errors import BusyError, ConfigError, HubagentError, TemporaryError, UsageError
from hubagent.layout import Layout
from hubagent.ports import MachineFacts
from hubagent.state.status import Result, Status
from hubagent.state.status_json import from_json, to_json
from hubagent.text import clean

OK, WRONG, USAGE, FAULT, NOT_NOW = 0, 1, 2, 70, 75
_ANSWER_S = 1800.0  # on a busy machine; an agent that is gone is noticed before
_BAD = (Result.FAILED, Result.ROLLED_BACK, Result.REJECTED)

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.command is not _run:
        console.show_log()
    command: Callable[[argparse.Namespace, Layout], int] = arguments.command
    try:
        return command(arguments, Layout())
    except ConfigError as error:
        console.complain(error)
        return USAGE
    except UsageError as error:
        console.complain(f"hubagent: {error}")
        return USAGE
    except (BusyError, TemporaryError) as error:
        console.complain(f"hubagent: {error}")
        return NOT_NOW
    except HubagentError as error:
        console.complain(f"hubagent: {error}")
        return WRONG
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # what nobody thought of; its text may be anybody's
        told = clean(f"{type(error).__name__}: {error}")
        console.complain(
            f"hubagent: a fault of hubagent's own, please report it: {told} (hubagent --traceback shows where)"
        )
        if arguments.traceback:
            console.complain(traceback.format_exc())
        return FAULT


def _parser() -> argparse.ArgumentParser:
    parser = console.Parser(
        prog="hubagent",
        description="Keeps a multi-user Jupyter and Pluto server as /etc/hubagent.yaml says.",
        epilog="Exit codes: 0 fine; 1 something is wrong; 2 the configuration or command line is wrong; "
        "70 a fault of hubagent's own; 75 not now, try again. See hubagent(8) and hubagent.yaml(5).",
    )
    parser.add_argument("--version", action="version", version=f"hubagent {hubagent.__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show where in hubagent a fault of its own came up"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, function: Callable[[argparse.Namespace, Layout], int], words: str) -> Any:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(command=function)
        return sub

    command("run", _run, "be the agent (systemd does this: hubagent.service)")
    check = command("check", _check, "say whether a configuration file is valid; changes nothing")
    check.add_argument(
        "file", nargs="?", type=Path, help="another file than /etc/hubagent.yaml; - for standard input"
    )
    plan = command("plan", _plan, "show what apply would do now, and what users would notice")
    plan.add_argument(
        "--new-tokens", action="store_true", help="as if the tokens were to be replaced, see apply"
    )
    plan.add_argument("--json", action="store_true", help="print JSON")
    apply = command("apply", _apply, "apply the configuration now and wait for the result")
    apply.add_argument(
        "--allow-disruption",
        action="store_true",
        help="also take steps that drop websockets of running notebooks",
    )
    apply.add_argument(
        "--new-tokens",
        action="store_true",
        help="replace the tokens between agent, hub and proxy; needs --allow-disruption",
    )
    apply.add_argument("--json", action="store_true", help="print JSON")
    status = command("status", _status, "show how everything is")
    status.add_argument("--json", action="store_true", help="print JSON")
    first_login.add_command(command)
    rollback = command(
        "rollback", _rollback, "go back to an earlier generation, and stay until the file changes"
    )
    rollback.add_argument("generation", nargs="?", type=int, help="which one; without it, the one before")
    rollback.add_argument("--json", action="store_true", help="print JSON")
    doctor_ = command("doctor", _doctor, "check the whole installation; every finding with its remedy")
    doctor_.add_argument("--json", action="store_true", help="print JSON")
    homes.add_commands(command)
    backup.add_commands(command, finish=_apply_restored)
    return parser


def _run(_arguments: argparse.Namespace, layout: Layout) -> int:
    logging.getLogger().setLevel(logging.INFO)
    with JournalLog():
        try:
            return Agent(layout, serve_metrics=True).run()
        except HubagentError:
            raise
        except Exception:
            logging.getLogger(__name__).critical("a fault of hubagent's own, please report it", exc_info=True)
            return FAULT


def _check(arguments: argparse.Namespace, layout: Layout) -> int:
    path: Path = arguments.file or layout.config
    if str(path) == "-":
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        state = LocalFileStore().read(path, max_bytes=MAX_BYTES)
        if state is None:
            raise ConfigError((f"{path}: does not exist",))
        content = state.content
    config = load(content, path=str(path))
    for notice in advice(config):
        console.complain(f"{path}: {notice}")
    _say_where_it_leads(config, LocalMachineFacts())
    print(clean(f"{path}: valid"))
    return OK


def _plan(arguments: argparse.Namespace, layout: Layout) -> int:
    agent = Agent(layout, serve_metrics=False)
    try:
        new_tokens = arguments.new_tokens
        prepared = agent.reconciler.preview(Order(allow_disruption=new_tokens, new_tokens=new_tokens))
    finally:
        agent.close()
    if arguments.json:
        print(json.dumps(plan_json(prepared.plan), indent=1))
    else:
        print(plan_text(prepared.plan, colour=console.has_colour()), end="")
    if any(change.key == "host" for change in prepared.plan.changes):
        _say_where_it_leads(prepared.intent.config, agent.tools.machine)
    for message in prepared.errors:
        console.complain(message)
    return USAGE if prepared.errors else OK


def _say_where_it_leads(config: Config, machine: MachineFacts) -> None:
    """Before people are locked out under every other name."""
    if config.host is not None:
        notice = host_names.judge(config.host, machine.addresses(config.host))
        if notice is not None:
            console.complain(notice)


def _apply(arguments: argparse.Namespace, layout: Layout) -> int:
    if arguments.new_tokens and not arguments.allow_disruption:
        raise UsageError(
            "--new-tokens restarts the proxy, which drops every websocket: add --allow-disruption"
        )
    order = Order(allow_disruption=arguments.allow_disruption, retry=True, new_tokens=arguments.new_tokens)
    status = _order(order, layout)
    code = _finish(status, as_json=arguments.json)
    return NOT_NOW if status.is_late else code


def _apply_restored(layout: Layout, into: Callable[[dict[str, Any]], dict[str, Any]] | None) -> int:
    """Nobody works here whom a restart of the proxy would disturb."""
    status = _order(Order(allow_disruption=True, retry=True), layout)
    if into is None:
        return _finish(status, as_json=False)
    print(json.dumps(into(to_json(status)), indent=1))
    return _code(status)


def _rollback(arguments: argparse.Namespace, layout: Layout) -> int:
    _require_root("rollback")
    agent = Agent(layout, serve_metrics=False)
    try:
        number, current = arguments.generation, agent.generations.current()
        earlier = [one for one in agent.generations.served() if current is not None and one < current]
        if number is None and not earlier:
            raise HubagentError("there is no earlier generation to go back to")
        wanted = number if number is not None else earlier[-1]
        agent.generations.load(wanted)  # says now, not later, when it is not there
    finally:
        agent.close()
    code = _finish(_order(Order(rollback_to=wanted), layout), as_json=arguments.json)
    if not arguments.json:
        old = agent.generations.folder(wanted) / "hubagent.yaml"
        print(f"{layout.config} is left as it is and not applied until it changes; its earlier text: {old}")
    return code


def _status(arguments: argparse.Namespace, layout: Layout) -> int:
    _require_root("status")
    status = last_status(LocalFileStore(), layout)
    if status is None:
        raise TemporaryError("the agent has not reported yet; see systemctl status hubagent")
    code = _finish(status, as_json=arguments.json)
    if not arguments.json:
        _name_first_logins(layout)
    return code


def _doctor(arguments: argparse.Namespace, layout: Layout) -> int:
    _require_root("doctor")
    agent = Agent(layout, serve_metrics=False)
    try:
        findings = doctor.examine(agent.tools, agent.reconciler, last_status(LocalFileStore(), layout))
    finally:
        agent.close()
    if arguments.json:
        print(json.dumps(doctor_json(findings), indent=1))
    else:
        print(doctor_text(findings, colour=console.has_colour()))
    return OK if all(finding.ok for finding in findings) else WRONG


def _order(order: Order, layout: Layout) -> Status:
    """Hand an order to the running agent, or carry it out here when none runs."""
    _require_root("apply")
    files, clock = LocalFileStore(), SystemClock()
    files.make_dir(layout.run, mode=0o755)
    lock = InstanceLock(layout.run / "lock")
    try:
        with lock:
            agent = Agent(layout, serve_metrics=False)
            try:
                return agent.look(order)[1]
            finally:
                agent.close()
    except BusyError:
        pass
    requests, request = Requests(files, layout), Request(uuid.uuid4().hex, order)
    requests.send(request)
    pid = _agent_pid(files, layout)
    os.kill(pid, signal.SIGHUP)
    deadline = clock.monotonic() + _ANSWER_S
    while clock.monotonic() < deadline:
        is_gone = not Path(f"/proc/{pid}").exists()
        answer = requests.answered(request)
        if answer is not None:
            return from_json(answer["status"])
        if is_gone:
            raise TemporaryError("the agent ended in the middle of it; its next start goes on from there")
        clock.sleep(0.02)
    raise TemporaryError(f"the agent did not answer within {_ANSWER_S:.0f} s; see journalctl -u hubagent")


def _agent_pid(files: LocalFileStore, layout: Layout) -> int:
    """The holder of the lock, as the lock file names it."""
    state = files.read(layout.run / "lock", max_bytes=64)
    if state is None or not state.content.strip().isdigit():
        raise BusyError(f"{layout.run / 'lock'} is held, but names nobody; try again")
    return int(state.content)


def _finish(status: Status, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(to_json(status), indent=1))
    else:
        print(
            status_text(
                status, now_s=SystemClock().time(), width=console.width(), colour=console.has_colour()
            ),
            end="",
        )
    return _code(status)


def _code(status: Status) -> int:
    return WRONG if status.degraded or status.result in _BAD else OK


def _name_first_logins(layout: Layout) -> None:
    """Whose one-time passwords wait; the passwords are for a command that is called on purpose."""
    names = first_login.waiting(LocalFileStore(), layout)
    if names:
        print(f"\nThe first login of {', '.join(map(clean, names))} waits: hubagent first-login")


def _require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise HubagentError(f"{command} needs root; use sudo hubagent {command}")
