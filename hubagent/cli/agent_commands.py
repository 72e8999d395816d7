"""The commands that build the agent: `run` for good, `plan`, `apply`, `rollback` and `doctor` for once."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hubagent.adapters.files.lock import InstanceLock
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.machine.log import JournalLog
from hubagent.agent.agent import Agent
from hubagent.cli import console
from hubagent.cli.check import say_where_it_leads
from hubagent.cli.command_line import Command
from hubagent.cli.doctor_report import doctor_json, doctor_text
from hubagent.cli.plan_report import plan_json, preview_text
from hubagent.cli.status import exit_code, show
from hubagent.converge.doctor import examine
from hubagent.converge.intent import Order
from hubagent.converge.requests import Request, Requests
from hubagent.errors import BusyError, HubagentError, TemporaryError, UsageError
from hubagent.layout import Layout
from hubagent.state.status import Status
from hubagent.state.status_json import from_json, last_status, to_json

log = logging.getLogger(__name__)

_ANSWER_S = 1800.0  # on a busy machine; an agent that is gone is noticed before


def _run(_arguments: argparse.Namespace, layout: Layout) -> int:
    logging.getLogger().setLevel(logging.INFO)
    with JournalLog():
        try:
            return Agent(layout, serve_metrics=True).run()
        except HubagentError:
            raise
        except Exception:
            log.critical("a fault of hubagent's own, please report it", exc_info=True)
            return console.FAULT


def _plan(arguments: argparse.Namespace, layout: Layout) -> int:
    agent = Agent(layout, serve_metrics=False)
    try:
        new_tokens = arguments.new_tokens
        prepared = agent.reconciler.preview(Order(allow_disruption=new_tokens, new_tokens=new_tokens))
    finally:
        agent.close()
    if arguments.json:
        problems = [problem.message for problem in prepared.problems]
        print(json.dumps({**plan_json(prepared.plan), "problems": problems}, indent=1))
    else:
        unsaid = [problem for problem in prepared.problems if problem.message not in prepared.errors]
        print(preview_text(prepared.plan, unsaid, colour=console.has_colour()), end="")
    if any(change.key == "host" for change in prepared.plan.changes):
        say_where_it_leads(prepared.intent.config)
    for message in prepared.errors:
        console.complain(message)
    if prepared.errors:
        return console.USAGE
    return console.WRONG if prepared.problems else console.OK


def _apply(arguments: argparse.Namespace, layout: Layout) -> int:
    if arguments.new_tokens and not arguments.allow_disruption:
        raise UsageError(
            "--new-tokens restarts the proxy, which drops every websocket: add --allow-disruption"
        )
    order = Order(allow_disruption=arguments.allow_disruption, retry=True, new_tokens=arguments.new_tokens)
    status = _order(order, layout)
    code = show(status, as_json=arguments.json)
    return console.NOT_NOW if status.is_late else code


def apply_restored(layout: Layout, into: Callable[[dict[str, Any]], dict[str, Any]] | None) -> int:
    """Nobody works here whom a restart of the proxy would disturb."""
    status = _order(Order(allow_disruption=True, retry=True), layout)
    if into is None:
        return show(status, as_json=False)
    print(json.dumps(into(to_json(status)), indent=1))
    return exit_code(status)


def _rollback(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("rollback")
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
    code = show(_order(Order(rollback_to=wanted), layout), as_json=arguments.json)
    if not arguments.json:
        old = agent.generations.folder(wanted) / "hubagent.yaml"
        print(f"{layout.config} is left as it is and not applied until it changes; its earlier text: {old}")
    return code


def _doctor(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("doctor")
    agent = Agent(layout, serve_metrics=False)
    try:
        findings = examine(agent.ports, agent.reconciler, last_status(LocalFileStore(), layout))
    finally:
        agent.close()
    if arguments.json:
        print(json.dumps(doctor_json(findings), indent=1))
    else:
        print(doctor_text(findings, colour=console.has_colour()))
    return console.OK if all(finding.ok for finding in findings) else console.WRONG


def _order(order: Order, layout: Layout) -> Status:
    """Hand an order to the running agent, or carry it out here when none runs."""
    console.require_root("apply")
    files, clock = LocalFileStore(), SystemClock()
    files.make_dir(layout.run, mode=0o755)
    lock = InstanceLock(layout.run / "lock")
    try:
        with lock:
            agent = Agent(layout, serve_metrics=False)
            try:
                return agent.reconcile(order)[1]
            finally:
                agent.close()
    except BusyError:
        pass
    requests, request = Requests(files, layout), Request(uuid.uuid4().hex, order)
    requests.send(request)
    pid = lock.holder()
    os.kill(pid, signal.SIGHUP)
    deadline = clock.monotonic() + _ANSWER_S
    while clock.monotonic() < deadline:
        is_gone = not Path(f"/proc/{pid}").exists()
        answer = requests.answered(request)
        if answer is not None:
            return from_json(answer["status"])
        if is_gone:
            raise TemporaryError("the agent stopped in the middle of it; its next start continues from there")
        clock.sleep(0.02)
    raise TemporaryError(f"the agent did not answer within {_ANSWER_S:.0f} s; see journalctl -u hubagent")


COMMANDS: Final[Mapping[Command, Callable[[argparse.Namespace, Layout], int]]] = {
    Command.RUN: _run,
    Command.PLAN: _plan,
    Command.APPLY: _apply,
    Command.ROLLBACK: _rollback,
    Command.DOCTOR: _doctor,
}
