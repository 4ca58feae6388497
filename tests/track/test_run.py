import math
import os
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from burnish.journal import Kind
from burnish.track import Run


def test_id_is_the_last_part_of_the_name(run):
    assert (run.name, run.id) == ("20260101_toy_k7f2", "k7f2")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0.5, 0.5),
        (3, 3.0),
        (True, 1.0),
        (-math.inf, -math.inf),
        (np.float64(0.25), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array(1.5), 1.5),
        (np.bool_(True), 1.0),
    ],
    ids=repr,
)
def test_numbers_of_python_and_numpy_are_logged(run, value, kept, rows):
    run.log({"x": value, "y": 1.0})
    assert rows(run) == [(0, {"x": kept, "y": 1.0})]


def test_nan_is_kept(run, rows):
    run.log({"x": math.nan})
    assert math.isnan(rows(run)[0][1]["x"])


def test_numbers_of_torch_are_logged_with_and_without_gradient(run, rows):
    torch = pytest.importorskip("torch")
    weight = torch.tensor(2.0, requires_grad=True)
    values = {"loss": weight * 2, "count": torch.tensor(3), "half": torch.tensor(0.5, dtype=torch.bfloat16)}
    run.log(values)
    assert rows(run) == [(0, {"loss": 4.0, "count": 3.0, "half": 0.5})]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.5", "metric 'x' must be one number, not str"),
        (None, "metric 'x' must be one number, not NoneType"),
        ([1.0], "metric 'x' must be one number, not list"),
        (1 + 2j, "metric 'x' must be one number, not complex"),
        (np.zeros(3), "metric 'x' must be one number, not ndarray of shape (3,)"),
        (np.zeros((1, 1)), "metric 'x' must be one number, not ndarray of shape (1, 1)"),
    ],
    ids=repr,
)
def test_value_that_is_no_number_is_refused(run, value, message, rows):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        run.log({"x": value})
    assert (rows(run), run.dropped, run.step) == ([], 0, -1)


def test_tensor_of_several_numbers_is_refused(run):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"^metric 'x' must be one number, not Tensor of shape \(2, 3\)$"):
        run.log({"x": torch.zeros(2, 3)})


@pytest.mark.parametrize("value", [0.5, 1])
def test_name_that_is_no_string_is_refused(run, value, rows):
    with pytest.raises(TypeError, match=r"^a metric's name must be a string, not 7$"):
        run.log({7: value})
    assert rows(run) == []


def test_step_that_is_no_integer_is_refused(run):
    with pytest.raises(TypeError, match=r"^a step must be an integer, not 1\.5$"):
        run.log({"x": 1.0}, step=1.5)


def test_steps_count_from_zero_and_go_on_after_a_given_one(run, rows):
    for step in (None, None, 10, None, np.int64(3), None):
        run.log({"x": 0.5}, step)
    assert [step for step, _ in rows(run)] == [0, 1, 10, 11, 3, 4]
    assert run.step == 4


def test_resume_is_recorded_and_steps_go_on_after_it(run, rows, records):
    run.resume(41)
    run.log({"x": 0.5})
    (resume,) = [record for record in records(run, Kind.LIFECYCLE) if record.key == "resume"]
    assert resume.step == 41
    assert rows(run)[0][0] == 42


def test_checkpoint_inside_the_run_is_named_relative_to_it(run, folder, tmp_path, records):
    run.log_checkpoint(folder / "checkpoints" / "checkpoint-5", 5, {"loss": 0.5})
    run.log_checkpoint(tmp_path / "elsewhere", 6, {"loss": np.float64(0.25)})
    found = [(record.step, record.key, record.payload) for record in records(run, Kind.CHECKPOINT)]
    assert found == [
        (5, "checkpoints/checkpoint-5", {"metrics": {"loss": 0.5}}),
        (6, str(tmp_path / "elsewhere"), {"metrics": {"loss": 0.25}}),
    ]


