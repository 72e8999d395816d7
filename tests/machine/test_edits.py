"""Edits of /etc/hubagent.yaml on a real machine: what works is applied, what does not is taken back."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from tests.machine.hub import Hub, until

UNITS = ("nginx", "jupyterhub", "configurable-http-proxy")


def _pids(hub: Hub) -> dict[str, int]:
    return {unit: hub.main_pid(unit) for unit in UNITS}


def _messages(status: dict[str, object]) -> str:
    problems = status["problems"]
    assert isinstance(problems, list)
    return "\n".join(problem["message"] for problem in problems)


def _status_by_name(hub: Hub, name: str) -> str:
    """What the login page under this name answers, with the name in the TLS handshake too."""
    show = ["-sk", "-o", "/dev/null", "-w", "%{http_code}"]
    to = ["--connect-to", f"{name}:443:127.0.0.1:443", f"https://{name}/hub/login"]
    return hub.machine.run(["curl", *show, *to], check=False).stdout


@pytest.mark.each_release
def test_a_plain_install_serves_every_name_at_once(pristine: Hub) -> None:
    status, body = pristine.get("/hub/login", host="anything.example.net")
    assert status == 200
    assert b"<form" in body
    assert pristine.machine.run(["hubagent", "plan"]).rc == 0


def test_a_file_edit_is_seen_and_applied_without_being_told(pristine: Hub) -> None:
    before = _pids(pristine)
    pristine.replace("max_body: 100M", "max_body: 3M")
    status = pristine.settled()
    assert status["result"] in ("ok", "noop")
    assert "client_max_body_size 3145728" in pristine.machine.read(
        "/var/lib/hubagent/current/nginx/hubagent.conf"
    )
    assert _pids(pristine) == before


def test_host_and_landing_page_are_changed_without_a_hub_restart(pristine: Hub) -> None:
    before = _pids(pristine)
    pristine.replace("# host: hub.example.org", "host: hub.example.org")
    _, status = pristine.apply()
    assert [(step["component"], step["verb"]) for step in status["steps"]] == [("nginx", "reload")]
    assert _status_by_name(pristine, "hub.example.org") == "200"
    assert _status_by_name(pristine, "other.example.org") == "000"  # no answer
    pristine.replace("landing: /lab ", "landing: /tree ")
    _, status = pristine.apply()
    assert [(step["component"], step["verb"]) for step in status["steps"]] == [("hub", "none")]
    assert '"landing": "/tree"' in pristine.machine.read("/var/lib/hubagent/current/hub/servers.json")
    assert _pids(pristine) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("host: [", "bracket"),
        ("hots: hub.example.org\n", "host"),
        ("nginx: {max_body: many}\n", "max_body"),
        ("hub: {admins: [admin]}\nhub: {signup: open}\n", "hub"),
    ],
)
def test_a_wrong_edit_changes_nothing_and_is_explained(pristine: Hub, text: str, words: str) -> None:
    before = _pids(pristine)
    generation = pristine.status()["generation"]
    pristine.edit(text)
    status = pristine.settled()
    assert (status["result"], status["generation"]) == ("rejected", generation)
    assert any("/etc/hubagent.yaml:" in error and words in error for error in status["config_errors"])
    assert _pids(pristine) == before
    assert pristine.get("/hub/login")[0] == 200
    assert pristine.metric("hubagent_config_last_reload_successful") == 0
    checked = pristine.machine.run(["hubagent", "check"], check=False)
    assert checked.rc == 2
    assert "/etc/hubagent.yaml:" in checked.stderr


def test_a_metrics_port_that_another_program_holds_is_taken_back(pristine: Hub) -> None:
    holder = pristine.machine.run(
        [
            "systemd-run",
            "--unit=port-holder",
            "/usr/bin/python3",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "9999",
        ]
    )
    assert holder.rc == 0
    try:
        until(
            lambda: pristine.machine.run(["curl", "-s", "127.0.0.1:9999"], check=False).rc == 0,
            20,
            "the holder",
        )
        generation = pristine.status()["generation"]
        pristine.replace("listen: 127.0.0.1:9811", "listen: 127.0.0.1:9999")
        code, status = pristine.apply()
        assert (code, status["generation"]) == (1, generation)
        assert "9999" in status["last_failure"]
        assert pristine.metric('hubagent_reconcile_total{result="rolled_back"}') >= 1
        assert pristine.get("/hub/login")[0] == 200
    finally:
        pristine.machine.run(["systemctl", "stop", "port-holder"])


def test_a_certificate_that_does_not_match_its_key_is_refused(pristine: Hub) -> None:
    make = (
        "for n in a b; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
        "-subj /CN=$n -keyout /srv/$n.key -out /srv/$n.crt 2>/dev/null; done"
    )
    pristine.machine.run(["sh", "-c", make])
    generation = pristine.status()["generation"]
    pristine.replace(
        "mode: self-signed", "mode: files\n  certificate: /srv/a.crt\n  key: /srv/b.key\n  # was: self-signed"
    )
    code, status = pristine.apply()
    assert (code, status["result"], status["generation"]) == (1, "rejected", generation)
    assert "/srv/a.crt" in _messages(status)
    assert pristine.get("/hub/login")[0] == 200


def test_a_reload_that_cannot_serve_is_taken_back_within_ten_seconds(pristine: Hub) -> None:
    """nginx's reload is made to lie: the job is done, the old configuration goes on."""
    machine = pristine.machine
    machine.write(
        "/etc/systemd/system/nginx.service.d/lie.conf", "[Service]\nExecReload=\nExecReload=/bin/true\n"
    )
    machine.run(["systemctl", "daemon-reload"])
    try:
        generation = pristine.status()["generation"]
        pristine.replace("max_body: 100M", "max_body: 5M")
        begun_s = time.time()
        took_s = until(
            lambda: (pristine.status()["last_failure_at_s"] or 0.0) > begun_s, 15.0, "the way back"
        )
        status = pristine.status()
        assert status["generation"] == generation
        assert "nginx.service" in status["last_failure"]
        assert took_s < 10.0
        warnings = machine.run(
            ["journalctl", "-u", "hubagent", "-p", "warning", "-n", "50", "-o", "cat"]
        ).stdout
        assert "going back" in warnings
        assert "INFO " not in warnings
        shown = machine.run(
            ["journalctl", "-u", "jupyterhub", "-p", "warning", "-n", "50", "-o", "cat"]
        ).stdout
        assert "[I " not in shown
        assert "hubagent_rollbacks_total" in machine.run(["curl", "-s", "127.0.0.1:9811/metrics"]).stdout
    finally:
        machine.run(["rm", "-r", "/etc/systemd/system/nginx.service.d"])
        machine.run(["systemctl", "daemon-reload"])


