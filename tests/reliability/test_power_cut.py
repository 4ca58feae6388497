"""A power cut, replayed: SIGKILL leaves the page cache alone, so what is on disk is worked out from the system calls.

A supervised run is traced. At any moment the disk holds at least what was flushed, and at most what was written:
names in the order in which they were made, contents up to a chosen length, then nothing or zeros.
"""

import json
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest

from burnish.core.errors import JournalError
from burnish.core.paths import RunPaths
from burnish.journal import JournalReader, Row
from burnish.journal.reader import JournalName, journal_files
from burnish.journal.series import load_scalars

TRAIN = """
import time
import burnish
run = burnish.start_run()
for step in range(250):
    run.log({f"metric/{i}": step + i / 4 for i in range(5)}, step)
    run.log_text("sample", f"text {step}")
    time.sleep(0.02)
"""
CALLS = "openat,creat,write,pwrite64,writev,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,ftruncate"
_TEXT = r"(?:\\x[0-9a-f]{2})*"
_LINE = re.compile(r"(\d+) +(?:<\.\.\. \w+ resumed>|(\w+)\()(.*)")


@dataclass
class File:
    """An inode: what was written to it, and how much of that was flushed."""

    content: bytearray = field(default_factory=bytearray)
    durable: int = 0

    def resize(self, size):
        self.content[size:] = bytes(max(0, size - len(self.content)))
        self.durable = min(self.durable, size)


@dataclass
class Disk:
    """What the kernel was told to do below one folder.

    Attributes:
        names: Each change of a name so far, in order: the name, and its file or None where it went away.
        durable_names: How many of these were flushed.
    """

    root: str
    names: list = field(default_factory=list)
    durable_names: int = 0
    files: dict = field(default_factory=dict)

    def take(self, call, words, strings, result):
        """Account for one call that has succeeded; return whether it changed the disk."""
        paths = [word.removeprefix(self.root + "/") for word in words if word.startswith(self.root + "/")]
        if call in ("fsync", "fdatasync"):
            if words[0].startswith(self.root):
                self._flush(words[0])
            return words[0].startswith(self.root)
        if not paths:
            return False
        if call in ("openat", "creat"):
            return self._open(paths[0], strings)
        if call.startswith("rename"):
            self._name(paths[1], self.files.pop(paths[0]), gone=paths[0])
        elif call.startswith("unlink"):
            self.files.pop(paths[0], None)
            self.names.append((paths[0], None, ""))
        elif call in ("write", "pwrite64"):
            file = self.files[paths[0]]
            at = int(strings.rpartition(", ")[2].rstrip(")")) if call == "pwrite64" else len(file.content)
            file.content[at : at + result] = unescaped(re.search(f'"({_TEXT})"', strings)[1])[:result]
        elif call == "ftruncate":
            self.files[paths[0]].resize(int(strings.rpartition(", ")[2].rstrip(")")))
        else:
            raise AssertionError(f"{call} is not known here")
        return True

    def _open(self, path, strings):
        if "O_CREAT" in strings and path not in self.files:
            self._name(path, File())
        elif "O_TRUNC" in strings:
            self.files[path].resize(0)
        return True

    def _name(self, path, file, gone=""):
        self.files[path] = file
        self.names.append((path, file, gone))

    def _flush(self, path):
        name = path.removeprefix(self.root).lstrip("/")
        if name in self.files:
            self.files[name].durable = len(self.files[name].content)
        else:  # a folder: what was made in any before it is there as well
            self.durable_names = len(self.names)

    def after_power_cut(self, target, chance):
        """Write what may be there when the power comes back; return the flushed length of each file by name."""
        # The journal of a file system keeps names in order: a later one is never there without an earlier one.
        count = chance.choice(
            [self.durable_names, len(self.names), chance.randint(self.durable_names, len(self.names))]
        )
        there = {}
        for path, file, gone in self.names[:count]:
            there.pop(gone, None)
            there[path] = file
        flushed = {}
        for path, file in there.items():
            if file is None:
                continue
            extra = chance.choice(
                [0, len(file.content) - file.durable, chance.randint(0, len(file.content) - file.durable)]
            )
            kept = bytes(file.content[: file.durable + extra])
            zeros = bytes(chance.choice([0, len(file.content) - len(kept)]))
            place = target / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(kept + zeros)
            flushed[path] = file.durable
        return flushed


