import json
import signal
import subprocess
import sys

import pytest

from burnish.journal import JournalWriter
from burnish.journal.reader import JournalName, RunReader, journal_files
from burnish.journal.series import load_scalars
from burnish.journal.view import FileView, LiveView, open_view


def write(paths, rows=3):
    paths.journals.mkdir(parents=True, exist_ok=True)
    writer = JournalWriter(paths.journals, 0, lambda: {"attempt": 1})
    for step in range(rows):
        writer.row(("a",), (float(step),), step, 0.0)
    writer.close()


def test_finished_run_has_its_pyramids(scripts):
    assert scripts("import burnish\nfor s in range(600): burnish.log({'x': float(s)})").returncode == 0
    paths, _ = scripts.completed("finished")
    view = open_view(paths)
    assert isinstance(view, FileView)
    assert view.metrics[0] == ("x", 0)
    view.close()


@pytest.mark.parametrize("spoil", ["cut off", "zeros"])
def test_end_of_a_journal_that_is_no_whole_frame_is_told_once_the_run_is_over(burnish, scripts, spoil):
    assert scripts("import burnish\nfor s in range(200): burnish.log({'x': float(s)})").returncode == 0
    paths, record = scripts.completed("finished")
    assert "damage" not in record
    (path,) = [p for p in journal_files(paths.journals) if JournalName.parse(p).rank == 0]
    raw = bytearray(path.read_bytes())
    if spoil == "cut off":
        del raw[len(raw) // 2 + 7 :]
    else:
        raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    path.write_bytes(raw)
    record["state"] = "running"
    del record["attempts"][0]["ended"]
    paths.state.write_text(json.dumps(record))
    burnish("ls")
    told = scripts.record()["damage"][path.name]
    lines = [json.loads(line) for line in burnish("logs", paths.id, "--journal").stdout.splitlines()]
    (damage,) = [line for line in lines if line["kind"] == "damage"]
    assert damage["size_bytes"] == told > 0
    assert damage["reason"] == "torn end"
    assert damage["offset"] + told == len(raw)


@pytest.mark.parametrize("name", ["0-\u00b2-1.journal", "0-1-1.journal"])
def test_stranger_in_the_journal_folder_hides_no_journal(joined, name):
    write(joined)
    stranger = joined.journals / name
    if name == "0-1-1.journal":
        stranger.mkdir()
    else:
        stranger.write_bytes(b"")
    assert load_scalars(joined.journals).names == ["a"]
    view = LiveView(joined.journals)
    assert view.metrics == [("a", 0)]
    view.close()
    reader = RunReader(joined.journals)
    assert sum(len(entries) for _, entries in reader.read()) == 4
    reader.close()
    if stranger.is_dir():  # it is told as damage besides
        assert reader.unreadable == {name: f"{stranger} cannot be read: Is a directory"}


def test_drafts_of_watchers_that_were_killed_are_taken_away_by_the_next(burnish, scripts):
    assert scripts("import burnish\nburnish.log({'x': 1.0})").returncode == 0
    paths, record = scripts.completed("finished")
    names = ["run.json", "card.json", "card.md", "metrics.parquet", "metrics.pyramid", "cursors/tensorboard.json"]
    for name in names:
        place = paths.root / name
        (place.parent / f".{place.name}.4194000.tmp").write_bytes(b"half")
    record["state"] = "running"
    del record["attempts"][0]["ended"]
    paths.state.write_text(json.dumps(record))
    burnish("ls")
    assert scripts.record()["state"] == "finished"
    assert [path.name for path in paths.root.rglob("*.tmp")] == []


LOST = """
import errno, os, resource, signal
import burnish
run = burnish.start_run(tracking={"system_every_s": 0})
for step in range(100):
    run.log({"x": float(step)}, step)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
for step in range(100, 150):
    run.log({"x": float(step)}, step)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
for step in range(150, 200):
    run.log({"x": float(step)}, step)
print(run.dropped, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_hole_is_recorded_also_when_the_process_is_killed_later(scripts):
    done = scripts(LOST)
    assert done.returncode == -signal.SIGKILL
    _, record = scripts.completed("failed", "lost")  # a Linux before 6.15 does not tell how it ended
    assert record["summary"]["x"]["count"] == 150
    assert record["dropped"] == int(done.stdout) == 50


def test_names_notes_and_tags_cannot_move_the_terminal(burnish, scripts):
    script = "import burnish\nr = burnish.start_run()\nr.log({'a\\x1b[31mred': 1.0, 'b\\nc': 2.0})\n"
    script += "r.tag('t\\x1b[2J'); r.note('n\\x1b]0;x\\x07'); r.alert('al\\x1b[2Jert')\n"
    assert scripts(script).returncode == 0
    paths, _ = scripts.completed("finished")
    for words in (["ls"], ["show", paths.id]):
        assert "\x1b" not in burnish(*words).stdout
    assert r"a\x1b[31mred" in burnish("show", paths.id).stdout


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 1 MiB and what fills it; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place):
    with (place / "filler").open("wb", buffering=0) as file:
        size = 1 << 18
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def test_disk_that_is_full_at_the_start_is_told_with_what_to_type(burnish, scripts, full_disk):
    (full_disk / "runs").mkdir()
    fill(full_disk)
    burnish.environ["BURNISH_RUNS"] = str(full_disk / "runs")
    told = burnish("run", "--", "true")
    assert told.returncode not in (0, 70)
    assert "Traceback" not in told.stderr
    assert "run.json: No space left on device" in told.stderr
    assert "hint: choose another folder: BURNISH_RUNS=/path/to/runs" in told.stderr
    script = "import burnish\ntry:\n burnish.start_run()\nexcept burnish.BurnishError as error:\n print(error)"
    assert "No space left on device" in scripts(script).stdout


PRINTS = """
import pathlib, sys
import burnish
run = burnish.start_run(tracking={"system_every_s": 0})
filler = run.paths.root.parent.parent / "filler"
with filler.open("wb", buffering=0) as file:
    size = 1 << 18
    while size:
        try:
            file.write(bytes(size))
        except OSError:
            size //= 2
for step in range(2000):
    run.log({"loss": 1.0}, step)
    print("step", step)
    print("progress", step, end="\\r", file=sys.stderr)
filler.unlink()
run.log({"loss": 0.5}, 2000)
print("trained to the end")
"""


def test_training_that_prints_on_a_full_disk_goes_on(burnish, full_disk):
    burnish.environ["BURNISH_RUNS"] = str(full_disk / "runs")
    burnish.write("train.py", PRINTS)
    done = burnish("run", "--", sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    (state,) = (full_disk / "runs").glob("*/run.json")
    assert json.loads(state.read_text())["state"] == "finished"
    assert (state.parent / "console.log").read_text().endswith("trained to the end\n")