def test_a_reload_that_failed_once_is_repaired_without_being_told(pristine: Hub) -> None:
    """Someone reloads by hand at a bad moment: what nginx serves is compared, not what was written."""
    machine = pristine.machine

    def marker() -> str:
        return machine.run(["curl", "-s", "http://127.0.0.1/-/hubagent"], check=False).stdout

    before = marker()
    assert before
    include = machine.read("/etc/nginx/conf.d/hubagent.conf")
    machine.run(["sh", "-c", "echo > /etc/nginx/conf.d/hubagent.conf && systemctl reload nginx"])
    until(lambda: machine.read("/etc/nginx/conf.d/hubagent.conf") == include, 60.0, "the include")
    until(lambda: marker() == before, 60.0, "the repair")


def test_a_stopped_service_is_started_and_a_masked_one_respected(pristine: Hub) -> None:
    machine = pristine.machine
    machine.run(["systemctl", "stop", "nginx"])
    until(lambda: machine.unit_state("nginx") == "active", 60.0, "nginx to be started")
    machine.run(["systemctl", "mask", "--now", "nginx"])
    try:
        until(lambda: "is masked" in _messages(pristine.status()), 60.0, "the report of the masked unit")
        assert machine.unit_state("nginx") != "active"
    finally:
        machine.run(["systemctl", "unmask", "nginx"])
    until(lambda: machine.unit_state("nginx") == "active", 60.0, "nginx to be started again")


