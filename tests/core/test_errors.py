import pytest

from burnish.core.errors import BurnishError, ConfigError, Problem, UsageError


def test_message_ends_in_its_origin():
    assert str(BurnishError("what", origin="f.yaml:1")) == "what (f.yaml:1)"
    assert str(BurnishError("what")) == "what"


def test_config_error_says_every_problem_and_leads_with_the_first():
    error = ConfigError([Problem("one", "f:1", "do this"), Problem("two")])
    assert str(error) == "one (f:1)\n  hint: do this\ntwo"
    assert (error.message, error.origin, error.hint) == ("one", "f:1", "do this")


def test_json_of_a_config_error_has_the_common_shape_and_all_problems():
    assert ConfigError([Problem("one", "f:1", "do"), Problem("two")]).to_json() == {
        "code": "config",
        "message": "one",
        "hint": "do",
        "origin": "f:1",
        "problems": [
            {"message": "one", "hint": "do", "origin": "f:1"},
            {"message": "two", "hint": "", "origin": ""},
        ],
    }


@pytest.mark.parametrize(("kind", "code"), [(BurnishError, 1), (UsageError, 2), (ConfigError, 2)])
def test_exit_code_tells_failure_from_wrong_use(kind, code):
    assert kind.exit_code == code
