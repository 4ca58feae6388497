from burnish.journal import Kind, Record
from burnish.launch.progress import Progress


def report(**facts):
    return Record(Kind.LIFECYCLE, 0, None, 0.0, "card", facts)


def test_reports_add_up_and_modules_that_were_imported_are_united():
    progress = Progress()
    progress.take(report(imported=["torch", "numpy"], seed=1, data={"train": {"sha256": "a"}}), 1)
    progress.take(report(imported=["trl", "torch"], seed=2, data={"eval": {"sha256": "b"}}), 1)
    assert progress.reported == {
        "imported": ["numpy", "torch", "trl"],
        "seed": 2,
        "data": {"train": {"sha256": "a"}, "eval": {"sha256": "b"}},
    }


def test_a_report_of_another_shape_replaces_the_earlier_one():
    progress = Progress()
    progress.take(report(data={"train": 1}, imported="torch"), 1)
    progress.take(report(data=3, imported=["torch"]), 1)
    assert progress.reported == {"data": 3, "imported": ["torch"]}
