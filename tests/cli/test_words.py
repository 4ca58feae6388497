import pytest

from burnish.cli._words import differing_words


@pytest.mark.parametrize(
    ("a", "b", "different"),
    [
        ("", "", {}),
        ("python x.py", "/usr/bin/python3.11 x.py", {}),
        ("python x.py", "", {"script": ("x.py", None)}),
        ("python x.py", "python y.py", {"script": ("x.py", "y.py")}),
        ("bash x.sh", "sh x.sh", {"program": ("bash", "sh")}),
        ("torchrun --n 2 t.py", "torchrun --n 4 t.py", {"--n": ("2", "4")}),
        ("python -m a 1", "python -m a 2", {"argument 1": ("1", "2")}),
        ("p --a=1 --a=2", "p --a=1", {"--a": ("1 2", "1")}),
        ("p --a=", "p --a", {"--a": ("", "given")}),
        ("p --a -1e-3", "p --a -1.5", {"--a": ("-1e-3", "-1.5")}),
        ("p --a -", "p --a x", {"--a": ("-", "x")}),
        ("p a b", "p a c d", {"argument 2": ("b", "c"), "argument 3": (None, "d")}),
    ],
)
def test_words_that_differ(a, b, different):
    assert differing_words(a.split(), b.split()) == different
