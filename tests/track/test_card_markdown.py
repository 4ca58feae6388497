import re

import pytest

from burnish.track.card_markdown import render_card

GPU = {"index": 0, "name": "NVIDIA H100", "uuid": "GPU-0", "driver": "580.95", "memory_bytes": 80 << 30}
RECORD = {
    "name": "20261121_demo_k7f2",
    "state": "failed",
    "reason": "RuntimeError: shapes differ",
    "created": 0,
    "started": 1.0,
    "ended": 61.0,
    "attempts": [{"number": 1, "reason": "killed", "last_step": 3}, {"number": 2, "reason": "RuntimeError"}],
    "typed": ["burnish", "run", "a.yaml"],
    "summary": {
        "loss": {"first": 1.0, "last": 0.5, "min": 0.5, "max": 1.0, "nonfinite": 2},
        "eval/acc": {"first": 0.1, "last": 0.8, "min": 0.1, "max": 0.9, "best": 0.9, "best_step": 7},
        "system/cpu": {"first": 1, "last": 1, "min": 1, "max": 1},
    },
    "tags": ["paper", "b, c"],
    "lost": [{"kind": "table", "key": "samples", "error": "no | columns"}],
    "media": {"samples": {"kind": "image", "count": 3, "last_step": 40}, "net": {"kind": "graph", "count": 1}},
    "notes": [{"time": 1, "text": "looks *good*\nnext: more"}],
    "dropped": 3,
    "thinned": {"grad/*": 90},
    "alerts": [
        {"level": "error", "title": "NaN in loss", "step": 4, "reason": "nan"},
        {"reason": "finished"},
        {"level": "warning", "title": "stall", "step": None},
    ],
    "artifacts": [
        {"role": "used", "name": "sft", "run": "20261120_x_aaaa", "bytes": 2048, "path": "/x", "sha256": "ab" * 32},
        {"role": "made", "name": "adapter", "bytes": 3 << 20, "path": "artifacts/by-name/adapter", "sha256": "cd" * 32},
    ],
}
CARD = {
    "uuid": "u-1",
    "system": {
        "host": "box",
        "gpus": [{**GPU, "compute_capability": [9, 0], "cuda": "13.0", "power_limit_w": 700.0, "mig": True}],
    },
    "imported": {"aaa": "1", "numpy": "2.4", "torch": "2.8", "flash_attn": "2"},
    "declared": [{"name": "torch", "file": "pyproject.toml"}],
    "locked": {"uv.lock": {"torch": "2.8", "numpy": "2.4"}},
    "packages": {"torch": "2.8"},
    "command": ["python", "-c", "print(`1`)\nx"],
    "code": {"commit": "c" * 40, "branch": "main", "dirty": False, "untracked": ["a"], "remote": "https://h/r"},
    "config": {"hash": "h1", "group": "g1"},
    "seeds": {"seed": 3},
    "reported": {"device": "cuda", "cuda": {"cuda": "13.0", "nccl": "2.27"}, "data": {"train": {"kind": "file"}}},
    "completeness": {
        "score": 0.95,
        "fields": 20,
        "missing": [{"field": "data", "todo": "run.log_dataset('train', …)"}],
    },
}


@pytest.fixture
def text():
    return render_card(CARD, RECORD)


@pytest.mark.parametrize(
    "line",
    [
        "# 20261121_demo_k7f2",
        "**failed**, took 1m00s, 2 attempts, tagged `paper`, `b, c`.",
        r"> looks \*good\*",
        "| metric | first | last | min | max | best at step |",
        "| eval/acc | 0.1 | 0.8 | 0.1 | 0.9 | 0.9 at 7 |",
        "| loss | 1 | 0.5 | 0.5 | 1 |  |",
        "burnish run a.yaml",
        f"- code: commit `{'c' * 40}` on `main`, clean, 1 untracked file",
        "- remote: https://h/r",
        "- config: hash `h1`, group `g1`, see `config.yaml`",
        "- seeds: seed 3",
        "- attempt 1: killed, last step 3",
        "| train | file |  | nothing |",
        "| role | name | of | size | path | sha256 |",
        f"| used | sft | run 20261120_x_aaaa | 2.0 KiB | /x | {'ab' * 32} |",
        f"| made | adapter |  | 3.0 MiB | artifacts/by-name/adapter | {'cd' * 32} |",
        "- images: samples (3, last at step 40)",
        "- graphs: net",
        "- not kept: table samples: no \\| columns",
        "- warning: stall",
        "- device: cuda",
        "- torch runs on cuda 13.0, nccl 2.27",
        "- NVIDIA driver 580.95, which runs CUDA up to 13.0",
        "| 0 | NVIDIA H100, MIG | 80.0 GiB | 9.0 | 700 W | GPU-0 |",
        "- imported: torch 2.8, numpy 2.4, flash_attn 2, and 1 more",
        "- declared: 1 in pyproject.toml",
        "- locked: 2 in uv.lock",
        "- ended: RuntimeError: shapes differ",
        "- 3 calls could not be recorded",
        "- loss was NaN or infinite 2 times",
        "- of `grad/*` 90 values were left out by a tier",
        "- error: NaN in loss, step 4",
        "0.95: 19 of 20 fields that apply are known. To do for the rest:",
        "- **data**: run.log_dataset('train', …)",
    ],
)
def test_card_for_people_says(text, line):
    assert line in text.splitlines()


