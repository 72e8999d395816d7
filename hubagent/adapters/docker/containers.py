"""`pool.ports.Containers` over Docker's socket. Calls of different threads run side by side."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

import docker.errors

from hubagent.adapters.docker.client import DOCKER_SOCKET, DockerClient
from hubagent.adapters.docker.container_arguments import create_arguments, may_raise_limits
from hubagent.errors import ContainerError, NameTakenError
from hubagent.pool.ports import ContainerFacts, ContainerSpec, ImageFacts, VolumeFacts

QUICK_S: Final = 10
"""Deadline of a question, and of new limits (seconds)."""

SLOW_S: Final = 60
"""Deadline of what Docker may work on: a new volume is filled with the image's content (seconds)."""

MAX_FILE_BYTES: Final = 1024 * 1024
"""The largest file that is read out of a container."""

_RUNS: Final = frozenset({"running", "paused", "restarting"})
"""What a list calls states in which an inspection says `Running`."""

_GONE_S: Final = 10.0
_PAUSE_S: Final = 0.05

_Answer = TypeVar("_Answer")


class DockerContainers:
    """Containers, images and volumes by Docker's SDK. See `pool.ports.Containers`."""

    def __init__(
        self,
        base_url: str = DOCKER_SOCKET,
        *,
        quick_s: int = QUICK_S,
        slow_s: int = SLOW_S,
        nice: bool | None = None,
    ) -> None:
        """`nice`: containers get container_arguments.NICE; None: if this machine lets them."""
        self._nice = may_raise_limits() if nice is None else nice
        self._quick = DockerClient(base_url, timeout_s=quick_s)
        self._slow = DockerClient(base_url, timeout_s=slow_s)

    def close(self) -> None:
        self._quick.close()
        self._slow.close()

    def image(self, name: str) -> ImageFacts | None:
        def facts(client: Any) -> ImageFacts:
            found = client.inspect_image(name)
            config = found.get("Config") or {}
            return ImageFacts(found["Id"], config.get("User") or "", tuple(config.get("Cmd") or ()))

        return self._quick.call(f"cannot look up the image {name}", _or_none(facts))

    def create(self, spec: ContainerSpec) -> str:
        try:
            arguments = create_arguments(spec, nice=self._nice)
        except (TypeError, ValueError, docker.errors.DockerException) as error:
            raise ContainerError(f"cannot create {spec.name}: {error}") from error

        def create(client: Any) -> str:
            try:
                return str(client.create_container(**arguments)["Id"])
            except TypeError as error:
                raise ContainerError(f"cannot create {spec.name}: {error}") from error
            except docker.errors.APIError as error:
                if error.status_code == 409 and "already in use" in str(error.explanation):
                    raise NameTakenError(f"cannot create {spec.name}: the name is in use") from error
                raise

        return self._slow.call(f"cannot create {spec.name}", create)

    def start(self, container: str) -> None:
        self._slow.call(f"cannot start {container}", lambda client: client.start(container))

    def inspect(self, container: str) -> ContainerFacts | None:
        return self._quick.call(
            f"cannot inspect {container}",
            _or_none(lambda client: _from_inspection(client.inspect_container(container))),
        )

    def list(self, *, label: str) -> tuple[ContainerFacts, ...]:
        found = self._quick.call(
            "cannot list the containers", lambda client: client.containers(all=True, filters={"label": label})
        )
        return tuple(_from_list(facts) for facts in found)

    def weigh(self, container: str, *, cpu_shares: int) -> None:
        self._quick.call(
            f"cannot change the weight of {container}",
            lambda client: client.update_container(container, cpu_shares=cpu_shares),
        )

    def stop(self, container: str, *, timeout_s: int) -> None:
        self._slow.call(
            f"cannot stop {container}", _or_none(lambda client: client.stop(container, timeout=timeout_s))
        )

    def remove(self, container: str) -> None:
        def remove(client: Any) -> bool:
            """False while somebody else's removal is in progress."""
            try:
                client.remove_container(container, force=True, v=True)  # v: the nameless volumes of its image
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code == 409:
                    return False
                raise
            return True

        if self._slow.call(f"cannot remove {container}", remove):
            return
        deadline_s = time.monotonic() + _GONE_S
        while self.inspect(container) is not None:
            if time.monotonic() > deadline_s:
                raise ContainerError(
                    f"cannot remove {container}: its removal is in progress but does not finish"
                )
            time.sleep(_PAUSE_S)

    def output(self, container: str, *, lines: int) -> str:
        output: bytes = self._quick.call(
            f"cannot read the output of {container}", lambda client: client.logs(container, tail=lines)
        )
        return output.decode(errors="replace")

    def run(self, container: str, command: tuple[str, ...], *, timeout_s: float) -> int:
        what = f"cannot run {command[0]} in {container}"
        begun = self._quick.call(what, lambda client: client.exec_create(container, list(command))["Id"])
        self._quick.call(what, lambda client: client.exec_start(begun, detach=True))
        deadline_s = time.monotonic() + timeout_s
        while True:
            facts = self._quick.call(what, lambda client: client.exec_inspect(begun))
            if not facts["Running"] and facts["ExitCode"] is not None:
                return int(facts["ExitCode"])
            if time.monotonic() > deadline_s:
                raise ContainerError(f"{what}: it did not finish within {timeout_s:g} s")
            time.sleep(_PAUSE_S)

    def memory_bytes(self, container: str) -> int | None:
        found = self._statistics(container)
        return None if found is None else _without_cache(found.get("memory_stats") or {})

    def processor_s(self, container: str) -> float | None:
        found = self._statistics(container)
        used_ns = ((found or {}).get("cpu_stats") or {}).get("cpu_usage", {}).get("total_usage", 0)
        return used_ns / 1e9 or None  # all is 0 for one that does not run

    def _statistics(self, container: str) -> Mapping[str, Any] | None:
        def ask(client: Any) -> Mapping[str, Any]:
            # The SDK's own `stats` waits for a second sample, a second later. `one-shot` is API 1.41.
            url = client._url("/containers/{0}/stats", container)
            answer = client._get(url, params={"stream": False, "one-shot": True})
            found: Mapping[str, Any] = client._result(answer, json=True)
            return found

        return self._quick.call(f"cannot ask what {container} uses", _or_none(ask))

    def volume(self, name: str) -> VolumeFacts | None:
        return self._quick.call(
            f"cannot look up the volume {name}",
            _or_none(lambda client: _volume(client.inspect_volume(name))),
        )

    def volume_path(self, name: str) -> str | None:
        return self._quick.call(
            f"cannot look up the volume {name}",
            _or_none(lambda client: _mountpoint(client.inspect_volume(name))),
        )

    def volume_labels(self) -> Mapping[str, Mapping[str, str]]:
        found = self._quick.call("cannot list the volumes", lambda client: client.volumes())
        return {facts["Name"]: dict(facts.get("Labels") or {}) for facts in found["Volumes"] or ()}

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self._slow.call(
            f"cannot create the volume {name}", lambda client: client.create_volume(name, labels=dict(labels))
        )

    def remove_volume(self, name: str) -> None:
        self._slow.call(
            f"cannot remove the volume {name}", _or_none(lambda client: client.remove_volume(name))
        )

    def read_file(self, container: str, path: str) -> bytes | None:
        def read(client: Any) -> bytes | None:
            chunks, _ = client.get_archive(container, path)
            return _first_file(chunks, f"{path} of {container}")

        return self._quick.call(f"cannot read {path} of {container}", _or_none(read))

    def own_folder(self, container: str, path: str, owner: tuple[int, int]) -> None:
        parent = str(PurePosixPath(path).parent)
        content = _ownership_archive(path, owner)
        if not self._quick.call(
            f"cannot give {path} of {container} to {owner[0]}:{owner[1]}",
            lambda client: client.put_archive(container, parent, content),
        ):
            raise ContainerError(
                f"cannot give {path} of {container} to {owner[0]}:{owner[1]}: Docker does not say why"
            )


