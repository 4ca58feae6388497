"""Several processes that want one run id: exactly one gets it, the others are told and leave no trace."""

import sys

import pytest

from burnish.journal.series import load_scalars

RACE = """
import sys
import burnish
sys.stdin.readline()
try:
    run = burnish.start_run()
except burnish.BurnishError as error:
    sys.exit(f"{error}; {error.hint}")
run.log({"mine": 1.0})
print(run.id, flush=True)
sys.stdin.readline()
"""


def test_of_eight_scripts_at_once_exactly_one_gets_the_id(scripts):
    racing = [scripts.start(RACE, LLM_RUN_ID="k7f2") for _ in range(8)]
    for process in racing:
        process.stdin.write("\n")
        process.stdin.flush()
    losers = []
    try:
        for process in racing:
            line = process.stdout.readline()
            if line:
                assert line == "k7f2\n"
                winner = process
            else:
                losers.append(process.communicate(timeout=60)[1].strip())
                assert process.returncode == 1
        assert len(losers) == 7
        # Whether the winner has written its record by then decides what it is called.
        said = "run k7f2 exists already and is {} (env LLM_RUN_ID); set another LLM_RUN_ID, or unset it"
        assert set(losers) <= {said.format("created"), said.format("running")}
        again = scripts("import burnish; burnish.start_run()", LLM_RUN_ID="k7f2")
        assert "run k7f2 exists already and is running" in again.stderr
        winner.communicate("\n", timeout=60)
    finally:
        for process in racing:
            process.kill()
            process.communicate()
    paths, record = scripts.completed("finished")
    assert [path for path in scripts.runs.iterdir() if path.is_dir()] == [paths.root]
    assert load_scalars(paths.journals).of("mine")[1] == [1.0]
    assert record["id"] == "k7f2"


@pytest.mark.chaos
def test_of_eight_supervisors_at_once_exactly_one_gets_the_id(burnish):
    burnish.environ["LLM_RUN_ID"] = "k7f2"
    train = "import burnish; burnish.log({'mine': 1.0})"
    racing = [burnish.start("run", "--quiet", "--", sys.executable, "-c", train) for _ in range(8)]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in racing]
    refused = [text for text, code in ended if code]
    assert len(refused) == 7
    assert all("error: run k7f2 exists already and is " in text for text in refused)
    assert all("hint: " in text and "LLM_RUN_ID" in text for text in refused)
    (record,) = burnish.records()
    assert (record["id"], record["state"]) == ("k7f2", "finished")
    assert record["summary"]["mine"]["count"] == 1


def test_script_is_refused_the_id_of_a_supervised_run_that_lives_and_the_other_way_round(burnish, scripts, eventually):
    burnish.environ["LLM_RUN_ID"] = "k7f2"
    wait = "import burnish, pathlib, time\nburnish.log({'mine': 1.0})\n"
    wait += "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
    running = burnish.start("run", "--", sys.executable, "-c", wait)
    eventually(lambda: any(record["state"] == "running" for record in burnish.records()), "the run is there")
    refused = scripts("import burnish; burnish.log({'stolen': 1.0})")
    assert refused.returncode == 1
    assert "run k7f2 exists already and is running" in refused.stderr
    for words in (["run", "--", "true"], ["run", "--resume", "k7f2"]):
        second = burnish(*words)
        assert second.returncode not in (0, -9), second.stderr
        assert "k7f2" in second.stderr
    (burnish.root / "go").touch()
    running.communicate(timeout=60)
    (record,) = burnish.records()
    assert (record["state"], sorted(record["summary"])) == ("finished", ["mine"])
    assert len(record["attempts"]) == 1
