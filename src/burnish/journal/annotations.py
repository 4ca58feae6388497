"""What people say of a run after it was started: tags, notes, a pin, an earlier name.

It lies beside the record in `annotations.json`, because `run.json` belongs to the supervisor of a live run. Whoever
writes it holds `annotations.lock`, so that of two commands at once neither loses what the other said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from burnish.core.errors import StorageError, UsageError
from burnish.core.files import FileLock, read_json, write_json
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker
from burnish.core.shape import items, words

_FORMAT = 1
_LONGEST_TAG = 100
_END_OF_TIME = 253_402_300_800  # the year 10,000, which no date can show
# Steps by which a file's time is moved on, for file systems that keep nanoseconds, microseconds or two seconds.
_TICKS_NS = (1, 1_000, 2_000_000_000)


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a run.

    Attributes:
        time: Seconds since the epoch.
        author: The user's name on the machine; empty where unknown.
    """

    time: float
    text: str
    author: str = ""


@dataclass(frozen=True, slots=True)
class Annotations:
    """Everything that was said of one run by command.

    Attributes:
        tags_added: Tags besides those of the record.
        tags_removed: Tags that count no more, also where the record has them.
        pinned: Whether it must not be removed.
        named_before: The full names that it had before it was renamed, oldest first.
    """

    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    pinned: bool = False
    named_before: tuple[str, ...] = ()

    def tagged(self, add: Iterable[str], remove: Iterable[str] = ()) -> Annotations:
        """Return these with tags added and removed.

        >>> Annotations(("a",)).tagged(["b"], ["a"])
        Annotations(tags_added=('b',), tags_removed=('a',), notes=(), pinned=False, named_before=())
        """
        add, remove = tuple(add), tuple(remove)
        kept = [tag for tag in self.tags_added if tag not in remove]
        gone = [tag for tag in self.tags_removed if tag not in add]
        return replace(
            self, tags_added=tuple(dict.fromkeys((*kept, *add))), tags_removed=tuple(dict.fromkeys((*gone, *remove)))
        )

    def to_json(self) -> dict[str, object]:
        """Return what `annotations.json` holds."""
        return {"format": _FORMAT, **asdict(self)}

    def over(self, record: Mapping[str, object]) -> dict[str, object]:
        """Return the parts of a record that annotations change. Doing it twice is the same as doing it once."""
        tags = dict.fromkeys((*words(record, "tags"), *self.tags_added))
        told = [note for note in items(record, "notes") if isinstance(note, dict) and _is_note(note)]
        known = {(note["time"], note["text"]) for note in told}
        own = [asdict(note) for note in self.notes if (note.time, note.text) not in known]
        return {
            "tags": [tag for tag in tags if tag not in self.tags_removed],
            "notes": sorted((*told, *own), key=lambda note: note["time"]),
            "pinned": self.pinned,
            "named_before": list(self.named_before),
        }


def read_annotations(paths: RunPaths) -> Annotations:
    """Return what was said of a run, nothing where the file is missing or broken."""
    return _parsed(read_json(_file(paths)))


def annotate(paths: RunPaths, change: Callable[[Annotations], Annotations]) -> Annotations:
    """Change what is said of a run, credentials masked, and make the index look at it again.

    Args:
        paths: The run.
        change: Makes new annotations of those that there are; called while nobody else can write.

    Raises:
        StorageError: The folder cannot be written, or what is there cannot be read and would be lost.
    """
    file = _file(paths)
    try:
        with FileLock.acquire(paths.root / "annotations.lock"):
            found = read_json(file)
            version = found.get("format", 0)
            if (file.exists() and not found) or not isinstance(version, int) or version > _FORMAT:
                hint = f"mend it or move it away: {file}"
                raise StorageError(f"the annotations of run {paths.name} cannot be read by this Burnish", hint=hint)
            after = change(_parsed(found))
            write_json(file, Masker.from_environment(os.environ).tree(after.to_json()), durable=True)
            _touch(paths.state)
    except OSError as error:
        raise StorageError(f"cannot write the annotations of run {paths.name}: {error.strerror}") from error
    return after


def check_tag(tag: str) -> str:
    """Return a tag that may be added.

    Raises:
        UsageError: It is empty, too long, has spaces, or begins like an option.
    """
    if not tag or len(tag) > _LONGEST_TAG or tag[0] in "+-" or not tag.isprintable() or any(map(str.isspace, tag)):
        hint = f"one word of up to {_LONGEST_TAG} characters that does not begin with + or -"
        raise UsageError(f"{tag!r} cannot be a tag", hint=hint)
    return tag


def _file(paths: RunPaths) -> Path:
    return paths.root / "annotations.json"


def _parsed(found: Mapping[str, object]) -> Annotations:
    notes = [note for note in items(found, "notes") if isinstance(note, dict) and _is_note(note)]
    return Annotations(
        words(found, "tags_added"),
        words(found, "tags_removed"),
        tuple(Note(note["time"], note["text"], str(note.get("author", ""))) for note in notes),
        found.get("pinned") is True,
        words(found, "named_before"),
    )


def _is_note(note: Mapping[object, object]) -> bool:
    when = note.get("time")
    is_time = isinstance(when, int | float) and not isinstance(when, bool) and 0 <= when < _END_OF_TIME
    return is_time and isinstance(note.get("text"), str)


def _touch(path: Path) -> None:
    """Give a file a strictly newer time; its content, which another process may be writing, stays as it is."""
    try:
        before = path.stat()
        for tick in _TICKS_NS:
            os.utime(path, ns=(before.st_atime_ns, max(time.time_ns(), before.st_mtime_ns + tick)))
            if path.stat().st_mtime_ns > before.st_mtime_ns:
                return
    except FileNotFoundError:
        return  # no record yet, so nobody has looked
