import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from burnish.journal import JournalReader, Kind, Record
from burnish.journal.reader import journal_files
from burnish.track import Run
from burnish.track.log_handler import JournalHandler


@pytest.fixture
def logger():
    logger = logging.getLogger("toy.train")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    logger.handlers.clear()
    logger.propagate = True


@pytest.fixture
def written(logger):
    """What a handler wrote. A second, silent one keeps warnings off the tests' standard error."""
    records = []
    logger.addHandler(logging.NullHandler())
    logger.addHandler(JournalHandler(lambda key, payload: records.append((key, payload))))
    return records


def test_a_record_says_who_what_and_where(logger, written):
    logger.info("loss %.2f at %s", 0.5, "step 3")
    [(key, payload)] = written
    line = payload.pop("line")
    assert key == "toy.train"
    assert payload == {"level": "INFO", "message": "loss 0.50 at step 3", "file": __file__, "error": ""}
    assert "logger.info" in Path(__file__).read_text().splitlines()[line - 1]


def test_records_below_the_level_are_left_out(logger):
    records = []
    logger.addHandler(logging.NullHandler())
    logger.addHandler(JournalHandler(lambda *record: records.append(record), "ERROR"))
    logger.warning("meh")
    logger.error("bad")
    assert [payload["message"] for _, payload in records] == ["bad"]


def test_an_unknown_level_is_told():
    with pytest.raises(ValueError, match="LOUD"):
        JournalHandler(print, "LOUD")


def test_a_traceback_is_kept(logger, written):
    try:
        raise KeyError("weight")
    except KeyError:
        logger.exception("cannot load")
    error = written[0][1]["error"]
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.endswith("KeyError: 'weight'")


def test_a_stack_is_kept(logger, written):
    logger.info("here", stack_info=True)
    assert "test_a_stack_is_kept" in written[0][1]["error"]


def test_credentials_are_masked_in_message_traceback_and_fields(logger, monkeypatch):
    monkeypatch.setenv("TOY_API_KEY", "correct-horse-battery")
    records = []
    logger.addHandler(logging.NullHandler())
    logger.addHandler(JournalHandler(lambda *record: records.append(record)))
    try:
        raise RuntimeError("401 for correct-horse-battery")
    except RuntimeError:
        logger.exception(
            "GET https://me:hunter22@host/ with %s",
            "correct-horse-battery",
            extra={"url": "x?k=correct-horse-battery", "password": "short"},
        )
    text = json.dumps(records)
    assert "correct-horse-battery" not in text
    assert "hunter22" not in text
    assert records[0][1]["extra"] == {"url": "x?k=***", "password": "***"}


def test_a_credential_is_masked_before_a_long_text_is_cut(logger, monkeypatch):
    monkeypatch.setenv("TOY_API_KEY", "correct-horse-battery")
    records = []
    logger.addHandler(logging.NullHandler())
    logger.addHandler(JournalHandler(lambda *record: records.append(record)))
    logger.info("x" * 99_990 + "correct-horse-battery" + "y" * 20)
    assert records[0][1]["message"] == "x" * 99_990 + "***" + "y" * 7 + "… (13 more characters)"


def test_extra_fields_are_kept_where_json_can_hold_them(logger, written):
    endless = []
    endless.append(endless)
    extra = {"rank": 3, "shape": (2, [3]), "tags": {"a": None}, "what": object(), "endless": endless, "by": {1: 2}}
    logger.info("x", extra=extra)
    assert written[0][1]["extra"] == {"rank": 3, "shape": [2, [3]], "tags": {"a": None}}


def test_a_message_whose_arguments_do_not_fit_is_kept(logger, written, monkeypatch):
    logger.handlers[:] = [h for h in logger.handlers if isinstance(h, JournalHandler)]  # pytest's would fail on it
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.info("%d steps", "many")
    assert written[0][1]["message"] == (
        "'%d steps' (its arguments do not fit: %d format: a real number is required, not str)"
    )


def test_a_write_that_fails_or_logs_is_counted_and_goes_no_further(logger):
    def write(key, payload):
        logger.warning("cannot write")
        raise OSError("disk full")

    handler = JournalHandler(write)
    logger.addHandler(logging.NullHandler())
    logger.addHandler(handler)
    logger.info("a")
    logger.info("b")
    assert handler.failed == 2


def test_a_journal_that_cannot_be_written_is_told_once_and_not_endlessly(tmp_path, caplog):
    run = Run(tmp_path / "20260101_toy_k7f2")  # there is no journal folder
    handler = JournalHandler(lambda key, payload: run._record(Kind.LOG, key, payload))
    logging.getLogger().addHandler(handler)
    try:
        for _ in range(3):
            logging.getLogger("toy").error("x")
    finally:
        logging.getLogger().removeHandler(handler)
    assert [r.name.partition(".")[0] for r in caplog.records] == ["toy", "burnish", "toy", "toy"]
    assert run.dropped == 3


def test_threads_do_not_lose_records(logger, written):
    threads = [threading.Thread(target=lambda: [logger.info("x") for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1600


def test_a_forked_child_logs_into_its_own_file_while_other_threads_log(tmp_path, logger):
    run = Run(tmp_path / "20260101_toy_k7f2")
    run.paths.journals.mkdir(parents=True)
    logger.addHandler(logging.NullHandler())
    logger.addHandler(JournalHandler(lambda key, payload: run._record(Kind.LOG, key, payload)))
    logger.info("parent")
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            logger.info("parent")

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for number in range(20):
            child = os.fork()
            if child == 0:
                logger.info("child %d", number)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    messages = {}
    for path in journal_files(run.paths.journals):
        reader = JournalReader(path)
        for entry in reader.read_all():
            if isinstance(entry, Record) and entry.kind == Kind.LOG:
                messages.setdefault(path.name.split("-")[2], set()).add(entry.payload["message"])
        reader.close()
    own = messages.pop(f"{os.getpid()}.journal")
    assert own == {"parent"}
    assert sorted(messages.values(), key=str) == sorted(({f"child {n}"} for n in range(20)), key=str)


def test_warnings_are_printed_as_without_a_handler():
    code = """if 1:
        import logging
        from burnish.track.log_handler import JournalHandler
        logging.getLogger("a").warning("before")
        logging.getLogger().addHandler(JournalHandler(lambda *record: None))
        logging.getLogger("a").warning("alone")
        logging.getLogger().addHandler(logging.NullHandler())
        logging.getLogger("a").warning("with another")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "before\nalone\n"
