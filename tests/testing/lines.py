"""A sink that is right, in a few lines; each broken one of the tests differs from it in one thing."""

import json
from pathlib import Path

from burnish.journal import Record, Row
from burnish.journal.reader import SYSTEM_RANK
from burnish.sinks import Gone, Sink


class Lines(Sink):
    """A line for each point; its state says how many bytes are vouched for."""

    name = "lines"

    def __init__(self, folder):
        self.file = Path(folder, "lines.jsonl")

    def open(self, run, state):
        self.size = state.get("size", 0)
        self.take_size()
        self.cut()

    def take_size(self):
        if self.size > (self.file.stat().st_size if self.file.exists() else 0):
            raise Gone("the lines are shorter than the state says")

    def cut(self):
        with self.file.open("ab") as file:
            file.truncate(self.size)

    def ship(self, batch):
        self.take_size()
        with self.file.open("ab") as file:
            for entry in batch.entries:
                for line in self.lines(batch, entry):
                    file.write(self.encoded(line))
            self.size = file.tell()
        return self.state()

    def state(self):
        return {"size": self.size}

    def lines(self, batch, entry):
        if isinstance(entry, Record):
            self.record(entry)
        elif isinstance(entry, Row) and batch.rank in (0, SYSTEM_RANK):
            for name, value in zip(entry.keys, entry.values, strict=True):
                yield self.point(name, entry.step, value)

    def record(self, record):
        pass

    def point(self, name, step, value):
        return [name, step, value]

    def encoded(self, line):
        return json.dumps(line).encode() + b"\n"

    def close(self, status):
        pass


def read_lines(folder):
    file = Path(folder, "lines.jsonl")
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