def test_a_restarted_proxy_gets_its_routes_back(pristine: Hub) -> None:
    """The proxy's own default target serves the login page too; only the hub's route is marked as such."""
    ask = 'curl -s -H "Authorization: token $(cat /var/lib/hubagent/current/proxy/token)" 127.0.0.1:8001/api/routes'

    def restored() -> bool:
        done = pristine.machine.run(["sh", "-c", ask], check=False)
        return done.rc == 0 and bool(json.loads(done.stdout).get("/", {}).get("hub"))

    until(restored, 30.0, "the hub's route before")
    pristine.machine.run(["systemctl", "restart", "configurable-http-proxy"])
    until(restored, 20.0, "the hub's route")


def test_rollback_goes_back_and_stays(pristine: Hub) -> None:
    before = pristine.status()["generation"]
    pristine.replace("max_body: 100M", "max_body: 4M")
    assert pristine.apply()[1]["generation"] != before
    done = pristine.machine.run(["hubagent", "rollback"], timeout_s=120.0, check=False)
    assert "is left as it is and not applied until it changes" in done.stdout, done.stderr
    rendered = pristine.machine.read("/var/lib/hubagent/current/nginx/hubagent.conf")
    assert "client_max_body_size 104857600" in rendered
    sha256 = hashlib.sha256(rendered.encode()).hexdigest()
    pristine.machine.run(["systemctl", "reload", "hubagent"])
    again = pristine.machine.read("/var/lib/hubagent/current/nginx/hubagent.conf")
    assert hashlib.sha256(again.encode()).hexdigest() == sha256


@pytest.mark.each_release
def test_the_agent_killed_touches_no_service_and_comes_back(pristine: Hub) -> None:
    before = _pids(pristine)
    agent = pristine.main_pid("hubagent")
    pristine.machine.run(["systemctl", "kill", "-s", "KILL", "hubagent"])
    until(lambda: pristine.main_pid("hubagent") not in (0, agent), 30.0, "the agent to be back")
    pristine.settled(after=lambda status: status["pid"] == pristine.main_pid("hubagent"))
    assert _pids(pristine) == before


def test_the_message_bus_restarted_is_survived(pristine: Hub) -> None:
    agent = pristine.main_pid("hubagent")
    pristine.machine.run(["systemctl", "restart", "dbus"], timeout_s=60.0)
    pristine.replace("max_body: 100M", "max_body: 6M")
    pristine.settled(after=lambda status: status["result"] in ("ok", "noop") and status["dbus_up"])
    assert pristine.main_pid("hubagent") == agent


def test_status_and_doctor_speak_to_people(pristine: Hub) -> None:
    status = pristine.machine.run(["hubagent", "status"], check=False).stdout
    assert "nginx" in status
    doctor = pristine.machine.run(["hubagent", "doctor"], check=False)
    assert "host" in doctor.stdout
    assert "set `host` in /etc/hubagent.yaml" in doctor.stdout


def _reasons(status: dict[str, object]) -> set[str]:
    problems = status["problems"]
    assert isinstance(problems, list)
    return {problem["reason"] for problem in problems}


def test_a_proxy_that_lost_its_port_to_another_program_gets_it_back_by_itself(pristine: Hub) -> None:
    """It lives on without it: every unit is active, every marker is right, and people get 503."""
    machine = pristine.machine
    hold = (
        "systemctl stop hubagent configurable-http-proxy && "
        "systemd-run --unit=port-holder /usr/bin/python3 -m http.server --bind 127.0.0.1 8000 && "
        "until curl -s -o /dev/null 127.0.0.1:8000; do sleep 0.1; done; "
        "systemctl start configurable-http-proxy hubagent"
    )
    machine.run(["sh", "-c", hold], timeout_s=120.0)
    try:
        until(lambda: "port-holder.service" in _messages(pristine.status()), 120.0, "who has the port")
        assert {"port", "door"} <= _reasons(pristine.status())
        assert "127.0.0.1:8000, which is held by python3 (pid " in _messages(pristine.status())
        assert machine.unit_state("configurable-http-proxy") == "active"
        assert pristine.get("/hub/login")[0] >= 500 or b"<form" not in pristine.get("/hub/login")[1]
        assert machine.run(["curl", "-sf", "127.0.0.1:9811/readyz"], check=False).rc != 0
        assert pristine.metric('hubagent_problems{reason="port"}') == 1
        assert pristine.apply()[0] == 1
        assert "8000 is held by python3" in machine.run(["hubagent", "doctor"], check=False).stdout
    finally:
        machine.run(["systemctl", "stop", "port-holder"])
    until(lambda: pristine.get("/hub/login")[0] == 200, 120.0, "the way in")
    status = pristine.settled(after=lambda status: not status["problems"])
    assert status["pending"] == []
    assert machine.run(["curl", "-sf", "127.0.0.1:9811/readyz"]).stdout == "ok\n"


