"""Whatever stands in the file: a Config that says exactly that, or a ConfigError; never anything else."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubagent.config.kinds.composites import Section
from hubagent.config.made.changes import changes, flow
from hubagent.config.model import Config
from hubagent.errors import ConfigError
from tests.unit.config.reading import read

EXAMPLE = (Path(__file__).parent / "example.yaml").read_bytes()
MESSAGE = re.compile(r"/etc/hubagent\.yaml:([1-9][0-9]*:[1-9][0-9]*: .+|) ?[^;]+; .+")

PATIENT = settings(deadline=None)  # `judge` has a limit of its own, in CPU time: other things run here too


def judge(content: bytes) -> Config | None:
    """Load within bounded time; any error but ConfigError fails the test."""
    started = time.process_time()
    try:
        return read(content)
    except ConfigError as error:
        assert error.messages
        for message in error.messages:
            assert MESSAGE.fullmatch(message), message
            assert message.isprintable(), message
            assert len(message) < 1000
        return None
    finally:
        assert time.process_time() - started < 2.0


@given(st.binary(max_size=2000))
@PATIENT
@example(b"\xef\xbb\xbf")
@example(b"---\n...\n---\n")
@example(b"- " * 10_000)
@example(b"{" * 100_000)
@example(b"? " * 10_000)
@example(b"a: " * 1_000)
@example(b"&a " * 1_000)
@example(b"a: |\n" + b" " * 100_000)
def test_any_bytes(content: bytes) -> None:
    judge(content)


YAML_PIECES = st.sampled_from(
    [
        *(
            "a",
            "host",
            "hub",
            "servers",
            "julia",
            "warm",
            ":",
            ": ",
            "- ",
            "\n",
            "\n  ",
            "\n    ",
            "\t",
            "{",
            "}",
            "[",
        ),
        *(
            "]",
            ",",
            ", ",
            "&a",
            "*a",
            "<<",
            "!",
            "!!str ",
            "|",
            ">",
            "'",
            '"',
            "#",
            " #",
            "%",
            "@",
            "---",
            "...",
        ),
        *("\\", "\\x00", "\u2028", "\x00", "\x85", "~", "true", "1", "1e999", ".nan", "?", "? ", "\r", "é"),
    ]
)


@given(st.lists(YAML_PIECES, max_size=60).map("".join))
@PATIENT
def test_anything_that_looks_like_yaml(text: str) -> None:
    judge(text.encode())


@given(st.data())
@PATIENT
def test_the_example_with_something_wrong(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(len(EXAMPLE), start + 200)))
    judge(EXAMPLE[:start] + data.draw(st.binary(max_size=20)) + EXAMPLE[end:])


def test_every_truncation_of_the_example_is_judged() -> None:
    for end in range(0, len(EXAMPLE), 37):
        judge(EXAMPLE[:end])


@pytest.mark.parametrize(
    "content",
    [
        b"a\n" * 500_000,
        b"a: 1\n" * 200_000,
        b"hub: {admins: [" + b"a," * 500_000 + b"]}",
        b"x" * 1_000_000,
        b"x: '" + b"''" * 500_000,
        b'host: "' + b"\\x41" * 250_000 + b'"',
        b"{" + b"a: 1, " * 170_000 + b"}",
        b"hub: {traits: {A: {" + b"".join(b"k%d: 1, " % i for i in range(90_000)) + b"}}}",
        b"servers: {j: {volume: " + b"a" * 900_000 + b"}}",
        b"servers: {j: {image: " + b"a-" * 400_000 + b"}}",
        b"tls: {email: " + b"a." * 400_000 + b"}",
    ],
    ids=[
        "words",
        "duplicates",
        "long list",
        "one word",
        "quotes",
        "escapes",
        "flow",
        "traits",
        "v",
        "i",
        "e",
    ],
)
def test_a_megabyte_of_trouble_is_judged_in_bounded_time(content: bytes) -> None:
    started = time.process_time()
    try:
        read(content)
    except ConfigError as error:
        assert len(error.messages) <= 101
    assert time.process_time() - started < 10.0


# --- round trip ---------------------------------------------------------------------------------------------

SLUG = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
PATHS = (
    st.lists(st.from_regex(r"[A-Za-z0-9._@+=~-]{1,12}", fullmatch=True), min_size=2, max_size=4)
    .filter(lambda parts: not {".", ".."} & set(parts))
    .map(lambda parts: "/srv/" + "/".join(parts))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=6,
)
TIME = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
DAYS = st.lists(st.sampled_from(["mon", "tue-thu", "fri", "sat-mon"]), min_size=1, max_size=3).map(",".join)


def mapping(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the keys; a name that Python reserves has a trailing underscore."""
    return st.fixed_dictionaries({}, optional={name.rstrip("_"): value for name, value in keys.items()})


