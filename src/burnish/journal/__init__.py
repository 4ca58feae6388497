"""The append-only record of a run: frames on disk, their writer and reader, and what is computed from them."""

from burnish.journal.entry import Kind, Record, Row
from burnish.journal.frame import Damage
from burnish.journal.reader import JournalReader
from burnish.journal.writer import JournalWriter

__all__ = ["Damage", "JournalReader", "JournalWriter", "Kind", "Record", "Row"]
