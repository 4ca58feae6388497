import json
import subprocess
import sys

import pytest

import burnish
from burnish.analyze.query import Query, find
from burnish.core.errors import UsageError
from burnish.core.files import write_json


def summary(last, **more):
    return {"count": 3, "first": 4.0, "last": last, "min": last, "max": 4.0, "last_step": 2, **more}


@pytest.fixture
def runs(tmp_path):
    """Return a folder of three runs: a has the lowest loss, b is the newest, c has neither config nor metrics."""
    folder = tmp_path / "project" / ".burnish" / "runs"
    config = "training: {lr: 1e-5, rank: 8}\ntags: [x, y]\n"
    made = {
        "20260101_sft_aaaa": (1.0, "finished", {"eval/loss": summary(1.5)}, config),
        "20260103_sft_bbbb": (3.0, "running", {"eval/loss": summary(2.5, best=1.25)}, "training: {lr: 0.001}\n"),
        "20260102_dpo_cccc": (2.0, "failed", {}, None),
    }
    more = {
        "20260101_sft_aaaa": {"command": ["t.py", "--lr", "2"], "latest": {"loss": 0.25}, "attempts": [{}, {}]},
        "20260103_sft_bbbb": {"started": 50.0},
        "20260102_dpo_cccc": {"started": 10.0, "ended": 100.0},
    }
    for name, (created, state, metrics, config) in made.items():
        (folder / name).mkdir(parents=True)
        if name.endswith("bbbb"):
            write_json(folder / name / "card.json", {"code": {"commit": "c0ffee", "branch": "main"}})
        record = {"created": created, "state": state, "summary": metrics, "tags": ["t"] if created < 3 else []}
        write_json(folder / name / "run.json", record | more[name])
        if config:
            (folder / name / "config.yaml").write_text(config)
    return folder


@pytest.fixture
def ask(runs, tmp_path):
    def ask(where="", sort="", **more):
        query = Query(where, sort, **{"columns": ("id",), **more})
        return [row["id"] for row in find(runs, query, cache=tmp_path / "cache").runs]

    return ask


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("", ["bbbb", "cccc", "aaaa"]),
        ("config.training.lr < 1e-4 and summary['eval/loss'] < 2", ["aaaa"]),
        ("config['training.lr'] > 1e-4", ["bbbb"]),
        ("config.training['lr'] > 1e-4", ["bbbb"]),
        ("summary['eval/loss'].best < 1.5", ["bbbb"]),
        ("summary['eval/loss'].max == 4 and state == 'finished'", ["aaaa"]),
        ("not config.training.lr < 1", ["cccc"]),
        ("'x' in config.tags", ["aaaa"]),
        ("config.tags[1] == 'y'", ["aaaa"]),
        ("'t' in tags", ["cccc", "aaaa"]),
        ("'dpo' in name", ["cccc"]),
        ("summary.eval/loss.best < 1.5", ["bbbb"]),
        ("'--lr 2' in command", ["aaaa"]),
        ("commit == 'c0ffee' and branch == 'main'", ["bbbb"]),
        ("branch == null", ["cccc", "aaaa"]),
        ("took == 90", ["cccc"]),
        ("took > 1e6 and state == 'running'", ["bbbb"]),
        ("tries == 2", ["aaaa"]),
        ("when < 2.5", ["cccc", "aaaa"]),
        ("loss < 0.5", ["aaaa"]),
        ("best < 1.5", ["bbbb"]),
    ],
)
def test_where_chooses_runs(ask, where, found):
    assert ask(where) == found


@pytest.mark.parametrize(
    ("sort", "descending", "found"),
    [
        ("summary['eval/loss']", False, ["aaaa", "bbbb", "cccc"]),
        ("summary['eval/loss']", True, ["bbbb", "aaaa", "cccc"]),
        ("summary.eval/loss.min", False, ["aaaa", "bbbb", "cccc"]),
        ("config.training.lr", False, ["aaaa", "bbbb", "cccc"]),
        ("-config.training.lr", False, ["bbbb", "aaaa", "cccc"]),
        ("id", True, ["cccc", "bbbb", "aaaa"]),
        ("debug", True, ["bbbb", "cccc", "aaaa"]),
    ],
)
def test_sort_puts_what_has_no_value_last_and_equal_ones_newest_first(ask, sort, descending, found):
    assert ask(sort=sort, descending=descending) == found


def test_limit_counts_after_sorting_and_matched_before(runs, tmp_path):
    query = Query("state != 'failed'", "summary['eval/loss']", limit=1, columns=("id",))
    found = find(runs, query, with_records=True, cache=tmp_path / "cache")
    assert found.runs.rows() == [{"id": "aaaa"}]
    assert [record["id"] for record in found.records] == ["aaaa"]
    assert found.matched == 2


