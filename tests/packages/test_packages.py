"""What is in the Debian packages, and what their scripts may do."""

from __future__ import annotations

import ast
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hubagent
from hubagent.converge import observe
from tests.packages.debs import NAMES, ROOT, Deb

MODULES = "/usr/lib/python3/dist-packages"
HUB = "/usr/lib/hubagent-jupyterhub"
PROXY = "/usr/lib/hubagent-proxy"
PYTHONS = ("3.11", "3.13")


def test_packages_have_one_version_everywhere(debs: dict[str, Deb]) -> None:
    changelog = subprocess.check_output(
        ["dpkg-parsechangelog", "-l", "packaging/debian/changelog", "-S", "Version"], cwd=ROOT, text=True
    ).strip()
    assert changelog == hubagent.__version__
    assert {deb.field("Version") for deb in debs.values()} == {changelog}


def test_agent_has_all_its_modules_and_none_of_the_hub_or_the_guest(agent: Deb) -> None:
    here = {
        f"{MODULES}/{path.relative_to(ROOT)}"
        for path in (ROOT / "hubagent").rglob("*.py")
        if not {"hub", "guest"} & set(path.relative_to(ROOT / "hubagent").parts[:-1])
    }
    assert {path for path in agent.files() if path.startswith(MODULES)} == here


