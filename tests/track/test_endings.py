"""How the end of a plain script is recorded, where nobody but the script itself can tell."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("body", "state", "code"),
    [
        ("burnish.start_run()", "finished", 0),
        ("burnish.start_run(); sys.exit(0)", "finished", 0),
        ("burnish.start_run(); sys.exit(3)", "failed", 3),
        ("burnish.start_run(); sys.exit('no data')", "failed", 1),
        ("burnish.start_run(); raise KeyboardInterrupt", "stopped", 130),
        ("burnish.start_run(); raise ValueError('x')", "failed", 1),
        ("with burnish.start_run(): sys.exit(0)", "finished", 0),
        ("with burnish.start_run(): sys.exit(3)", "failed", 3),
        ("with burnish.start_run(): raise KeyboardInterrupt", "stopped", 130),
    ],
)
def test_the_end_of_a_plain_script_is_recorded_as_it_was(burnish, eventually, body, state, code):
    burnish.write("script.py", f"import sys\nimport burnish\n{body}\n")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=burnish.root, env=burnish.environ, capture_output=True, check=False
    )
    assert done.returncode in (code, -2 if code == 130 else code)
    eventually(lambda: burnish.records()[0]["state"] != "running", "the keeper completed the record")
    assert burnish.records()[0]["state"] == state


def test_a_script_that_waits_for_all_its_children_does_not_wait_for_the_keeper(burnish):
    burnish.write(
        "waits.py",
        "import os, burnish\nburnish.start_run()\ntry:\n    os.wait()\n"
        "except ChildProcessError:\n    print('no child')\n",
    )
    done = subprocess.run(
        [sys.executable, "waits.py"],
        cwd=burnish.root,
        env=burnish.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "no child\n"