def test_states_tags_and_group_choose_too(ask, runs):
    assert ask(states=("running", "failed")) == ["bbbb", "cccc"]
    assert ask(tags=("t",)) == ["cccc", "aaaa"]
    assert ask(tags=("t", "u")) == []
    write_json(runs / "20260102_dpo_cccc" / "run.json", {"created": 2.0, "config": {"group": "g"}})
    assert ask(group="g") == ["cccc"]


def test_columns_are_names_expressions_and_patterns(runs, tmp_path):
    columns = (
        "id",
        "config.training.*",
        "summary.eval/loss",
        "summary['eval/loss'].best",
        "created * 2",
        "config.tags",
    )
    query = Query("state == 'finished'", columns=columns)
    assert find(runs, query, cache=tmp_path / "cache").runs.rows() == [
        {
            "id": "aaaa",
            "config.training.lr": 1e-5,
            "config.training.rank": 8,
            "summary.eval/loss": 1.5,
            "summary.eval/loss.best": None,
            "created * 2": 2.0,
            "config.tags": ("x", "y"),
        }
    ]


def test_without_columns_all_that_these_runs_have_is_there(runs, tmp_path):
    (row,) = find(runs, Query("state == 'running'"), cache=tmp_path / "cache").runs
    expected = {"id": "bbbb", "state": "running", "config.training.lr": 0.001, "summary.eval/loss": 2.5}
    assert expected.items() <= row.items()
    assert "config.training.rank" not in row


@pytest.mark.parametrize(
    ("where", "message", "hint"),
    [
        ("config.training.lrr < 1", "no run has 'config.training.lrr'", "did you mean config.training.lr?"),
        ("summary['eval/los'] < 1", "no run has the metric 'eval/los'", "did you mean summary['eval/loss']?"),
        (
            "summary['eval/loss'].best_step < 1",
            "no run knows 'best_step' of the metric 'eval/loss'",
            "say which is better: run.step_metric('eval/loss', best=\"min\"), or ask for .min or .max",
        ),
        ("summary['eval/loss'].nonfinite < 1", "no run knows 'nonfinite' of the metric 'eval/loss'", ""),
        (
            "summary['accuracy'] < 1",
            "no run has the metric 'accuracy'",
            "there are summary['eval/loss'], summary['loss']",
        ),
        (
            "config.learning_rate < 1",
            "no run has 'config.learning_rate'",
            "there are config.tags, config.training.lr, config.training.rank",
        ),
        ("state == finished", "unknown name 'finished'", "did you mean 'finished', in quotes?"),
        ("t in tags", "unknown name 't'", "did you mean 't', in quotes?"),
        ("eval/loss < 5", "unknown name 'eval'", "eval/loss is a metric: summary['eval/loss']"),
        ("eval/los.min < 5", "unknown name 'eval'", "did you mean summary['eval/loss']?"),
        ("summary.eval/los < 5", "unknown name 'los'", "did you mean summary['eval/loss']?"),
        ("lr < 5", "unknown name 'lr'", "lr is in the config: config.training.lr"),
        ("sate == 'a'", "unknown name 'sate'", "did you mean state?"),
        (
            "config.training.lr",
            "a condition is true or false, and 'config.training.lr' is a number",
            'compare it, in quotes, or the shell takes the ">" away: "config.training.lr > 1e-05"',
        ),
    ],
)
def test_name_that_no_run_has_is_an_error_with_the_nearest_one(ask, where, message, hint):
    with pytest.raises(UsageError) as caught:
        ask(where)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"sort": "eval/loss"}, "unknown name 'eval'", "eval/loss is a metric: summary['eval/loss']"),
        (
            {"sort": "-state"},
            "only numbers have an opposite: '-state'",
            "such as --sort KEY --reverse, or sort=KEY, descending=True",
        ),
        ({"columns": ()}, "no column is named", "such as id,state,config.*,summary.*"),
        (
            {"columns": ("id", "foo.*")},
            "no column matches 'foo.*'",
            "patterns are of configs and metrics: config.*, summary.eval/*",
        ),
        (
            {"columns": ("config.t*x",)},
            "no column matches 'config.t*x'",
            "there are config.tags, config.training.lr, config.training.rank",
        ),
    ],
)
def test_mistake_in_what_to_sort_by_or_to_show_is_told_with_what_to_type(ask, asked, message, hint):
    with pytest.raises(UsageError) as caught:
        ask(**asked)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize("name", ["loss", "best"])
