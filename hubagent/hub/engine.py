"""What the spawner asks of Docker, over the one gateway that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from logging import Logger, LoggerAdapter
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from hubagent.hub.containers import Container, Image, file_in_archive, home_owner, ownership_archive
from hubagent.hub.docker_faults import DOCKER_ERRORS, failure, is_absent, missing_image

Gateway: TypeAlias = Callable[..., Awaitable[Any]]
"""`gateway(method, *args, **kwargs)` calls a method of docker.APIClient."""

Log: TypeAlias = Logger | LoggerAdapter[Any]


class Engine:
    """Containers by name or id. Methods raise docker_faults.DOCKER_ERRORS unless they say otherwise."""

    def __init__(self, gateway: Gateway, log: Log) -> None:
        self._docker = gateway
        self._log = log

    async def image(self, name: str) -> Image:
        """Raises SpawnException when the image is not on this machine: nothing is ever pulled at a start."""
        try:
            return Image.from_inspection(await self._docker("inspect_image", name))
        except DOCKER_ERRORS as error:
            if is_absent(error):
                raise missing_image(name) from error
            raise

    async def inspect(self, container: str) -> Mapping[str, Any] | None:
        """None when Docker says that there is no such container; not when it cannot tell."""
        try:
            inspection: Mapping[str, Any] = await self._docker("inspect_container", container)
        except DOCKER_ERRORS as error:
            if is_absent(error):
                return None
            raise
        return inspection

    async def create(self, container: Container, image: Image, arguments: Mapping[str, Any]) -> str:
        """The new container's id. A home that is new belongs to the image's user.

        Raises SpawnException when the home cannot be given to that user.
        """
        fresh_volume = not await self._volume_exists(container.volume)
        identifier: str = (await self._docker("create_container", **arguments))["Id"]
        if fresh_volume and not image.starts_as_root:
            try:
                await self._give_home(identifier, container, image)
            except BaseException:
                await self.remove_quietly(identifier)
                await self._remove_volume(container.volume)  # it is empty; the next start shall try again
                raise
        return identifier

    async def start(self, container: str) -> None:
        await self._docker("start", container)

    async def stop(self, container: str) -> None:
        """End the container by SIGTERM, after 10 s by SIGKILL. An absent one is fine."""
        try:
            await self._docker("stop", container)
        except DOCKER_ERRORS as error:
            if not is_absent(error):
                raise

    async def remove(self, container: str) -> None:
        """Remove the container, running or not. An absent one, or one that is being removed, is fine."""
        try:
            await self._docker("remove_container", container, force=True)
        except DOCKER_ERRORS as error:
            if not is_absent(error) and getattr(error, "status_code", None) != 409:
                raise

    async def remove_quietly(self, container: str) -> None:
        """After a failure: what cannot be removed now is removed by the next start."""
        try:
            await self.remove(container)
        except DOCKER_ERRORS as error:
            self._log.warning("Cannot remove %s after its failed start: %s", container, error)

    async def output(self, container: str, *, lines: int) -> str:
        output: bytes = await self._docker("logs", container, tail=lines)
        return output.decode(errors="replace")

    async def _volume_exists(self, name: str) -> bool:
        try:
            await self._docker("inspect_volume", name)
        except DOCKER_ERRORS as error:
            if is_absent(error):
                return False
            raise
        return True

    async def _give_home(self, identifier: str, container: Container, image: Image) -> None:
        """Where the image has the folder, Docker has copied its owner to the new volume. Where it has not,
        the volume belongs to root, and nothing could be saved in it."""
        name, home = container.definition.image, container.definition.home
        owner = home_owner(image.user, await self._passwd(identifier))
        if owner is None:
            raise failure(
                f"Image {name} runs as {image.user!r}, whom its /etc/passwd does not know.", reason="image"
            )
        parent = str(PurePosixPath(home).parent)
        if not await self._docker("put_archive", identifier, parent, ownership_archive(home, owner)):
            raise failure(f"Image {name} does not let {home} be the home of {image.user!r}.", reason="image")

    async def _passwd(self, identifier: str) -> str:
        try:
            stream, _ = await self._docker("get_archive", identifier, "/etc/passwd")
        except DOCKER_ERRORS as error:
            if is_absent(error):
                return ""
            raise
        return file_in_archive(await asyncio.to_thread(b"".join, stream))

    async def _remove_volume(self, name: str) -> None:
        try:
            await self._docker("remove_volume", name)
        except DOCKER_ERRORS as error:
            self._log.warning("Cannot remove the unused volume %s: %s", name, error)


def address(inspection: Mapping[str, Any]) -> str:
    """The container's IP address on its network; empty while it does not run."""
    networks: Mapping[str, Mapping[str, Any]] = inspection["NetworkSettings"]["Networks"]
    return next((str(network["IPAddress"]) for network in networks.values() if network["IPAddress"]), "")