def test_what_was_measured_on_other_data_comes_first_and_system_metrics_are_left_out(text):
    assert text.index("| eval/acc") < text.index("| loss")
    assert "system/cpu" not in text


def test_command_with_backticks_and_lines_stays_one_block(text):
    assert "```sh\npython -c 'print(`1`)\nx'\n```" in text
    assert "````sh" in render_card({**CARD, "command": ["```"]}, RECORD)


def test_what_was_typed_is_not_repeated_as_the_command():
    card = {**CARD, "command": ["python", "x.py"]}
    text = render_card(card, {**RECORD, "typed": ["burnish", "run", "--", "python", "x.py"]})
    assert "Command:" not in text


def test_long_lists_are_cut_and_say_how_much_is_left():
    values = {"first": 1.0, "last": 1.0, "min": 1.0, "max": 1.0}
    record = {**RECORD, "summary": {f"m{number}": values for number in range(10_000)}}
    card = {**CARD, "reported": {f"fact{number}": number for number in range(1000)}}
    text = render_card(card, record)
    assert "… and 9960 more, see `burnish show`" in text
    assert "… and 960 more, see `card.json`" in text
    assert len(text.splitlines()) < 200


HOSTILE = "a|b\n# not a title\n<script>alert(1)</script> [x](javascript:1) `c` *d*"


def test_nothing_that_a_run_says_becomes_markup():
    card = {
        **CARD,
        "reported": {HOSTILE: HOSTILE, "data": {HOSTILE: {"kind": "name", "name": HOSTILE, "note": HOSTILE}}},
        "environment": {"LLM_X": HOSTILE},
        "seeds": {HOSTILE: 1},
        "code": {"commit": "c", "branch": HOSTILE},
        "imported": {HOSTILE: HOSTILE},
    }
    values = {"first": 1.0, "last": 1.0, "min": 1.0, "max": 1.0, "nonfinite": 1}
    record = {**RECORD, "name": HOSTILE, "summary": {HOSTILE: values}, "tags": [HOSTILE], "reason": HOSTILE}
    outside = re.sub(r"`[^`\n]*`", "", render_card(card, {**record, "notes": [{"text": HOSTILE}], "typed": []}))
    assert "<script" not in outside
    assert "\n# not a title" not in outside
    assert "[x](" not in outside
    assert {line.count("|") for line in outside.splitlines() if re.match(r"\| a\\\|b .* 1 \|", line)} <= {7, 8}


@pytest.mark.parametrize("broken", [None, 3, "x", [], [1], {"a": 1}, {"a": {"b": [None]}}])
def test_card_of_any_shape_is_rendered(broken):
    card = dict.fromkeys(CARD, broken)
    record = dict.fromkeys(RECORD, broken)
    assert render_card(card, record).startswith("# ")
    assert render_card({}, {}) == render_card({}, {})


def line_of(text, start):
    return text.splitlines().index(next(line for line in text.splitlines() if line.startswith(start)))


def test_the_config_is_the_second_thing_after_the_result():
    text = render_card(CARD, RECORD, config={"training.lr": "0.1", "data": "a|b"})
    assert "| config | value |\n|---|---|\n| training.lr | 0.1 |\n| data | a\\|b |\n" in text
    assert line_of(text, "## Result") < line_of(text, "## Config") < line_of(text, "## How it was made")
    assert text.splitlines()[-1].startswith("- **data**")
    assert line_of(text, "## Completeness") > line_of(text, "## Caveats")


def test_a_long_config_says_where_the_rest_is():
    text = render_card(CARD, RECORD, config={f"key{number}": str(number) for number in range(100)})
    assert "… and 60 more, see `config.yaml`" in text


def test_norms_of_every_layer_are_one_line_and_what_matters_is_never_cut():
    values = {"first": 1.0, "last": 1.0, "min": 1.0, "max": 1.0}
    names = [f"{kind}/layer{number}" for kind in ("grad_norm", "a_ratio") for number in range(60)]
    text = render_card(CARD, {**RECORD, "summary": dict.fromkeys([*names, "train/loss", "eval/acc"], values)})
    rows = [line for line in text.splitlines() if line.endswith(" |") and ("/" in line.split(" | ")[0])]
    assert [row.split(" | ")[0] for row in rows[:4]] == [
        "| eval/acc",
        "| train/loss",
        "| a_ratio/\\* (60 metrics)",
        "| grad_norm/\\* (60 metrics)",
    ]


def test_bytes_are_told_in_units():
    values = {"first": 2048.0, "last": 3 << 30, "min": 0.0, "max": 3 << 30}
    text = render_card(CARD, {**RECORD, "summary": {"kv_cache_bytes": values}})
    assert "| kv_cache_bytes | 2.0 KiB | 3.0 GiB | 0 B | 3.0 GiB |" in text


def test_a_live_run_says_how_far_it_is_and_that_more_will_be_known():
    live = {**RECORD, "state": "running", "ended": None, "step": 70, "total_steps": 200}
    text = render_card(CARD, live)
    assert "**running**, at step 70 of 200, not ended, 2 attempts, tagged `paper`, `b, c`." in text
    assert "- live: what the training process reports is added when it ends" in text


@pytest.mark.parametrize(("code", "told"), [(None, "not in git"), ({"branch": "x"}, "in git, without a commit")])
def test_code_that_git_does_not_know_is_one_line(code, told):
    assert f"- code: {told}" in render_card({**CARD, "code": code}, RECORD).splitlines()
