"""Journals that were damaged: what is broken is reported, the rest is read, and no damage stops or delays a reader."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from burnish.core.errors import JournalError
from burnish.core.paths import RunPaths
from burnish.journal import JournalReader, Row
from burnish.journal.frame import FILE_HEADER_BYTES
from burnish.journal.points import read_series
from burnish.journal.reader import JournalName, RunReader, journal_files
from burnish.journal.series import load_scalars
from burnish.journal.view import LiveView, open_view

EVERYTHING = """
import time
import burnish
run = burnish.start_run(tracking={"system_every_s": 0.05, "tiers": [{"metrics": "grad/*", "every": 3}]})
while not list(run.paths.journals.glob("system-*")):
    time.sleep(0.01)
for step in range(120):
    with run.phase("work"):
        run.log({"loss": 1 / (step + 1), "grad/a": float(step)}, step)
    run.log({f"rare/{step % 7}": float("nan") if step % 5 else float("inf")}, step)
    run.log_text("sample", f"text {step}")
    if step % 10 == 0:
        run.log_histogram("weights", [float(i) for i in range(step + 2)])
        run.log_table("samples", [{"a": step, "b": "x" * step}])
        run.note(f"note {step}")
        run.log_checkpoint(run.paths.checkpoints / str(step), step, {"eval/loss": 0.5})
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The directory of a finished run that holds records of many kinds."""
    runs = tmp_path_factory.mktemp("recorded") / "runs"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "BURNISH_"))}
    words = [sys.executable, "-c", EVERYTHING]
    subprocess.run(words, cwd=runs.parent, env=environ | {"BURNISH_RUNS": str(runs)}, check=True, capture_output=True)
    (state,) = runs.glob("*/run.json")
    until = time.monotonic() + 30
    while json.loads(state.read_text())["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    return RunPaths(state.parent)


@pytest.fixture
def copied(recorded, burnish):
    """A copy of the run in a project of its own, to be damaged: its record says that it still runs."""
    return copy(recorded, burnish.runs / recorded.name)


def copy(recorded, target):
    shutil.copytree(recorded.root, target, symlinks=True)
    paths = RunPaths(target)
    record = json.loads(paths.state.read_text())
    record["state"] = "running"
    last = record["attempts"][-1]  # whoever comes next completes it again, from what the journals say
    record["attempts"][-1] = {key: value for key, value in last.items() if key not in ("ended", "exit_code")}
    paths.state.write_text(json.dumps(record))
    paths.metrics.unlink()
    return paths


def journal_of_rank_0(paths):
    (path,) = [path for path in journal_files(paths.journals) if JournalName.parse(path).rank == 0]
    return path


def damage(path, spoil):
    raw = bytearray(path.read_bytes())
    spoil(raw)
    path.write_bytes(raw)


def flip(raw):
    for at in range(len(raw) // 4, 3 * len(raw) // 4, len(raw) // 40):
        raw[at] ^= 0x10


def punch(raw):
    half = len(raw) // 2
    raw[half : half + 4096] = bytes(4096)


def quote(raw):
    """Put a journal into a journal: its own bytes, as a copy that went wrong would."""
    half = len(raw) // 2
    raw[half:half] = b"\x89BRN\r\n\x1a\n\x02\x00\x00\x00otherone" + bytes(raw[FILE_HEADER_BYTES:half])


DAMAGES = [flip, punch]


@pytest.mark.parametrize("spoil", DAMAGES)
def test_damage_is_told_by_the_record_and_by_logs_and_the_rest_is_read(burnish, copied, spoil):
    path = journal_of_rank_0(copied)
    before = load_scalars(copied.journals).series("loss")
    damage(path, spoil)
    shown = burnish.json("show", copied.id)["run"]
    assert shown["state"] == "finished"
    (name, size) = next(iter(json.loads(copied.state.read_text())["damage"].items()))
    assert name == path.name
    lines = [json.loads(line) for line in burnish("logs", copied.id, "--journal").stdout.splitlines()]
    told = [line for line in lines if line["kind"] == "damage"]
    assert sum(line["size_bytes"] for line in told) == size
    assert {line["journal"] for line in told} == {path.name}
    rows = {line["step"]: line["values"]["loss"] for line in lines if "loss" in line.get("values", {})}
    assert 40 < len(rows) < 120
    assert rows == {step: 1 / (step + 1) for step in rows}
    after = load_scalars(copied.journals).series("loss")
    assert after.step.tolist() == sorted(rows)
    assert len(before) == 120
    assert shown["summary"]["loss"]["count"] == len(rows)


def test_journal_inside_a_journal_costs_no_frame_when_it_has_its_own_salt(burnish, copied, recorded, tmp_path):
    other = copy(recorded, tmp_path / "other" / recorded.name)
    path, whole = journal_of_rank_0(copied), load_scalars(copied.journals).series("loss")
    (stranger,) = [p for p in journal_files(other.journals) if JournalName.parse(p).rank == -1]
    ends = frame_ends(path)
    middle = ends[len(ends) // 2]
    damage(path, lambda raw: raw.__setitem__(slice(middle, middle), stranger.read_bytes()))
    shown = burnish.json("show", copied.id)["run"]
    assert json.loads(copied.state.read_text())["damage"] == {path.name: stranger.stat().st_size}
    assert shown["summary"]["loss"]["count"] == len(whole) == 120
    assert load_scalars(copied.journals).series("loss").value.tolist() == whole.value.tolist()


def test_quoted_frames_of_the_file_itself_are_read_twice_and_never_stop_a_reader(burnish, copied):
    damage(journal_of_rank_0(copied), quote)
    assert burnish.json("show", copied.id)["run"]["state"] == "finished"


def test_file_cut_off_gives_what_came_before(burnish, copied):
    path = journal_of_rank_0(copied)
    damage(path, lambda raw: raw.__delitem__(slice(len(raw) // 2, None)))
    assert burnish.json("show", copied.id)["run"]["state"] == "lost"  # its end frame is gone
    rows = load_scalars(copied.journals).series("loss")
    assert rows.step.tolist() == list(range(len(rows)))
    assert 40 < len(rows) < 80


def test_file_without_its_beginning_is_told_and_hides_no_other(burnish, copied):
    path = journal_of_rank_0(copied)
    damage(path, lambda raw: raw.__setitem__(slice(0, 300), bytes(300)))
    shown = burnish.json("show", copied.id)["run"]
    assert json.loads(copied.state.read_text())["damage"] == {path.name: path.stat().st_size}
    assert "system/rss_bytes" in shown["summary"]
    assert "loss" not in shown["summary"]
    told = burnish("logs", copied.id, "--journal")
    assert f"{path} is not a journal; it is passed over" in told.stderr
    assert told.returncode == 0


def frame_ends(path):
    """Return where each frame of a whole journal ends."""
    reader = JournalReader(path)
    ends, at = [], FILE_HEADER_BYTES
    for body in reader.read_bodies():
        at += 10 + len(body)
        ends.append(at)
    reader.close()
    return ends


@contextmanager
def at_most(seconds):
    """Fail when what is inside takes longer: a reader that goes round for ever would."""

    def late(number, frame):
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutate(raw, chance):
    """Change bytes as disks, copies and people do."""
    for _ in range(chance.choice([1, 1, 2, 5, 40])):
        at, size = chance.randrange(len(raw) + 1), chance.choice([1, 2, 4, 8, 60, 700])
        what = chance.randrange(7)
        if what == 0:
            raw[at : at + size] = bytes(byte ^ chance.randrange(1, 256) for byte in raw[at : at + size])
        elif what == 1:
            raw[at : at + size] = bytes(len(raw[at : at + size]))
        elif what == 2:
            del raw[at : at + size]
        elif what == 3:
            raw[at:at] = chance.randbytes(size)
        elif what == 4:
            raw[at : at + 2] = b"\xa7\xb5"  # what a frame begins with
        elif what == 5:
            other = chance.randrange(len(raw) + 1)
            raw[at:at] = raw[other : other + chance.choice([100, 5000])]
        elif chance.random() < 0.3:
            del raw[at:]
    return raw


def read_everything(paths):
    """Read a run in every way there is."""
    for path in journal_files(paths.journals):
        reader = JournalReader(path)
        try:
            rows = [entry for entry in reader.read_all() if isinstance(entry, Row)]
            middle = JournalReader(path, path.stat().st_size // 2)
            middle.read_all()
            middle.close()
        except JournalError:
            rows = []
        reader.close()
        assert all(len(row.keys) == len(row.values) for row in rows)
    tail = RunReader(paths.journals)
    for _ in range(2):
        for _ in tail.read():
            pass
    tail.close()
    scalars = load_scalars(paths.journals)
    scalars.summary()
    view = LiveView(paths.journals)
    for name, rank in view.metrics:
        view.window(name, rank=rank, width=50)
    view.close()
    series = read_series(paths, lambda name: True)
    assert {name for name, rank, found in scalars if rank in (0, -1)} == series.keys()
    either = open_view(paths)
    for name, rank in either.metrics:
        either.window(name, rank=rank, width=50)
    either.close()


def check_mutated(recorded, folder, seeds):
    paths = RunPaths(folder / recorded.name)
    shutil.copytree(recorded.root, paths.root, symlinks=True)
    paths.metrics.unlink()
    originals = {path: path.read_bytes() for path in journal_files(paths.journals)}
    for seed in seeds:
        chance = random.Random(seed)
        for path, raw in originals.items():
            path.write_bytes(mutate(bytearray(raw), chance) if chance.random() < 0.7 else raw)
        began = time.monotonic()
        try:
            with at_most(20):
                read_everything(paths)
        except Exception as error:
            error.add_note(f"seed {seed}, after {time.monotonic() - began:.1f} s")
            raise


def test_mutated_journals_are_read_by_everything_that_reads(recorded, tmp_path):
    check_mutated(recorded, tmp_path, range(40))


@pytest.mark.chaos
def test_many_more_mutated_journals_are_read_by_everything_that_reads(recorded, tmp_path):
    check_mutated(recorded, tmp_path, range(1000, 2000))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(1, 8))])
def test_mutated_run_is_shown_listed_and_printed_by_the_commands(burnish, copied, seed):
    chance = random.Random(seed)
    for path in journal_files(copied.journals):
        path.write_bytes(mutate(bytearray(path.read_bytes()), chance))
    for words in (["ls"], ["show", copied.id], ["logs", copied.id, "--journal"], ["export", copied.id]):
        done = burnish(*words)
        assert "Traceback" not in done.stderr, (words, done.stderr)
        assert done.returncode == 0, (words, done.stderr)