def test_loss_that_no_run_has_is_an_error_where_it_is_asked_for_and_a_blank_where_it_is_shown(tmp_path, name):
    (tmp_path / "20260101_a_aaaa").mkdir()
    write_json(tmp_path / "20260101_a_aaaa" / "run.json", {"created": 1.0, "summary": {"val_loss": summary(1.0)}})
    for asked in ({"where": f"{name} < 1"}, {"sort": name}):
        with pytest.raises(UsageError) as caught:
            find(tmp_path, Query(**asked), cache=tmp_path / "cache")
        assert caught.value.message == f"no run has {name!r}"
        near = "did you mean summary['val_loss']?"
        assert caught.value.hint == (near if name == "loss" else "it is the best value of a metric named eval/…")
    assert find(tmp_path, Query(columns=(name,)), cache=tmp_path / "cache").runs.rows() == [{name: None}]


def test_pattern_of_all_configs_may_find_none(tmp_path):
    (tmp_path / "20260101_a_aaaa").mkdir()
    write_json(tmp_path / "20260101_a_aaaa" / "run.json", {"created": 1.0})
    query = Query(columns=("id", "config.*", "summary.*"))
    assert find(tmp_path, query, cache=tmp_path / "cache").runs.rows() == [{"id": "aaaa"}]


def test_comparison_of_unlike_things_is_told_with_the_answer(runs, tmp_path):
    found = find(runs, Query("config.training.lr < 'a'", columns=("id",)), cache=tmp_path / "cache").runs
    said = "config.training.lr < 'a' is never true: config.training.lr is a number in 2 of 3 runs"
    assert found.warnings == (said,)
    assert repr(found) == f"id\n0 runs\nwarning: {said}"


def test_expression_may_name_a_column_of_ls_and_multiply(runs, tmp_path):
    query = Query(sort="id", columns=("id", "step*2", "took", "tries", "best", "command"), limit=2)
    assert find(runs, query, cache=tmp_path / "cache").runs.rows()[0] == {
        "id": "aaaa",
        "step*2": None,
        "took": None,
        "tries": 2,
        "best": 1.5,
        "command": "t.py --lr 2",
    }


def test_name_of_a_column_as_tables_spell_it_is_told_the_same_way(ask):
    with pytest.raises(UsageError) as caught:
        ask(columns=("summary.eval/los",))
    assert str(caught.value) == "no run has the metric 'eval/los'"


def test_where_there_are_no_runs_no_name_is_wrong(tmp_path):
    query = Query("config.anything < 1", "summary['x']", columns=("id", "summary.eval/loss"))
    assert find(tmp_path / "none", query, cache=tmp_path / "cache").runs.rows() == []


def test_config_is_read_as_yaml_1_2_and_a_broken_one_hides_no_run(ask, runs):
    (runs / "20260101_sft_aaaa" / "config.yaml").write_text("answer: no\nrate: 1e-5\n")
    (runs / "20260103_sft_bbbb" / "config.yaml").write_text("answer: [no\n")
    assert ask("config.answer == 'no' and config.rate == 1e-5") == ["aaaa"]
    assert len(ask()) == 3


def test_burnish_runs_finds_the_runs_of_a_project(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BURNISH_RUNS", raising=False)
    monkeypatch.delenv("BURNISH_HOME", raising=False)
    project = tmp_path / "project"
    found = burnish.runs("config.training.lr < 1", "summary['eval/loss']", descending=True, project=project)
    assert [row["id"] for row in found] == ["bbbb", "aaaa"]
    monkeypatch.chdir(project)
    assert burnish.runs(limit=1, columns=["id"]).rows() == [{"id": "bbbb"}]
    assert repr(burnish.runs(limit=1, columns=["id"])) == "id\nbbbb\n1 run"
    assert burnish.runs(limit=1, columns="id, config.training.lr").rows() == [
        {"id": "bbbb", "config.training.lr": 0.001}
    ]
    with pytest.raises(UsageError, match=r"^no folder '/nonexistent/here'$"):
        burnish.runs(project="/nonexistent/here")


def test_query_of_fields_and_metrics_alone_loads_neither_pydantic_nor_numpy(runs, tmp_path):
    code = (
        "import sys; from pathlib import Path; from burnish.analyze.query import Query, find\n"
        "find(Path(sys.argv[1]), Query(\"summary['eval/loss'] < 2\", columns=('id',)), cache=Path(sys.argv[2]))\n"
        "print([name for name in ('pydantic', 'numpy', 'yaml', 'pyarrow') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(runs), str(tmp_path / "cache")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_rows_are_plain_values_that_json_can_hold(runs, tmp_path):
    found = find(runs, Query(), cache=tmp_path / "cache").runs
    assert [row["id"] for row in json.loads(json.dumps(found.rows()))] == ["bbbb", "cccc", "aaaa"]
    assert found.folders[0] == runs / "20260103_sft_bbbb"
