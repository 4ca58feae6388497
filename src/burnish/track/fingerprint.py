"""Fingerprints of data: enough to tell later whether a run was trained on the same.

A fingerprint is taken in the training process, so it costs at most some 0.15 s: what takes longer to hash is
marked `pending`, and the supervisor completes it. None of this ever raises, whatever it is handed.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from burnish.core.secrets import Masker
from burnish.track.listing import OutOfTimeError, content_hash, list_files

_BUDGET_S = 0.15
_SMALL_BYTES = 64 << 20
_LONGEST_PATH = 4096
_MOST_SPLITS = 64
_REVISION = re.compile(r"@([0-9a-f]{40})/")  # hf://datasets/owner/name@revision/file


def fingerprint(source: object, revision: str = "", *, budget_s: float = _BUDGET_S) -> dict[str, object]:
    """Describe data so that a change of it can be seen.

    Args:
        source: A path, a Hugging Face dataset, an array or tensor, a list of items that JSON can hold, a name such
            as `openai/gsm8k`, or a mapping of such by split.
        revision: Which version of it, where the source does not say: a commit of the hub, a date, a tag.
        budget_s: Seconds that it may take.

    Returns:
        `kind`, and by kind: `path`, `size_bytes`, `files`, `mtime`, `sha256`, `pending` of files; what a dataset
        says of itself; `count` and `sha256` of items; `splits`. What cannot be hashed has `sha256` null and a `note`.

    >>> fingerprint([{"q": "1+1", "a": 2}])["sha256"] == fingerprint([{"a": 2, "q": "1+1"}])["sha256"]
    True
    """
    until = time.monotonic() + budget_s
    try:
        told = _describe(source, until)
    except Exception as error:  # noqa: BLE001  the user's own object answered
        told = {"kind": "object", "type": _type_name(source), "sha256": None, "note": type(error).__name__}
    if revision:
        told["revision"] = _masked(str(revision))
    return told


def complete_fingerprint(payload: object, *, limit_s: float = 600.0) -> object:
    """Return a fingerprint with its hash, where that was left for later; anything else as it is.

    What has changed since the training process looked is noted in `changed`: the hash is then of other data than
    the run may have read.

    Args:
        payload: What `fingerprint` returned, as it came back from a journal.
        limit_s: Seconds that it may take; what takes longer stays pending.
    """
    if not isinstance(payload, dict):
        return payload
    until = time.monotonic() + limit_s
    splits = payload.get("splits")
    if isinstance(splits, dict):
        done = {
            n: complete_fingerprint(split, limit_s=max(0.0, until - time.monotonic())) for n, split in splits.items()
        }
        return {**payload, "splits": done}
    if payload.get("pending") is not True or not isinstance(payload.get("path"), str):
        return payload
    return _completed(payload, Path(str(payload["path"])), until, limit_s)


def is_pinned(payload: object) -> bool:
    """Return whether a fingerprint tells the data from any other: by content, revision or a dataset's own mark."""
    if not isinstance(payload, dict):
        return False
    splits = payload.get("splits")
    if isinstance(splits, dict):
        return bool(splits) and all(map(is_pinned, splits.values()))
    return "changed" not in payload and any(payload.get(key) for key in ("sha256", "revision", "fingerprint"))


def _completed(payload: Mapping[str, object], path: Path, until: float, limit_s: float) -> dict[str, object]:
    told = dict(payload)
    try:
        listing = list_files(path, until)
        now = {"size_bytes": listing.size_bytes, "files": len(listing.names), "mtime": listing.mtime}
        told["sha256"] = content_hash(path, listing, until)
    except OutOfTimeError:
        return told | {"note": f"not hashed within {limit_s:g} s"}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return told | {"pending": False, "note": f"cannot be read any more: {reason}"}
    changed = {key: [told[key], value] for key, value in now.items() if told.get(key) not in (None, value)}
    told |= {**now, "pending": False}
    told.pop("note", None)
    if changed:
        told["changed"] = changed
    if listing.left_out:
        told["left_out"] = listing.left_out
    return told


def _describe(source: object, until: float) -> dict[str, object]:
    if isinstance(source, str) and (len(source) > _LONGEST_PATH or "\n" in source):
        return {"kind": "text", **_hashed([source], until)}
    if isinstance(source, str | os.PathLike):
        return _path(source, until)
    if isinstance(getattr(source, "_fingerprint", None), str):
        return _dataset(source)
    if isinstance(source, Mapping):
        if 0 < len(source) <= _MOST_SPLITS and all(_is_split(value) for value in source.values()):
            splits = {str(k): fingerprint(v, budget_s=max(0.0, until - time.monotonic())) for k, v in source.items()}
            return {"kind": "splits", "splits": splits}
        return {"kind": "mapping", "count": len(source), **_hashed([source], until)}
    if hasattr(source, "dtype") and hasattr(source, "shape"):
        return _array(source, until)
    if isinstance(source, list | tuple):
        return {"kind": "items", "count": len(source), **_hashed(source, until)}
    return _object(source)