def between(least, most, chance):
    """Return the one, the other, or any number between them."""
    return chance.choice([least, most, chance.randint(least, most)])


def unescaped(text):
    return bytes.fromhex(text.replace("\\x", ""))


def calls_of(log):
    """Yield each call of a trace that has succeeded: name, paths in it, its arguments, its result."""
    begun = {}
    for line in log.read_text().splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, call, rest = found.groups()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = (call, rest.removesuffix("<unfinished ...>"))
            continue
        if call is None:
            call, start = begun.pop(pid)
            rest = start + rest
        arguments, _, result = rest.rpartition(" = ")
        number = re.match(r"\d+", result)
        if number is None:
            continue  # it failed
        named = re.findall(
            f'[<"]({_TEXT})[>"]', arguments if call not in ("write", "pwrite64") else arguments.partition(",")[0]
        )
        yield call, [unescaped(text).decode(errors="replace") for text in named], arguments, int(number[0])


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """The system calls of a supervised run, and its directory."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here: apt-get install strace")
    root = tmp_path_factory.mktemp("traced").resolve()
    (root / "train.py").write_text(TRAIN)
    log = root / "calls"
    words = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(log)]
    words += [sys.executable, "-m", "burnish", "run", "--quiet", "--", sys.executable, "train.py"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no process may be traced here")
    assert done.returncode == 0, done.stderr
    (state,) = root.glob(".burnish/runs/*/run.json")
    return list(calls_of(log)), state.parent


def rows_in(path):
    reader = JournalReader(path)
    try:
        return [entry.step for entry in reader.read_all() if isinstance(entry, Row)]
    except JournalError:
        return []  # its very beginning was not flushed
    finally:
        reader.close()


def check_disk(paths, flushed, whole):
    """Check what may be there after a power cut against what was flushed."""
    for path in journal_files(paths.journals):
        name = path.relative_to(paths.root).as_posix()
        original = whole / name
        found = rows_in(path)
        assert found == rows_in(original)[: len(found)]
        prefix = paths.root / "prefix.bin"
        prefix.write_bytes(original.read_bytes()[: flushed[name]])
        assert len(found) >= len(rows_in(prefix))  # whatever was flushed is read
        prefix.unlink()
    scalars = load_scalars(paths.journals)
    assert set(scalars.damage) <= {path.name for path in journal_files(paths.journals)}
    record = json.loads(paths.state.read_bytes() or b"{}") if is_json(paths.state) else {}
    if record.get("state") == "finished":
        assert record["summary"]["metric/0"]["count"] == 250
        table = pq.read_table(paths.metrics)
        assert [row["step"] for row in table.to_pylist() if row["key"] == "metric/0"] == list(range(250))
        assert scalars.of("metric/4")[0] == list(range(250))
        assert json.loads(paths.card.read_text())["run"]["state"] == "finished"
    return record.get("state")


def is_json(path):
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


@pytest.mark.chaos
def test_after_a_power_cut_what_was_flushed_is_read_and_a_final_state_means_all_is_there(traced, tmp_path):
    calls, root = traced
    disk, states = Disk(str(root)), []
    for number, call in enumerate(calls):
        is_near_the_end = number > len(calls) - 60
        if not disk.take(*call) or (number % 7 and not is_near_the_end):
            continue
        for seed in range(8 if is_near_the_end else 2):
            paths = RunPaths(tmp_path / root.name)
            paths.journals.mkdir(parents=True)
            flushed = disk.after_power_cut(paths.root, random.Random(f"{number} {seed}"))
            states.append(check_disk(paths, flushed, root))
            shutil.rmtree(paths.root)
    assert {"running", "finished"} <= set(states)
    assert states[-8:] == ["finished"] * 8  # flushed, whatever else is lost
    assert len(states) > 300


@pytest.mark.chaos
def test_no_more_than_the_last_seconds_were_ever_at_stake(traced):
    calls, root = traced
    disk, most = Disk(str(root)), 0
    journal = next(path for path in journal_files(root / "journal") if JournalName.parse(path).rank == 0)
    size = journal.stat().st_size
    for call in calls:
        disk.take(*call)
        file = disk.files.get(f"journal/{journal.name}")
        if file is not None:
            most = max(most, len(file.content) - file.durable)
    assert 0 < most < 0.7 * size  # flushed every 2 s of a training of 5 s or more
    assert file.durable == size