def _or_none(call: Callable[[Any], _Answer]) -> Callable[[Any], _Answer | None]:
    """`call`, but None when Docker says that there is no such thing (and not when it cannot tell)."""

    def answer(client: Any) -> _Answer | None:
        try:
            return call(client)
        except docker.errors.NotFound:
            return None

    return answer


def _from_inspection(found: Mapping[str, Any]) -> ContainerFacts:
    state = found["State"]
    return ContainerFacts(
        id=found["Id"],
        name=found["Name"].removeprefix("/"),
        image_id=found["Image"],
        labels=dict(found["Config"]["Labels"] or {}),
        running=bool(state["Running"]),
        exit_code=int(state["ExitCode"]),
        out_of_memory=bool(state.get("OOMKilled")),
        address=_address(found),
        created_s=datetime.fromisoformat(f"{found['Created'][:19]}+00:00").timestamp(),
    )


def _from_list(found: Mapping[str, Any]) -> ContainerFacts:
    return ContainerFacts(
        id=found["Id"],
        name=found["Names"][0].removeprefix("/") if found["Names"] else "",
        image_id=found["ImageID"],
        labels=dict(found["Labels"] or {}),
        running=found["State"] in _RUNS,
        exit_code=0,  # a list does not tell
        out_of_memory=False,
        address=_address(found),
        created_s=float(found["Created"]),
    )


