"""What hubagent is made to keep apart and to keep secret: how, and the tests that show it.

The tables of docs/security.md are made from this (security_page.py).
"""

from __future__ import annotations

from typing import Final

from tests.faults.cases import EDITS, FILES, FILTER, POOL, SERVERS, SPAWNER, Case, Chapter, tests_of
from tests.faults.cases import NETWORK as NETWORK_OF_SERVERS

SHIPPED_UNITS = "tests/packages/test_units.py"
SECURITY = "tests/machine/test_security.py"
SPAWN_SOCKET = "tests/contract/test_spawn_socket.py"
HOMES_SOCKET = "tests/contract/test_homes_socket.py"
HOMES_HELPER = "tests/contract/test_homes_helper.py"
BROKER = "tests/unit/pool/test_broker.py"
DOCUMENT = "tests/unit/config/test_document.py"
HOSTILE_NGINX = "tests/nginx/test_hostile.py"
RENDER = "tests/nginx/test_render.py"
FRONT = "tests/nginx/test_front.py"
TLS = "tests/nginx/test_tls.py"
PROPERTIES = "tests/unit/config/test_properties.py"
SIGNING_IN = "tests/hub/test_signing_in.py"
WEB_AUTH = "tests/unit/web/test_auth.py"
LIMITS = "tests/unit/web/test_server_limits.py"
GUEST = "tests/guest/test_server.py"
WAITING = "tests/guest/test_control_socket.py"

