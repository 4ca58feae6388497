"""What is computed once, when a run has ended: the columns of its metrics, their summary, and the rest of its card."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.track.card import read_card, write_card
from burnish.track.fingerprint import complete_fingerprint


def close_metrics(paths: RunPaths, definitions: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Write a run's `metrics.parquet` and `metrics.pyramid`; return what `run.json` says of its scalars.

    Args:
        paths: The run.
        definitions: What the user said of metrics, by pattern.

    Raises:
        OSError: The file cannot be written; the journals can be compacted later.
    """
    # numpy and pyarrow cost more to import than a short command takes, and only the end needs them
    from burnish.journal.compact import compact

    scalars = compact(paths)
    told: dict[str, object] = {"summary": scalars.summary(definitions)}
    if scalars.damage:
        told["damage"] = {name: sum(d.size_bytes for d in found) for name, found in scalars.damage.items()}
    return told


def complete_card(
    paths: RunPaths,
    record: Mapping[str, object],
    reported: Mapping[str, object],
    *,
    limit_s: float,
    hurry: Callable[[], bool],
) -> None:
    """Write a run's card with all that its processes reported, data hashed that was left for now.

    Args:
        paths: The run.
        record: Its record as it ends.
        reported: What its processes told.
        limit_s: How long hashing may take; what takes longer stays marked as pending.
        hurry: Asked between two pieces of data; True leaves the rest pending.

    Raises:
        OSError: The card cannot be written.
    """
    until = time.monotonic() + limit_s
    data: dict[str, object] = {}
    for name, payload in section(reported, "data").items():
        left_s = until - time.monotonic()
        is_late = left_s <= 0 or hurry()
        data[name] = payload if is_late else complete_fingerprint(payload, limit_s=left_s)
    whole = {**read_card(paths), "reported": {**reported, **({"data": data} if data else {})}}
    write_card(paths, whole, record, durable=True)  # the record that will say finished is durable, so this must be
