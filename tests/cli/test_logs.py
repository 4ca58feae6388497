from __future__ import annotations

import json
import math
import sys
import time

import pytest

from burnish.journal import JournalWriter, Kind

A = "20261121_toy_aaaa"


@pytest.fixture
def printed(burnish, recorded):
    """Return a function that makes a finished run which printed something."""

    def write(text):
        (recorded(A) / "console.log").write_bytes(text.encode() if isinstance(text, str) else text)
        return burnish

    return write


LINES = "".join(f"line {number}\n" for number in range(100_000))


def test_logs_prints_only_the_last_lines(printed):
    burnish = printed(LINES)
    assert burnish("logs", "aaaa", "-n", "3").stdout == "line 99997\nline 99998\nline 99999\n"
    assert burnish("logs", "aaaa", "-n", "0").stdout == ""
    assert burnish("logs", "aaaa", "-n", "1000000").stdout == LINES


def test_the_last_lines_of_a_huge_log_are_read_from_its_end(burnish, recorded):
    with (recorded(A) / "console.log").open("wb") as log:
        log.truncate(1 << 40)  # a hole of 1 TiB: who reads all of it is not done today
        log.seek(0, 2)
        log.write(b"\none\ntwo\nthree\n")
    assert burnish("logs", "aaaa", "-n", "2").stdout == "two\nthree\n"


def test_grep_prints_lines_in_which_the_expression_is_found(printed):
    burnish = printed("epoch 1\nWARNING odd\nepoch 2\n")
    assert burnish("logs", "aaaa", "--grep", r"epoch \d$").stdout == "epoch 1\nepoch 2\n"
    assert burnish("logs", "aaaa", "--grep", "nothing").stdout == ""


def test_the_last_lines_of_a_grep_are_counted_after_it(printed):
    burnish = printed(LINES)
    assert burnish("logs", "aaaa", "--grep", "7$", "-n", "2").stdout == "line 99987\nline 99997\n"
    assert burnish("logs", "aaaa", "--grep", "^line 5$", "-n", "2").stdout == "line 5\n"


def test_an_invalid_expression_is_told_word_for_word(printed):
    burnish = printed("x\n")
    done = burnish("logs", "aaaa", "--grep", "(")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --grep '(' is no regular expression: missing ), unterminated subpattern at position 0\n",
    )


def test_colours_are_left_out_where_stdout_is_no_terminal_and_grep_does_not_see_them(printed):
    burnish = printed("\x1b[1;31merror\x1b[0m: lost\n")
    assert burnish("logs", "aaaa", "--grep", "^error: l").stdout == "error: lost\n"
    assert json.loads(burnish("logs", "aaaa", "--json").stdout) == {"line": "error: lost"}


def test_a_progress_bar_is_one_line_and_a_last_line_needs_no_end(printed):
    burnish = printed(b"start\n10%\r50%\r100%\nlast \xff")
    assert burnish("logs", "aaaa", "-n", "2").stdout.encode() == "10%\r50%\r100%\nlast \ufffd\n".encode().replace(
        b"\r", b"\n"
    )  # the test reads text, where a carriage return is a line end
    assert burnish("logs", "aaaa", "-n", "1").stdout == "last \ufffd\n"


def test_follow_goes_on_over_the_attempts_until_the_end(burnish, eventually):
    code = (
        "import os, pathlib, signal, sys, time\n"
        "first = not pathlib.Path('tried').exists()\n"
        "pathlib.Path('tried').touch()\n"
        "print('attempt', 1 if first else 2, flush=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "if first: os.kill(os.getpid(), signal.SIGKILL)\n"
        "print('done')\n"
    )
    training = burnish.start("run", "--", sys.executable, "-c", code)
    eventually(lambda: burnish.records() and (burnish.root / "tried").exists(), "the run to start")
    run = burnish.records()[0]["id"]
    following = burnish.start("logs", run, "-f", "--grep", "attempt|done")
    assert following.stdout.readline() == "attempt 1\n"
    (burnish.root / "go").touch()
    rest, _ = following.communicate(timeout=60)
    assert rest == "attempt 2\ndone\n"
    training.communicate(timeout=60)


def test_follow_with_lines_begins_near_the_end(burnish, eventually):
    code = (
        "import pathlib, time\n"
        "for n in range(50): print('early', n, flush=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "print('late')\n"
    )
    training = burnish.start("run", "--", sys.executable, "-c", code)
    eventually(lambda: [p for p in burnish.runs.glob("*/console.log") if "early 49" in p.read_text()], "its output")
    following = burnish.start("logs", burnish.records()[0]["id"], "-f", "-n", "1")
    assert following.stdout.readline() == "early 49\n"
    (burnish.root / "go").touch()
    assert following.communicate(timeout=60)[0] == "late\n"
    training.communicate(timeout=60)


