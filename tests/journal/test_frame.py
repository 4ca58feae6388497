import struct
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.errors import JournalError
from burnish.journal.columns import read_columns
from burnish.journal.entry import Record, Row, decode, encode_body, row_struct
from burnish.journal.frame import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    MAX_BODY_BYTES,
    file_header,
    frame,
    read_salt,
    scan,
)

SALT = b"saltsalt"
SALT_CRC = crc32(SALT)
bodies_lists = st.lists(st.binary(min_size=1, max_size=60), max_size=8)


def framed(bodies):
    return b"".join(frame(body, SALT_CRC) for body in bodies)


def bodies_of(found):
    return [bytes(body) for body in found.bodies]


@given(bodies_lists)
def test_scan_returns_every_body_and_the_offset_after_the_last(bodies):
    raw = framed(bodies)
    found = scan(raw, SALT_CRC, 1000)
    assert bodies_of(found) == bodies
    assert (found.damage, found.end) == ([], 1000 + len(raw))


@given(bodies_lists, st.data())
def test_buffer_cut_at_any_byte_gives_a_prefix_and_no_damage(bodies, data):
    raw = framed(bodies)
    cut = data.draw(st.integers(0, len(raw)))
    found = scan(raw[:cut], SALT_CRC, 0)
    whole = sum(len(framed(bodies[: i + 1])) <= cut for i in range(len(bodies)))
    assert bodies_of(found) == bodies[:whole]
    assert found.damage == []
    assert found.end == len(framed(bodies[:whole]))


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8), st.data())
def test_flipped_byte_costs_one_frame_and_is_damage_or_a_torn_tail(bodies, data):
    raw = bytearray(framed(bodies))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    struck = next(i for i in range(len(bodies)) if at < len(framed(bodies[: i + 1])))
    start, end = len(framed(bodies[:struck])), len(framed(bodies[: struck + 1]))
    found = scan(bytes(raw), SALT_CRC, 0)
    assert bodies_of(found) == bodies[:struck] + bodies[struck + 1 :]
    if struck == len(bodies) - 1:
        assert (found.damage, found.end) == ([], start)
    else:
        assert [(d.offset, d.size_bytes, d.reason) for d in found.damage] == [(start, end - start, "broken frame")]


@given(bodies_lists, st.integers(1, 300), st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4))
def test_hole_of_zeros_between_frames_is_damage_of_its_size(before, zeros, after):
    found = scan(framed(before) + bytes(zeros) + framed(after), SALT_CRC, 0)
    assert bodies_of(found) == before + after
    assert [(d.offset, d.size_bytes) for d in found.damage] == [(len(framed(before)), zeros)]


def test_zeros_alone_hold_no_frame():
    found = scan(bytes(10_000), SALT_CRC, 0)
    assert (found.bodies, found.damage, found.end) == ([], [], 0)


def test_empty_body_with_a_right_checksum_is_no_frame():
    empty = frame(b"", SALT_CRC)
    found = scan(empty + frame(b"x", SALT_CRC), SALT_CRC, 0)
    assert bodies_of(found) == [b"x"]
    assert found.damage[0].size_bytes == len(empty)


def test_frame_of_another_salt_is_no_frame():
    foreign = frame(b"quoted", crc32(b"othersal"))
    found = scan(foreign + frame(b"own", SALT_CRC), SALT_CRC, 0)
    assert bodies_of(found) == [b"own"]


def test_claimed_length_over_the_limit_is_skipped_not_awaited():
    header = struct.pack("<HII", 0xB5A7, MAX_BODY_BYTES + 1, 0)
    found = scan(header + frame(b"own", SALT_CRC), SALT_CRC, 0)
    assert bodies_of(found) == [b"own"]


def test_body_of_64_mib_is_framed_and_one_byte_more_is_refused():
    body = bytes(MAX_BODY_BYTES)
    assert len(frame(body, SALT_CRC)) == MAX_BODY_BYTES + FRAME_HEADER_BYTES
    with pytest.raises(JournalError) as caught:
        frame(body + b"x", SALT_CRC)
    assert str(caught.value) == "a record of 67108865 bytes is too large, a journal takes up to 67108864"


@given(st.binary(min_size=8, max_size=8))
def test_salt_is_read_back_from_the_header(salt):
    assert read_salt(file_header(salt), "x") == salt


@pytest.mark.parametrize("header", [b"", file_header(SALT)[: FILE_HEADER_BYTES - 1], b"not a journal, but long enough"])
def test_header_of_something_else_is_not_a_journal(header):
    with pytest.raises(JournalError, match=r"^runs/a\.journal is not a journal$"):
        read_salt(header, "runs/a.journal")


def test_newer_format_is_refused_with_what_to_type():
    header = bytearray(file_header(SALT))
    header[8] = 3
    with pytest.raises(JournalError) as caught:
        read_salt(bytes(header), "a.journal")
    assert caught.value.message == "a.journal has journal format 3, this Burnish reads up to 2"
    assert caught.value.hint == "pip install --upgrade burnish"


def test_unknown_kind_of_a_later_version_is_passed_on_without_its_extra_fields():
    body = encode_body((99, 3, 7, 1.5, "key", {"a": 1}, "from the future"))
    assert list(decode([body], {})) == [Record(99, 3, 7, 1.5, "key", {"a": 1})]


def test_row_whose_key_set_was_lost_is_left_out():
    body = row_struct(1).pack(0, 1, 2, 3.0, 5, 0.5)
    assert list(decode([body], {})) == []
    assert list(decode([body], {5: ("a", "b")})) == []  # nor is one whose key set has another length
    assert list(decode([body], {5: ("a",)})) == [Row(1, 2, 3.0, ("a",), (0.5,))]


def test_row_of_format_1_is_read():
    keys = encode_body((1, 0, 5, ["a", "b"]))
    row = encode_body((0, 1, 2, 3.0, 5, 0.5, -1.5))
    lost = encode_body((0, 1, 2, 3.0, 6, 0.5))
    assert list(decode([keys, row, lost], {})) == [Row(1, 2, 3.0, ("a", "b"), (0.5, -1.5))]


@settings(max_examples=30)
@given(st.binary(max_size=400))
def test_random_bytes_never_raise(raw):
    found = scan(raw, SALT_CRC, 0)
    assert found.bodies == []


@pytest.mark.parametrize(
    "body",
    [
        b"\x00",
        row_struct(1).pack(0, 1, 2, 3.0, 5, 0.5)[:-3],
        b"\xc1",
        encode_body({"no": "array"}),
        encode_body((2, 3)),
        encode_body((2, 3, None, 1.0, ["key"], {})),
        encode_body((2, 3, None, 1.0, "key", "payload")),
        encode_body((1, 3, 0, ["a", 5])),
        encode_body((0, 1, 2, 3.0, 0, "text")),
        b"\x91" * 5000,
    ],
)
def test_whole_frame_that_no_writer_of_ours_made_is_passed_over(body):
    keys = {0: ("a",), 5: ("a",)}
    assert list(decode([body], keys)) == []
    assert read_columns([body], keys) == ([], [])
    assert keys == {0: ("a",), 5: ("a",)}