def _address(found: Mapping[str, Any]) -> str:
    """On its network; empty while it does not run."""
    networks: Mapping[str, Mapping[str, Any]] = (found.get("NetworkSettings") or {}).get("Networks") or {}
    return next((str(network["IPAddress"]) for network in networks.values() if network["IPAddress"]), "")


def _volume(found: Mapping[str, Any]) -> VolumeFacts:
    # Drivers other than Docker's own need not say when; such a volume counts as older than any account.
    created = found.get("CreatedAt")
    return VolumeFacts(
        name=found["Name"],
        path=_mountpoint(found),
        labels=dict(found.get("Labels") or {}),
        created_s=datetime.fromisoformat(created).timestamp() if created else 0.0,
    )


def _mountpoint(found: Mapping[str, Any]) -> str:
    """Empty for a volume that Docker mounts only while a container uses it, such as one on NFS."""
    plain = found["Driver"] == "local" and not found.get("Options")
    return str(found["Mountpoint"]) if plain else ""


def _without_cache(memory: Mapping[str, Any]) -> int | None:
    """As `docker stats` counts: without the page cache that can be taken back at once."""
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))  # cgroups v1, v2
    return max(0, int(memory["usage"]) - int(cache))


def _first_file(chunks: Iterable[bytes], what: str) -> bytes | None:
    """The content of the first regular file in a tar archive; None when there is none."""
    buffer = io.BytesIO()
    for chunk in chunks:
        buffer.write(chunk)
        if buffer.tell() > MAX_FILE_BYTES + tarfile.RECORDSIZE:
            raise ContainerError(f"cannot read {what}: larger than {MAX_FILE_BYTES} bytes")
    buffer.seek(0)
    try:
        with tarfile.open(fileobj=buffer) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    return file.read()
    except tarfile.TarError as error:
        raise ContainerError(f"cannot read {what}: {error}") from error
    return None


def _ownership_archive(folder: str, owner: tuple[int, int]) -> bytes:
    """A tar archive that gives a folder this owner and group, mode 0755, when unpacked in its parent.

    (Docker passes over an entry for the very folder in which it unpacks.)
    """
    entry = tarfile.TarInfo(PurePosixPath(folder).name)
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o755
    entry.uid, entry.gid = owner
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry)
    return buffer.getvalue()