def test_text_and_facts_are_recorded(run, records):
    run.log_text("sample", "Grüße", step=3)
    run.report({"seed": 2**100, "device": "cpu"})
    run.expect(500)
    (text,) = records(run, Kind.TEXT)
    assert (text.key, text.step, text.payload) == ("sample", 3, {"text": "Grüße"})
    facts = {record.key: record.payload for record in records(run, Kind.LIFECYCLE)}
    assert facts["card"] == {"seed": str(2**100), "device": "cpu"}
    assert facts["total"] == {"steps": 500}


def test_text_that_is_no_valid_unicode_is_kept(run, records):
    run.log_text("sample", "caf\udce9")
    assert records(run, Kind.TEXT)[0].payload == {"text": "caf\\udce9"}
    assert run.dropped == 0


def test_finish_is_recorded_once(run, records):
    run.log({"x": 0.5})
    run.finish("stopped", exit_code=75, error="asked to")
    run.finish()
    ends = [record for record in records(run, Kind.LIFECYCLE) if record.key == "end"]
    assert [end.payload for end in ends] == [{"status": "stopped", "exit_code": 75, "error": "asked to", "dropped": 0}]


def test_context_manager_records_how_it_was_left(folder, records):
    with pytest.raises(RuntimeError), Run(folder) as run:
        raise RuntimeError("shapes differ")
    end = records(run, Kind.LIFECYCLE)[-1].payload
    assert (end["status"], end["exit_code"], end["error"]) == ("failed", 1, "RuntimeError: shapes differ")


def test_credential_in_an_error_is_masked(run, monkeypatch, records):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    run.finish("failed", exit_code=1, error="401 for hf_abcdefgh at https://me:s3cret@hub")
    assert records(run, Kind.LIFECYCLE)[-1].payload["error"] == "401 for *** at https://me:***@hub"


@pytest.mark.parametrize("is_file", [False, True], ids=["vanished", "a file"])
def test_journal_folder_that_is_gone_gives_one_warning_and_a_counter(run, folder, caplog, is_file):
    shutil.rmtree(folder / "journal")
    if is_file:
        (folder / "journal").touch()
    for _ in range(3):
        run.log({"x": 0.5})
    run.log_text("sample", "text")
    run.report({"a": 1})
    assert run.dropped == 5
    (message,) = caplog.messages
    assert message.startswith(f"run 20260101_toy_k7f2: cannot write to {folder / 'journal'}: [Errno ")
    assert message.endswith("; training goes on")


def test_folder_that_comes_back_is_written_again_and_the_loss_is_told(run, folder, rows, records):
    shutil.rmtree(folder / "journal")
    run.log({"x": 0.5})
    (folder / "journal").mkdir()
    run.log({"x": 1.0})
    assert rows(run) == [(1, {"x": 1.0})]
    (opening,) = [record for record in records(run, Kind.LIFECYCLE) if record.key == "open"]
    assert opening.payload == {"attempt": 1, "pid": os.getpid(), "rank": 0, "dropped": 1, "continues": False}


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.log({"x": 0.5}, step=2**70),
        lambda run: run.log_text("huge", "x" * (65 << 20)),
        lambda run: run.report({"odd": Unprintable()}),
    ],
    ids=["step", "text", "fact"],
)
def test_what_cannot_be_written_is_counted_and_never_raises(run, call, caplog, rows):
    call(run)
    run.log({"x": 1.0}, step=1)
    assert rows(run) == [(1, {"x": 1.0})]
    assert run.dropped == 1
    assert len(caplog.messages) == 1


class Unprintable:
    def __str__(self):
        raise ValueError("no text")


READ_ONLY = """
import os, sys
from pathlib import Path
import msgspec, logging
from burnish.track.run import Run
if os.geteuid() == 0:
    os.setuid(65534)
run = Run(Path(sys.argv[1]))
for _ in range(3):
    run.log({"x": 0.5})
run.finish()
print(run.dropped)
"""


def test_read_only_journal_folder_gives_one_warning_and_a_counter(folder):
    (folder / "journal").chmod(0o555)
    done = subprocess.run([sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.count("cannot write to") == 1


def test_threads_may_log_at_once(run, rows):
    def work(number):
        for step in range(100):
            run.log({f"t{number}": float(step)}, step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = sorted((next(iter(values)), step) for step, values in rows(run))
    assert seen == sorted((f"t{number}", step) for number in range(4) for step in range(100))
