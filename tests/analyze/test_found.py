import pytest

from burnish.analyze.found import Runs
from burnish.journal.facts import FIELDS

NAMES = ("20260101_sft_k7f2", "20260102_sft_b2b2")


@pytest.fixture
def whole(tmp_path):
    """Return all that is known of two runs whose learning rates differ."""
    columns = dict.fromkeys(FIELDS, (None, None)) | {
        "id": ("k7f2", "b2b2"),
        "name": NAMES,
        "state": ("finished", "running"),
        "experiment": ("sft", "sft"),
        "created": (1.7e9, 1.8e9),
        "took": (75.0, None),
        "config.seed": (1, 1),
        "config.lr": (1e-3, 1e-4),
        "summary.loss": (0.5, None),
    }
    return Runs(columns, tmp_path, NAMES)


def test_run_is_looked_up_by_id_and_by_name(whole):
    assert whole["b2b2"] == whole[NAMES[1]] == whole[1]
    assert whole["k7f2"]["config.lr"] == 1e-3
    assert [row["id"] for row in whole[:1]] == ["k7f2"]


def test_run_that_is_not_there_is_a_key_error(whole, tmp_path):
    with pytest.raises(KeyError, match="no run 'zzzz' among these 2"):
        whole["zzzz"]
    with pytest.raises(KeyError, match="2 runs are called 'aaaa'"):
        Runs({}, tmp_path, ("x_aaaa", "y_aaaa"))["aaaa"]


def test_of_all_that_is_known_what_tells_runs_apart_is_shown_as_far_as_it_fits(whole, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert repr(whole).splitlines() == [
        "id    name               state     experiment  config.lr  summary.loss",
        "k7f2  20260101_sft_k7f2  finished  sft             0.001           0.5",
        "b2b2  20260102_sft_b2b2  running   sft            0.0001             –",
        f"2 runs × {len(FIELDS) + 4} columns",
    ]
    monkeypatch.setenv("COLUMNS", "20")
    assert repr(whole).splitlines()[0] == "id"


def test_columns_that_were_asked_for_are_shown_in_their_order_with_times_as_people_read_them(tmp_path):
    runs = Runs({"took": [75.0], "created": [1.7e9], "when": [float("inf")], "id": ["k7f2"]}, tmp_path, NAMES[:1])
    assert repr(runs).splitlines() == [
        " took               created  when  id",
        "1m15s  2023-11-14 22:13:20Z   inf  k7f2",
        "1 run",
    ]
    assert runs.rows() == [{"took": 75.0, "created": 1.7e9, "when": float("inf"), "id": "k7f2"}]


def test_notebook_is_shown_a_table_whose_texts_are_only_texts(whole, tmp_path):
    runs = Runs({"id": ["<b>"], "loss": [0.5]}, tmp_path, ["<b>"], ["1 < 'a' is never true"])
    assert runs._repr_html_() == (
        '<table><thead><tr><th style="text-align: left">id</th><th style="text-align: right">loss</th></tr></thead>'
        '<tbody><tr><td style="text-align: left">&lt;b&gt;</td><td style="text-align: right">0.5</td></tr></tbody>'
        "</table><p>1 run</p><p>warning: 1 &lt; &#x27;a&#x27; is never true</p>"
    )
    shown = whole._repr_html_()
    assert shown.count("<th ") == 20
    assert "2023-11-14 22:13:20Z" in shown
    assert f"<p>2 runs × {len(FIELDS) + 4} columns</p>" in shown


def test_notebook_is_shown_an_empty_table_too(tmp_path):
    assert Runs({}, tmp_path, ())._repr_html_() == "<table><thead><tr></tr></thead><tbody></tbody></table><p>0 runs</p>"
