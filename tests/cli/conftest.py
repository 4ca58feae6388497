"""Runs that are only a record, for what would need hours of training to come about."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import termios

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


@pytest.fixture
def on_terminal(burnish):
    """Return a function that runs a command on a terminal of so many columns, and returns the lines that it shows."""

    def show(columns, *words):
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        environ = {**burnish.environ, "NO_COLOR": "1", "TERM": "dumb"}
        environ.pop("COLUMNS", None)
        running = subprocess.Popen(burnish.argv(*words), cwd=burnish.root, env=environ, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal whose other side is closed has no end of file
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        assert running.wait() == 0
        return shown.decode().replace("\r\n", "\n").splitlines()

    return show