@pytest.fixture
def journal(burnish, recorded):
    """A run with one frame of every kind, written by the real writer, on two ranks."""
    folder = recorded(A) / "journal"
    folder.mkdir()
    nan, inf = math.nan, math.inf
    for rank in (0, 1):
        writer = JournalWriter(folder, rank, lambda: {"attempt": 1})
        writer.row(("loss", "lr"), (nan, inf), 1, time.time())
        writer.record(Kind.TEXT, "sample", {"text": "größe"}, 2)
        writer.record(Kind.ALERT, "loss is nan", {"text": "at 1", "level": "warning", "reason": "nan"}, 3)
        writer.record(
            Kind.LOG, "root", {"level": "INFO", "message": "hello", "file": "x.py", "line": 1, "error": ""}, 4
        )
        writer.record(Kind.HISTOGRAM, "w", {"edges": [-inf, 0.0, inf], "counts": [1, 2], "min": nan}, 5)
        writer.record(Kind.TABLE, "t", {"columns": ["a"], "rows": [[nan], [None], [True]], "row_count": 3}, 6)
        writer.record(Kind.MEDIA, "i", {"type": "image", "file": "media/x.png", "bytes": 3}, 7)
        writer.record(Kind.ARTIFACT, "d", {"role": "made", "metadata": {"score": -inf}}, 8)
        writer.record(Kind.CHECKPOINT, "checkpoint-9", {"metrics": {"acc": nan}}, 9)
        writer.close()
    return burnish


def frames(burnish, *words):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = burnish("logs", "aaaa", "--journal", *words).stdout.splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def test_every_kind_of_frame_is_one_json_object_with_its_step(journal):
    found = [frame for frame in frames(journal) if frame["journal"].startswith("0-")]
    kinds = ["lifecycle", "row", "text", "alert", "log", "histogram", "table", "media", "artifact", "checkpoint"]
    assert [frame["kind"] for frame in found] == kinds
    assert [frame["step"] for frame in found] == [None, *range(1, 10)]
    assert all(isinstance(frame["time"], float) for frame in found)


def test_numbers_that_json_lacks_are_text_wherever_they_stand(journal):
    found = {frame["kind"]: frame for frame in frames(journal)}
    assert found["row"]["values"] == {"loss": "nan", "lr": "inf"}
    assert found["histogram"]["payload"] == {"edges": ["-inf", 0.0, "inf"], "counts": [1, 2], "min": "nan"}
    assert found["table"]["payload"]["rows"] == [["nan"], [None], [True]]
    assert found["artifact"]["payload"]["metadata"] == {"score": "-inf"}
    assert found["text"]["payload"] == {"text": "größe"}


def test_kind_chooses_frames(journal):
    assert [frame["kind"] for frame in frames(journal, "--kind", "log, alert")] == ["alert", "log"] * 2


def test_grep_looks_at_the_json_line(journal):
    assert [frame["kind"] for frame in frames(journal, "--grep", '"step": 4,')] == ["log", "log"]


def test_the_last_frames_are_the_last_by_time_over_all_files(journal):
    found = frames(journal)
    last = sorted(found, key=lambda frame: frame["time"])[-3:]
    assert frames(journal, "-n", "3") == last
    assert frames(journal, "-n", "0") == []
    assert frames(journal, "-n", "1", "--kind", "row") == [
        max((frame for frame in found if frame["kind"] == "row"), key=lambda frame: frame["time"])
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kind", "row"], "error: --kind chooses frames of the journal\nhint: add --journal --kind row\n"),
        (
            ["--journal", "--kind", "alrt"],
            "error: no kind of frame is called 'alrt'\nhint: did you mean alert?\n",
        ),
    ],
)
def test_kinds_that_cannot_be(journal, words, told):
    done = journal("logs", "aaaa", *words)
    assert (done.returncode, done.stderr) == (2, told)


def test_damage_is_told_as_a_frame_of_its_own(journal):
    file = next((journal.runs / A / "journal").glob("0-*"))
    raw = bytearray(file.read_bytes())
    raw[raw.index("größe".encode())] ^= 0xFF
    file.write_bytes(raw)
    (damage,) = frames(journal, "--kind", "damage")
    assert damage["reason"] == "broken frame"
    assert damage["step"] is None


ROWS = 200_000


@pytest.fixture
def long_journal(burnish, recorded):
    """A run whose journals are far longer than what is read at first, on two ranks that take turns."""
    folder = recorded(A) / "journal"
    folder.mkdir()
    writers = [JournalWriter(folder, rank, lambda: {"attempt": 1}) for rank in (0, 1)]
    writers[0].record(Kind.TEXT, "early", {"text": "x"}, 0)
    for step in range(ROWS):
        writers[step % 2].row(("loss", "lr"), (step / 2, 0.5), step, 1.8e9 + step)
    for writer in writers:
        writer.close()
    return burnish


def test_the_last_frames_of_a_long_journal_are_those_of_the_whole(long_journal):
    found = frames(long_journal, "-n", "5")
    assert [frame["step"] for frame in found] == list(range(ROWS - 5, ROWS))
    assert found[-1]["values"] == {"loss": (ROWS - 1) / 2, "lr": 0.5}
    assert {frame["kind"] for frame in found} == {"row"}  # that reading began within a frame is no damage


def test_more_frames_than_are_near_the_end_are_found_further_before(long_journal):
    assert [frame["step"] for frame in frames(long_journal, "-n", "50000")] == list(range(ROWS - 50_000, ROWS))


def test_a_rare_frame_is_found_at_the_beginning_of_a_long_journal(long_journal):
    assert [frame["key"] for frame in frames(long_journal, "-n", "1", "--kind", "text")] == ["early"]


def test_damage_at_the_beginning_of_a_long_journal_is_among_the_last_damage(long_journal):
    file = next((long_journal.runs / A / "journal").glob("0-*"))
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"early")] ^= 0xFF
    file.write_bytes(raw)
    (damage,) = frames(long_journal, "-n", "1", "--kind", "damage")
    assert damage["offset"] < 1000
