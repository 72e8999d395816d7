"""A first lecture: install, log in, approve a student, compute, and edit the server meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.browser.people import Person, fetched_ahead
from tests.machine.hub import Hub, until

ADMIN_PASSWORD = "a longer password 1"
STUDENT_PASSWORD = "another one, quite long"
_COUNT = "import time\nfor i in range(100000):\n    print('tick', i, flush=True)\n    time.sleep(0.1)"


def _ticks(person: Person) -> int:
    return max((int(number) for number in re.findall(r"tick (\d+)", person.output())), default=-1)


def _still_ticking(person: Person, what: str) -> None:
    before = _ticks(person)
    until(lambda: _ticks(person) > before + 5, 30.0, f"the notebook to keep computing after {what}")
    assert person.closed_kernel_sockets == [], what


def test_a_first_lecture(hub: Hub, person: Callable[[], Person]) -> None:
    hub.static_files_taken()
    shown = hub.machine.run(["hubagent", "first-login"]).stdout
    one_time = re.search(r"First login as admin: (\S+)", shown)
    assert one_time is not None, shown
    again = hub.machine.run(["hubagent", "first-login"], check=False).stdout
    assert one_time[1] not in again

    teacher = person()
    teacher.log_in("admin", one_time[1])
    teacher.choose_password(one_time[1], ADMIN_PASSWORD)

    student = person()
    student.sign_up("ada@example.org", STUDENT_PASSWORD, "ada@example.org")
    student.log_in("ada@example.org", STUDENT_PASSWORD)
    assert "/hub/login" in student.page.url  # not approved yet

    teacher.approve("ada@example.org")
    student.visit("/hub/login")
    ahead = fetched_ahead(student.page)
    student.log_in("ada@example.org", STUDENT_PASSWORD)
    student.enters_lab()
    student.picture("lab")
    loaded = student.static_of_nginx
    assert len(loaded) > 10 * max(len(student.static_of_servers), 1)
    used = student.static_fetched_ahead
    assert len(ahead & used) > 0.9 * len(ahead), ahead - used
    assert len(loaded - used) < 0.2 * len(loaded), loaded - used
    student.open_notebook()
    student.run_cell("print(6 * 7)")
    student.sees("42")
    student.run_cell(_COUNT)
    student.sees("tick 3")
    assert student.open_kernel_sockets >= 1

    edit_max_body(hub, student)
    edit_memory(hub, student)
    edit_admins(hub, student)
    student.picture("after-edits")


def edit_max_body(hub: Hub, student: Person) -> None:
    """An nginx reload: the worker is another one, master and websocket stay."""
    pids = {unit: hub.main_pid(unit) for unit in ("nginx", "jupyterhub", "configurable-http-proxy")}
    hub.replace("max_body: 100M", "max_body: 99M")
    status = hub.settled()
    assert [step["verb"] for step in status["steps"]] == ["reload"]
    assert {unit: hub.main_pid(unit) for unit in pids} == pids
    _still_ticking(student, "an nginx reload")


def edit_memory(hub: Hub, student: Person) -> None:
    """Nothing is reloaded or restarted; the running server is marked as stale."""
    pids = {unit: hub.main_pid(unit) for unit in ("nginx", "jupyterhub", "configurable-http-proxy")}
    hub.replace("memory: 4G", "memory: 3G")
    status = hub.settled(after=lambda now: any(server["stale"] for server in now["servers"]))
    assert [step["level"] for step in status["steps"]] == [1]
    assert {unit: hub.main_pid(unit) for unit in pids} == pids
    _still_ticking(student, "a change of the memory limit")


def edit_admins(hub: Hub, student: Person) -> None:
    """A hub restart: the notebook and its websocket do not notice."""
    before = hub.main_pid("jupyterhub")
    hub.replace("admins: [admin]", "admins: [admin, grace]")
    hub.settled(after=lambda now: now["result"] in ("ok", "noop") and hub.main_pid("jupyterhub") != before)
    _still_ticking(student, "a hub restart")
    until(lambda: hub.get("/hub/api/health")[0] == 200, 60.0, "the hub to answer again")
