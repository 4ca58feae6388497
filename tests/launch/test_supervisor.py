from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

COUNT = """
import sys, time
import burnish
run = burnish.start_run()
first = 0
for step in range(int(sys.argv[1])):
    run.log({"loss": 1.0 / (step + 1)}, step)
    print("step", step)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def count(burnish):
    burnish.write("count.py", COUNT)
    return burnish


def python(*words):
    return ["--", sys.executable, *words]


def training_pid(burnish):
    records = burnish.records()
    attempts = records[-1]["attempts"] if records else []
    return attempts[-1].get("process", {}).get("pid") if attempts else None


def has_step(burnish, step):
    return any(f"step {step}\n" in path.read_text() for path in burnish.runs.glob("*/console.log"))


def orphan(burnish, eventually, steps=10_000, pause_s=0.01):
    """Start a training, kill its supervisor once it has begun, and return the training's process id."""
    running = burnish.start("run", *python("count.py", str(steps), str(pause_s)))
    eventually(lambda: has_step(burnish, 3), "training has begun")
    pid = training_pid(burnish)
    running.kill()
    running.communicate()
    return pid


def test_any_command_becomes_a_run_with_its_exit_code(count):
    done = count("run", *python("count.py", "5", "0"))
    assert done.returncode == 0, done.stderr
    (record,) = count.records()
    assert record["state"] == "finished"
    assert record["summary"]["loss"] == {
        "count": 5, "first": 1.0, "last": 0.2, "min": 0.2, "max": 1.0, "last_step": 4, "nonfinite": 0,
        "best": 0.2, "best_step": 4,
    }  # fmt: skip
    folder = next(count.runs.iterdir())
    assert (folder / "console.log").read_text().splitlines() == [f"step {n}" for n in range(5)]
    table = pq.read_table(folder / "metrics.parquet")
    assert table["step"].to_pylist() == [0, 1, 2, 3, 4]
    assert (folder / "card.json").exists()
    assert "finished" in (folder / "card.md").read_text()


def test_the_exit_code_of_the_command_is_passed_through(burnish):
    done = burnish("run", *python("-c", "raise SystemExit(7)"))
    assert done.returncode == 7
    assert burnish.records()[0]["state"] == "failed"
    assert burnish.records()[0]["reason"] == "exit code 7"
    assert len(burnish.records()[0]["attempts"]) == 1


def test_a_killed_command_is_started_again_and_gives_up_in_the_end(burnish):
    kill_me = "import os; os.kill(os.getpid(), 9)"
    done = burnish("run", "--retry.max_attempts", "2", "--retry.backoff_s", "0", *python("-c", kill_me))
    assert done.returncode == 137
    (record,) = burnish.records()
    assert [attempt["reason"] for attempt in record["attempts"]] == ["killed by SIGKILL"] * 2
    assert record["state"] == "failed"


def test_a_command_that_does_not_exist_is_a_usage_error(burnish):
    done = burnish("run", "--", "no-such-program")
    assert done.returncode == 2
    assert "error: cannot start 'no-such-program': No such file or directory" in done.stderr
    assert burnish.records()[0]["state"] == "failed"


def test_a_child_of_the_command_does_not_outlive_it(burnish, eventually):
    burnish.write("spawn.py", "import subprocess, sys\np = subprocess.Popen(['sleep', '300'])\nprint(p.pid)\n")
    assert burnish("run", *python("spawn.py")).returncode == 0
    pid = int(next(burnish.runs.glob("*/console.log")).read_text())
    eventually(lambda: not is_running(pid), "the grandchild is gone")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_interrupts_a_plain_command_once_and_records_it(count, eventually):
    running = count.start("run", *python("count.py", "10000", "0.01"))
    eventually(lambda: has_step(count, 3), "training has begun")
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    (record,) = count.records()
    assert record["state"] == "stopped"
    assert record["reason"] == "killed by SIGINT"
    assert "burnish run --resume" in errors
    assert running.returncode == 130


