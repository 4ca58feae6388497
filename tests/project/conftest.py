import pytest


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder that is the current one, and of which neither runs nor an index are elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("BURNISH_RUNS", "BURNISH_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
