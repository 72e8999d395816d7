"""Every fault that hubagent is made to live through: what is expected, and the tests that show it.

docs/reliability.md is made from this table (page.py); `make test-faults` runs exactly these tests (run.py).
"""

from __future__ import annotations

from dataclasses import dataclass

CONVERGE = "tests/unit/converge/test_reconciler.py"
KEEPER = "tests/unit/pool/test_keeper.py"
CLAIMS = "tests/unit/pool/test_claims.py"
SLOTS = "tests/unit/pool/test_slots.py"
PLAN = "tests/unit/converge/test_plan.py"
TRIGGERS = "tests/unit/converge/test_triggers.py"
EXPOSITION = "tests/unit/web/test_server.py"
LIMITS = "tests/unit/web/test_server_limits.py"
SWITCH = "tests/unit/web/test_server_switch.py"
METRICS = "tests/unit/web/test_metrics.py"
SYSTEMD = "tests/contract/test_systemd.py"
UNITS = "tests/contract/test_units.py"
DOCKER = "tests/contract/test_docker.py"
FILES = "tests/contract/test_local_files.py"
WATCH = "tests/contract/test_watch.py"
NOTIFY = "tests/contract/test_notify.py"
LOCK = "tests/contract/test_lock.py"
SOCKET = "tests/contract/test_spawn_socket.py"
SURVEY = "tests/unit/converge/test_survey.py"
LISTENING = "tests/unit/converge/test_listening.py"
DOOR = "tests/unit/converge/test_door.py"
REAL_DOOR = "tests/hub/test_door.py"
PROBE = "tests/hub/test_probe.py"
TRIALS = "tests/unit/images/test_trials.py"
FACTS = "tests/contract/test_machine_facts.py"
CERTIFICATES = "tests/contract/test_certificates.py"
AUTHORITY = "tests/unit/certificates/test_keeper.py"
REAL_AUTHORITY = "tests/nginx/test_authority.py"
HTTP = "tests/contract/test_http.py"
HOMES = "tests/contract/test_homes_helper.py"
MOVED = "tests/contract/test_homes_moved.py"
PLUTO = "tests/guest_kernels/test_pluto.py"
NGINX = "tests/nginx/test_reload.py"
MALFORMED = "tests/nginx/test_malformed.py"
HUB = "tests/hub/test_hub.py"
SPAWNER = "tests/hub/test_spawner.py"
INTERRUPTED = "tests/hub/test_interrupted_starts.py"
IDLE = "tests/hub/test_idle.py"
MOVING = "tests/hub/test_moving.py"
TRAITS = "tests/hub/test_traits.py"
EDITS = "tests/machine/test_edits.py"
SERVERS = "tests/machine/test_servers.py"
POOL = "tests/machine/test_pool.py"
CRASHES = "tests/faults/test_crashes.py"
DISK = "tests/faults/test_disk.py"
DAMAGED = "tests/faults/test_damaged_state.py"
PROCESS = "tests/faults/test_agent_process.py"
CONFIGURATION = "tests/faults/test_configuration_file.py"
SERVICES = "tests/faults/test_services.py"
LARGE = "tests/faults/test_large.py"
PROMISES = "tests/faults/test_promises.py::TestPromises"
HOSTILE = "tests/faults/test_hostile_messages.py"
SURROUNDINGS = "tests/unit/converge/test_surroundings.py"
FILTER = "tests/contract/test_firewall.py"
NETWORK = "tests/machine/test_network.py"
BY_HAND = "tests/machine/test_docker_by_hand.py"
BELONGING = "tests/unit/pool/test_belonging.py"
DESK = "tests/unit/ownership/test_desk.py"
BACKUP_OWNERS = "tests/unit/backup/test_owners.py"
IDENTITY = "tests/hub/test_identity.py"


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. `tests` are file::test or file::class, without parameters: it counts with all of them."""

    id: str  # a number: to 44 of the list that hubagent was designed by, then found later; S and a number for slots,
    # N for the kernel and Docker around, B for busy machines, H for homes, D for the door that people come through,
    # K for what is kept
    fault: str
    expected: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    cases: tuple[Case, ...]


def tests_of(file: str, *names: str) -> tuple[str, ...]:
    """Tests of a file, by their names without `test_`."""
    return tuple(f"{file}::test_{name}" for name in names)


_tests = tests_of  # short, for the long table


THE_FILE = Chapter(
    "The configuration file",
    (
        Case(
            "1",
            "Not YAML, unknown keys, wrong types, while everything runs",
            "What runs goes on. All errors with line and column in status, log and `check`, which exits with 2; the metric of "
            "the last reload says 0.",
            (
                *_tests(
                    CONVERGE,
                    "a_bad_file_changes_nothing_and_is_explained",
                    "a_bad_file_does_not_stop_repairs",
                ),
                *_tests(
                    "tests/unit/config/test_messages.py", "messages", "errors_come_in_the_order_of_the_file"
                ),
                *_tests(METRICS, "whether_the_edit_is_in_force"),
                *_tests(CONFIGURATION, "every_mistake_is_logged_once"),
                *_tests(EDITS, "a_wrong_edit_changes_nothing_and_is_explained"),
                PROMISES,
            ),
        ),
        Case(
            "2",
            "The same at boot, with or without an earlier generation",
            "The last good generation runs. Without one nothing is made up; metrics and status page answer either way, and "
            "the agent does not end.",
            (
                *_tests(
                    CONFIGURATION, "at_boot_the_last_good_one_runs", "on_a_first_boot_nothing_is_made_up"
                ),
                *_tests(PROCESS, "where_nothing_works_it_runs_answers_and_ends_when_told"),
            ),
        ),
        Case(
            "3",
            "Empty or cut off, as between the two writes of an editor",
            'Short quiet is waited for. An empty file is an error, not "everything off".',
            (
                *_tests(CONFIGURATION, "what_is_no_good_file_changes_nothing_and_is_said"),
                *_tests(TRIGGERS, "a_chatty_editor_is_heard_in_the_end"),
                *_tests("tests/unit/config/test_properties.py", "every_truncation_of_the_example_is_judged"),
            ),
        ),
        Case(
            "4",
            "Deleted, unreadable, a folder, a FIFO, a device, a gigabyte, writable by others",
            "Refused by name without blocking or reading it; what runs goes on.",
            (
                *_tests(CONFIGURATION, "what_is_no_good_file_changes_nothing_and_is_said"),
                *_tests(
                    FILES,
                    "a_fifo_without_a_writer_does_not_block",
                    "devices_are_refused",
                    "a_gigabyte_is_refused_unread",
                    "a_file_that_never_stands_still_is_said_so",
                ),
                *_tests(
                    "tests/unit/config/test_source.py",
                    "a_file_that_others_can_write_is_refused_with_the_remedy",
                ),
            ),
        ),
        Case(
            "5",
            "Saved in any way: rename, in place, link switched, folder made anew",
            "Seen by an event, or by checking; the watch repairs itself.",
            (
                *_tests(
                    WATCH,
                    "edits_show_by_events",
                    "an_appearing_file_shows",
                    "a_switched_link_shows",
                    "a_folder_made_anew_is_watched_again",
                    "events_come_back_after_the_folder_did",
                ),
                *_tests(EDITS, "a_file_edit_is_seen_and_applied_without_being_told"),
            ),
        ),
        Case(
            "6",
            "Edited behind a link, where no event comes from",
            "Seen by checking.",
            _tests(WATCH, "edits_behind_a_link_show_by_looking"),
        ),
        Case(
            "7",
            "Ten thousand edits in a row",
            "Held together; the last one wins; memory stays flat.",
            (
                *_tests(WATCH, "ten_thousand_edits_end_with_the_last_one"),
                *_tests(TRIGGERS, "what_is_pending_is_taken_together"),
                *_tests(LARGE, "bad_edits_leave_nothing_behind"),
            ),
        ),
        Case(
            "8",
            "Edited in the middle of an apply",
            "The apply is finished with the bytes that it began with; then the next one. Never a mix.",
            _tests(
                CONFIGURATION,
                "an_edit_during_an_apply_is_the_next_one",
                "a_bad_edit_during_an_apply_does_not_disturb_it",
                "an_edit_between_test_and_switch_is_not_what_was_tested",
            ),
        ),
        Case(
            "9",
            "Reading the file causes events itself",
            "No loop.",
            _tests(WATCH, "reading_and_other_files_change_nothing"),
        ),
        Case(
            "40",
            "100 KB with 500 servers; checks without end",
            "Read in well under a second; the work of a check does not grow with the file; nothing is left behind.",
            (
                *_tests(
                    LARGE,
                    "500_servers_in_100_kb_are_applied_and_looked_at_in_bounded_time",
                    "the_work_of_a_look_does_not_grow_with_the_configuration",
                    "looks_leave_nothing_behind",
                    "edits_that_are_taken_back_are_kept_for_a_look_and_no_longer",
                ),
                *_tests("tests/unit/config/test_loading.py", "five_hundred_servers_load_well_under_a_second"),
            ),
        ),
    ),
)
THE_AGENT = Chapter(
    "The agent, its files and its machine",
    (
        Case(
            "10",
            "The agent is killed at any step of a change",
            "Started again it brings the machine to generation N or N+1, whole; another check has nothing to do. Bytes under "
            "which it ended three times are tried ever more rarely, and that is said.",
            (
                *_tests(
                    CRASHES,
                    "the_agent_is_killed_before_any_call",
                    "the_agent_is_killed_within_any_write_of_an_edit",
                    "a_file_under_which_the_agent_ends_again_and_again_waits_ever_longer",
                    "one_more_try_can_be_asked_for_and_another_file_is_tried_at_once",
                    "a_clock_that_was_put_back_makes_no_pause_longer",
                ),
                *_tests(FILES, "killed_at_any_moment_the_file_is_whole"),
                *_tests(EDITS, "the_agent_killed_touches_no_service_and_comes_back"),
                PROMISES,
            ),
        ),
        Case(
            "11",
            "The power fails at any write, sync or rename, whatever the disk kept of the unsynced",
            "As 10. No empty or half file; the real writes make their steps in the order that this needs.",
            (
                *_tests(
                    CRASHES,
                    "the_power_fails_at_any_step_of_an_edit",
                    "the_power_fails_at_any_step_of_another_change",
                    "what_never_serves_is_taken_back_whenever_the_power_failed",
                    "nothing_is_lost_that_was_written_before",
                ),
                *_tests(
                    "tests/contract/test_fakes.py", "after_a_power_cut_there_is_one_whole_generation_or_none"
                ),
                *_tests(
                    FILES,
                    "a_write_makes_its_steps_in_the_order_that_survives_power_cuts",
                    "a_link_is_turned_in_one_step_and_synced",
                ),
            ),
        ),
        Case(
            "12",
            "The disk is full, read-only or broken, at any write",
            "Reported; the generation in force serves on; nothing half is left; the edit comes when there is room, without being told.",
            (
                *_tests(
                    DISK,
                    "a_disk_that_breaks_at_any_write_of_an_edit",
                    "too_little_room_is_said_before_anything_is_written",
                    "a_generation_that_does_not_fit_on_the_real_disk_leaves_the_old_one",
                ),
                *_tests(
                    FILES,
                    "a_full_disk_keeps_the_old_file_and_leaves_nothing",
                    "a_full_inode_table_is_a_full_disk",
                    "a_read_only_file_system_is_named",
                ),
                *_tests(CONVERGE, "a_full_disk_changes_nothing_and_leaves_no_half_generation"),
            ),
        ),
        Case(
            "13",
            "No file descriptors left; the agent killed for memory",
            "Said in words and survived; systemd starts it again, and takes others first.",
            (
                *_tests(FILES, "too_many_open_files_are_said_and_pass"),
                *_tests("tests/packages/test_units.py", "long_running_services_come_back"),
                *_tests(LIMITS, "threads_and_descriptors_do_not_grow_with_requests"),
            ),
        ),
        Case(
            "14",
            "State files damaged, of another version, from the future, gone",
            "Found by a sum or by their form, and made anew; nobody is interrupted; never a crash. A generation of a later "
            "version is refused in words.",
            (
                *_tests(
                    DAMAGED,
                    "a_damaged_file_of_ours_is_rebuilt_and_interrupts_nobody",
                    "a_file_of_ours_that_is_gone_is_made_anew",
                    "a_bit_that_flipped_is_found",
                    "a_manifest_knows_when_it_was_changed",
                    "a_generation_of_a_later_version_is_refused_in_words",
                    "a_journal_of_generations_that_are_gone_changes_nothing",
                    "an_interrupted_switch_whose_target_was_removed_is_closed",
                    "with_a_bad_file_too_the_services_go_on",
                    "whole_folders_that_are_gone_are_made_anew",
                    "a_damaged_generation_is_never_gone_back_to",
                    "a_docker_configuration_that_is_no_object_is_left_to_its_owner",
                    "a_password_file_that_is_no_text_is_named",
                    "a_status_that_cannot_be_read_is_said_so",
                ),
                *_tests(SLOTS, "no_state_file_can_hurt", "state_files_of_other_versions_are_read"),
                *_tests("tests/unit/images/test_images.py", "what_is_kept_can_be_spoiled"),
                *_tests("tests/unit/state/test_status_json.py", "what_does_not_fit_is_one_clear_error"),
            ),
        ),
        Case(
            "15",
            "Two agents at once; `apply` while the agent runs",
            "One lock, whose holder is named; the command hands its order to the agent, and orders that nobody understands are dropped.",
            (
                *_tests(LOCK, "the_second_is_told_who_holds_it", "a_replaced_file_does_not_split_the_lock"),
                *_tests(DAMAGED, "orders_that_nobody_understands_are_dropped"),
                *_tests(EDITS, "rollback_goes_back_and_stays"),
            ),
        ),
        Case(
            "28",
            "The agent hangs",
            "systemd's watchdog aborts it, the place of every thread is in the journal, and it starts again; waiting with a "
            "deadline is not a hang.",
            (
                *_tests(
                    NOTIFY,
                    "a_service_that_hangs_is_aborted_and_started_again",
                    "the_watchdog_wants_half_its_time",
                ),
                *_tests(PROCESS, "aborted_it_says_where_it_was_and_starts_again_even_with_nowhere_to_log"),
                *_tests(SERVICES, "a_long_verification_feeds_the_watchdog_and_a_hang_does_not"),
                *_tests(EXPOSITION, "healthz_follows_the_loop_not_the_wall_clock"),
            ),
        ),
        Case(
            "35",
            "The clock jumps by a day, or by years; the machine was suspended; an hour that comes twice",
            "Deadlines and pauses go by the monotonic clock; what was set aside stays so; lectures begin and end by the wall clock.",
            (
                *_tests(
                    SERVICES,
                    "a_clock_that_jumps_in_the_middle_of_an_apply_changes_nothing",
                    "after_a_jump_of_the_clock_things_are_as_they_were",
                    "what_was_set_aside_stays_so_whatever_the_clock_says",
                    "a_suspended_machine_goes_on_where_it_was",
                ),
                *_tests(
                    "tests/unit/pool/test_schedule.py",
                    "a_start_that_the_clock_jumps_over",
                    "an_end_that_the_clock_jumps_over",
                    "an_hour_that_comes_twice",
                ),
            ),
        ),
        Case(
            "36",
            "A reboot before a change was verified",
            "The machine boots with the generation before, or the new one if it was in force; whole, and then as the file says. "
            "(There is no confirmation by hand that could be missed: the verification takes its place.)",
            _tests(
                CRASHES,
                "the_power_fails_at_any_step_of_an_edit",
                "the_power_fails_at_any_step_of_another_change",
            ),
        ),
        Case(
            "37",
            "Packages upgraded, downgraded, removed, purged and installed again while everything runs and somebody works",
            "Services are untouched but for the restarts that are due; servers and websockets go on. The database's schema is "
            "changed whole or not at all, with a copy kept; a hub that is too old for it is not started. Purging removes own "
            "files alone.",
            (
                *_tests("tests/machine/test_packages.py", "packages_come_are_upgraded_go_and_come_back"),
                *_tests(
                    CONVERGE,
                    "a_hub_of_an_older_package_is_restarted_once",
                    "a_hub_of_another_package_that_would_not_work_does_not_replace_the_one_that_runs",
                    "a_proxy_of_an_older_package_waits_for_leave",
                ),
                *_tests(
                    "tests/hub/test_schema.py",
                    "an_earlier_database_is_kept_and_brought_up_to_date_once",
                    "a_later_database_is_refused_in_words_until_the_copy_is_put_back",
                    "the_check_refuses_a_later_database",
                    "a_migration_that_fails_leaves_everything_as_it_was",
                    "killed_at_any_moment_it_is_the_old_or_the_new_one",
                ),
            ),
        ),
        Case(
            "38",
            "systemd stops the agent in the middle of something",
            "It ends with success and touches no service; what was open is closed at the next start, as in 10.",
            (
                *_tests(PROCESS, "where_nothing_works_it_runs_answers_and_ends_when_told"),
                *_tests(CRASHES, "the_agent_is_killed_before_any_call"),
            ),
        ),
        Case(
            "39",
            "The metrics port taken; slow clients; a thousand scrapers; a huge header",
            "The agent runs on and says so; threads, memory and time of a request are bounded, and an honest scrape is answered.",
            (
                *_tests(
                    LIMITS,
                    "a_slow_header_is_answered_408_in_time",
                    "a_huge_header_is_refused_before_it_is_read",
                    "a_thousand_slow_clients_do_not_keep_a_scrape_out",
                    "a_thousand_scrapers_at_once_are_all_served",
                    "who_does_not_read_the_answer_is_cut_off",
                ),
                *_tests(SWITCH, "a_taken_address_is_refused_and_the_running_one_goes_on"),
                *_tests(
                    CONVERGE,
                    "a_taken_metrics_port_is_taken_back",
                    "a_taken_metrics_port_at_start_degrades_and_everything_else_comes_up",
                    "who_may_read_the_metrics_is_in_force_at_once",
                ),
                *_tests(EDITS, "a_metrics_port_that_another_program_holds_is_taken_back"),
            ),
        ),
        Case(
            "41",
            "Locale C, no HOME, umask 0, immutable files",
            "Encodings and modes are explicit; a refusal names the path and what to look at.",
            (
                *_tests(PROCESS, "where_nothing_works_it_runs_answers_and_ends_when_told"),
                *_tests(FILES, "the_umask_changes_nothing", "an_immutable_file_is_explained"),
            ),
        ),
        Case(
            "42",
            "No IPv6, IPv6 only, localhost that resolves oddly",
            "Addresses are explicit, and only those that the machine has are asked for.",
            (
                *_tests(FACTS, "ipv6_is_there_only_when_its_sockets_are", "listeners_on_ipv6_are_seen"),
                *_tests(SWITCH, "both_families"),
                *_tests("tests/unit/config/test_values.py", "what_is_no_listen_address"),
            ),
        ),
        Case(
            "44",
            "journald hangs or is gone; the output is closed",
            "Logging never waits and never fails; what was lost is counted and told.",
            (
                *_tests(
                    PROCESS,
                    "a_journal_that_takes_nothing_does_not_hold_it_up",
                    "aborted_it_says_where_it_was_and_starts_again_even_with_nowhere_to_log",
                ),
                *_tests(
                    "tests/contract/test_log.py",
                    "a_reader_that_hangs_holds_up_nobody_and_hears_what_was_lost",
                    "a_descriptor_that_refuses_everything_is_no_fault",
                ),
                *_tests(NOTIFY, "a_manager_that_does_not_read_does_not_stop_us"),
            ),
        ),
        Case(
            "45",
            "The socket where the hub asks for servers cannot be made: no user for it, something in its place, /run full; or it is "
            "removed while the agent runs",
            "The agent does all else, says that no server can be started, and why, once; it tries again at every check.",
            (
                *_tests(PROCESS, "without_its_socket_for_the_hub_it_does_all_else_and_tries_again"),
                *_tests(
                    SOCKET,
                    "where_it_cannot_listen_it_says_so",
                    "what_is_in_the_way_is_left_alone_and_said",
                    "a_socket_that_is_gone_is_made_anew_by_the_next_start",
                ),
                *_tests(LOCK, "a_disk_without_room_for_the_holders_name_has_room_for_the_lock"),
                *_tests(SURVEY, "a_hub_that_cannot_ask_for_servers_is_a_problem_until_it_can"),
            ),
        ),
        Case(
            "46",
            "`hub.database` names another database, and back; killed half-way; the present one does not answer; the other one holds "
            "other people, or does not take a row",
            "What the hub knows is copied, whole or not at all, and compared; the plan says so. What would lose an account is refused "
            "with how many, before anything is touched. Where a step back finds an older database, it is said what is missing there.",
            (
                *_tests(
                    MOVING,
                    "signed_in_people_notice_nothing_of_a_move_and_of_the_way_back",
                    "every_table_arrives_as_it_was",
                    "a_database_with_accounts_of_its_own_is_refused_and_named",
                    "a_copy_that_was_used_since_is_refused_one_that_was_not_is_renewed",
                    "the_same_database_by_another_name_is_no_move",
                    "accounts_that_cannot_be_read_are_not_left_behind_unsaid",
                    "killed_at_any_moment_nobody_is_lost",
                    "an_earlier_hubagents_accounts_go_along_too",
                    "an_earlier_schema_is_brought_up_to_date_on_the_way",
                    "a_row_that_the_new_database_does_not_take_is_told_before_anything_changes",
                    "the_record_is_nobody_elses_and_may_be_damaged",
                    "the_hub_is_refused_in_words_and_the_check_says_the_same",
                ),
                *_tests(SURVEY, "what_the_hub_says_at_its_start_is_a_problem_until_it_starts_without"),
                *_tests(
                    "tests/unit/cli/test_status_report.py",
                    "a_plan_says_what_becomes_of_the_accounts_when_the_database_changes",
                ),
            ),
        ),
        Case(
            "47",
            "`hub.traits` with unknown names, reserved ones, hooks of Python code, limits by group, settings without effect, or in "
            "place of what is ours",
            "`check` and the hub say the same of every trait of every class in the hub's package; roles, services, groups and pages "
            "add to ours, and login works.",
            (
                *_tests(
                    TRAITS,
                    "the_catalogue_is_of_this_environment",
                    "check_and_hub_say_the_same_of_every_trait",
                    "nothing_takes_a_text_where_code_is_wanted",
                    "rules_name_what_there_is",
                    "what_check_refuses_the_hub_refuses",
                    "pages_of_others_add_to_ours",
                    "roles_groups_and_services_add_to_ours",
                    "refused_by_name_with_what_to_use",
                ),
                *_tests(
                    "tests/unit/config/test_advice.py",
                    "classes_and_traits_that_are_not_there_are_named",
                    "a_class_that_is_not_in_use_is_named",
                    "keys_that_do_nothing_beside_others_are_named",
                ),
            ),
        ),
        Case(
            "48",
            "Packages are upgraded while a file is in force that an earlier hubagent took and this one refuses",
            "It goes on serving, with its servers, and the hub starts without what is refused; each is a problem until the file changes.",
            (
                *_tests(
                    CONVERGE,
                    "a_file_in_force_that_an_earlier_hubagent_took_goes_on_serving_and_is_a_problem",
                ),
                *_tests(TRAITS, "what_an_earlier_hubagent_took_keeps_nobody_out"),
            ),
        ),
        Case(
            "49",
            "A key, above all `host`, is set and removed again, by hand or because it did not work; a name leads nowhere, or elsewhere",
            "Files, certificate and URL are those from before; the certificate in force is never overwritten by another's. `check`, "
            "`plan` and `doctor` say where a name leads.",
            (
                *_tests(
                    "tests/unit/converge/test_there_and_back.py",
                    "there_and_back_is_as_before_to_the_byte",
                    "whatever_was_before_the_facts_are_those_of_a_new_machine",
                    "a_name_that_is_taken_back_is_not_shown_any_more",
                    "what_is_taken_back_finds_its_certificate_untouched",
                ),
                *_tests("tests/unit/config/test_host_names.py", "where_a_name_leads"),
                *_tests("tests/unit/converge/test_doctor.py", "a_name_that_leads_nowhere_is_found"),
                *_tests(FACTS, "where_a_name_leads_is_told_in_bounded_time"),
            ),
        ),
    ),
)
THE_SERVICES = Chapter(
    "systemd, nginx, hub, proxy and Docker",
    (
        Case(
            "16",
            "nginx or JupyterHub refuses the new settings in the test",
            "Nothing was touched; their own words are in the status.",
            (
                *_tests(
                    CONVERGE,
                    "what_nginx_refuses_in_the_test_is_never_put_in_force",
                    "a_first_generation_that_is_refused_leaves_nothing_in_force",
                ),
                *_tests(NGINX, "a_file_that_nginx_refuses_leaves_the_old_one_serving"),
            ),
        ),
        Case(
            "17",
            "The test passes, the reload is done, and the old configuration still serves",
            "Seen from outside and rolled back within ten seconds, with nginx's reason (who holds the port).",
            (
                *_tests(CONVERGE, "a_reload_that_does_not_take_effect_is_taken_back_and_not_tried_again"),
                *_tests(
                    FACTS,
                    "a_reload_without_effect_is_explained_by_the_log",
                    "who_listens_is_told_by_name_and_pid",
                ),
                *_tests(EDITS, "a_reload_that_cannot_serve_is_taken_back_within_ten_seconds"),
                PROMISES,
            ),
        ),
        Case(
            "18",
            "A reload job fails although the unit stays active",
            "Treated as a failure: rolled back, tried once more, repaired without being told.",
            (
                *_tests(UNITS, "a_failed_reload_shows_in_the_result_alone"),
                *_tests(CONVERGE, "a_reload_that_fails_once_is_taken_back_and_repaired_by_the_next_look"),
                *_tests(EDITS, "a_reload_that_failed_once_is_repaired_without_being_told"),
            ),
        ),
        Case(
            "19",
            "Old nginx workers pile up behind websockets",
            "Counted in a metric; websockets are cut only where that is configured.",
            (
                *_tests(FACTS, "old_workers_are_those_that_still_hold_a_connection"),
                *_tests(
                    NGINX,
                    "websockets_outlive_reloads",
                    "websocket_drain_ends_them",
                    "retired_workers_leave_when_nobody_is_connected",
                ),
            ),
        ),
        Case(
            "20",
            "A service crashes right after its start, again and again",
            "Not stable for long enough: rolled back and set aside. A unit at its start limit is reset and started.",
            (
                *_tests(
                    SERVICES,
                    "a_hub_that_crashes_again_and_again_is_taken_back_and_set_aside",
                    "a_hub_that_somebody_kills_meanwhile_says_nothing_against_the_edit",
                    "a_unit_at_its_start_limit_is_reset_and_started",
                    "a_hub_that_needs_its_time_is_not_given_up",
                ),
                *_tests(CONVERGE, "a_hub_that_dies_at_once_is_taken_back"),
            ),
        ),
        Case(
            "21",
            "A unit hangs while it starts; a job that never ends",
            "Given up at the deadline and off systemd's queue; rolled back; the file is not to blame.",
            (
                *_tests(SERVICES, "a_job_that_never_ends_is_given_up_and_the_change_taken_back"),
                *_tests(SYSTEMD, "a_job_given_up_on_is_off_the_queue"),
                *_tests(UNITS, "a_passed_deadline_is_an_error"),
            ),
        ),
        Case(
            "22",
            "Somebody stops, masks, restarts or edits a unit by hand",
            "A stopped one is started, a masked one respected; with `drift: warn` both are left alone and said.",
            (
                *_tests(PLAN, "a_stopped_unit_is_started", "a_masked_unit_is_respected"),
                *_tests(PLAN, "drift_warn_leaves_what_was_changed_by_hand_and_says_so"),
                *_tests(SYSTEMD, "another_job_cancels_ours_and_we_hear_of_it"),
                *_tests(SERVICES, "a_job_that_ends_otherwise_is_taken_back"),
                *_tests(EDITS, "a_stopped_service_is_started_and_a_masked_one_respected"),
            ),
        ),
        Case(
            "23",
            "Somebody edits a file of hubagent's by hand",
            "Found at the next check and written again, or reported with `drift: warn`.",
            (
                *_tests(CONVERGE, "a_damaged_generation_is_written_anew"),
                *_tests(PLAN, "a_static_file_changed_by_hand_is_written_again"),
            ),
        ),
        Case(
            "24",
            "The message bus is restarted or killed, idle or in the middle of a job",
            "The agent lives and connects again; the job is judged by what serves, not assumed. Meanwhile an edit is judged, and a "
            "good one waits.",
            (
                *_tests(
                    SYSTEMD,
                    "a_killed_bus_is_only_a_pause",
                    "a_bus_that_is_away_is_said_in_words_and_found_again",
                    "a_job_that_outlives_the_bus_is_still_judged",
                ),
                *_tests(
                    CONVERGE,
                    "no_bus_is_survived_and_retried",
                    "a_job_whose_end_nobody_told_is_judged_by_what_serves",
                ),
                *_tests(SERVICES, "the_bus_that_goes_in_the_middle_of_an_apply_is_waited_for"),
                *_tests(
                    CONFIGURATION,
                    "while_systemd_does_not_answer_a_bad_file_is_said_all_the_same",
                    "while_systemd_does_not_answer_a_good_file_is_said_to_wait",
                ),
                *_tests(EDITS, "the_message_bus_restarted_is_survived"),
            ),
        ),
        Case(
            "25",
            "systemd executes itself anew, or reloads all units, meanwhile",
            "Only a pause.",
            _tests(SYSTEMD, "systemd_executing_itself_anew_is_only_a_pause", "changes_by_others_give_hints"),
        ),
        Case(
            "26",
            "Process 1 or the bus takes a call and does not answer",
            "The call costs its deadline alone; slow jobs are waited for, and the watchdog is fed only while there is progress.",
            (
                *_tests(SYSTEMD, "a_process_that_hangs_costs_the_callers_deadline_alone"),
                *_tests(
                    SERVICES,
                    "slow_jobs_are_waited_for",
                    "a_long_verification_feeds_the_watchdog_and_a_hang_does_not",
                ),
            ),
        ),
        Case(
            "27",
            "The end of a job is lost, comes early, or is of two callers at once",
            "Early ones are kept, both callers hear of it, a lost one is judged by what serves and is not a fault of the file.",
            (
                *_tests(
                    SYSTEMD,
                    "two_reloads_at_once_share_a_job_and_both_hear_of_it",
                    "a_hundred_verbs_in_a_row_all_get_their_own_result",
                    "a_job_that_ends_while_the_bus_is_away_is_lost_not_assumed",
                ),
                *_tests(
                    CONVERGE,
                    "a_job_whose_end_nobody_told_is_judged_by_what_serves",
                    "a_job_that_was_lost_is_taken_back_and_no_fault_of_the_file",
                ),
            ),
        ),
        Case(
            "29",
            "Docker is restarted, gone, hangs or refuses",
            "Said; nginx and hub go on and are edited; slots are known again by their labels, none lost or doubled.",
            (
                *_tests(CONVERGE, "docker_down_is_said_and_the_rest_goes_on"),
                *_tests(SERVICES, "docker_that_is_away_is_no_reason_not_to_serve"),
                *_tests(
                    DOCKER,
                    "an_engine_that_comes_back_is_used_again",
                    "an_engine_that_hangs_meets_the_deadline",
                    "what_the_engine_refuses_is_said_in_its_words",
                ),
                *_tests(
                    KEEPER,
                    "while_docker_is_down_nothing_is_decided",
                    "once_docker_is_back_everything_is_looked_at_again",
                    "a_restart_of_docker_is_one_failure_not_forty",
                ),
                *_tests(SPAWNER, "a_docker_in_trouble_ends_no_server"),
                *_tests(SERVERS, "a_restart_of_docker_is_not_noticed"),
                *_tests(POOL, "slots_outlive_a_restart_of_docker"),
            ),
        ),
        Case(
            "30",
            "A slot's container ends at once; the image is missing; images fill the disk",
            "Tried less and less often; users are never evicted; only what is labelled as ours is touched.",
            (
                *_tests(
                    KEEPER,
                    "a_failure_is_told_waited_out_and_leaves_nothing",
                    "failures_in_a_row_are_tried_less_and_less_often",
                    "a_container_that_ends_while_it_warms_up",
                    "an_image_that_is_gone_leaves_its_slots_of_use",
                    "a_cold_starts_container_stays_while_it_runs",
                ),
                *_tests("tests/unit/images/test_images.py", "a_full_disk_is_reported_before_a_build"),
                *_tests("tests/unit/images/test_images.py", "an_image_with_a_container_is_kept"),
                *_tests(
                    "tests/contract/test_image_builder.py",
                    "what_failed_builds_left_is_swept_and_nothing_else",
                ),
            ),
        ),
        Case(
            "31",
            "The agent is killed between making a container and writing it down",
            "Found by its labels at the next check; adopted or removed.",
            _tests(
                KEEPER,
                "killed_between_any_two_steps_of_filling",
                "a_running_slot_that_nobody_wrote_down_may_be_a_users",
                "restarts_lose_no_ready_slot",
            ),
        ),
        Case(
            "32",
            "The proxy is restarted by anyone, and its routes are gone",
            "Put back by the hub within ten seconds.",
            (
                *_tests(CONVERGE, "a_proxy_restarted_by_anyone_gets_its_routes_back"),
                *_tests(HUB, "the_agent_restores_lost_routes"),
                *_tests(EDITS, "a_restarted_proxy_gets_its_routes_back"),
                *_tests(SERVERS, "a_restarted_proxy_serves_running_servers_within_ten_seconds"),
            ),
        ),
        Case(
            "33",
            "The hub answers 401 or 500, is slow, or hangs; a token file is exchanged",
            "Said with the status and asked again; a hang costs its deadline. The tokens of the generation in force stay in use; they "
            "are replaced by an order alone, in hub and proxy together or in neither.",
            (
                *_tests(
                    SERVICES,
                    "a_hub_that_does_not_put_routes_back_is_named_and_asked_again",
                    "a_hub_that_hangs_costs_its_deadline_alone",
                    "a_hub_that_stops_answering_in_the_middle_is_taken_back",
                    "a_token_file_with_another_token_changes_nothing_that_runs",
                ),
                *_tests(CONVERGE, "an_answer_that_is_no_table_of_routes_is_no_reason_to_stop"),
                *_tests(
                    "tests/unit/converge/test_tokens.py",
                    "ordered_they_are_replaced_in_proxy_and_hub_and_routes_come_back",
                    "without_leave_to_drop_websockets_nothing_is_replaced",
                    "what_does_not_come_up_with_them_goes_back_to_the_old_ones",
                    "a_rollback_does_not_bring_an_old_one_back",
                ),
                *_tests(CRASHES, "the_agent_is_killed_before_any_call"),
                *_tests(HUB, "new_tokens_in_the_order_in_which_the_agent_gives_them"),
                *_tests(HTTP, "the_deadline_is_for_the_whole_answer"),
            ),
        ),
        Case(
            "34",
            "The certificate is renewed; it expired, or does not belong to its key",
            "A renewed one causes a reload without being told; a bad one is refused by name and the old one serves on.",
            (
                *_tests(
                    SERVICES,
                    "a_renewed_certificate_is_a_reload",
                    "a_certificate_that_cannot_serve_leaves_the_old_one_serving",
                ),
                *_tests(CERTIFICATES, "faults_name_the_file"),
                *_tests(NGINX, "a_renewed_certificate_changes_the_marker_and_is_served"),
                *_tests(EDITS, "a_certificate_that_does_not_match_its_key_is_refused"),
            ),
        ),
        Case(
            "D9",
            "An authority (Let's Encrypt) is away, refuses, limits, has forgotten the account, or gives something else; certbot or "
            "its unit is missing, or still runs for an agent that was killed",
            "Said in words with what to do and when the next try is; tried again ever less often. What serves goes on, and a "
            "self-signed certificate when none is valid.",
            (
                *_tests(
                    AUTHORITY,
                    "a_refusal_is_a_problem_with_words_and_the_self_signed_one_serves",
                    "apply_asks_at_once_but_not_past_a_limit",
                    "an_agent_that_is_started_again_and_again_does_not_ask_again_and_again",
                    "an_authority_that_is_away_at_the_renewal_is_no_problem_until_time_runs_out",
                    "an_expired_one_is_replaced_by_a_self_signed_one_until_there_is_another",
                    "nothing_wrong_comes_into_force",
                    "certbot_that_still_runs_for_an_agent_that_was_killed_is_waited_for",
                    "a_damaged_note_of_the_last_try_is_none",
                ),
                *_tests(
                    REAL_AUTHORITY,
                    "a_name_without_an_address_is_told",
                    "a_port_where_nobody_listens_is_told",
                    "another_server_that_answers_is_told",
                    "an_authority_that_is_away_is_told",
                    "an_authority_that_has_forgotten_the_account_gets_a_new_one_at_the_next_try",
                    "an_authority_that_this_machine_does_not_trust_is_told",
                ),
                "tests/machine/test_certificates.py::"
                "test_a_certificate_from_an_authority_is_obtained_renewed_and_kept",
            ),
        ),
        Case(
            "D10",
            "A renewed certificate does not work, or the machine loses power while one is obtained",
            "Taken back to the pair before, which is never overwritten by the next.",
            _tests(
                AUTHORITY,
                "what_does_not_work_is_taken_back_to_the_pair_before",
                "wherever_the_agent_dies_a_whole_pair_serves_and_the_next_try_ends_well",
            ),
        ),
        Case(
            "D1",
            "A service lives on without its port: a foreign program had it when it was started, or somebody closed it",
            "Reported with program, pid and unit. Taken back automatically once it is free, where nobody comes through it; open "
            "connections wait for permission.",
            (
                *_tests(
                    LISTENING,
                    "a_proxy_without_its_port_is_restarted_as_soon_as_the_port_is_free",
                    "a_closed_port_is_repaired_whatever_the_file_says_of_drift",
                    "websockets_that_go_through_the_proxy_still_are_not_dropped_unasked",
                    "who_has_the_port_is_said_as_well_as_is_known",
                    "a_service_that_does_not_start_for_a_held_port_says_who_has_it",
                    "a_hub_that_starts_and_does_not_get_its_port_says_who_has_it",
                    "another_address_with_the_same_port_is_nobodys_business",
                ),
                *_tests(DOOR, "who_has_taken_the_hubs_port_is_told_and_never_sees_the_token"),
                *_tests(
                    FACTS,
                    "every_socket_of_a_port_is_told_with_its_address_and_user",
                    "connections_of_a_port_are_counted_while_they_are_established",
                    "the_unit_of_who_listens_is_told",
                ),
                *_tests(EDITS, "a_proxy_that_lost_its_port_to_another_program_gets_it_back_by_itself"),
            ),
        ),
        Case(
            "D2",
            "Everything is active and healthy, and nobody can come in: pages answer 500, another program has our name, a process "
            "was stopped by a signal",
            "The login page is asked for through nginx at every check; what is wrong is in status, page, metrics, readyz, doctor "
            "and exit codes alike, with the hub's own last error or what lets the process go on.",
            (
                *_tests(
                    DOOR,
                    "a_login_page_that_does_not_come_is_a_problem_though_the_hub_is_healthy",
                    "a_login_page_without_its_form_is_a_problem",
                    "another_program_behind_our_name_is_told",
                    "a_door_that_does_not_answer_costs_its_deadline_and_is_told",
                    "a_process_that_somebody_has_stopped_is_named_with_what_lets_it_go_on",
                ),
                *_tests(
                    FACTS,
                    "a_process_is_told_with_its_user_and_whether_it_is_stopped",
                    "a_worker_that_is_stopped_counts_as_its_program",
                ),
                *_tests(
                    REAL_DOOR,
                    "people_can_come_in",
                    "a_login_page_that_cannot_be_rendered_is_told_with_the_hubs_own_error",
                    "an_error_that_the_hub_only_logs_is_told",
                    "a_providers_login_page_is_asked_for_and_the_provider_is_not",
                ),
            ),
        ),
        Case(
            "D3",
            "An edit of the hub that JupyterHub takes, and by which nobody could sign in",
            "A probe signs in after each such edit, and sees its home; what fails is rolled back with the hub's own error. What "
            "stands in front of the hub is not the edit's fault.",
            (
                *_tests(
                    DOOR,
                    "an_edit_of_the_hub_is_verified_by_signing_in",
                    "a_hub_that_nobody_could_use_is_taken_back_with_its_own_error",
                    "an_edit_that_touches_no_hub_signs_nobody_in",
                    "what_stands_in_front_of_the_hub_is_no_fault_of_an_edit_of_the_hub",
                ),
                *_tests(REAL_DOOR, "a_home_that_cannot_be_shown_is_found_by_signing_in"),
                *_tests(EDITS, "settings_by_which_nobody_could_sign_in_are_taken_back"),
            ),
        ),
        Case(
            "D4",
            "The hub's database is stopped, locked, read-only, damaged, removed or exchanged while the hub runs",
            "The hub is asked, on a connection beside its own work and by a question that needs its session. Said in the "
            "database's words until it is over. People and programs get 503 with words: nobody is signed out, no token is refused. "
            "Afterwards all works without a restart, what was being started or stopped meanwhile, too.",
            (
                *_tests(
                    DOOR,
                    "a_database_that_cannot_be_used_is_told_in_its_own_words",
                    "a_hub_whose_own_session_is_broken_is_told",
                    "a_hub_from_before_it_could_say_so_is_judged_by_what_it_answers",
                ),
                *_tests(
                    PROBE,
                    "a_database_that_cannot_be_used_is_said_until_it_can",
                    "a_damaged_database_is_said_in_its_own_words",
                ),
                *_tests(
                    "tests/hub/test_database_faults.py",
                    "a_postgresql_that_is_stopped_is_said_and_its_return_is_enough",
                    "a_server_that_ends_meanwhile_is_noticed",
                    "a_start_that_is_pending_meanwhile_ends_when_it_is_back",
                    "a_stop_that_is_under_way_meanwhile_ends_when_it_is_back",
                    "a_full_disk_is_said_and_room_is_enough",
                    "a_file_that_somebody_froze_is_said_and_its_release_is_enough",
                    "a_disk_that_the_kernel_made_read_only_is_said",
                ),
                *_tests(EDITS, "a_database_that_is_gone_is_said_until_it_is_back"),
            ),
        ),
        Case(
            "D8",
            "The hub is told to end, or asked, while its database does not answer at all: stopped by a signal, its host gone",
            "It ends within the time that systemd gives it, users' servers run on, and its next start finds them. A request waits "
            "for a host that is gone for seconds, not for the minutes of TCP; what an administrator says of connections comes first.",
            (
                *_tests(
                    "tests/hub/test_ending.py",
                    "it_ends_when_told",
                    "a_database_out_of_reach_is_no_answer_for_seconds_only",
                ),
                *_tests(HUB, "what_an_administrator_says_of_connections_comes_before_the_hubs_own_limits"),
            ),
        ),
        Case(
            "D5",
            "nginx serves another certificate than the generation's",
            "A reload, once; what that does not put right is said and left.",
            (
                *_tests(
                    DOOR,
                    "a_certificate_that_nginx_kept_is_put_right_by_a_reload",
                    "a_certificate_that_no_reload_puts_right_is_told_and_left",
                ),
            ),
        ),
        Case(
            "D6",
            "An entry of `servers` that no server starts with: a folder or a driver that is not there, a variable that breaks it",
            "A server of nobody's is started once for each change, with all its settings; what fails is a problem with Docker's "
            "or the server's own words, tried again ever more rarely or when asked. Nothing of it stays.",
            (
                f"{TRIALS}::test_each_entry_is_tried_once_with_all_its_settings_and_nothing_stays",
                *_tests(
                    TRIALS,
                    "a_trial_is_in_no_list_of_servers_slots_or_homes",
                    "what_was_changed_is_tried_again_and_only_that",
                    "settings_of_docker_for_all_servers_are_tried_with_each",
                    "folders_that_are_not_there_are_found_and_forgiven_when_they_are",
                    "a_server_that_ends_is_told_with_its_last_words",
                    "what_a_killed_agent_left_is_removed",
                ),
                *_tests(SURVEY, "an_entry_that_no_server_starts_with_is_a_problem_of_its_own"),
                *_tests(EDITS, "an_entry_that_no_server_starts_with_is_found_before_anybody_clicks"),
            ),
        ),
        Case(
            "D7",
            "Requests that no client should make: paths that are no UTF-8, foreign methods, upgrades to nothing, bodies of any kind",
            "Refused with 400 or 405 by nginx, or by the hub in words; what is odd and allowed arrives as it was sent. schemathesis "
            "finds no answer 5xx of ours.",
            (
                *_tests(
                    MALFORMED,
                    "names_of_any_script_arrive_as_they_were_sent",
                    "what_is_no_text_is_refused",
                    "nginx_takes_for_text_what_the_proxy_takes_for_text",
                    "paths_that_name_another_host_are_refused",
                    "names_that_javascript_has_itself_are_names",
                    "what_is_no_websocket_is_served_as_what_it_is",
                    "an_unknown_method_with_much_to_say",
                    "headers_that_nginx_takes_the_proxy_takes",
                ),
                *_tests(
                    "tests/hub/test_api_fuzz.py", "no_answer_is_a_failure_of_ours", "every_route_is_described"
                ),
                *_tests(
                    "tests/hub/test_hostile_requests.py",
                    "nothing_hostile_fails_here_alone",
                    "our_pages_take_anything",
                ),
            ),
        ),
        Case(
            "43",
            "A certificate or the file is exchanged between the test and the reload",
            "The test reads the frozen candidate; what is served in the end decides.",
            (
                *_tests(SERVICES, "a_certificate_exchanged_between_test_and_reload_is_noticed"),
                *_tests(CONFIGURATION, "an_edit_between_test_and_switch_is_not_what_was_tested"),
            ),
        ),
    ),
)
THE_POOL = Chapter(
    "Warm slots, homes and their sockets",
    (
        Case(
            "S1",
            "Two users get one slot",
            "Never: 200 at once take 10 slots once each, the others start cold.",
            (
                *_tests(SLOTS, "200_at_once_take_10_slots_once_each"),
                *_tests(CLAIMS, "200_claims_on_10_slots"),
                *_tests(SLOTS, "claims_and_retiring_at_once_agree_on_whose_a_slot_is"),
            ),
        ),
        Case(
            "S2",
            "One user sees something of another: home, environment, cookie, process",
            "Never, and no slot is used twice.",
            (
                *_tests(
                    HOMES, "users_do_not_see_each_other", "a_user_who_swaps_folders_and_links_gets_nowhere"
                ),
                *_tests(
                    "tests/guest/test_server.py",
                    "cookies_are_for_the_users_prefix_alone",
                    "what_others_see_of_a_warm_server",
                ),
                *_tests(POOL, "nobody_sees_anything_of_another", "a_trap_in_the_home_catches_nobody"),
            ),
        ),
        Case(
            "S3",
            "Agent, homes helper, Docker or hub is killed at any step of a click or of leaving",
            "No mount, container or route is left; the user can start; running servers go on.",
            (
                *_tests(
                    CLAIMS, "killed_between_any_two_steps", "the_users_of_an_earlier_agent_keep_their_servers"
                ),
                *_tests(
                    KEEPER,
                    "killed_between_any_two_steps_of_leaving",
                    "after_a_reboot_nothing_of_the_old_slots_is_left",
                ),
                *_tests(
                    HOMES,
                    "a_helper_killed_while_it_attaches_leaves_what_can_be_cleared_up",
                    "a_helper_killed_while_it_detaches_goes_on_afterwards",
                    "what_is_attached_outlives_the_helper",
                ),
                *_tests(
                    SPAWNER,
                    "a_start_that_the_hubs_end_breaks_off_is_found_again",
                    "a_start_waits_for_an_agent_that_restarts",
                ),
                *_tests(POOL, "a_server_lives_through_the_death_of"),
            ),
        ),
        Case(
            "S4",
            "A container ends by itself",
            "Noticed, cleared away and, where it waited, replaced.",
            (
                *_tests(
                    SPAWNER, "a_server_that_ends_is_noticed_and_removed", "a_warm_server_that_ends_is_noticed"
                ),
                *_tests(KEEPER, "a_ready_slot_whose_container_ended_is_replaced_at_once"),
                *_tests(CLAIMS, "a_slot_that_dies_while_it_is_claimed"),
                *_tests(POOL, "nothing_is_left_of_a_server_that_ended", "a_slot_that_dies_is_replaced"),
            ),
        ),
        Case(
            "S5",
            "A slot has waited for hours, or stopped answering",
            "Old ones are replaced, dead ones after a second check; a waiting one costs no processor time.",
            (
                *_tests(
                    KEEPER,
                    "old_slots_are_replaced",
                    "a_slot_that_stops_answering_goes_after_a_second_look",
                    "one_busy_moment_is_forgiven",
                ),
                *_tests(POOL, "a_waiting_slot_costs_no_processor_time"),
            ),
        ),
        Case(
            "S6",
            "The pool is empty, or the slot does not work",
            "The same server starts the ordinary way, after a bounded wait.",
            (
                *_tests(
                    CLAIMS,
                    "any_failure_means_a_cold_start_and_the_end_of_the_slot",
                    "when_all_have_died_unnoticed_the_start_is_cold",
                    "the_hub_does_not_wait_for_ever",
                ),
                *_tests(
                    POOL,
                    "a_slot_becomes_the_server_that_a_cold_start_gives",
                    "without_the_homes_helper_servers_start_cold",
                ),
            ),
        ),
        Case(
            "S7",
            "Everybody comes at once",
            "Users come first: nothing is made for the pool meanwhile, and what is in the making stands still, but not for ever.",
            (
                *_tests(
                    KEEPER,
                    "nothing_is_made_while_a_server_starts",
                    "users_who_never_stop_coming_do_not_keep_the_pool_empty",
                ),
                *_tests(
                    "tests/unit/pool/test_yielding.py",
                    "users_who_never_stop_coming_do_not_keep_a_slot_from_getting_ready",
                    "what_is_offered_never_stands_still",
                ),
                *_tests("tests/unit/pool/test_broker.py", "starts_of_different_users_run_side_by_side"),
                *_tests(POOL, "more_people_than_slots"),
            ),
        ),
        Case(
            "S8",
            "The home is full, missing, or cannot be attached",
            "No server without its home: it starts the ordinary way, or says why not.",
            (
                *_tests(
                    CLAIMS,
                    "a_home_that_is_missing_costs_no_slot",
                    "a_home_that_docker_alone_can_mount_is_left_to_a_cold_start",
                ),
                *_tests(
                    HOMES,
                    "a_full_home_takes_no_new_place",
                    "what_fails_half_way_is_undone",
                    "a_full_run_is_said_and_passes",
                ),
                *_tests(
                    "tests/guest/test_control_socket.py", "no_home", "another_home_than_the_one_attached"
                ),
                *_tests("tests/guest/test_kept.py", "a_home_that_takes_nothing_has_a_server"),
                *_tests(
                    POOL,
                    "a_full_home_is_handed_out_and_can_be_cleared",
                    "a_home_that_was_removed_is_made_anew",
                    "nobody_gets_a_slot_without_its_home",
                ),
            ),
        ),
        Case(
            "S9",
            "Memory gets short",
            "The newest slots go, users' servers never.",
            (
                *_tests(
                    "tests/unit/pool/test_policy.py", "memory_pressure_evicts_the_newest_and_never_users"
                ),
                *_tests(KEEPER, "memory_pressure_takes_the_newest_slots_and_never_a_user"),
            ),
        ),
        Case(
            "S10",
            "The agent's sandbox keeps mounts from reaching containers",
            "A helper without a mount namespace attaches homes, and nothing else of the machine changes.",
            (
                *_tests(
                    "tests/contract/test_homes_docker.py",
                    "the_helper_has_the_mount_namespace_of_process_1",
                    "a_running_container_gets_its_home",
                    "the_agent_reaches_the_helper_out_of_its_sandbox",
                ),
                *_tests(POOL, "a_home_is_the_same_one_warm_and_cold"),
            ),
        ),
        Case(
            "S11",
            "Bytes on the sockets of agent, homes helper and guest that are not messages",
            "Answered or cut off in bounded time; the next one is served.",
            (
                *_tests(
                    HOSTILE,
                    "what_almost_is_a_message_is_one_or_is_refused",
                    "the_agents_socket_answers_or_cuts_off_and_goes_on",
                    "the_homes_helpers_socket_answers_or_cuts_off_and_goes_on",
                ),
                *_tests(
                    "tests/contract/test_spawn_socket.py",
                    "what_is_no_request_is_refused",
                    "more_than_can_wait_are_sent_away",
                ),
                *_tests(
                    "tests/guest/test_control_socket.py",
                    "what_is_no_message",
                    "peers_that_leave_or_say_nothing",
                ),
            ),
        ),
        Case(
            "S23",
            "The agent or the hub's database is away while somebody signs in, is renamed or deleted",
            "Nobody waits for it. What the agent has to hear it hears in order once both are back; what is refused is told again for "
            "an hour; more than 10,000 reports are not kept, and that is said.",
            (
                *_tests(
                    "tests/hub/test_reports.py",
                    "an_agent_that_was_away_hears_all_of_it_in_order",
                    "what_the_agent_cannot_do_now_is_told_again",
                    "what_the_agent_never_takes_does_not_hold_up_the_rest",
                    "accounts_that_the_database_does_not_give_now_are_told_when_it_does",
                    "more_than_can_wait_is_lost_and_said",
                    "whoever_renames_a_user_does_not_wait_for_an_agent_that_is_away",
                    "a_hub_tells_again_for_an_hour_what_is_refused",
                ),
            ),
        ),
        Case(
            "S12",
            "The hub is restarted while it starts or stops a server, and forgets its container",
            "Its user's next start removes it, from a slot or cold; one that has ended goes after a minute and a half by itself, with its guest's folder.",
            (
                *_tests(
                    KEEPER,
                    "a_cold_starts_container_that_the_hub_has_forgotten_goes_after_a_while",
                    "a_cold_starts_container_stays_while_it_runs",
                    "what_is_started_meanwhile_is_not_taken_for_ended",
                ),
                *_tests(CLAIMS, "a_claim_takes_the_place_of_a_cold_server_that_the_hub_has_forgotten"),
                *_tests(
                    "tests/contract/test_cleanup.py",
                    "an_ended_one_goes_after_its_time_with_its_folder_and_without_the_home",
                    "one_that_runs_again_or_is_paused_stays",
                ),
                *_tests(SERVERS, "what_the_hub_has_forgotten_goes_and_the_home_stays"),
                *_tests(SPAWNER, "a_start_that_the_hub_broke_off_is_found_when_the_agent_is_back"),
            ),
        ),
        Case(
            "S13",
            "Agent or homes helper dies while a slot stands still for a click, or Docker is idle to make one",
            "The slot goes on, and Docker has its weight again: at once, or when the helper is back. A click never waits for them.",
            (
                *_tests(
                    HOMES,
                    "what_gives_way_goes_on_when_the_helper_or_who_asked_it_ends",
                    "who_dies_holds_nothing",
                    "docker_is_not_idle_for_long_however_long_it_is_held",
                ),
                *_tests(
                    "tests/contract/test_yielding.py",
                    "a_helper_gives_back_what_a_killed_one_left",
                    "docker_may_end_meanwhile",
                ),
                *_tests(
                    "tests/unit/pool/test_yielding.py",
                    "without_the_helper_slots_warm_up_beside_users",
                    "without_the_helper_all_goes_on",
                ),
                *_tests(
                    POOL,
                    "a_slot_that_warms_up_stands_still_while_somebody_clicks",
                    "docker_has_its_weight_again_though_who_asked_or_did_it_dies",
                ),
            ),
        ),
        Case(
            "S14",
            "A server is stopped, or its user deleted, at any moment of its start, cold or warm, the agent or the hub gone as well",
            "204, or 202 and then gone: no container, no route, not ready, and the next start works. What cannot be removed "
            "now is removed when the agent is back. Whoever asked for the start has an answer.",
            (
                *_tests(
                    INTERRUPTED,
                    "delete",
                    "the_user_is_deleted",
                    "a_stop_that_takes_long",
                    "an_open_progress_page_is_told",
                    "the_agent_is_away_when_it_ends",
                    "the_hub_is_killed",
                    "a_server_that_the_hub_looks_for_after_its_restart",
                    "a_deleted_users_named_servers_end",
                ),
                *_tests("tests/unit/pool/test_broker.py", "a_server_that_is_being_started_counts_as_running"),
                *_tests(SOCKET, "nothing_is_begun_for_a_peer_that_has_gone"),
            ),
        ),
        Case(
            "S15",
            "A start asks for options that there are not",
            "400, with what there is; nothing is started or stored. Remembered options that are gone mean the default.",
            (
                *_tests(
                    "tests/hub/test_start_options.py",
                    "unknown_options",
                    "bodies_that_are_no_options",
                    "options_that_are_stored_for_later",
                    "unknown_parameters_of_the_page",
                    "unknown_fields_of_the_form",
                    "remembered_options_that_are_gone_are_no_fault",
                ),
            ),
        ),
        Case(
            "S16",
            "Slots that can never be ready, or not on so busy a machine",
            "Each is given up by the processor time that it has used, or by the clock if it computes nothing; the next try waits by "
            "what the last one cost, and the reason is told.",
            (
                *_tests(
                    KEEPER,
                    "it_is_given_up_for_the_processor_time_that_it_has_used_and_not_by_the_clock",
                    "each_try_waits_longer_by_what_it_costs",
                    "a_person_who_asks_or_another_recipe_ends_the_waiting",
                    "one_that_computes_nothing_is_given_up_by_the_clock",
                    "one_that_computes_a_little_for_ever_is_given_up_in_the_end",
                    "one_whose_launcher_never_listens_says_so",
                    "time_in_which_it_stands_still_for_users_does_not_count",
                    "one_whose_container_ends_says_how",
                    "what_did_not_become_warm_in_a_ready_slot_is_told",
                ),
                *_tests(
                    "tests/guest_kernels/test_limits.py",
                    "one_that_computes_for_ever_is_given_up_by_its_processor_time",
                    "one_that_computes_nothing_is_given_up_by_the_clock",
                    "a_kernel_that_dies_again_and_again_is_told_with_its_reason",
                ),
                *_tests(PLUTO, "one_that_cannot_start_is_left_until_it_is_opened"),
            ),
        ),
        Case(
            "S17",
            "Slots are ready and no user gets one",
            "The agent finds out with a volume of its own that no home can be attached, and counts claims that fail; the pool is in "
            "trouble, with the reason and since when, until a claim succeeds.",
            (
                *_tests(
                    CLAIMS,
                    "a_pool_whose_claims_fail_one_after_the_other_is_in_trouble_until_one_succeeds",
                    "that_no_home_can_be_attached_is_found_before_anybody_clicks",
                    "a_course_folder_that_cannot_be_attached_is_found_too",
                    "it_is_found_out_anew_after_docker_was_away",
                    "what_docker_does_not_answer_is_no_answer",
                ),
                *_tests(POOL, "a_pool_that_can_attach_no_home_says_so_and_follows_dockers_data"),
            ),
        ),
        Case(
            "S18",
            "Docker's data lies elsewhere than usual",
            "Homes are attached from where Docker says that it keeps its volumes, and from no other folder.",
            (
                *_tests(
                    MOVED,
                    "a_home_is_attached_from_where_docker_says_that_its_data_lies",
                    "it_goes_on_while_docker_is_away_and_after_the_helper_has_begun_anew",
                    "no_other_folder_is_a_home",
                    "what_docker_does_not_say_is_told",
                    "a_folder_that_others_may_write_to_holds_no_homes",
                ),
                *_tests(
                    "tests/contract/test_homes_docker.py",
                    "a_home_is_attached_wherever_docker_keeps_its_data",
                ),
                *_tests(POOL, "a_pool_that_can_attach_no_home_says_so_and_follows_dockers_data"),
            ),
        ),
        Case(
            "S19",
            "What waits in a user's server and nobody asks for",
            "It ends after a while, or at once when memory is short, and starts when it is asked for; what the user has is never ended.",
            (
                *_tests(
                    "tests/guest_kernels/test_pool.py",
                    "nobody_asks_for_so_long_that_none_waits_any_more",
                    "while_memory_is_short_none_waits",
                    "the_agent_is_told_what_waits_and_what_it_takes",
                ),
                *_tests(
                    PLUTO,
                    "one_that_nobody_opens_ends_and_is_started_when_it_is_opened",
                    "one_that_nobody_opened_ends_when_memory_is_short",
                    "one_that_was_opened_stays_whatever_the_memory",
                ),
                *_tests("tests/unit/guest/test_memory.py", "the_machines_memory", "the_containers_own"),
            ),
        ),
        Case(
            "S20",
            "A cell computes, its page is closed, and the server looks idle",
            "It counts as activity for `hub.keep_busy`, in a kernel and in Pluto, warm and cold; one that never ends is stopped after that.",
            (
                *_tests(
                    "tests/guest/test_busy.py",
                    "it_is_active_while_a_cell_computes_and_no_longer_than_it_may",
                    "a_cell_that_ends_and_another_one_begin_anew",
                ),
                *_tests(PLUTO, "a_running_cell_is_activity_for_as_long_as_it_may_be"),
                *_tests(
                    IDLE,
                    "a_server_that_says_it_was_active_is_not_stopped_until_it_says_so_no_more",
                    "the_hubs_pages_say_when_a_server_is_stopped",
                    "a_cell_that_computes_keeps_its_server_with_the_page_closed",
                    "it_does_so_for_as_long_as_it_may",
                ),
            ),
        ),
        Case(
            "S21",
            "Hundreds of servers are idle; their users come back, or start them anew, while the others are being stopped",
            "The hub is asked again before each stop: who is at work again, or waits for a start, is left alone.",
            (
                *_tests(
                    IDLE,
                    "who_is_at_work_again_when_their_turn_comes_keeps_the_server",
                    "a_start_that_is_pending_when_its_turn_comes_goes_on",
                    "idle_servers_are_stopped_but_not_at_the_first_look_after_a_restart",
                ),
            ),
        ),
        Case(
            "S22",
            "Starts fail one after the other, as in a class on a busy machine",
            "The hub goes on; JupyterHub's limit, after which it would end for everybody, is not set.",
            (*_tests(SPAWNER, "starts_that_fail_one_after_the_other_do_not_end_the_hub"),),
        ),
    ),
)
KEPT_FOLDER = Chapter(
    "What users make and install",
    (
        Case(
            "K1",
            "A server is stopped, by its user or for being idle, after an hour of work beside the notebooks",
            "Packages, Pluto's notebooks, settings, histories and keys are there at the next start, from a slot or cold.",
            (
                *_tests(
                    "tests/guest/test_kept.py",
                    "what_a_person_makes_is_there_after_a_stop_and_a_start",
                    "warm_and_cold_have_the_same_variables",
                    "waiting_leaves_nothing_in_the_home",
                ),
                *_tests("tests/guest_kernels/test_julia.py", "packages_are_kept_and_the_images_are_found"),
                *_tests(
                    "tests/guest_kernels/test_pluto.py",
                    "new_notebooks_are_kept",
                    "a_cold_server_starts_it_when_it_is_first_opened",
                ),
                *_tests(
                    "tests/machine/test_kept.py",
                    "what_a_person_makes_outlives_the_stop",
                ),
            ),
        ),
        Case(
            "K2",
            "A newer image brings other files in its HOME, or takes some away",
            "They are seen as they are in it; nothing that is kept hides them.",
            (
                *_tests("tests/guest/test_kept.py", "the_images_own_things_are_seen_and_a_newer_images_too"),
                *_tests(
                    "tests/guest/test_kept_folders.py",
                    "the_images_own_files_are_found_second",
                    "nothing_that_is_there_is_touched",
                ),
                *_tests(
                    "tests/machine/test_kept.py",
                    "a_newer_image_is_seen_beside_it",
                ),
            ),
        ),
        Case(
            "K3",
            "A user's own packages or settings keep their server from starting",
            "It is started once more without them, and says so; kernels and terminals have them, to repair it.",
            _tests("tests/guest/test_kept.py", "a_person_is_not_locked_out_by_what_they_have_installed"),
        ),
        Case(
            "K4",
            "The home lies on a network file system, whose locks SQLite cannot trust",
            "Jupyter's databases are on the container's own disk; on a local disk they are kept.",
            (
                *_tests("tests/guest/test_kept.py", "databases_are_not_on_a_network"),
                *_tests("tests/guest/test_databases.py", "kinds"),
            ),
        ),
        Case(
            "K5",
            "An upgrade finds servers running in which people have files beside the kept folder",
            "What is younger than the container is copied into it before the server's end: 2 GiB at most, nothing overwritten.",
            (
                *_tests(
                    "tests/guest/test_rescue.py",
                    "what_was_made_is_kept_and_nothing_is_overwritten",
                    "no_more_than_there_is_room_for",
                    "a_file_that_cannot_be_read_or_written_costs_no_other",
                ),
                *_tests(
                    "tests/unit/pool/test_broker.py",
                    "what_lies_beside_the_home_of_an_older_server_is_kept",
                    "an_older_server_ends_though_nothing_of_it_could_be_kept",
                ),
            ),
        ),
    ),
)

THE_SURROUNDINGS = Chapter(
    "The kernel's packet filter, Docker's networks and settings",
    (
        Case(
            "N1",
            "The packet filter is changed in the kernel: flushed, its table deleted, a rule added or removed, nftables restarted",
            "Noted at once by a unit of its own, put back in one check, counted as drift; said where it cannot be put back, with "
            "`drift: warn`, and where nobody watches. That Docker's own rules are gone is said.",
            (
                *_tests(
                    FILTER,
                    "what_is_changed_by_hand_is_noted_until_it_is_loaded_again",
                    "whether_dockers_own_rules_are_there_is_noted",
                ),
                *_tests(
                    SURROUNDINGS,
                    "a_packet_filter_changed_in_the_kernel_is_loaded_again",
                    "a_packet_filter_that_cannot_be_put_back_is_said",
                    "with_drift_warn_a_changed_packet_filter_is_left_alone_and_said",
                    "that_nobody_watches_the_packet_filter_is_said",
                    "that_dockers_own_rules_are_gone_is_said",
                ),
                *_tests(NETWORK, "a_packet_filter_changed_by_hand_is_put_back_in_one_look"),
            ),
        ),
        Case(
            "N2",
            "Name servers or the networks on a cable change while servers run, or their file is being written",
            "In the rules at the next check; those of before count meanwhile.",
            (
                *_tests(
                    SURROUNDINGS, "new_name_servers_and_networks_on_a_cable_are_in_the_rules_at_the_next_look"
                ),
                *_tests(FACTS, "name_servers_of_before_count_while_their_file_is_being_written"),
            ),
        ),
        Case(
            "N3",
            "Docker's network is removed, or made by somebody else with another subnet, bridge or without walls",
            "Made anew as soon as no user is in it; servers that wait leave it, edits are taken, the filter covers its bridge.",
            (
                *_tests(
                    SURROUNDINGS,
                    "a_network_that_was_removed_is_made_anew",
                    "a_network_made_by_somebody_else_is_made_anew_when_nobody_uses_it",
                    "one_that_is_in_use_is_said_and_the_packet_filter_covers_its_bridge",
                ),
                *_tests(FILTER, "the_bridge_of_a_network_that_somebody_else_made_is_covered"),
                *_tests(DOCKER, "one_whose_gateway_nobody_named_has_the_first_address"),
                *_tests(BY_HAND, "a_network_that_somebody_else_made_is_made_anew"),
            ),
        ),
        Case(
            "N4",
            "The machine is, or gets, a member of a Docker swarm, where Docker does not start with live-restore",
            "Never written there; removed where hubagent wrote it, and Docker started again; an administrator's own setting is "
            "said. Problem in status and `doctor`.",
            (
                *_tests(
                    SURROUNDINGS,
                    "in_a_swarm_live_restore_is_never_written",
                    "a_machine_that_joins_a_swarm_later_gets_its_docker_back",
                    "live_restore_by_an_administrators_hand_in_a_swarm_is_left_and_said",
                    "a_docker_that_cannot_start_in_its_swarm_is_started_without_live_restore",
                    "a_docker_that_does_not_answer_gets_no_settings",
                    "doctor_does_not_advise_live_restore_in_a_swarm",
                ),
                *_tests(DOCKER, "a_member_of_a_swarm_says_so"),
                *_tests(BY_HAND, "a_swarm_and_live_restore_never_meet"),
            ),
        ),
        Case(
            "N5",
            "Docker runs without root, or maps users",
            "Said in words, with what to do.",
            _tests(SURROUNDINGS, "a_docker_that_servers_do_not_work_with_is_said_in_words"),
        ),
    ),
)
BUSY = "tests/unit/converge/test_busy_machine.py"
BEAT = "tests/unit/agent/test_watchdog_clock.py"
FIRST_LOGIN = "tests/contract/test_first_login.py"

A_BUSY_MACHINE = Chapter(
    "A busy machine, and what is said of it",
    (
        Case(
            "B1",
            "The test of a new configuration takes longer than it may, once or for ever, also at the first installation",
            "Told as a time-out with the time of the next try, which is longer, up to a bound; the file is neither refused nor "
            "set aside, and what breaks meanwhile is repaired.",
            (
                *_tests(
                    BUSY,
                    "a_test_that_takes_long_is_told_so_and_gets_more_time",
                    "a_test_that_never_ends_is_bounded_and_repairs_go_on",
                    "a_first_install_on_a_busy_machine_comes_up",
                    "what_was_needed_once_is_given_again",
                    "another_edit_does_not_wait_for_the_one_before",
                    "the_test_of_another_package_that_takes_long_leaves_the_hub_alone_and_is_made_again",
                ),
                *_tests(EDITS, "a_machine_too_busy_for_the_hubs_test_is_told_so_and_gets_there"),
            ),
        ),
        Case(
            "B2",
            "The test of a new configuration is killed, runs out of memory, is cancelled, or is left over from an agent that ended",
            "That says nothing against the file: it is tested again.",
            _tests(
                BUSY,
                "a_test_that_was_killed_says_nothing_against_the_file",
                "a_test_that_was_not_made_says_nothing_against_the_file",
                "a_test_that_an_ended_agent_left_behind_is_not_taken_for_ours",
            ),
        ),
        Case(
            "B3",
            "A service answers, starts or reloads late, or never",
            "Rolled back, reported as a time-out, and retried automatically with more time, ever less often; `apply` does not wait.",
            _tests(
                BUSY,
                "a_service_that_answers_late_gets_more_time",
                "a_job_that_takes_long_gets_more_time",
                "a_unit_at_its_own_time_limit_says_nothing_against_the_file",
                "a_hub_that_never_answers_is_tried_ever_less_often",
                "a_repair_that_takes_long_says_nothing_against_the_file",
            ),
        ),
        Case(
            "B4",
            "Everything in one check takes long; one call never comes back",
            "Each call that came back feeds the watchdog, one that hangs does not.",
            (
                *_tests(
                    BEAT,
                    "a_look_in_which_everything_takes_long_feeds_the_watchdog",
                    "a_test_that_runs_out_of_its_longest_time_feeds_the_watchdog",
                    "a_call_that_does_not_come_back_feeds_nothing",
                    "what_other_threads_do_is_no_progress_of_this_one",
                    "every_port_is_among_those_that_beat",
                ),
                *_tests(PROCESS, "calls_that_take_long_feed_the_watchdog_each"),
                *_tests(NOTIFY, "a_start_that_gets_on_may_last"),
            ),
        ),
        Case(
            "B5",
            "The agent is told to end in the middle of anything, also while something does not answer",
            "It ends within its unit's 30 s; the next start goes on from there, and nothing counts against the file.",
            (
                *_tests(
                    BEAT,
                    "told_to_end_at_any_step_of_a_look_it_ends_there_and_the_next_start_goes_on",
                    "told_to_end_while_systemd_is_at_work_it_does_not_wait_for_that",
                ),
                *_tests(PROCESS, "a_call_that_never_ends_does_not_feed_the_watchdog_nor_keep_the_agent"),
                *_tests(SYSTEMD, "who_waits_for_a_job_gives_signs_of_life_and_can_be_called_away"),
            ),
        ),
        Case(
            "B6",
            "A service or its test ends with an error of its own",
            "The line that names it is in the status: one line, bounded, without secrets and control characters.",
            (
                *_tests(BUSY, "what_a_service_says_of_its_own_end_is_told"),
                *_tests(
                    "tests/unit/converge/test_complaint.py",
                    "the_line_that_names_the_fault",
                    "what_looks_like_a_secret_is_not_shown",
                    "known_secrets_are_not_shown_in_any_place",
                    "a_terminal_obeys_nothing_of_it",
                    "any_text_becomes_one_bounded_line",
                ),
                *_tests(EDITS, "the_hubs_own_words_are_in_the_status"),
            ),
        ),
        Case(
            "B7",
            "A first password is sent to a pipe that nobody reads, a full disk, /dev/null or a closed terminal",
            "It is kept until it was delivered; used ones are said to be used.",
            (
                *_tests(
                    FIRST_LOGIN,
                    "it_is_shown_to_whoever_reads_and_then_gone",
                    "what_nobody_saw_is_kept",
                    "who_reads_one_line_has_one_password",
                    "a_file_on_a_full_disk_takes_none",
                    "a_terminal_takes_it",
                    "sent_is_not_taken",
                ),
                *_tests(
                    "tests/contract/test_first_login_states.py",
                    "the_states_of_a_first_password",
                    "a_new_one_is_asked_for_as_the_hub_expects_it",
                ),
            ),
        ),
    ),
)
ACCOUNTS = Chapter(
    "Accounts and their homes",
    (
        Case(
            "H1",
            "A user is deleted, and somebody else takes the name",
            "The home stays and nobody gets it; the start is refused in words until an administrator keeps, archives or sets it aside, "
            "and status, page and metrics say that somebody waits.",
            (
                *_tests(BELONGING, "a_later_account_of_the_name_waits"),
                *_tests(IDENTITY, "who_takes_a_deleted_users_name_does_not_get_the_home"),
                *_tests(SERVERS, "a_home_belongs_to_an_account"),
            ),
        ),
        Case(
            "H2",
            "A user is renamed, or made, by the hub's API or admin page: to a free name, their own, one that is taken, none at all",
            "Who is renamed keeps home and password; a name that signing up would not take is refused with 400 or 409 and a sentence.",
            (
                *_tests(BELONGING, "a_renamed_user_keeps_the_home_and_who_takes_the_name_does_not_get_it"),
                *_tests(
                    IDENTITY,
                    "who_is_renamed_keeps_the_home_and_the_password",
                    "a_user_who_is_renamed_to_their_own_name_keeps_it",
                    "nobody_is_renamed_to_what_is_no_name",
                    "nobody_is_made_with_what_is_no_name",
                    "names_that_differ_only_in_spelling_are_one",
                    "who_may_not_be_renamed",
                ),
                *_tests(SERVERS, "who_is_renamed_keeps_the_home_and_an_older_one_is_adopted"),
            ),
        ),
        Case(
            "H3",
            "An account is withdrawn and discarded, and somebody signs up under its name",
            "The hub's user goes with the account, so that the next one is another.",
            _tests(IDENTITY, "an_account_that_is_discarded_takes_its_user_along"),
        ),
        Case(
            "H4",
            "Homes from before accounts were told apart, an older hub that does not say which account asks",
            "The account that is older than the home adopts it, at the hub's start or before its user is renamed; a younger one waits.",
            (
                f"{BELONGING}::TestHomesFromBefore",
                f"{BELONGING}::TestAnOlderHub",
                *_tests(
                    IDENTITY,
                    "a_home_from_before_is_the_present_owners",
                    "a_home_that_is_older_than_the_account_is_not",
                    "homes_from_before_are_told_apart_when_the_hub_starts",
                ),
                *_tests(BACKUP_OWNERS, "a_backup_from_before_leaves_it_to_adoption"),
            ),
        ),
        Case(
            "H5",
            "The files that say whose homes are: lost, damaged, not readable, not writable; the agent dies at any step of a start",
            "The volumes' labels say so, and without them their age; whoever's home it is gets it, nobody else does.",
            (
                f"{BELONGING}::TestWhatIsLost",
                *_tests(BELONGING, "wherever_the_agent_dies_nobody_gets_what_is_not_theirs"),
            ),
        ),
        Case(
            "H6",
            "`hubagent homes keep`, `archive`, `set-aside`: killed at any step, a server runs, the disk gives back something else",
            "Done again it is done; nothing is removed before its archive was read again; refused while a server has the home.",
            tuple(
                f"{DESK}::Test{name}" for name in ("Keep", "SetAside", "Archive", "WhatIsRefused", "Orders")
            ),
        ),
        Case(
            "H7",
            "Backup and restore, with and without homes",
            "Whose a home is moves with it; where homes stay, so does what is known of them.",
            _tests(
                BACKUP_OWNERS,
                "homes_are_their_accounts_on_the_new_machine",
                "what_was_known_of_other_homes_goes_with_them",
                "homes_that_stay_keep_their_owners",
                "a_damaged_file_is_no_reason_to_lose_a_home",
            ),
        ),
    ),
)

CHAPTERS = (
    *(THE_FILE, THE_AGENT, THE_SERVICES, THE_POOL, KEPT_FOLDER),
    *(THE_SURROUNDINGS, A_BUSY_MACHINE, ACCOUNTS),
)