def test_a_database_that_is_gone_is_said_until_it_is_back(pristine: Hub) -> None:
    machine = pristine.machine
    machine.run(["mv", "/var/lib/jupyterhub/jupyterhub.sqlite", "/var/lib/jupyterhub/aside"])
    try:
        until(lambda: "database" in _reasons(pristine.status()), 120.0, "the report of the database")
        assert "jupyterhub.sqlite was removed" in _messages(pristine.status())
        assert pristine.metric("hubagent_hub_up") == 0
        assert machine.unit_state("jupyterhub") == "active"
    finally:
        machine.run(["mv", "/var/lib/jupyterhub/aside", "/var/lib/jupyterhub/jupyterhub.sqlite"])
    pristine.settled(after=lambda status: not status["problems"])


def test_settings_by_which_nobody_could_sign_in_are_taken_back(pristine: Hub) -> None:
    """JupyterHub takes them, starts, and is healthy; its login page is an error."""
    generation = pristine.status()["generation"]
    spoiled = "traits: {JupyterHub: {template_vars: {static_url: nothing to call}}}"
    pristine.replace("traits: {}", spoiled)
    code, status = pristine.apply()
    assert (code, status["result"], status["generation"]) == (1, "rolled_back", generation)
    assert "the login page answers 500" in status["last_failure"]
    assert "TypeError" in status["last_failure"]
    assert pristine.get("/hub/login")[0] == 200
    users = pristine.metric("hubagent_hub_users")
    pristine.edit(
        pristine.config().replace(spoiled, "traits: {}").replace("ask_email: true", "ask_email: false")
    )
    pristine.apply()
    assert pristine.metric("hubagent_hub_users") == users
    log = pristine.machine.run(["journalctl", "-u", "jupyterhub", "-n", "200", "-o", "cat"]).stdout
    assert "from=hubagent" not in "".join(line for line in log.splitlines() if line.startswith(("200", "30")))
    names = "select name from users"
    database = "/var/lib/jupyterhub/jupyterhub.sqlite"
    show = f"import sqlite3; print(sqlite3.connect('{database}').execute('{names}').fetchall())"
    assert "hubagent probe" not in pristine.machine.run(["python3", "-c", show]).stdout


def test_the_time_zone_is_the_machines_as_it_is_now(pristine: Hub) -> None:
    """Lectures and windows go by it; the agent is not restarted when it is changed."""
    machine, agent = pristine.machine, pristine.main_pid("hubagent")
    before = machine.run(["readlink", "-f", "/etc/localtime"]).stdout.strip()
    try:
        machine.run(["ln", "-sfn", "/usr/share/zoneinfo/Asia/Kolkata", "/etc/localtime"])
        pristine.apply()
        assert "+0530" in pristine.status()["time_zone"]
        assert "+0530" in machine.run(["hubagent", "status"], check=False).stdout
        assert pristine.main_pid("hubagent") == agent
    finally:
        machine.run(["ln", "-sfn", before, "/etc/localtime"])


