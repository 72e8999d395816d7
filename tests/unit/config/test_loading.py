"""From a file to a Config: what the keys become, and what is left out."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath

import pytest

from hubagent.config.kinds.types import Hostname, ListenAddress, ServerName, TimeOfDay, Username
from hubagent.config.model import (
    Apply,
    Build,
    Config,
    Hub,
    Lecture,
    MetricsTls,
    Mount,
    MountMode,
    Nginx,
    Passwords,
    Server,
    Signup,
    Tls,
    TlsMode,
    Warm,
    Window,
)
from tests.unit.config.reading import read

HERE = Path(__file__).parent
SHIPPED = HERE.parents[2] / "conf/hubagent.yaml"


def test_the_example() -> None:
    assert read((HERE / "example.yaml").read_bytes()) == Config(
        host=Hostname("hub.example.org"),
        servers=(
            Server(
                name=ServerName("julia"),
                title="Julia (Jupyter and Pluto)",
                build=Build(),
                mounts=(
                    Mount(PurePosixPath("/srv/coursefiles"), PurePosixPath("/home/jovyan/work/coursefiles")),
                ),
                warm=Warm(
                    kernels={"julia": 1},
                    schedule=(Lecture((0, 1, 2, 3, 4), TimeOfDay(8, 45), TimeOfDay(18, 0), 20),),
                ),
            ),
        ),
        apply=Apply(window=Window(TimeOfDay(3, 0), TimeOfDay(5, 0))),
    )


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    assert read(SHIPPED.read_bytes()) == Config()


@pytest.mark.parametrize("section", ["tls", "hub", "nginx", "metrics", "apply"])
def test_a_section_with_everything_commented_out_is_the_default(section: str) -> None:
    assert read(f"{section}:\n  # nothing here\n") == Config()


def test_no_keys_at_all_are_the_defaults() -> None:
    assert read("{}") == Config()


def test_every_key_arrives() -> None:
    text = """
host: hub.example.org
tls: {mode: files, certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key}
hub:
  admins: [ada, "4711", zoë@example.org]
  authenticator: github
  signup: closed
  ask_email: false
  passwords: {min_length: 12, check_common: false, max_failed_logins: 3, lockout: 1h30m}
  landing: /git-pull?repo=x&branch=main
  stop_idle_after: 0
  database: postgresql://hub@db.example.org:5432/hub
  database_password_file: /etc/hubagent/db
  traits: {GitHubOAuthenticator: {client_id: abc, client_secret_file: /etc/s, scope: [a, {b: null}], n: 1.5}}
servers:
  r:
    image: registry.example.org:5000/r/lab:4@sha256:%s
    memory: 1536M
    cpus: 0.5
    processes: 100
    home: /home/user
    volume: r-{username}
    mounts: [{from: /srv/a b, to: /data, mode: rw}]
    environment: {ONE: 1, VERSION: 1.10, TEXT: " a=b;\\n", EMPTY: ""}
  julia:
    title: Julia
    build: {base: ubuntu, julia: 1.10, packages: [], sysimage: never, apt: [ffmpeg], pip: [nbgitpuller==1.2]}
    warm: {ready: 0, max: 0, kernels: {}, pluto: no}
nginx: {max_body: 1g, websocket_drain: 30m}
metrics: {listen: "[::1]:9000", tls: {certificate: /c, key: /k}}
apply: {disruptive: always, drift: warn}
""" % ("a" * 64)
    config = read(text.replace("pluto: no", "pluto: false"))
    assert config.tls == Tls(TlsMode.FILES, PurePosixPath("/etc/ssl/a.pem"), PurePosixPath("/etc/ssl/a.key"))
    assert config.hub == Hub(
        admins=(Username("ada"), Username("4711"), Username("zoë@example.org")),
        authenticator="github",
        signup=Signup.CLOSED,
        ask_email=False,
        passwords=Passwords(12, check_common=False, max_failed_logins=3, lockout_s=5400.0),
        landing="/git-pull?repo=x&branch=main",
        stop_idle_after_s=0.0,
        database="postgresql://hub@db.example.org:5432/hub",
        database_password_file=PurePosixPath("/etc/hubagent/db"),
        traits={
            "GitHubOAuthenticator": {
                "client_id": "abc",
                "client_secret_file": "/etc/s",
                "scope": ["a", {"b": None}],
                "n": 1.5,
            }
        },
    )
    r, julia = config.servers
    assert r == Server(
        name=ServerName("r"),
        title="r",
        image=f"registry.example.org:5000/r/lab:4@sha256:{'a' * 64}",
        memory_bytes=1536 * 1024**2,
        cpus=0.5,
        processes=100,
        home=PurePosixPath("/home/user"),
        volume="r-{username}",
        mounts=(Mount(PurePosixPath("/srv/a b"), PurePosixPath("/data"), MountMode.READ_WRITE),),
        environment={"ONE": "1", "VERSION": "1.10", "TEXT": " a=b;\n", "EMPTY": ""},
    )
    assert julia.build is not None
    assert (julia.build.julia, julia.build.packages, julia.build.apt) == ("1.10", (), ("ffmpeg",))
    assert julia.warm == Warm(ready=0, max=0, kernels={}, pluto=False)
    assert config.nginx == Nginx(max_body_bytes=1024**3, websocket_drain_s=1800.0)
    assert config.metrics.listen == ListenAddress("::1", 9000)
    assert config.metrics.tls == MetricsTls(PurePosixPath("/c"), PurePosixPath("/k"))


def test_a_server_needs_only_its_name() -> None:
    (server,) = read("servers:\n  plain:\n").servers
    assert server == Server(name=ServerName("plain"), title="plain")


def test_the_order_of_servers_is_kept() -> None:
    assert [server.name for server in read("servers: {z: {}, a: {}, m: {}}").servers] == ["z", "a", "m"]


def test_five_hundred_servers_load_well_under_a_second() -> None:
    entry = (
        "    title: A title\n    image: registry.example.org/course/image:1\n    memory: 4G\n    cpus: 2\n   "
        " mounts:\n      - {from: /srv/coursefiles, to: /home/jovyan/work/c}\n    environment: {A: b, C: d}\n"
    )
    text = "servers:\n" + "".join(f"  s{i}:\n{entry}" for i in range(500))
    assert len(text) > 100_000
    started = time.process_time()
    assert len(read(text).servers) == 500
    assert time.process_time() - started < 0.9
