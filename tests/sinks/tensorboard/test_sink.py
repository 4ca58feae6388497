import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest

from burnish.journal import JournalWriter, Kind
from burnish.journal.parquet import write_parquet
from burnish.journal.reader import SYSTEM_RANK
from burnish.journal.series import load_scalars
from burnish.sinks.base import Gone
from burnish.sinks.tensorboard import TensorBoardSink


def read_events(shipping, part="."):
    """Return the points as TensorBoard itself shows them."""
    events = shipping.shown(part)
    return {
        tag: [(event.step, np.float32(event.value)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def read_parquet(run):
    write_parquet(load_scalars(run.journals), run.metrics)
    found = defaultdict(list)
    for row in pq.ParquetFile(run.metrics).read().to_pylist():
        if row["rank"] == 0:
            with np.errstate(over="ignore"):
                found[row["key"]].append((row["step"], np.float32(row["value"])))
    return dict(found)


def test_tensorboard_shows_the_points_of_the_parquet_file(shipping, attempt):
    attempt(1, range(20))
    shipping.ship()
    assert set(read_events(shipping)) == {"loss", "größe", "eval/score"}
    np.testing.assert_equal(read_events(shipping), read_parquet(shipping.run))


@pytest.mark.parametrize("resume", [7, None])
def test_replayed_steps_are_shown_once_the_newer(shipping, attempt, resume):
    attempt(1, range(13))
    attempt(2, range(8, 17), resume=resume)
    attempt(3, range(15, 22), resume=None if resume is None else 14)
    shipping.ship()
    assert shipping.steps("loss") == list(range(22))
    np.testing.assert_equal(read_events(shipping), read_parquet(shipping.run))


def test_evaluation_beyond_the_resume_point_disappears(shipping, attempt):
    attempt(1, range(11))
    attempt(2, [7, 8], resume=6)
    shipping.ship()
    assert shipping.steps("eval/score") == [0, 5]
    np.testing.assert_equal(read_events(shipping), read_parquet(shipping.run))


def test_what_the_machine_did_is_a_run_of_its_own_that_no_resume_cuts(shipping, attempt):
    attempt(1, range(10))
    machine = JournalWriter(shipping.run.journals, SYSTEM_RANK, lambda: {"attempt": 2})
    for step in (4, 9, 6, 7):
        machine.row(("system/threads",), (float(step),), step, 1e9 + step)
    machine.close()
    attempt(2, range(6, 9), resume=5)
    shipping.ship()
    assert shipping.steps("loss") == list(range(9))
    assert "system/threads" not in read_events(shipping)
    assert list(read_events(shipping, "system")) == ["system/threads"]
    assert shipping.steps("system/threads", part="system") == [4, 9, 6, 7]


def test_other_ranks_are_not_shown_and_counted(shipping, attempt):
    attempt(1, range(3))
    attempt(1, range(9), rank=1)
    shipping.ship()
    np.testing.assert_equal(read_events(shipping), read_parquet(shipping.run))
    assert shipping.mapped["other ranks left out"] == 12  # a beginning, nine rows and two evaluations


def test_values_that_32_bits_do_not_hold_are_infinite_and_counted(shipping):
    writer = JournalWriter(shipping.run.journals, 0, dict)
    values = (1e300, -1e39, float("inf"), float("-inf"), float("nan"), 3.4028234e38, 1e-60)
    writer.row(tuple("abcdefg"), values, 1, 1e9)
    writer.close()
    shipping.ship()
    shown = {tag: points[0][1] for tag, points in read_events(shipping).items()}
    np.testing.assert_equal(
        list(shown.values()), np.float32([np.inf, -np.inf, np.inf, -np.inf, np.nan, 3.4028234e38, 0])
    )
    assert shipping.mapped == {"beyond 32 bits": 2}


def test_run_in_which_nothing_was_said_shows_nothing(shipping):
    JournalWriter(shipping.run.journals, 0, dict).close()
    shipping.ship()
    shipping.ship()
    assert shipping.shown().Tags()["scalars"] == []
    assert "mapped" not in shipping.state


@pytest.mark.parametrize("size", [1, 300, 5000])
def test_shipping_in_pieces_writes_the_bytes_of_shipping_at_once(shipping, attempt, size):
    attempt(1, range(30))
    attempt(2, range(10, 40))
    shipping.ship()
    at_once, mapped = shipping.files, shipping.mapped
    shutil.rmtree(shipping.folder)
    shipping.state, shipping.offsets = {}, {}
    while list(shipping.batches(size)):
        shipping.ship("", size=size, batches=3)
    shipping.ship()
    assert shipping.files == at_once
    assert shipping.mapped == mapped == {"beyond 32 bits": 1}
    assert not shipping.gone


def test_sinks_that_die_before_their_state_is_stored_give_the_same_bytes(shipping, attempt):
    attempt(1, range(60))
    attempt(2, range(40, 90), resume=39)
    shipping.ship()
    undisturbed, mapped = shipping.files, shipping.mapped
    shutil.rmtree(shipping.folder)
    shipping.state, shipping.offsets = {}, {}
    chance = random.Random(3)
    for _ in range(40):
        batches = list(shipping.batches(400))[:2]
        sink = TensorBoardSink()
        sink.open(shipping.run, shipping.state)
        for batch in batches:
            state = sink.ship(batch)
            if chance.random() < 0.5:
                break  # killed: what was written is not vouched for
            shipping.take(batch, state)
    shipping.ship()
    assert shipping.files == undisturbed
    assert shipping.mapped == mapped
    assert not shipping.gone


SHIP = """
import sys
from pathlib import Path
from burnish.core.paths import RunPaths
from burnish.sinks.pump import Pump
from burnish.sinks.tensorboard import TensorBoardSink

pump = Pump(RunPaths(Path(sys.argv[1])), "tensorboard", TensorBoardSink, batch_bytes=4096)
pump.round()
pump.close("finished")
"""


def test_killed_process_that_ships_again_gives_the_bytes_of_an_undisturbed_one(shipping, attempt):
    attempt(1, range(4000))
    attempt(2, range(3500, 5000))
    shipping.ship()
    undisturbed = shipping.files
    shutil.rmtree(shipping.folder)
    chance = random.Random(7)
    total = sum(map(len, undisturbed.values()))
    grown, finished, cut = 0, False, []
    for _ in range(6):
        killed = subprocess.Popen([sys.executable, "-c", SHIP, str(shipping.run.root)])
        # Killed a random while after it has begun to write, or has ended.
        grown += chance.randint(1, 60_000)
        while killed.poll() is None and sum(map(len, shipping.files.values())) <= grown:
            time.sleep(0.001)
        killed.send_signal(signal.SIGKILL)
        finished = killed.wait() == 0
        grown = sum(map(len, shipping.files.values()))
        cut.append(grown)
        if finished:
            break
    else:
        subprocess.run([sys.executable, "-c", SHIP, str(shipping.run.root)], check=True)
    assert any(0 < size < total for size in cut)
    assert shipping.files == undisturbed


def test_second_file_of_a_resumed_attempt_keeps_the_points_of_the_first(shipping, attempt):
    attempt(1, range(10))
    writer = JournalWriter(shipping.run.journals, 0, lambda: {"attempt": 2})
    writer.record(Kind.LIFECYCLE, "resume", {}, 4)
    for step in (5, 6):
        writer.row(("loss",), (float(step),), step, 1e9 + step)
    child = os.fork()
    if child == 0:  # a data loader that logs: it has a file of its own
        writer.row(("loader/queue",), (3.0,), 5, 1e9 + 5)
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()
    shipping.ship()
    assert shipping.steps("loss") == list(range(7))
    assert read_events(shipping)["loader/queue"] == [(5, np.float32(3.0))]


def test_second_process_of_a_resumed_attempt_replays_nothing(shipping, attempt):
    attempt(1, range(10))
    attempt(2, range(5, 9), resume=None)
    attempt(2, range(6, 8))  # another process of the same attempt
    shipping.ship()
    np.testing.assert_equal(read_events(shipping)["eval/score"], read_parquet(shipping.run)["eval/score"])
    assert shipping.steps("loss") == [*range(9), 6, 7]


def delete(path):
    path.unlink()


def shorten(path):
    os.truncate(path, path.stat().st_size // 2)


def put_another(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[::-1])


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [delete, shorten, put_another, zero])
def test_event_file_that_somebody_harmed_is_written_anew_from_the_first_entry(shipping, attempt, harm):
    attempt(1, range(5))
    attempt(2, range(3, 9))
    shipping.ship()
    good, mapped = shipping.files, shipping.mapped
    for name in good:
        if name.endswith("-" + str(os.getpid())):
            harm(shipping.folder / name)
            shipping.ship()
            assert shipping.files == good
            assert shipping.mapped == mapped
    assert shipping.gone == 2


@pytest.mark.parametrize("harm", [delete, shorten, put_another, zero])
def test_event_file_harmed_while_the_sink_has_it_is_seen_at_the_next_batch(shipping, attempt, harm):
    writer = JournalWriter(shipping.run.journals, 0, dict)
    writer.row(("loss",), (1.0,), 1, 1e9)
    sink = shipping.ship("")
    (name,) = shipping.files
    harm(shipping.folder / name)
    writer.row(("loss",), (2.0,), 2, 1e9)
    writer.close()
    (batch,) = shipping.batches()
    with pytest.raises(Gone, match="tfevents"):
        sink.ship(batch)
    shipping.ship()
    assert shipping.steps("loss") == [1, 2]


def test_event_file_lost_behind_a_new_one_is_missed(shipping, attempt):
    attempt(1, range(5))
    sink = shipping.ship("")
    shutil.rmtree(shipping.folder)
    attempt(2, range(3, 9))
    (batch,) = shipping.batches()
    with pytest.raises(Gone):
        sink.ship(batch)
    with pytest.raises(Gone):
        sink.close("finished")
    shipping.ship()
    assert shipping.steps("loss") == list(range(9))


def test_what_somebody_appended_is_cut_off(shipping, attempt):
    attempt(1, range(5))
    shipping.ship()
    good = shipping.files
    for name in good:
        with (shipping.folder / name).open("ab") as file:
            file.write(b"garbage" * 9)
    shipping.ship()
    assert (shipping.files, shipping.gone) == (good, 0)
    attempt(2, range(5, 8))
    shipping.ship()
    assert shipping.steps("loss") == list(range(8))


def test_what_is_there_without_a_state_is_written_over(shipping, attempt):
    attempt(1, range(30))
    shipping.ship()
    good = shipping.files
    shipping.state, shipping.offsets = {}, {}
    sink = TensorBoardSink()
    sink.open(shipping.run, {})
    assert shipping.shown().Tags()["scalars"] == []
    shipping.ship()
    assert shipping.files == good


def test_links_in_place_of_files_are_replaced_and_what_they_point_to_is_left(shipping, attempt, configure, tmp_path):
    configure({"lr": 1})
    attempt(1, range(5))
    shipping.ship()
    good, mine = shipping.files, tmp_path / "mine"
    mine.write_text("my own")
    for name in [*good, ".burnish-draft"]:
        (shipping.folder / name).unlink(missing_ok=True)
        (shipping.folder / name).symlink_to(mine)
    shipping.ship()
    assert (shipping.files, mine.read_text()) == (good, "my own")


def test_state_that_says_nonsense_begins_anew(shipping, attempt):
    attempt(1, range(5))
    shipping.ship()
    good = shipping.files
    for nonsense in ("x", [], [-1, 1, True], [9, 1, True, None, "no hex"], {"size": 3}, [10**9, 1, False]):
        (journal,) = shipping.offsets
        shipping.state[journal] = nonsense
        shipping.ship()
        assert shipping.files == good
    assert shipping.gone == 6


def test_state_of_the_first_release_is_gone_on_from(shipping, attempt):
    attempt(1, range(5))
    shipping.ship()
    (journal,) = shipping.offsets
    shipping.state = {journal: shipping.state[journal][:3]}
    attempt(2, range(3, 9))
    shipping.ship()
    assert (shipping.gone, shipping.steps("loss")) == (0, list(range(9)))


def test_full_disk_is_an_error_after_which_the_same_bytes_are_written(shipping, attempt, limited_disk):
    attempt(1, range(300))
    shipping.ship()
    good = shipping.files
    shutil.rmtree(shipping.folder)
    shipping.state, shipping.offsets = {}, {}
    limited_disk(10_000)
    with pytest.raises(OSError, match="too large"):
        shipping.ship(size=2000)
    assert max(map(len, shipping.files.values())) == 10_000
    limited_disk(None)
    shipping.ship(size=2000)
    assert (shipping.files, shipping.gone) == (good, 0)


def test_sink_goes_on_after_a_full_disk_without_being_opened_again(shipping, attempt, limited_disk):
    attempt(1, range(300))
    shipping.ship()
    good = shipping.files
    shutil.rmtree(shipping.folder)
    shipping.offsets = {}
    sink = TensorBoardSink()
    sink.open(shipping.run, {})
    (batch,) = shipping.batches()
    limited_disk(10_000)
    with pytest.raises(OSError, match="too large"):
        sink.ship(batch)
    limited_disk(None)
    sink.ship(batch)
    assert shipping.files == good


def test_folder_that_cannot_be_made_is_an_error_until_it_can(shipping, attempt):
    attempt(1, range(3))
    shipping.folder.write_text("in the way")
    with pytest.raises(FileExistsError):
        shipping.ship()
    shipping.folder.unlink()
    shipping.ship()
    assert shipping.steps("loss") == [0, 1, 2]


def test_run_folder_can_be_moved(shipping, attempt, tmp_path):
    attempt(1, range(3))
    shipping.ship()
    assert shipping.state["where"] == "20260101_toy_k7f2/tensorboard"
    shipping.run = type(shipping.run)(shipping.run.root.rename(tmp_path / "20260101_toy_moved"))
    attempt(2, range(2, 5))
    shipping.ship()
    assert (shipping.gone, shipping.steps("loss")) == (0, list(range(5)))
    assert shipping.state["where"] == "20260101_toy_moved/tensorboard"


def test_journals_that_strangers_named_do_not_share_an_event_file(shipping):
    for number, name in enumerate(("one.journal", "two.journal")):
        writer = JournalWriter(shipping.run.journals, 0, dict)
        writer.row((f"m{number}",), (1.0,), 1, 1e9)
        writer.close()
        (path,) = shipping.run.journals.glob("0-*.journal")
        path.rename(path.with_name(name))
    shipping.ship()
    assert set(read_events(shipping, "system")) == {"m0", "m1"}


def test_steps_that_only_64_bits_hold_are_shown_and_larger_ones_brought_near(shipping):
    writer = JournalWriter(shipping.run.journals, 0, dict)
    for step in (-3, 0, 2**40, 2**63 - 1):
        writer.row(("loss",), (1.0,), step, 1e9)
    writer.record(Kind.TEXT, "t", {"text": "x"}, 2**64 - 1)
    writer.close()
    shipping.ship()
    assert shipping.steps("loss") == [-3, 0, 2**40, 2**63 - 1]
    assert shipping.texts("t/text") == [(2**63 - 1, "x")]
