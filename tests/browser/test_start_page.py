"""From a password to a notebook that computes, without a click in between."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.people import START_MS, Person
from tests.machine.hub import Hub, until

PASSWORD = "another one, quite long"
KERNELS = """async () => {
    const token = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
    const address = `${document.URL.split("/lab/")[0]}/api/kernels`;
    const answer = await fetch(address, {headers: {"X-XSRFToken": decodeURIComponent(token)}});
    return (await answer.json()).length;
}"""


def test_who_signs_in_is_in_a_new_notebook_with_its_kernel(hub: Hub, person: Callable[[], Person]) -> None:
    text = hub.config()
    for old, new in (
        ("signup: approval", "signup: open"),
        ("start: on_click", "start: at_login"),
        ("landing: /lab ", "landing: new-notebook "),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    hub.edit(text)
    hub.settled(after=lambda status: status["result"] in ("ok", "noop"))
    until(lambda: hub.get("/hub/api/health")[0] == 200, 60.0, "the hub to answer again")

    student = person()
    student.sign_up("grace@example.org", PASSWORD, "grace@example.org")
    student.log_in("grace@example.org", PASSWORD)
    student.page.wait_for_url(
        re.compile(r"/user/[^/]+/lab/tree/notebook-\d{4}-\d\d-\d\d\.ipynb"), timeout=START_MS
    )
    expect(student.page.get_by_role("button", name="| Idle")).to_be_visible(timeout=START_MS)
    student.picture("new-notebook")
    student.run_cell("print(6 * 7)")
    student.sees("42")
    assert student.page.evaluate(KERNELS) == 1  # the page has taken the one that the server began
