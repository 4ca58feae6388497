"""Folders that may not be written: what is said at the start, and what happens to a run that loses its folder."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from burnish.journal.reader import journal_files

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can run a script as another user")

# Everything that is imported is imported as root: the interpreter may lie where nobody else may look.
AS_NOBODY = """
import os, sys
import burnish, burnish.journal.reader, burnish.track.imported, burnish.track.declared
import burnish.track.blobs, burnish.track.table
import hashlib, logging, traceback
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
"""
LOSES_PERMISSION = """
import os, sys
run = burnish.start_run(tracking={"system_every_s": 0})
for step in range(50):
    run.log({"loss": float(step)}, step)
# The file that is open can still be written; another one cannot be made, nor can anything beside it.
print("ready", flush=True)
sys.stdin.readline()
for step in range(50, 100):
    run.log({"loss": float(step)}, step)
run.log_text("sample", "kept")
run.log_table("large", [{"a": "x" * 1000} for _ in range(1000)])
print(run.dropped)
"""


@pytest.fixture
def open_folder(tmp_path):
    """A folder that everybody may enter and write, below folders that everybody may enter."""
    place = Path("/tmp") / f"burnish-test-{os.getpid()}-{tmp_path.name}"
    place.mkdir()
    place.chmod(0o777)
    yield place
    shutil.rmtree(place)


def test_runs_folder_that_may_not_be_written_is_told_with_what_to_type(scripts, open_folder):
    runs = open_folder / "runs"
    runs.mkdir(0o755)
    script = AS_NOBODY + "try:\n    burnish.start_run()\nexcept burnish.BurnishError as error:\n"
    script += "    print(error)\n    print(error.hint)\n"
    scripts.root = open_folder
    done = scripts(script, BURNISH_RUNS=str(runs))
    assert done.stdout.splitlines() == [
        f"cannot create a run directory in {runs}: Permission denied",
        "choose another folder: BURNISH_RUNS=/path/to/runs",
    ], done.stderr
    assert list(runs.iterdir()) == []


def test_project_that_may_not_be_written_is_told_with_what_to_type(scripts, open_folder):
    open_folder.chmod(0o755)
    scripts.root = open_folder
    script = AS_NOBODY + "try:\n    burnish.start_run()\nexcept burnish.BurnishError as error:\n"
    script += "    print(error)\n    print(error.hint)\n"
    done = scripts(script)
    assert done.stdout.splitlines() == [
        f"cannot create folder {open_folder / '.burnish' / 'runs'}: Permission denied",
        "choose another folder: BURNISH_RUNS=/path/to/runs",
    ], done.stderr
    assert list(open_folder.iterdir()) == []


def test_run_whose_folder_loses_permission_trains_on_and_is_recorded_as_far_as_can_be(scripts, open_folder):
    scripts.root, scripts.runs = open_folder, open_folder / "runs"
    script = AS_NOBODY + LOSES_PERMISSION
    with scripts.start(script, BURNISH_RUNS=str(scripts.runs)) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        paths = scripts.paths()
        folders = [paths.root, *(path for path in paths.root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        said, warned = process.communicate("\n", timeout=60)
    assert process.returncode == 0, warned
    assert said == "1\n"  # the large table, which would be a file of its own
    assert len(warned.splitlines()) == 1
    assert "Permission denied" in warned
    (path,) = [path for path in journal_files(paths.journals) if path.name.startswith("0-")]
    assert path.stat().st_uid == NOBODY
    for folder in folders:
        folder.chmod(0o777)


def test_cache_and_home_that_may_not_be_written_disturb_no_run(burnish, scripts, open_folder):
    closed = open_folder / "closed"
    closed.mkdir(0o555)
    scripts.root, scripts.runs = open_folder, open_folder / "runs"
    script = AS_NOBODY + "run = burnish.start_run()\nrun.log({'loss': 1.0})\n"
    places = {name: str(closed) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    done = scripts(script, BURNISH_RUNS=str(scripts.runs), **places)
    assert (done.returncode, done.stderr) == (0, "")
    burnish.environ["BURNISH_RUNS"] = str(scripts.runs)
    assert burnish.json("ls")["runs"][0]["summary"]["loss"]["count"] == 1
    assert list(closed.iterdir()) == []


# The command, once as root so that all is imported, then as a user who may only read.
LOOK = """
import os, sys
from burnish.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    print("AS NOBODY", flush=True)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def test_others_runs_that_may_only_be_read_are_listed_and_shown(burnish, scripts, open_folder):
    burnish.environ["BURNISH_RUNS"] = str(open_folder / "runs")
    train = "import burnish; burnish.log({'loss': 1.0})"
    assert burnish("run", "--quiet", "--", sys.executable, "-c", train).returncode == 0
    (root,) = [path for path in (open_folder / "runs").iterdir() if path.is_dir()]
    scripts.root = open_folder
    for words in (["ls"], ["show", root.name], ["logs", root.name, "--journal"], ["export", root.name]):
        done = scripts(LOOK, *words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        as_root, as_nobody = done.stdout.split("AS NOBODY\n")
        assert "loss" in as_nobody
        assert words == ["ls"] or as_root == as_nobody  # which says how long ago it was
    annotated = scripts(LOOK.replace("    main(sys.argv[1:])", "    main(['ls'])"), "tag", root.name, "mine")
    assert annotated.returncode != 0
    assert "Traceback" not in annotated.stderr
