from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.launch.retry import EXIT_RESUME_ME, Exit, RetryPolicy, describe, final_state

KILLED = Exit(-9)
RAISED = Exit(1, "failed", "train: RuntimeError: shapes differ")


@pytest.mark.parametrize(
    ("ended", "attempts", "asked", "delay"),
    [
        (KILLED, 1, False, 1.0),
        (KILLED, 2, False, 2.0),
        (KILLED, 3, False, None),
        (KILLED, 1, True, None),
        (Exit(EXIT_RESUME_ME, "stopped"), 1, False, 1.0),
        (Exit(EXIT_RESUME_ME, "stopped"), 1, True, None),
        (RAISED, 1, False, None),
        (Exit(0, "finished"), 1, False, None),
        (Exit(None), 1, False, None),
    ],
)
def test_only_a_process_that_was_cut_off_is_started_again(ended, attempts, asked, delay):
    assert RetryPolicy(max_attempts=3).delay_s(attempts, ended, stop_requested=asked) == delay


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_the_wait_grows_but_stays_bounded(attempts, most):
    policy = RetryPolicy(max_attempts=most, backoff_s=1.0, max_backoff_s=60.0)
    delay = policy.delay_s(attempts, KILLED, stop_requested=False)
    assert (delay is None) == (attempts >= most)
    assert delay is None or 1.0 <= delay <= 60.0


@pytest.mark.parametrize(
    ("ended", "asked", "needs_end", "state"),
    [
        (Exit(0, "finished"), False, True, "finished"),
        (Exit(0), False, True, "failed"),
        (Exit(0), False, False, "finished"),
        (Exit(3), False, False, "failed"),
        (Exit(-9), False, True, "failed"),
        (Exit(-9), True, True, "stopped"),
        (Exit(EXIT_RESUME_ME, "stopped"), False, True, "stopped"),
        (Exit(0, "finished"), True, True, "finished"),
        (Exit(None), False, True, "lost"),
        (Exit(None, "finished"), False, True, "finished"),
        (Exit(None, "failed", "boom"), False, True, "failed"),
        (Exit(None, "stopped"), False, True, "stopped"),
    ],
)
def test_final_state(ended, asked, needs_end, state):
    assert final_state(ended, stop_requested=asked, needs_end_record=needs_end) == state


@pytest.mark.parametrize(
    ("ended", "text", "shell_code"),
    [
        (Exit(-9), "killed by SIGKILL", 137),
        (Exit(-63), "killed by signal 63", 191),
        (RAISED, "train: RuntimeError: shapes differ", 1),
        (Exit(4), "exit code 4", 4),
        (Exit(EXIT_RESUME_ME, "stopped"), "stopped on request after saving", 75),
        (Exit(0, "finished"), "finished", 0),
        (Exit(None), "its end was not seen", 1),
    ],
)
def test_how_an_end_is_told(ended, text, shell_code):
    assert describe(ended) == text
    assert ended.shell_code == shell_code