def test_hub_code_is_in_the_environment_whole(hub: Deb) -> None:
    there = f"{HUB}/share/python/hubagent"
    here = {
        f"{there}/{path.relative_to(ROOT / 'hubagent')}"
        for package in ("codec", "hub", "traits", "wire")
        for path in (ROOT / "hubagent" / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in hub.files() if path.startswith(f"{there}/")} == here | {
        f"{there}/{name}.py"
        for name in (
            "__init__",
            "backoff",
            "errors",
            "hub_documents",
            "layout",
            "log_priority",
            "naming",
            "request_log",
        )
    }


def test_agent_ships_units_configuration_and_pages(agent: Deb) -> None:
    units = {f"/lib/systemd/system/{path.name}" for path in (ROOT / "units").glob("*.service")}
    shared = {
        f"/usr/share/hubagent/{path.relative_to(ROOT / 'conf')}"
        for path in (ROOT / "conf").rglob("*")
        if path.is_file()
    }
    pages = {
        "/usr/share/man/man8/hubagent.8.gz",
        "/usr/share/man/man5/hubagent.yaml.5.gz",
        "/usr/share/bash-completion/completions/hubagent",
    }
    assert units | shared | pages <= agent.files()
    # Not the configuration: an upgrade would ask about an edited one, and fail where nobody answers.
    assert agent.control("conffiles").split() == ["/etc/needrestart/conf.d/hubagent.conf"]
    assert "/etc/hubagent.yaml" not in agent.files()


def test_environment_serves_both_pythons(hub: Deb) -> None:
    files = hub.files()
    for python in PYTHONS:
        site_packages = f"{HUB}/lib/python{python}/site-packages"
        tag = f".cpython-{python.replace('.', '')}-"
        extensions = {path for path in files if path.startswith(site_packages) and path.endswith(".so")}
        assert extensions
        assert all(tag in path or path.endswith(".abi3.so") for path in extensions)
        assert hub.read(f"{site_packages}/hubagent-jupyterhub.pth").split() == [
            f"{HUB}/lib/python3/site-packages",
            f"{HUB}/share/python",
        ]
    shared = {path for path in files if path.startswith(f"{HUB}/lib/python3/") and path.endswith(".so")}
    assert all(path.endswith(".abi3.so") for path in shared)
    assert not [path for path in files if path.endswith(".pyc")]
    assert f"{HUB}/share/jupyterhub/static/css/style.min.css" in files
    assert posixpath.normpath(f"{HUB}/bin/{hub.members[f'{HUB}/bin/python3'].linkname}") == "/usr/bin/python3"
    for script in ("jupyterhub", "jupyterhub-idle-culler"):
        assert hub.read(f"{HUB}/bin/{script}").startswith(f"#!{HUB}/bin/python3\n")
        assert hub.members[f"{HUB}/bin/{script}"].mode & 0o111 == 0o111


def test_two_distributions_do_not_share_a_folder_across_the_parts(hub: Deb) -> None:
    def top(part: str) -> set[str]:
        start = f"{HUB}/lib/{part}/site-packages/"
        return {path.removeprefix(start).split("/")[0] for path in hub.files() if path.startswith(start)}

    for python in PYTHONS:
        assert not top("python3") & top(f"python{python}")


def test_only_the_agent_and_what_serves_it_are_started(debs: dict[str, Deb]) -> None:
    started = re.findall(
        r"deb-systemd-invoke \S+ (.*?)(?: >|$)", debs["hubagent"].control("postinst"), re.MULTILINE
    )
    assert started == ["'hubagent-firewall-watch.service' 'hubagent-homes.service' 'hubagent.service'"]
    for name in ("hubagent-jupyterhub", "hubagent-proxy"):
        assert "systemd" not in debs[name].control("postinst") + debs[name].control("prerm")


@pytest.mark.parametrize("name", NAMES)
def test_scripts_use_no_network(debs: dict[str, Deb], name: str) -> None:
    for script in ("preinst", "postinst", "prerm", "postrm"):
        text = debs[name].control(script)
        assert not re.search(r"\b(pip|npm|npx|curl|wget|apt|apt-get|git)\b|://|docker pull", text), script


def test_everything_imported_is_a_dependency(agent: Deb) -> None:
    """Or suggested, where the program goes on without it."""
    imported, optional = set(), set()
    for path in (ROOT / "hubagent").rglob("*.py"):
        if {"hub", "guest"} & set(path.relative_to(ROOT / "hubagent").parts[:-1]):
            continue  # these run on other Pythons than the agent's
        tree = ast.parse(path.read_text())
        guarded = frozenset(guarded_imports(tree))
        for node in ast.walk(tree):
            found = optional if node in guarded else imported
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    needed, wanted = debian_names(imported), debian_names(optional)
    assert needed
    assert needed <= agent.dependencies
    assert wanted <= agent.dependencies | agent.suggestions


def guarded_imports(tree: ast.AST) -> Iterator[ast.stmt]:
    """Statements of blocks that go on without what cannot be imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(
            isinstance(one.type, ast.Name) and one.type.id == "ImportError" for one in node.handlers
        ):
            yield from node.body


def debian_names(modules: set[str]) -> set[str]:
    foreign = modules - set(sys.stdlib_module_names) - {"hubagent"}
    return {f"python3-{name.replace('_', '-')}" for name in foreign}


def test_parts_that_run_say_which_build_they_are(hub: Deb, proxy: Deb) -> None:
    releases = [
        observe.parse_release(part.read(f"/usr/lib/{name}/release"))
        for part, name in ((hub, "hubagent-jupyterhub"), (proxy, "hubagent-proxy"))
    ]
    assert [one.version if one else None for one in releases] == [hubagent.__version__] * 2
    assert len({one.digest for one in releases if one}) == 2


def test_parts_are_of_one_version(agent: Deb) -> None:
    depends, version = agent.field("Depends"), hubagent.__version__
    for part in ("hubagent-jupyterhub", "hubagent-proxy"):
        assert f"{part} (>= {version})" in depends
        assert f"{part} (<< {version}.1~)" in depends


def test_shell_scripts_are_clean(agent: Deb, tmp_path: Path) -> None:
    scripts = [
        path
        for folder in ("packaging", "units")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and re.match(rb"#!/bin/(ba)?sh\b", path.read_bytes()[:20])
    ]
    for name in ("postinst", "prerm", "postrm"):
        script = tmp_path / name
        script.write_text(agent.control(name))
        scripts.append(script)
    assert len(scripts) > 10
    # The last is in what debhelper writes, and harmless there.
    done = subprocess.run(
        ["shellcheck", "--exclude=SC2162", *map(str, scripts)], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout


def test_needrestart_leaves_alone_what_users_work_through() -> None:
    program = (
        "our %nrconf; do $ARGV[0]; die $@ if $@;"
        'for my $rc (@ARGV[1..$#ARGV]) { my $answer = "ask";'
        "for (keys %{$nrconf{override_rc}}) { $answer = $nrconf{override_rc}->{$_} if $rc =~ /$_/ }"
        'print "$rc $answer\\n" }'
    )
    names = ["jupyterhub.service", "configurable-http-proxy.service", "docker.service", "hubagent.service"]
    answers = subprocess.check_output(
        ["perl", "-e", program, str(ROOT / "packaging/hubagent/needrestart.conf"), *names], text=True
    )
    assert answers.split("\n")[:-1] == [f"{name} 0" for name in names[:3]] + ["hubagent.service ask"]