def _is_split(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_PATH and "\0" not in value and Path(value).exists()
    has_shape = hasattr(value, "dtype") and bool(getattr(value, "shape", ()))
    return isinstance(value, list | tuple | os.PathLike) or has_shape or hasattr(value, "_fingerprint")


def _path(source: str | os.PathLike[str], until: float) -> dict[str, object]:
    path = Path(source).expanduser()
    try:
        path.stat()
    except (OSError, ValueError) as error:
        if isinstance(source, str) and not path.is_absolute():  # of a dataset somewhere else, by its owner
            return {"kind": "name", "name": _masked(source)}
        return {"kind": "file", "path": str(path), "sha256": None, "pending": False, "note": _reason(error)}
    path = path.absolute()
    told: dict[str, object] = {
        "kind": "folder" if path.is_dir() else "file",
        "path": str(path),
        "size_bytes": None,
        "files": None,
        "mtime": None,
        "sha256": None,
        "pending": True,
    }
    try:
        listing = list_files(path, until)
        told |= {"size_bytes": listing.size_bytes, "files": len(listing.names), "mtime": listing.mtime}
        if listing.left_out:
            told["left_out"] = listing.left_out
        if listing.size_bytes <= _SMALL_BYTES:
            told |= {"sha256": content_hash(path, listing, until), "pending": False}
    except OutOfTimeError:
        pass
    except OSError as error:
        told |= {"pending": False, "note": _reason(error)}
    return told


def _reason(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


def _dataset(source: object) -> dict[str, object]:
    """Describe a Hugging Face dataset by what it says of itself. Its fingerprint covers its content and transforms."""
    told: dict[str, object] = {"kind": "dataset", "type": _type_name(source)}
    for key, name in (("fingerprint", "_fingerprint"), ("builder", "builder_name"), ("config", "config_name")):
        if isinstance(value := getattr(source, name, None), str):
            told[key] = value
    for key in ("version", "split"):
        if (value := getattr(source, key, None)) is not None:
            told[key] = str(value)
    if isinstance(rows := getattr(source, "num_rows", None), int):
        told["count"] = rows
    info: Any = getattr(source, "info", None)
    if isinstance(known_as := getattr(info, "dataset_name", None), str):
        told["name"] = known_as
    downloads = getattr(info, "download_checksums", None)
    found = {match[1] for url in downloads or () if (match := _REVISION.search(str(url)))}
    if len(found) == 1:
        told["revision"] = found.pop()
    return told


def _array(source: object, until: float) -> dict[str, object]:
    array: Any = source
    shape = [int(length) for length in array.shape]
    told: dict[str, object] = {
        "kind": "array",
        "type": _type_name(source),
        "dtype": str(array.dtype),
        "shape": shape,
        "count": shape[0] if shape else 1,
        "size_bytes": int(array.nbytes),
        "sha256": None,
    }
    if told["size_bytes"] > _SMALL_BYTES:  # type: ignore[operator]
        return told | {"note": "too large to hash while training"}
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        if array.device.type != "cpu":
            return told | {"note": f"on {array.device}: hashing it would wait for the device"}
        array = array.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    elif getattr(array.dtype, "hasobject", False):
        return told | {"note": "holds Python objects"}
    return told | _digest([f"{told['dtype']} {shape}\n".encode(), array.tobytes()], until)


def _hashed(items: Iterable[object], until: float) -> dict[str, object]:
    """Hash items as JSON lines with sorted keys."""
    import json

    encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
    try:
        return _digest((f"{encode(item)}\n".encode("utf-8", "surrogatepass") for item in items), until)
    except (TypeError, ValueError):
        return {"sha256": None, "note": "holds what JSON cannot"}


def _digest(parts: Iterable[bytes], until: float) -> dict[str, object]:
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
        if time.monotonic() > until:
            return {"sha256": None, "note": "too large to hash while training"}
    return {"sha256": digest.hexdigest()}


def _object(source: object) -> dict[str, object]:
    told: dict[str, object] = {"kind": "object", "type": _type_name(source), "sha256": None}
    try:
        told["count"] = len(source)  # type: ignore[arg-type]
    except TypeError:
        pass
    return told


def _type_name(source: object) -> str:
    return type.__repr__(type(source)).removeprefix("<class '").removesuffix("'>")  # a metaclass has no say in it


def _masked(text: str) -> str:
    """Return a name or address without a login or signature in it."""
    return Masker.from_environment(os.environ).text(text.partition("?")[0] if "://" in text else text)