SERVICES: Final = Chapter(
    "Services and the machine's users",
    (
        Case(
            "1",
            "A service that was broken into wants the rest of the machine",
            "Each unit has a sandbox with a limit on its exposure; the agent may write what it manages, with three of root's "
            "capabilities; the helper that mounts has no more than it needs.",
            (
                *tests_of(
                    SHIPPED_UNITS,
                    "exposure_is_within_its_limit",
                    "agent_may_write_what_it_manages_and_nothing_else",
                ),
                *tests_of(HOMES_HELPER, "it_needs_the_capabilities_that_it_has"),
            ),
        ),
        Case(
            "2",
            "The hub's user wants Docker, or a container that the configuration does not declare",
            "It has a socket of its own with nine verbs. The agent makes every argument itself; containers without its label are "
            "out of reach.",
            (
                *tests_of(POOL, "the_hub_has_no_docker_and_asks_in_vain_for_what_is_not_its_own"),
                *tests_of(SERVERS, "the_hub_has_no_way_to_docker"),
                *tests_of(
                    BROKER, "only_declared_servers_are_started", "containers_of_others_are_out_of_reach"
                ),
                *tests_of(SPAWNER, "nothing_in_the_hub_calls_docker"),
                *tests_of("tests/hub/test_hub.py", "what_the_agent_may"),
            ),
        ),
        Case(
            "3",
            "The hub's user, or one without rights, wants root's files, homes, the agent's state, sockets or services",
            "Modes and owners: neither reads a secret, writes anything of ours, connects to Docker or the homes helper, signals a "
            "service or has systemd restart one; the proxy's API answers 403.",
            (
                *tests_of(
                    SECURITY,
                    "another_user_of_the_machine_gets_next_to_nothing",
                    "the_search_would_find_what_is_open",
                ),
                *tests_of(SERVERS, "the_hub_cannot_read_the_agents_secrets"),
                *tests_of(
                    SPAWN_SOCKET, "only_its_group_reaches_the_socket", "only_the_hub_and_root_are_answered"
                ),
                *tests_of(HOMES_SOCKET, "only_root_may_ask"),
            ),
        ),
        Case(
            "4",
            "Bytes on the sockets that are not requests, that never end, or too many",
            "Refused in bounded time and memory; the next request is served.",
            (
                *tests_of(
                    SPAWN_SOCKET,
                    "what_is_no_request_is_refused",
                    "a_request_that_never_ends_costs_its_deadline_alone",
                    "more_than_can_wait_are_sent_away",
                ),
                *tests_of(
                    HOMES_SOCKET,
                    "what_is_no_request_is_refused",
                    "who_sends_slowly_is_cut_off_and_holds_up_nobody",
                    "too_many_at_once_are_turned_away",
                ),
                *tests_of(
                    "tests/faults/test_hostile_messages.py", "what_almost_is_a_message_is_one_or_is_refused"
                ),
            ),
        ),
    ),
)
CONTAINERS: Final = Chapter(
    "Users' containers",
    (
        Case(
            "5",
            "A user's program wants more than its share, or privileges",
            "No capability, no new privileges, the ordinary user, Docker's seccomp filter; memory with swap, processors and "
            "processes are limited from the start.",
            (
                *tests_of(SERVERS, "limits_are_in_force"),
                *tests_of(POOL, "a_slot_becomes_the_server_that_a_cold_start_gives"),
                *tests_of("tests/unit/pool/test_spec.py", "no_way_to_the_machine_can_be_added"),
                *tests_of("tests/unit/config/test_rules.py", "a_broken_rule_points_at_the_key"),
            ),
        ),
        Case(
            "6",
            "A user's program wants the machine's ports, other containers, or a cloud's metadata address",
            "A network of its own and a packet filter: the hub's port and the internet, nothing else; also after a restart of Docker.",
            (
                *tests_of(
                    SERVERS,
                    "a_container_reaches_the_hub_and_the_internet_alone",
                    "a_restart_of_docker_is_not_noticed",
                    "it_is_labelled_and_alone_in_its_network",
                ),
                *tests_of(
                    FILTER,
                    "of_the_machine_itself_the_hub_alone_is_open",
                    "containers_do_not_reach_each_other_and_answer_the_machine",
                ),
            ),
        ),
        Case(
            "7",
            "A user's program wants a socket of the machine, or a folder that is not declared",
            "Neither Docker's nor the agent's nor the bus is in a container; its mounts are those that are declared, course files "
            "read-only. The guest's socket is root's.",
            (
                *tests_of(POOL, "a_server_has_no_socket_of_the_machine_and_sees_no_folder_of_it"),
                *tests_of(SERVERS, "course_files_are_read_only_and_shared_ones_are_not"),
                *tests_of(WAITING, "root_alone_may_speak"),
            ),
        ),
        Case(
            "8",
            "A user's program wants to stay after the stop, or a slot to serve two",
            "The container goes with all that is in it; slots are never used twice.",
            (
                *tests_of(
                    POOL,
                    "nothing_that_a_user_started_outlives_the_stop",
                    "nothing_is_left_of_a_server_that_ended",
                    "more_people_than_slots",
                ),
                *tests_of(WAITING, "one_claim", "claims_at_once"),
            ),
        ),
        Case(
            "9",
            "A user wants another one's home, page or name",
            "Names become container and volume names without collisions; homes are attached to their owner's container alone; the "
            "hub and each server ask who it is.",
            (
                *tests_of(POOL, "nobody_sees_anything_of_another"),
                *tests_of(SERVERS, "homes_are_kept_and_nobody_gets_another_ones"),
                *tests_of(
                    "tests/unit/test_naming.py",
                    "different_users_have_different_volumes",
                    "also_with_long_names",
                ),
                *tests_of(SPAWNER, "users_and_named_servers_do_not_collide"),
                *tests_of(HOMES_HELPER, "users_do_not_see_each_other"),
                *tests_of(GUEST, "cookies_are_for_the_users_prefix_alone", "a_stranger_is_sent_to_the_hub"),
            ),
        ),
        Case(
            "10",
            "A user lays links or swaps folders to have something of the machine mounted or overwritten",
            "The helper opens paths without following what users write (openat2), also while they change.",
            (
                *tests_of(POOL, "a_trap_in_the_home_catches_nobody"),
                *tests_of(
                    HOMES_HELPER,
                    "links_where_users_write_are_not_followed",
                    "a_user_who_swaps_folders_and_links_gets_nowhere",
                    "places_that_a_user_moves_about_lead_nowhere",
                    "a_home_is_no_link",
                ),
                *tests_of(
                    "tests/contract/test_homes_moved.py",
                    "no_other_folder_is_a_home",
                    "a_folder_that_others_may_write_to_holds_no_homes",
                ),
                *tests_of(
                    "tests/contract/test_guests.py",
                    "users_can_write_nothing_there_once_a_guest_became",
                    "whatever_a_user_puts_into_the_pipe_or_its_place_is_no_more_than_a_wrong_number",
                ),
                *tests_of("tests/contract/test_files.py", "removing_takes_trees_and_never_follows_links"),
                *tests_of("tests/unit/backup/test_archive.py", "every_member_is_refused_or_inside"),
            ),
        ),
    ),
)
INPUT: Final = Chapter(
    "The configuration file and what is made of it",
    (
        Case(
            "11",
            "YAML that means something else than it looks like, or explodes",
            "Plain data alone: no tags, anchors, aliases, merge or duplicate keys, second documents; bounded size and depth; "
            "YAML 1.2 scalars.",
            (
                *tests_of(
                    DOCUMENT,
                    "one_message_that_names_the_place_and_the_remedy",
                    "an_alias_bomb_is_refused_before_it_grows",
                    "a_chain_of_merge_keys_is_refused_before_it_grows",
                    "plain_scalars_follow_yaml_1_2",
                ),
                *tests_of(FILES, "a_gigabyte_is_refused_unread"),
            ),
        ),
        Case(
            "12",
            "A file that others than root can write",
            "Refused with the remedy.",
            tests_of(
                "tests/unit/config/test_source.py",
                "a_file_that_others_can_write_is_refused_with_the_remedy",
                "a_file_of_somebody_else_is_refused_with_the_remedy",
            ),
        ),
        Case(
            "13",
            "A value that ends a string, a line or a block where it is put",
            "Values are data: every placeholder of a template has a typed filter, what does not fit is refused, Python is never "
            "generated.",
            (
                *tests_of(RENDER, "every_placeholder_has_a_filter_of_ours", "the_check_of_placeholders_sees"),
                *tests_of(
                    HOSTILE_NGINX,
                    "hostile_paths",
                    "hostile_host",
                    "hostile_words",
                    "refused_with_value_and_remedy",
                ),
                *tests_of(
                    PROPERTIES,
                    "hostile_text_is_refused_or_comes_out_exactly",
                    "hostile_names_are_refused_or_come_out_exactly",
                ),
                *tests_of("tests/unit/web/test_page.py", "hostile_values_never_become_markup"),
            ),
        ),
        Case(
            "14",
            "A certificate or setting that nginx or the hub cannot serve by",
            "Tested in a unit with fewer rights before it is in force; what fails changes nothing.",
            (
                *tests_of(
                    EDITS,
                    "a_certificate_that_does_not_match_its_key_is_refused",
                    "a_reload_that_cannot_serve_is_taken_back_within_ten_seconds",
                ),
                *tests_of(SHIPPED_UNITS, "tests_of_settings_run_with_fewer_rights_than_what_they_test"),
            ),
        ),
    ),
)
SECRETS: Final = Chapter(
    "Secrets",
    (
        Case(
            "15",
            "A secret in the journal, an argv, another's environment, metrics, status, a plan, `docker inspect`, a file for all",
            "Services get secrets as systemd credentials or over sockets; values that are secret are masked wherever they are shown.",
            (
                *tests_of(
                    SERVERS,
                    "secrets_stay_where_they_belong",
                    "nothing_of_a_server_is_in_docker_inspect_or_argv",
                ),
                *tests_of(SECURITY, "a_secret_that_the_hub_is_told_turns_up_nowhere_else"),
                *tests_of(POOL, "no_secret_is_in_what_docker_tells"),
                *tests_of(SHIPPED_UNITS, "secrets_reach_services_as_credentials_alone"),
                *tests_of(
                    "tests/unit/config/test_changes.py",
                    "secrets_are_masked",
                    "secrets_inside_traits_are_masked",
                ),
                *tests_of(
                    "tests/unit/config/test_messages.py", "a_secret_in_the_wrong_place_is_not_repeated"
                ),
                *tests_of(BROKER, "no_secret_is_logged"),
                *tests_of("tests/unit/pool/test_claims.py", "no_secret_is_written_down"),
                *tests_of("tests/hub/test_settings.py", "no_message_and_no_repr_shows_a_secret"),
                *tests_of("tests/hub/test_hub.py", "no_secret_is_logged_or_in_an_argv"),
                *tests_of(GUEST, "secrets_are_not_in_the_log"),
                *tests_of(FRONT, "the_log_has_no_query_string"),
            ),
        ),
        Case(
            "16",
            "A file with a secret that can be read for a moment, or stays readable",
            "Mode and owner are there before the content, whatever the umask; a backup is root's alone.",
            (
                *tests_of(
                    FILES,
                    "the_umask_changes_nothing",
                    "a_write_makes_its_steps_in_the_order_that_survives_power_cuts",
                    "what_its_owner_alone_may_read_is_not_kept_in_memory",
                ),
                *tests_of(
                    "tests/contract/test_backup_file.py",
                    "it_gets_its_name_when_it_is_whole_and_is_roots_alone",
                ),
            ),
        ),
        Case(
            "17",
            "Guessed passwords, forged forms, taken names",
            "Guessers are slowed by name, known or not; forms need their token; nothing changes by GET; a one-time password must be "
            "changed; bcrypt.",
            (
                *tests_of(
                    SIGNING_IN,
                    "failed_logins_lock_a_name_known_or_not",
                    "unknown_names_take_as_long",
                    "forms_need_their_token",
                    "nothing_changes_by_get",
                    "one_time_password_must_be_changed_first",
                    "a_taken_name_stays_with_its_owner",
                    "pages_of_the_admin_are_for_admins",
                    "nobody_is_sent_elsewhere_after_signing_in",
                ),
                *tests_of(
                    "tests/hub/test_admins.py", "an_admins_name_cannot_be_taken_before_the_admin_comes"
                ),
            ),
        ),
    ),
)
NETWORK: Final = Chapter(
    "The network",
    (
        Case(
            "18",
            "Old protocols, weak ciphers",
            "Mozilla's intermediate configuration, judged by sslyze.",
            tests_of(
                TLS,
                "mozilla_intermediate_by_sslyze",
                "old_versions_are_refused_by_the_server",
                "other_suites_are_refused_by_the_server",
                "other_curves_are_refused_by_the_server",
            ),
        ),
        Case(
            "19",
            "Requests that nginx misreads, foreign names, forged origins, the marker from outside",
            "nginx's files are searched by gixy; other names get no answer; what says where a request comes from is set by nginx "
            "alone.",
            (
                *tests_of(TLS, "nothing_found_by_gixy"),
                *tests_of(
                    FRONT,
                    "unknown_names_get_nothing",
                    "clients_cannot_forge_their_origin",
                    "the_name_in_the_request_line_beats_the_host_header",
                    "only_websockets_may_upgrade",
                    "not_for_the_world",
                    "marker_is_for_this_machine_alone",
                    "server_version_is_not_told",
                    "body_limit",
                ),
            ),
        ),
        Case(
            "20",
            "Whoever reaches the metrics",
            "On loopback, or with TLS and users; no names of people; bounded in time, header, threads; GET and HEAD alone.",
            (
                *tests_of("tests/unit/config/test_rules.py", "a_broken_rule_points_at_the_key"),
                *tests_of(
                    WEB_AUTH,
                    "everything_else_is_401",
                    "an_unknown_name_takes_as_long_as_a_known_one",
                    "old_tls_is_refused",
                ),
                *tests_of(
                    LIMITS,
                    "a_slow_header_is_answered_408_in_time",
                    "a_huge_header_is_refused_before_it_is_read",
                    "a_thousand_slow_clients_do_not_keep_a_scrape_out",
                    "threads_and_descriptors_do_not_grow_with_requests",
                ),
                *tests_of(
                    "tests/unit/web/test_server.py",
                    "other_methods_are_refused",
                    "status_json_is_the_status_without_people",
                ),
                *tests_of("tests/unit/web/test_metrics.py", "no_text_of_people_or_faults_is_a_label"),
            ),
        ),
        Case(
            "21",
            "Something else than what was tested is installed",
            "Every distribution of hub and proxy is pinned by hash; packages need no network to install.",
            (
                *tests_of(
                    "tests/packages/test_locks.py",
                    "python_lock_pins_every_distribution_by_hash",
                    "npm_lock_pins_every_package_by_hash_and_names_no_registry",
                ),
                *tests_of("tests/packages/test_packages.py", "scripts_use_no_network"),
            ),
        ),
        Case(
            "22",
            "A user's program wants what trusts this machine by its address: an NFS export, a database, any host of a private "
            "network, by TCP, UDP or ICMP",
            "Private, shared, link-local and reserved networks, multicast and the networks on the machine's cables are closed; name "
            "servers are open on port 53. servers.NAME.networks opens addresses for that entry's containers alone, which are in a "
            "network of their own; what is closed ends at once. A rollback opens nothing.",
            (
                *tests_of(
                    NETWORK_OF_SERVERS,
                    "servers_reach_the_internet_names_and_what_their_entry_opens_alone",
                    "an_export_to_the_machines_address_is_the_machines_alone",
                    "what_is_opened_and_closed_counts_at_once_for_servers_that_run",
                ),
                *tests_of(
                    FILTER,
                    "without_it_the_local_network_takes_a_container_for_the_machine",
                    "private_networks_are_closed_and_the_internet_is_open",
                    "what_an_entry_opens_is_open_to_its_containers_alone",
                    "what_gets_closed_ends_for_conversations_that_are_open",
                ),
                *tests_of(
                    "tests/unit/converge/test_surroundings.py",
                    "an_upgrade_that_closes_private_networks_says_so_once",
                ),
            ),
        ),
        Case(
            "23",
            "Somebody takes the name of a user who was deleted or renamed, to have their home",
            "A home belongs to an account: the agent writes down whose each is, volumes are labelled, and an administrator decides "
            "about a home of another account. Lost and damaged files hand out nothing.",
            (
                *tests_of(
                    "tests/unit/pool/test_belonging.py",
                    "a_later_account_of_the_name_waits",
                    "the_volume_itself_says_whose_it_is",
                    "no_flipped_bit_hands_a_home_out",
                    "a_disk_that_cannot_be_read_hands_no_home_out",
                    "one_that_is_younger_may_be_somebody_else",
                    "an_account_of_todays_hub_never_has_a_labelled_home_of_another",
                ),
                *tests_of(
                    "tests/hub/test_identity.py",
                    "who_takes_a_deleted_users_name_does_not_get_the_home",
                    "an_account_that_is_discarded_takes_its_user_along",
                ),
                *tests_of(SERVERS, "a_home_belongs_to_an_account"),
            ),
        ),
    ),
)

