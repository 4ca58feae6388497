"""Artifacts of a run as W&B's: a manifest with MD5s, and links by which `wandb sync` finds the files.

W&B's uploader removes what it has uploaded, so that it is given links of its own. What lies outside the run's folder,
or is larger than what can be read while a sink is waited for, becomes a reference.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from burnish.core.shape import section
from burnish.journal import Record
from burnish.sinks.wandb import records
from burnish.sinks.wandb.media import Missing
from burnish.sinks.wandb.records import ArtifactFields, Entry, Identity

STAGING: Final = "artifacts"
MOST_BYTES: Final = 4 << 30
"""The size up to which an artifact is uploaded: reading so much for its MD5 takes some ten seconds."""
_MANIFEST_HEAD: Final = b"wandb-artifact-manifest-v1\n"
_LONGEST_NAME: Final = 128
_CLIENT_ID_DIGITS: Final = 128
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_RESERVED: Final = {"job": "", "run_table": "run-", "code": "source-"}  # beginnings of names, by type
_CODE_FILES: Final = ("code.diff", "config.yaml", "origins.json", "card.md", "card.json", "requirements.lock")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Makes the records of artifacts of one run.

    Attributes:
        run: The run's folder.
        staging: Where links for the uploader are laid.
        identity: How W&B knows the run.
    """

    run: Path
    staging: Path
    identity: Identity

    def made(self, record: Record) -> tuple[bytes, list[str]]:
        """Return an artifact that the run made, and what of it W&B cannot hold.

        Raises:
            Missing: Its files are not there.
        """
        told = record.payload
        name = _name(record.key)
        kind = _type(str(told.get("kind") or "file"), name)
        lost = ["artifact names"] * (name != record.key) + ["artifact types"] * (kind != told.get("kind"))
        path, size = Path(str(told["path"])), told.get("bytes")
        where = self.run / path
        if not where.exists():
            raise Missing(str(path))
        inside = not path.is_absolute() and where.resolve().is_relative_to(self.run.resolve())
        is_large = isinstance(size, int) and size > MOST_BYTES
        if inside and not is_large:
            entries = self._linked(where, str(told.get("sha256")))
        else:
            entries = [_reference(where)]
            lost.append("artifacts over 4 GiB, by reference" if is_large else "artifacts outside, by reference")
        about = {**section(told, "metadata"), "burnish": {"sha256": told.get("sha256"), "run": self.run.name}}
        step = () if record.step is None else (f"step-{record.step}",)
        return self._record(name, kind, entries, about, aliases=("latest", *step)), lost

    def table(self, key: str, number: int, content: bytes) -> tuple[bytes, dict[str, object]]:
        """Return the artifact in which W&B keeps a table, and the parts of the value that point to it."""
        safe = _name(key)
        name = _name(f"run-{self.identity.id}-{safe}")
        target = self.staging / f"table-{number}.table.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        file = f"{safe}.table.json"
        entry = Entry(file, _base64(hashlib.md5(content, usedforsecurity=False).digest()), len(content), str(target))
        record = self._record(name, "run_table", [entry], {}, mark=str(number))
        client, sequence = self._client_id(name, _digest([entry]), str(number)), self._client_id(name)
        latest = f"wandb-client-artifact://{sequence}:latest/{file}"
        return record, {"artifact_path": f"wandb-client-artifact://{client}/{file}", "_latest_artifact_path": latest}

    def code(self, experiment: str, facts: Mapping[str, object]) -> bytes:
        """Return the code as it was: what the run's folder keeps of it; nothing where it keeps nothing."""
        found = [self.run / name for name in _CODE_FILES if (self.run / name).is_file()]
        if not found:
            return b""
        entries = [self._copied(path) for path in found]
        name = _name(f"source-{self.identity.project}-{experiment}")
        return self._record(name, "code", entries, facts)

    def _record(
        self,
        name: str,
        kind: str,
        entries: list[Entry],
        metadata: Mapping[str, object],
        *,
        aliases: tuple[str, ...] = ("latest",),
        mark: str = "",
    ) -> bytes:
        digest = _digest(entries)
        ids = (self._client_id(name, digest, mark), self._client_id(name))
        return records.artifact(
            self.identity, ArtifactFields(name, kind, digest, *ids, metadata=metadata, aliases=aliases), entries
        )

    def _linked(self, where: Path, digest: str) -> list[Entry]:
        """Return the files of an artifact in the run's folder; links that lead out of it are left out."""
        if where.is_file():
            return [self._staged(where, where.name, digest[:20])]
        paths = sorted(path for path in where.rglob("*") if path.is_file())
        root = self.run.resolve()
        return [
            self._staged(path, path.relative_to(where).as_posix(), digest[:20])
            for path in paths
            if path.resolve().is_relative_to(root)
        ]

    def _staged(self, source: Path, name: str, folder: str) -> Entry:
        """Return a file of an artifact, by a link that the uploader may remove."""
        target = self.staging / re.sub(r"[^\w-]", "_", folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(source.resolve())
        digest, size = _md5(source)
        return Entry(name, digest, size, str(target))

    def _copied(self, source: Path) -> Entry:
        """Return a small file that may be written anew before it is uploaded, as it is now."""
        content = source.read_bytes()
        target = self.staging / "code" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digest = _base64(hashlib.md5(content, usedforsecurity=False).digest())
        return Entry(source.name, digest, len(content), str(target))

    def _client_id(self, *words: str) -> str:
        """Return what W&B knows something by: the same for the same, so that what is sent twice is one."""
        seed = "\0".join((self.identity.entity, self.identity.project, self.identity.id, *words))
        number = int.from_bytes(hashlib.shake_256(seed.encode(errors="backslashreplace")).digest(96))
        digits = []
        for _ in range(_CLIENT_ID_DIGITS):
            number, digit = divmod(number, len(_ALPHABET))
            digits.append(_ALPHABET[digit])
        return "".join(digits)


def _reference(where: Path) -> Entry:
    """Return a file or folder that stays where it is."""
    uri = where.absolute().as_uri()
    digest = hashlib.md5(uri.encode(), usedforsecurity=False).digest()
    return Entry(where.name, _base64(digest), where.stat().st_size, ref=uri)


def _md5(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            return _base64(found.digest()), file.tell()
    except OSError as error:
        raise Missing(str(error)) from error


def _digest(entries: Iterable[Entry]) -> str:
    lines = "".join(f"{entry.path}:{entry.digest}\n" for entry in sorted(entries, key=lambda entry: entry.path))
    return hashlib.md5(_MANIFEST_HEAD + lines.encode(errors="backslashreplace"), usedforsecurity=False).hexdigest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _name(name: str) -> str:
    """Return a name that W&B takes for an artifact; one that had to be changed ends in a hash that keeps it apart."""
    safe = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
    if safe == name and 0 < len(name) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"{safe[: _LONGEST_NAME - 9]}-{mark}"


def _type(kind: str, name: str) -> str:
    """Return a type that W&B takes for a user's artifact of a name."""
    safe = re.sub(r"[^\w.-]", "-", kind, flags=re.ASCII)[:_LONGEST_NAME] or "file"
    reserved = _RESERVED.get(safe)
    is_reserved = safe.startswith("wandb-") or (reserved is not None and name.startswith(reserved))
    return f"user-{safe}"[:_LONGEST_NAME] if is_reserved else safe