def test_ctrl_c_twice_kills_at_once(burnish, eventually):
    burnish.write(
        "deaf.py", "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('step 0')\ntime.sleep(300)\n"
    )
    running = burnish.start("run", *python("deaf.py"))
    eventually(lambda: has_step(burnish, 0), "the script is running")
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    assert any("Ctrl-C again to stop at once" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode == 137
    assert burnish.records()[0]["state"] == "stopped"


def test_killing_the_supervisor_leaves_training_alone_and_the_next_command_adopts_it(count, eventually):
    pid = orphan(count, eventually, 150, 0.02)
    assert is_running(pid)
    done = count("ls")
    assert "its supervisor had died; adopted, training goes on" in done.stderr
    assert count("ls").stderr == ""  # it has a keeper now
    eventually(lambda: count.records()[0]["state"] == "finished", "the record is complete")
    record = count.records()[0]
    assert record["summary"]["loss"]["count"] == 150
    assert has_step(count, 149)
    ranks = pq.read_table(next(count.runs.iterdir()) / "metrics.parquet")["rank"].to_pylist()
    assert ranks.count(0) == 150


def test_when_supervisor_and_training_are_both_killed_the_record_says_so(count, eventually):
    pid = orphan(count, eventually, 10000, 0.01)
    os.killpg(pid, signal.SIGKILL)
    eventually(lambda: not is_running(pid), "training is dead")
    done = count("ls")
    (record,) = count.records()
    # Where nothing reaps orphans it stays a zombie, which tells how it ended.
    told = {"lost": "its end was not seen", "failed": "killed by SIGKILL"}
    assert f"record completed, state {record['state']}" in done.stderr
    assert record["reason"] == told[record["state"]]
    assert record["summary"]["loss"]["count"] >= 4  # step 3 was printed after it was logged


def test_a_child_whose_supervisor_died_before_writing_its_pid_is_found(count, eventually):
    pid = orphan(count, eventually, 200, 0.02)
    state = next(count.runs.glob("*/run.json"))
    record = json.loads(state.read_text())
    del record["attempts"][0]["process"]
    state.write_text(json.dumps(record))
    assert "adopted" in count("ls").stderr
    assert is_running(pid)
    eventually(lambda: count.records()[0]["state"] == "finished", "the record is complete")


def test_a_run_is_supervised_by_one_process_only(count, eventually):
    running = count.start("run", *python("count.py", "10000", "0.01"))
    eventually(lambda: has_step(count, 3), "training has begun")
    name = count.records()[0]["name"]
    from burnish.core.errors import RunError
    from burnish.core.paths import RunPaths
    from burnish.launch import RetryPolicy, Supervisor

    second = Supervisor(RunPaths(count.runs / name), ["true"], policy=RetryPolicy(), sinks={})
    with pytest.raises(RunError, match="supervised by another live process"):
        second.run()
    running.kill()
    running.communicate()


def test_sigterm_stops_the_run_gracefully(count, eventually):
    running = count.start("run", *python("count.py", "10000", "0.01"))
    eventually(lambda: has_step(count, 3), "training has begun")
    running.terminate()
    running.communicate(timeout=30)
    assert running.returncode == 143
    assert count.records()[0]["state"] == "stopped"


def test_a_file_that_is_no_journal_is_passed_over_and_the_run_is_finished(count):
    count.write("spoil.py", COUNT + "\n(run.paths.journals / '0-1-1.journal').write_bytes(b'not a journal at all!')\n")
    done = count("run", *python("spoil.py", "5", "0"))
    assert done.returncode == 0, done.stderr
    (record,) = count.records()
    assert record["state"] == "finished"
    assert record["summary"]["loss"]["count"] == 5
    assert record["sinks"]["tensorboard"]["error"] == ""
    assert list(record["damage"]) == ["0-1-1.journal"]


def test_a_run_that_is_still_being_made_is_left_alone(count):
    from burnish.core.paths import find_project
    from burnish.launch import RetryPolicy
    from burnish.launch.prepare import RunPlan, prepare_run

    project = find_project(count.root)
    plan = RunPlan("slow", ("slow",), ("true",), RetryPolicy())
    prepared = prepare_run(plan, project, environ=count.environ)
    done = count("ls")
    assert done.stderr == ""
    assert count.records()[0]["state"] == "created"
    assert prepared.paths.root.is_dir()


def test_a_run_whose_supervisor_died_after_seeing_the_end_keeps_its_exit_code(count):
    assert count("run", *python("count.py", "5", "0")).returncode == 0
    state = next(count.runs.glob("*/run.json"))
    record = json.loads(state.read_text())
    record["state"] = "running"
    del record["summary"]
    record["attempts"][0]["exit_code"] = 3
    state.write_text(json.dumps(record))
    assert "record completed, state failed" in count("ls").stderr
    (record,) = count.records()
    assert (record["exit_code"], record["summary"]["loss"]["count"]) == (3, 5)


def test_many_commands_at_once_agree_on_an_orphan(count, eventually):
    orphan(count, eventually, 150, 0.02)
    looking = [count.start("ls") for _ in range(4)]
    told = [look.communicate(timeout=60)[1] for look in looking]
    assert [look.returncode for look in looking] == [0] * 4
    assert any("adopted" in text for text in told)
    eventually(lambda: count.records()[0]["state"] == "finished", "the record is complete")
    assert count.records()[0]["summary"]["loss"]["count"] == 150
    assert len(count.records()[0]["attempts"]) == 1


def test_a_retry_is_announced_even_when_the_command_logs_nothing(burnish):
    kill_me = "import os, time; time.sleep(0.3); os.kill(os.getpid(), 9)"
    done = burnish("run", "--retry.max_attempts", "2", "--retry.backoff_s", "0", *python("-c", kill_me))
    assert "attempt 1 killed by SIGKILL; attempt 2 goes on" in done.stderr


def test_a_script_that_names_its_config_under_a_supervisor_has_it_in_the_run(burnish):
    burnish.write("named.py", "import burnish\nburnish.start_run(config={'lr': 0.1, 'api_key': 'hush-hush'})\n")
    assert burnish("run", *python("named.py")).returncode == 0
    text = next(burnish.runs.glob("*/config.yaml")).read_text()
    assert '"lr": 0.1' in text
    assert "hush-hush" not in text


def test_a_failed_command_shows_its_output_once_and_a_reason_of_one_line(burnish):
    burnish.write("loud.py", "import burnish\nburnish.start_run()\nraise ValueError('first\\nsecond')\n")
    done = burnish("run", *python("loud.py"))
    assert done.stderr.count("ValueError: first\nsecond") == 1
    assert burnish.records()[0]["reason"] == "exit code 1" or burnish.records()[0]["reason"] == "ValueError: first"


def test_a_journal_that_vanishes_does_not_end_the_supervisor(burnish):
    burnish.write(
        "ghost.py",
        "import os, burnish\nrun = burnish.start_run()\nfor n in range(3000):\n"
        "    path = run.paths.journals / f'0-{n + 1}-1.journal'\n    path.touch()\n    path.unlink()\n"
        "run.log({'x': 1.0})\n",
    )
    done = burnish("run", *python("ghost.py"))
    assert done.returncode == 0, done.stderr
    assert burnish.records()[0]["state"] == "finished"


def test_a_run_that_was_never_started_is_lost_and_says_so(count):
    from burnish.core.paths import find_project
    from burnish.launch import RetryPolicy
    from burnish.launch.prepare import RunPlan, prepare_run

    plan = RunPlan("slow", ("slow",), ("true",), RetryPolicy())
    prepare_run(plan, find_project(count.root), environ=count.environ).lock.release()
    count("ls")
    (record,) = count.records()
    assert (record["state"], record["reason"]) == ("lost", "it was never started")


def test_a_damaged_record_stops_no_other_run(count):
    assert count("run", *python("count.py", "3", "0")).returncode == 0
    bad = count.runs / "20260101_bad_zzzz"
    bad.mkdir()
    (bad / "run.json").write_text('{"state": "running", "attempts": {"a": 1}, "summary": {"eval/x": {"last": 1}}}')
    done = count("ls")
    assert done.returncode == 0, done.stderr
    assert "zzzz" in done.stdout
    assert len(count.json("ls")["runs"]) == 2


def test_a_process_of_another_namespace_is_not_judged_from_here(count, eventually):
    orphan(count, eventually, 200, 0.02)
    state = next(count.runs.glob("*/run.json"))
    record = json.loads(state.read_text())
    record["attempts"][0]["process"]["namespace"] = "pid:[1]"
    state.write_text(json.dumps(record))
    assert count("ls").stderr == ""
    assert count.records()[0]["state"] == "running"
    kill_pid = record["attempts"][0]["process"]["pid"]
    os.killpg(kill_pid, signal.SIGKILL)


def test_a_command_that_held_a_credential_is_not_resumed_with_the_mask(burnish):
    burnish("run", *python("-c", "raise SystemExit(1)", "--api-key", "planted-zz8"))
    run_id = str(burnish.records()[0]["id"])
    done = burnish("run", "--resume", run_id)
    assert done.returncode == 1
    assert "held a credential, which was not kept" in done.stderr
    assert burnish("run", "--resume", run_id, "--max_steps", "3").returncode == 2


def test_a_kill_inside_a_shell_is_tried_again(burnish):
    burnish.write("train.sh", f"{__import__('sys').executable} -c 'import os; os.kill(os.getpid(), 9)'\nexit $?\n")
    done = burnish("run", "--retry.max_attempts", "2", "--retry.backoff_s", "0", "--", "bash", "train.sh")
    assert done.returncode == 137
    assert len(burnish.records()[0]["attempts"]) == 2


def test_an_end_that_a_child_process_wrote_is_not_the_runs(burnish):
    burnish.write(
        "par.py",
        "import burnish, subprocess, sys\nrun = burnish.start_run()\n"
        "child = \"import burnish; burnish.log({'loss': 9.0}, 2); raise ValueError('child broke')\"\n"
        "subprocess.run([sys.executable, '-c', child])\n"
        "for step in range(8):\n    run.log({'loss': float(step)}, step)\n",
    )
    assert burnish("run", *python("par.py")).returncode == 0
    (record,) = burnish.records()
    assert (record["state"], record["reason"], record["step"]) == ("finished", "finished", 7)
    assert record["summary"]["loss"]["last"] == 7.0


def test_quiet_still_tells_a_failure(burnish):
    done = burnish("run", "--quiet", "--", "sh", "-c", "echo boom; exit 3")
    assert done.returncode == 3
    assert "boom" in done.stderr
    assert "exit code 3" in done.stderr
    assert burnish("run", "--quiet", "--", "true").stderr.startswith("warning: no git") is True


def test_output_without_a_last_newline_and_bytes_that_are_no_text_are_kept(burnish):
    assert burnish("run", "--", "sh", "-c", "printf 'one\\nlast'").returncode == 0
    assert burnish("logs", str(burnish.records()[0]["id"])).stdout == "one\nlast\n"
    done = subprocess.run(
        [*burnish.argv("run", "--"), "echo", b"\xff"], cwd=burnish.root, env=burnish.environ, check=False
    )
    assert done.returncode == 0
    assert len(burnish.records()) == 2


def test_supervisor_may_open_all_files_and_every_attempt_what_the_user_has_set(burnish, eventually):
    body = "import os, resource, time\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)\n"
    burnish.write("limit.py", body + "time.sleep(0.5)\nos.kill(os.getpid(), 9)\n")
    words = burnish.argv("run", "--retry.max_attempts", "2", "--retry.backoff_s", "0", *python("limit.py"))
    shell = ["sh", "-c", 'ulimit -Sn 300; exec "$@"', "sh", *words]
    supervisor = subprocess.Popen(shell, cwd=burnish.root, env=burnish.environ, stdout=subprocess.PIPE)
    eventually(lambda: [p for p in burnish.runs.glob("*/console.log") if p.read_text()], "training has begun")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE)[0] == hard
    supervisor.communicate()
    (console,) = burnish.runs.glob("*/console.log")
    assert console.read_text().split() == ["300", "300"]