OWN_ACCOUNT: Final = Chapter(
    "The account of hubagent's own",
    (
        Case(
            "24",
            "The account by which hubagent shows that signing in works",
            "Nobody can have its name; its password lives in the hub's memory, for one use and a minute, and is given to the agent's "
            "token alone; it is not an admin, in no list or figure, and gone with the probe, at the latest with the hub's next start.",
            tests_of(
                "tests/hub/test_probe.py",
                "a_probe_signs_in_sees_its_home_and_leaves_nothing",
                "a_password_is_good_for_one_try",
                "failed_tries_are_not_counted_and_the_name_is_nobodys",
                "only_the_agent_may_ask",
                "a_probe_that_was_left_is_gone_after_the_hubs_next_start",
            )
            + tests_of(
                "tests/unit/converge/test_door.py",
                "the_token_goes_to_the_hub_alone_and_never_through_the_front",
            )
            + tests_of(FRONT, "not_for_the_world"),
        ),
    ),
)
OF_NGINX: Final = Chapter(
    "What nginx does by itself",
    (
        Case(
            "25",
            "An image has its files served under the site's name, as a page, from outside its folders, or in place of another image's",
            "Only plain files of kinds that a page loads, from known folders, within limits, of a container that is never started and "
            "has nothing of the machine's; a folder with a link or a name like an attack is refused whole. No HTML; answers are nosniff, and what could be opened as a document is in a sandbox. A set is "
            "named by its content, and what nginx has not is never fetched on behalf of all.",
            tests_of(
                "tests/unit/images/test_static_files.py",
                "a_folder_with_an_attack_is_refused_whole",
                "a_folder_that_is_a_link_itself",
                "templates_that_are_links_are_not_read",
                "wherever_an_image_says_its_notebook_is",
                "what_no_page_loads_is_left_in_the_image",
                "too_many_files_and_too_large_ones",
                "nginx_may_read_exactly_the_sets",
            )
            + tests_of("tests/contract/test_image_files.py", "no_link_is_followed")
            + tests_of(
                "tests/nginx/test_static.py",
                "what_could_be_opened_as_a_document_is_in_a_sandbox",
                "every_kind_that_is_taken_has_a_type",
                "a_path_that_is_no_file_of_a_set",
                "what_is_not_there_the_asking_server_has",
            ),
        ),
        Case(
            "26",
            "Another site makes a visitor's browser ask for pages, and guesses what is in them by the lengths of compressed answers",
            "Compressed is what a page of this site or the person asked for, which browsers tell and scripts cannot; all else, and "
            "what comes without that header, is sent as it is.",
            tests_of("tests/nginx/test_compression.py", "only_what_a_page_of_this_site_asks_for"),
        ),
        Case(
            "27",
            "An image has the hub's pages load something of its choice, or anybody at the sign-in page learn what else is in it",
            "Pages name files that nginx serves, by address, as data in the page: what is no such address is left out by the hub, "
            "whoever wrote it. They are fetched into the browser's cache, and never run by a page of the hub. Who is not signed in "
            "learns of JupyterLab's own files alone, or of Notebook's.",
            tests_of(
                "tests/unit/images/test_first_page.py",
                "what_is_not_recognised_is_left_out",
                "it_reads_no_more_than_it_needs",
            )
            + tests_of(
                "tests/hub/test_first_page.py",
                "nothing_but_static_files_is_offered",
                "who_is_not_signed_in_learns_of_no_extension",
                "pages_are_whole_without_it",
            ),
        ),
        Case(
            "28",
            "What talks to an authority was broken into, or the authority itself: it wants a key, another file of this machine on port "
            "80, or a certificate of its choice in force",
            "certbot runs as a user of its own in a sandbox, and never has the key. Agent and certbot pass two files that systemd "
            "opens. nginx follows no link there. In force comes what belongs to the agent's key, names `host` and is valid.",
            (
                *tests_of(
                    SHIPPED_UNITS,
                    "certbot_may_write_its_accounts_and_what_nginx_serves_and_reads_no_file_of_the_agents",
                    "exposure_is_within_its_limit",
                ),
                *tests_of(
                    "tests/unit/certificates/test_keeper.py",
                    "certbot_is_never_given_the_key",
                    "nothing_wrong_comes_into_force",
                ),
                *tests_of(
                    "tests/nginx/test_authority.py",
                    "the_port_for_challenges_serves_no_other_file",
                    "certbot_keeps_an_account_and_nothing_that_could_be_renewed_behind_the_agents_back",
                    "values_are_no_options",
                ),
                *tests_of(
                    "tests/machine/test_certificates.py",
                    "a_certificate_from_an_authority_is_obtained_renewed_and_kept",
                ),
            ),
        ),
    ),
)
CHAPTERS: Final = (SERVICES, CONTAINERS, INPUT, SECRETS, NETWORK, OWN_ACCOUNT, OF_NGINX)
