"""Runs that are only a record, for what would need hours of training to come about."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def recorded(burnish):
    """Return a function that writes the record of a finished run, and returns its folder."""

    def write(name, **fields):
        folder = burnish.runs / name
        folder.mkdir(parents=True)
        record = {"format": 1, "state": "finished", "created": 1.8e9, "experiment": "toy", "attempts": [], **fields}
        (folder / "run.json").write_text(json.dumps({"name": name, "id": name.rsplit("_", 1)[-1], **record}))
        return folder

    return write
