"""What is kept of images, in Layout.images: proofs by image id, what was rolled out, the logs of builds."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.codec import Codec, CodecError
from hubagent.errors import StorageError
from hubagent.layout import Layout
from hubagent.ports import FileStore

log = logging.getLogger(__name__)

_ROLLOUTS_FILE: Final = "rollouts.json"
_ROLLOUTS: Final = Codec(dict[str, tuple[str, ...]], strict=False)
_MAX_BYTES: Final = wire.MAX_BYTES


class Store:
    """Reads what is on the disk once, and answers from memory; any thread may ask."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._files = files
        self._folder = layout.images
        self._proofs: dict[str, wire.Proof] = {}
        self._rollouts: dict[str, tuple[str, ...]] = {}

    def load(self) -> None:
        """Raises StorageError when the folder cannot be used. A file that is no proof counts as absent."""
        self._files.make_dir(self._folder, mode=0o700)
        for name in self._files.list_dir(self._folder):
            image, is_json, _ = name.partition(".json")
            if is_json and name != _ROLLOUTS_FILE:
                proof = self._read_proof(self._folder / name)
                if proof is not None:
                    self._proofs[f"sha256:{image}"] = proof
        self._rollouts = self._read_rollouts()

    def proof(self, image: str) -> wire.Proof | None:
        return self._proofs.get(image)

    def add_proof(self, image: str, proof: wire.Proof) -> None:
        self._files.write(self._proof_file(image), wire.to_json(proof) + b"\n", mode=0o600)
        self._proofs[image] = proof

    def rolled_out(self, server: str) -> tuple[str, ...]:
        """Ids of the images that this server's users were given, newest first; all were proven."""
        return self._rollouts.get(server, ())

    def servers(self) -> tuple[str, ...]:
        """Those that anything was rolled out for, also when the configuration no longer has them."""
        return tuple(self._rollouts)

    def roll_out(self, server: str, image: str) -> None:
        history = (image, *(one for one in self.rolled_out(server) if one != image))
        self._write_rollouts({**self._rollouts, server: history})

    def forget(self, images: Collection[str]) -> None:
        """These are no longer on this machine."""
        gone = frozenset(images)
        for image in gone & self._proofs.keys():
            self._files.remove(self._proof_file(image))
            del self._proofs[image]
        kept = {
            server: tuple(one for one in history if one not in gone)
            for server, history in self._rollouts.items()
        }
        if kept != self._rollouts:
            self._write_rollouts({server: history for server, history in kept.items() if history})

    def known(self) -> frozenset[str]:
        """Every id that anything is kept of."""
        return frozenset(self._proofs).union(*self._rollouts.values())

    def log_file(self, tag: str) -> Path:
        return self._folder / f"{tag.replace('/', '-').replace(':', '-')}.log"

    def write_log(self, tag: str, text: bytes) -> None:
        self._files.write(self.log_file(tag), text, mode=0o600)

    def keep_logs(self, tags: Collection[str]) -> None:
        """Remove the logs of all other builds."""
        wanted = {self.log_file(tag).name for tag in tags}
        for name in self._files.list_dir(self._folder):
            if name.endswith(".log") and name not in wanted:
                self._files.remove(self._folder / name)

    def _proof_file(self, image: str) -> Path:
        return self._folder / f"{image.removeprefix('sha256:')}.json"

    def _read_proof(self, path: Path) -> wire.Proof | None:
        try:
            state = self._files.read(path, max_bytes=_MAX_BYTES)
            return None if state is None else wire.from_json(state.content, wire.Proof)
        except (StorageError, wire.WireError) as error:
            log.warning("%s: is not a proof, the image is proven again: %s", path, error)
            return None

    def _read_rollouts(self) -> dict[str, tuple[str, ...]]:
        state = self._files.read(self._folder / _ROLLOUTS_FILE, max_bytes=_MAX_BYTES)
        try:
            return {} if state is None else dict(_ROLLOUTS.loads(state.content))
        except CodecError as error:
            log.warning("%s: cannot be used: %s", self._folder / _ROLLOUTS_FILE, error)
            return {}

    def _write_rollouts(self, rollouts: Mapping[str, tuple[str, ...]]) -> None:
        known = dict(rollouts)
        self._files.write(self._folder / _ROLLOUTS_FILE, _ROLLOUTS.dumps(known) + b"\n", mode=0o600)
        self._rollouts = known
