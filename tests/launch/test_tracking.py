import pytest

from burnish.launch.tracking import Tracking


def test_a_record_without_the_section_is_watched_by_default_and_tells_nobody():
    assert Tracking.of({}) == Tracking(10.0, 60.0, frozenset(), ("console",), 600.0)


def test_what_the_section_says_is_taken():
    alerts = {"on": ["nan", "crash"], "to": ["webhook", "webhook"], "stall_s": 5}
    found = Tracking.of({"tracking": {"system_every_s": 0, "linger_s": 2.5, "alerts": alerts}})
    assert found == Tracking(0.0, 2.5, frozenset({"nan", "crash"}), ("webhook",), 5.0)


@pytest.mark.parametrize("value", ["soon", None, True, float("nan"), [], {}])
def test_what_is_no_number_is_as_by_default(value):
    assert Tracking.of({"tracking": {"system_every_s": value}}).system_every_s == 10.0


def test_sections_of_another_shape_are_passed_over():
    assert Tracking.of({"tracking": 3}) == Tracking()
    assert Tracking.of({"tracking": {"alerts": ["nan"]}}) == Tracking()