LECTURES = st.fixed_dictionaries(
    {"days": DAYS, "from": TIME, "to": TIME, "ready": st.integers(0, 40)}
).filter(lambda lecture: lecture["from"] < lecture["to"])
WARM = mapping(
    ready=st.integers(0, 40),
    max=st.integers(40, 10_000),
    kernels=st.dictionaries(SLUG, st.integers(0, 16), max_size=2),
    pluto=st.booleans(),
    max_age=st.sampled_from(["5m", "1h30m", "2d", "7d"]),
    schedule=st.lists(LECTURES, max_size=2, unique_by=repr),
)
SERVERS = mapping(
    title=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20),
    image=st.from_regex(r"[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,2}(:[a-z0-9][a-z0-9.]{0,8})?", fullmatch=True),
    memory=st.sampled_from(["64M", "1.5G", "4g", 123456789]),
    cpus=st.integers(1, 64) | st.floats(0.05, 4096),
    processes=st.integers(32, 4194304),
    home=PATHS,
    volume=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}\{username\}[a-z0-9._-]{0,9}", fullmatch=True),
    mounts=st.lists(
        st.builds(
            lambda source, target, mode: {"from": source, "to": "/mnt" + target, "mode": mode},
            PATHS,
            PATHS,
            st.sampled_from(["ro", "rw"]),
        ),
        max_size=3,
        unique_by=lambda mount: mount["to"],
    ),
    environment=st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), TEXT, max_size=3),
    networks=st.lists(
        st.sampled_from(["10.1.2.0/24", "192.168.7.5:5432", "172.16.0.0/12:53/udp", "203.0.113.9"]),
        max_size=3,
        unique=True,
    ),
    warm=WARM,
)
HUB = mapping(
    admins=st.lists(SLUG.map(lambda slug: slug.rstrip("-")), min_size=1, max_size=3, unique=True),
    authenticator=st.sampled_from(["native", "pam", "github", "a.b.C"]),
    signup=st.sampled_from(["approval", "open", "closed"]),
    ask_email=st.booleans(),
    passwords=mapping(
        min_length=st.integers(8, 72), check_common=st.booleans(), lockout=st.sampled_from(["1s", "1d"])
    ),
    landing=st.from_regex(r"/[a-z0-9]{0,9}(\?[a-z0-9=&]{0,9})?", fullmatch=True),
    stop_idle_after=st.sampled_from([0, "0", "1m", "90m", "365d"]),
    keep_busy=st.sampled_from([0, "1m", "8h", "365d"]),
    database=st.sampled_from(["sqlite", "postgresql://u@h:5432/d?sslmode=require"]),
    traits=st.dictionaries(
        st.from_regex(r"[A-Z][A-Za-z]{0,8}", fullmatch=True),
        st.dictionaries(st.from_regex(r"x_[a-z]{0,8}q", fullmatch=True), JSON, max_size=3),
        max_size=2,
    ),
)
CONFIGS = mapping(
    host=st.sampled_from(["hub.example.org", "localhost", "xn--bcher-kva.example"]),
    tls=st.sampled_from([{}, {"mode": "self-signed"}, {"mode": "files", "certificate": "/c", "key": "/k"}]),
    hub=HUB,
    servers=st.dictionaries(SLUG, SERVERS, min_size=1, max_size=3),
    nginx=mapping(
        max_body=st.sampled_from(["1M", "1T", 1048577]), websocket_drain=st.sampled_from(["1m", "30d"])
    ),
    metrics=mapping(listen=st.sampled_from(["127.0.0.1:9811", "[::1]:1"])),
    apply=mapping(
        disruptive=st.sampled_from(["ask", "always"]),
        window=st.just("23:00-01:30"),
        drift=st.sampled_from(["fix", "warn"]),
    ),
)


