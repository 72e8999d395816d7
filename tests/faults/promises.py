"""What hubagent promises: how each promise is tested, and by which tests. The table on the front page is made from this.

`python -m tests.faults.promises` writes it into README.md; `python -m tests.faults.run P6` runs the tests of one promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.faults import cases
from tests.faults.named import ROOT, all_cases

_BEGIN: Final = "<!-- Made by `python -m tests.faults.promises`; edit tests/faults/promises.py instead. -->\n"
_END: Final = "<!-- End of the promises. -->\n"

PACKAGES: Final = "tests/machine/test_packages.py::test_packages_come_are_upgraded_go_and_come_back"


@dataclass(frozen=True, slots=True)
class Promise:
    """`faults` are ids of cases.py, whose tests it counts with; `tests` are further ones, as cases.py names them."""

    id: str
    words: str
    how: str
    faults: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    measured: str = ""  # a figure, with the command that shows it

    def all_tests(self) -> tuple[str, ...]:
        """Each once."""
        by_id = {case.id: case for case in all_cases()}
        of_faults = (test for fault in self.faults for test in by_id[fault].tests)
        return tuple(dict.fromkeys((*of_faults, *self.tests)))


def _tests(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{file}::test_{name}" for name in names)


PROMISES: Final = (
    Promise(
        "P1",
        "A bad file never changes a running service",
        "every truncation of a file, devices, FIFOs, a gigabyte, edits in the middle of an edit; fuzzed",
        ("1", "2", "3", "4", "8"),
        measured="1.0 million files in ten minutes, nothing found: `make fuzz FUZZ_S=610 TARGETS=loader`",
    ),
    Promise(
        "P2",
        "After any crash or power cut the machine runs generation N or N+1, never a mix",
        "killed before every call and within every write, power cut at every step, whatever the disk kept of the unsynced",
        ("10", "11", "12", "36", "14"),
    ),
    Promise(
        "P3",
        "What fails its verification is rolled back automatically, within its deadline",
        "reloads that fail, or are done and serve nothing, services that crash or hang, wrong certificates; on real machines, too",
        ("16", "17", "18", "20", "21", "34", "43"),
    ),
    Promise(
        "P4",
        "`hubagent plan` is what `hubagent apply` does",
        "compared step by step, also among random edits, faults, restarts and jumps of time",
        tests=(*_tests(cases.CONVERGE, "plan_is_what_apply_does"), cases.PROMISES),
    ),
    Promise(
        "P5",
        "Applying twice is applying once",
        "a second check after each edit, fault and upgrade has nothing to do",
        tests=(
            *_tests(cases.CONVERGE, "an_edit_takes_its_steps_once", "the_first_look_brings_everything_up"),
            cases.PROMISES,
            PACKAGES,
        ),
    ),
    Promise(
        "P6",
        "Stopping, killing or upgrading hubagent interrupts nobody",
        "on real machines with a kernel's websocket listened to: packages upgraded and downgraded, agent, homes helper and "
        "hub killed",
        ("37", "38"),
        (
            *_tests(cases.EDITS, "the_agent_killed_touches_no_service_and_comes_back"),
            *_tests(cases.POOL, "a_server_lives_through_the_death_of"),
        ),
    ),
    Promise(
        "P7",
        "No websocket drops for a change of level 0 to 3",
        "a kernel's or nginx's websocket stays open through reloads, hub restarts, upgrades and edits; level 4 waits for permission",
        tests=(
            *_tests(cases.NGINX, "websockets_outlive_reloads"),
            *_tests(cases.SERVERS, "a_hub_restart_is_not_noticed"),
            *_tests(cases.POOL, "an_edit_replaces_the_slots_and_leaves_users_alone"),
            *_tests(
                "tests/machine/test_disruption.py",
                "another_proxy_waits_for_leave_and_then_gets_its_routes_back",
                "the_window_is_waited_for_and_used",
            ),
            PACKAGES,
        ),
        measured="0 of 1301 requests failed in five hub restarts, 0 websockets closed by 20 reloads: `make bench`",
    ),
    Promise(
        "P8",
        "It converges after any outage, without being restarted",
        "D-Bus, systemd, Docker, hub, proxy, nginx, disk and clock taken away, hung or given wrong answers, idle and in the middle "
        "of a change",
        ("12", "18", "24", "25", "26", "27", "29", "32", "33", "35"),
        (cases.PROMISES,),
    ),
    Promise(
        "P9",
        "No secret in logs, metrics, argv, other processes' environments, status, `docker inspect`, files of others",
        "searched for on real machines, by its bytes, with users at work",
        tests=(
            *_tests(
                cases.SERVERS,
                "secrets_stay_where_they_belong",
                "the_hub_cannot_read_the_agents_secrets",
                "nothing_of_a_server_is_in_docker_inspect_or_argv",
            ),
            *_tests(cases.POOL, "no_secret_is_in_what_docker_tells"),
            *_tests(cases.HUB, "no_secret_is_logged_or_in_an_argv"),
            *_tests("tests/hub/test_settings.py", "no_message_and_no_repr_shows_a_secret"),
            *_tests(
                "tests/hub/test_request_log.py",
                "a_request_that_fails_is_logged_without_its_secrets",
                "a_database_that_fails_is_logged_without_what_was_to_be_written",
            ),
            *_tests(
                "tests/guest/test_server.py",
                "secrets_are_not_in_the_log",
                "requests_that_fail_are_logged_without_their_secrets",
                "what_others_see_of_a_warm_server",
            ),
            *_tests("tests/packages/test_units.py", "secrets_reach_services_as_credentials_alone"),
        ),
    ),
    Promise(
        "P10",
        "Memory, descriptors, threads and disk are bounded",
        "counted after great numbers of checks, bad edits and scrapes; 500 servers; ten thousand edits; a log that nobody reads",
        ("7", "13", "39", "40", "44"),
        _tests(cases.CONVERGE, "only_five_generations_are_kept"),
        measured="60 MB resident after 1,000 edits: `build/venv/bin/python -m tests.bench.in_machine --window 300 --edits 1000 rest`",
    ),
    Promise(
        "P11",
        "Metrics are answered when everything else is broken",
        "the agent's own process without bus, Docker, disk and file; a thousand slow clients; hanging checks",
        ("2", "39", "28"),
    ),
    Promise(
        "P12",
        "No user's data is lost, or shown to another",
        "names that could collide or are taken again, links and traps in homes, deaths at every step of a click, full disks, "
        "backup and restore, upgrades of the database killed half-way, moves to another, stops after work beside the notebooks",
        ("46", "S1", "S2", "S3", "S8", "H1", "H2", "H3", "H4", "H5", "H6", "H7", "K1", "K5"),
        (
            *_tests(
                "tests/unit/test_naming.py", "different_users_have_different_volumes", "also_with_long_names"
            ),
            *_tests(cases.SERVERS, "homes_are_kept_and_nobody_gets_another_ones"),
            *_tests("tests/machine/test_backup.py", "a_hub_moves_to_an_empty_machine"),
            *_tests(
                "tests/hub/test_schema.py",
                "an_earlier_database_is_kept_and_brought_up_to_date_once",
                "a_migration_that_fails_leaves_everything_as_it_was",
                "killed_at_any_moment_it_is_the_old_or_the_new_one",
            ),
        ),
    ),
)


def table() -> str:
    """What stands in README.md, byte for byte."""
    lines = ["| promise | how it is tested | result |", "|---|---|---|"]
    for one in PROMISES:
        held = f"holds in {len(one.all_tests())} tests: `make test-faults PARTS={one.id}`"
        lines.append(f"| {one.words} | {one.how} | {'; '.join(filter(None, (held, one.measured)))} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    """README.md with today's table. ValueError when its place is not there exactly once."""
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end or _BEGIN in after:
        raise ValueError(f"README.md needs one line {_BEGIN.strip()} and then one {_END.strip()}")
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text()))
