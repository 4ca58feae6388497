import pytest

from burnish.core.errors import JournalError
from burnish.journal import JournalReader, JournalWriter, Row
from burnish.journal.frame import FILE_HEADER_BYTES, Damage
from burnish.journal.reader import journal_files
from burnish.journal.series import load_scalars


@pytest.mark.parametrize("at", range(FILE_HEADER_BYTES))
def test_byte_flipped_in_the_header_is_told_and_costs_no_frame(tmp_path, at):
    writer = JournalWriter(tmp_path, 0, lambda: {"attempt": 1})
    for step in range(50):
        writer.row(("a", "b"), (float(step), 0.5), step, 0.0)
    writer.close()
    (path,) = journal_files(tmp_path)
    raw = bytearray(path.read_bytes())
    for flipped in (0x01, 0x80, 0xFF):
        raw[at] ^= flipped
        path.write_bytes(raw)
        raw[at] ^= flipped
        reader = JournalReader(path)
        if 8 <= at < 12:  # the format's number: what a newer Burnish wrote is not read
            with pytest.raises(JournalError, match="has journal format"):
                reader.read_all()
            reader.close()
            continue
        rows = [entry for entry in reader.read_all() if isinstance(entry, Row)]
        reader.close()
        assert [row.step for row in rows] == list(range(50))
        assert reader.damage == [Damage(0, FILE_HEADER_BYTES, "broken header")]
        assert load_scalars(tmp_path).of("a")[0] == list(range(50))