@given(CONFIGS)
@settings(PATIENT, max_examples=50)
def test_a_configuration_that_is_written_out_reads_back_the_same(data: dict[str, Any]) -> None:
    config = read(flow(data))
    written = Section(Config).write(config)
    again = read(flow(written))
    assert again == config
    assert changes(config, again) == ()
    for name, value in data.get("hub", {}).get("traits", {}).items():
        assert config.hub.traits[name] == value
    assert set(data) <= set(written)


@given(CONFIGS, CONFIGS)
@settings(PATIENT, max_examples=50)
def test_changes_are_found_in_both_directions(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = read(flow(one)), read(flow(other))
    forth, back = changes(old, new), changes(new, old)
    assert sorted(change.key for change in forth) == sorted(change.key for change in back)
    if not forth:
        assert flow(Section(Config).write(old)) == flow(Section(Config).write(new))


@given(JSON)
@PATIENT
def test_notation_reads_back_as_the_same_data(value: Any) -> None:
    assert read(f"hub: {{traits: {{A: {{b: {flow(value)}}}}}}}").hub.traits["A"]["b"] == value


# --- hostile text in each key that takes text ---------------------------------------------------------------

HOSTILE_TEXTS = [
    "; }",
    "x; } server { listen 80; location / { alias /etc/; } }",
    '"',
    "'",
    "a\nb",
    "a\rb",
    "\\",
    "..",
    "../../etc/passwd",
    "/..",
    "/a/../b",
    "//x",
    "a\0b",
    "$(id)",
    "`id`",
    "${HOME}",
    "{{ 7*7 }}",
    "{% raw %}",
    "{username}{username}",
    "{0}",
    "%s",
    "-rf",
    "--privileged",
    "<script>",
    "a b",
    " a",
    "a ",
    "",
    "a:b",
    "a,b",
    "a#b",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\x85",
    "x" * 10_000,
    "/" + "x" * 10_000,
    "/x" * 5_000,
    "é" * 300,
    "١٢",
    "hub.example.org\n",
    "127.0.0.1:9811\n",
    "03:00-05:00\n",
    "/lab\n",
    "sqlite\n",
]
HOSTILE = st.one_of(
    st.text(max_size=60), st.text(st.sampled_from("abc/.:-_{}$;\"'\\\n\r\t\0@%"), max_size=30)
)


def _at(path: str, value: object) -> dict[str, Any]:
    """Plain data with the value at a path such as servers.j.mounts.0.from; 0 makes a list of one."""
    head, _, rest = path.partition(".")
    inner = _at(rest, value) if rest else value
    if head == "0":
        return [inner]  # type: ignore[return-value]
    return {head: inner}


TEXT_KEYS = [
    "host",
    "tls.mode",
    "tls.certificate",
    "tls.key",
    "tls.email",
    "tls.acme_directory",
    "hub.admins.0",
    "hub.authenticator",
    "hub.signup",
    "hub.landing",
    "hub.stop_idle_after",
    "hub.keep_busy",
    "hub.database",
    "hub.database_password_file",
    "hub.traits.A.b",
    "hub.traits.A.b_file",
    "servers.j.title",
    "servers.j.image",
    "servers.j.build.base",
    "servers.j.build.julia",
    "servers.j.build.packages.0",
    "servers.j.build.apt.0",
    "servers.j.build.pip.0",
    "servers.j.memory",
    "servers.j.home",
    "servers.j.volume",
    "servers.j.environment.A",
    "servers.j.networks.0",
    "servers.j.warm.max_age",
    "nginx.max_body",
    "metrics.listen",
    "apply.disruptive",
    "apply.window",
    "apply.drift",
]
TOGETHER = {
    "tls.certificate": {"tls": {"mode": "files", "key": "/k"}},
    "tls.key": {"tls": {"mode": "files", "certificate": "/c"}},
    "tls.email": {"tls": {"mode": "letsencrypt"}, "host": "a.example.org"},
    "tls.acme_directory": {"tls": {"mode": "letsencrypt", "email": "a@example.org"}, "host": "a.example.org"},
    "hub.database_password_file": {"hub": {"database": "postgresql://u@h/d"}},
}


MAP_KEYS = [
    "servers.{}.title",
    "hub.traits.{}.b",
    "hub.traits.A.{}",
    "servers.j.environment.{}",
    "servers.j.warm.kernels.{}",
]
NUMBERS = {
    "servers.j.memory",
    "nginx.max_body",
    "hub.stop_idle_after",
    "hub.keep_busy",
    "servers.j.warm.max_age",
    "metrics.listen",
}
SAFE_IN_NGINX = {  # nothing that ends a directive or a quoted string
    "host": r"[a-z0-9.-]{1,253}",
    "tls.certificate": r"/[^\x00-\x1f\"'\\;{}$#*?]*",
    "tls.key": r"/[^\x00-\x1f\"'\\;{}$#*?]*",
}


def _within(data: Any, path: str) -> Any:
    for part in path.split("."):
        data = data[int(part)] if part.isdigit() else data[part]
    return data


def _check_text(path: str, value: str) -> None:
    data = _at(path, value)
    for section, keys in TOGETHER.get(path, {}).items():
        data[section] = {**keys, **data.get(section, {})} if isinstance(keys, dict) else keys
    config = judge(flow(data).encode())
    if config is None:
        return
    if path in NUMBERS:
        assert re.fullmatch(r"[0-9a-zA-Z.:\[\]]+", value)
    else:
        assert _within(Section(Config).write(config), path) == value
    if path in SAFE_IN_NGINX:
        assert re.fullmatch(SAFE_IN_NGINX[path], value)


@pytest.mark.parametrize("path", TEXT_KEYS)
def test_hostile_text_is_refused_or_comes_out_exactly(path: str) -> None:
    for value in HOSTILE_TEXTS:
        _check_text(path, value)


@pytest.mark.parametrize("path", TEXT_KEYS)
@given(value=HOSTILE)
@settings(PATIENT, max_examples=30)
def test_any_text_is_refused_or_comes_out_exactly(path: str, value: str) -> None:
    _check_text(path, value)


def _check_name(template: str, name: str) -> None:
    before, _, after = template.partition(".{}")
    leaf: object = 1 if "kernels" in template else "x"
    config = judge(flow(_at(before, {name: {after.lstrip("."): leaf} if after else leaf})).encode())
    if config is None:
        return
    assert list(_within(Section(Config).write(config), before)) == [name]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name)


@pytest.mark.parametrize("template", MAP_KEYS)
def test_hostile_names_are_refused_or_come_out_exactly(template: str) -> None:
    for name in HOSTILE_TEXTS:
        _check_name(template, name)


@pytest.mark.parametrize("template", MAP_KEYS)
@given(name=HOSTILE)
@settings(PATIENT, max_examples=30)
def test_any_names_are_refused_or_come_out_exactly(template: str, name: str) -> None:
    _check_name(template, name)