def test_an_entry_that_no_server_starts_with_is_found_before_anybody_clicks(pristine: Hub) -> None:
    machine = pristine.machine
    before = machine.run(["docker", "ps", "-aq", "--filter", "label=hubagent.trial"]).stdout
    spoiled = (
        "servers:\n  spoiled:\n    image: hubagent/julia\n    memory: 512M\n"
        "    mounts: [{from: /srv/nowhere, to: /course, mode: ro}]\n"
    )
    pristine.replace("servers:\n", spoiled)
    pristine.apply()
    until(lambda: "server" in _reasons(pristine.status()), 200.0, "the trial")
    assert "servers.spoiled: no server starts with these settings" in _messages(pristine.status())
    assert "/srv/nowhere" in _messages(pristine.status())
    machine.run(["mkdir", "/srv/nowhere"])
    pristine.apply()
    until(lambda: "server" not in _reasons(pristine.status()), 200.0, "the next trial")
    assert machine.run(["docker", "ps", "-aq", "--filter", "label=hubagent.trial"]).stdout == before
    assert machine.run(["docker", "volume", "ls", "-q", "--filter", "label=hubagent.trial"]).stdout == ""
    machine.run(["rmdir", "/srv/nowhere"])


def test_a_machine_too_busy_for_the_hubs_test_is_told_so_and_gets_there(pristine: Hub) -> None:
    """The test takes 45 s where 40 are allowed at first. The agent is stopped in the middle of it, too."""
    machine = pristine.machine
    drop_in = "/run/systemd/system/hubagent-hub-test@.service.d"
    machine.run(["mkdir", "-p", drop_in])
    machine.write(f"{drop_in}/slow.conf", "[Service]\nExecStartPre=/bin/sleep 45\n")
    machine.run(["systemctl", "daemon-reload"])
    try:
        generation = pristine.status()["generation"]
        pristine.replace("signup: approval", "signup: closed")
        until(lambda: _testing(pristine), 60.0, "the test to be under way")
        machine.run(["systemctl", "stop", "hubagent"])
        shown = machine.run(["systemctl", "show", "-p", "Result,ActiveState", "hubagent"]).stdout.split()
        assert sorted(shown) == ["ActiveState=inactive", "Result=success"], "not killed after TimeoutStopSec"
        machine.run(["systemctl", "start", "--no-block", "hubagent"])
        until(
            lambda: "took longer than 40 s" in (pristine.status()["last_failure"] or ""),
            150.0,
            "the time-out",
        )
        status = pristine.status()
        assert status["generation"] == generation
        assert "next try with 80 s" in status["last_failure"]
        assert "refuses" not in status["last_failure"]
        assert pristine.metric("hubagent_config_last_reload_successful") == 1
        assert pristine.get("/hub/login")[0] == 200
        until(
            lambda: pristine.status()["generation"] > generation, 180.0, "the edit to be in force by itself"
        )
        assert pristine.status()["config_errors"] == []
    finally:
        machine.run(["rm", "-r", drop_in])
        machine.run(["systemctl", "daemon-reload"])


def _testing(hub: Hub) -> bool:
    shown = hub.machine.run(
        ["systemctl", "list-units", "--no-legend", "--state=activating", "hubagent-hub-test@*"]
    )
    return bool(shown.stdout.strip())


def test_the_hubs_own_words_are_in_the_status(pristine: Hub) -> None:
    """What it dies of is in its journal; of the token in it, and of colours, nothing is shown."""
    machine = pristine.machine
    token = machine.read("/var/lib/hubagent/current/proxy/token").strip()
    program = f"raise RuntimeError('\\x1b[31mno such table: users_extra\\x1b[0m with {token}')"
    machine.write("/srv/dies.py", program + "\n")
    drop_in = "/run/systemd/system/jupyterhub.service.d"
    machine.run(["mkdir", "-p", drop_in])
    machine.write(f"{drop_in}/dies.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/python3 /srv/dies.py\n")
    machine.run(["systemctl", "daemon-reload"])
    try:
        pristine.replace("signup: approval", "signup: closed")
        code, status = pristine.apply()
        assert code == 1
        assert "RuntimeError: no such table: users_extra with [secret]" in status["last_failure"]
        assert token not in json.dumps(status)
    finally:
        machine.run(["rm", "-r", drop_in, "/srv/dies.py"])
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["journalctl", "--rotate", "--vacuum-size=1K"])  # others search it for the token
