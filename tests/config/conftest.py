"""A small schema with every kind of field, and ways to compose configs of it in a folder of their own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from burnish.config import ComponentConfig, Config, Resolved, Smart, component, resolve
from burnish.core.errors import ComponentError, ConfigError, Problem
from burnish.core.nearest import nearest
from burnish.core.paths import Project

Told = list[tuple[str, str, str]]


class LlamaConfig(ComponentConfig):
    layers: int = Field(4, ge=1)


class GptConfig(ComponentConfig):
    heads: int = 8


class JudgeConfig(ComponentConfig):
    weight: float = 1.0


class TrainConfig(Config):
    learning_rate: float = Field(1e-3, gt=0, lt=1)
    max_steps: int = Field(100, ge=1)
    warmup: int | None = None
    sizes: list[int] = Field([])
    schedule: Literal["linear", "cosine"] = "linear"
    shuffle: bool = True
    device: Annotated[Literal["auto", "cpu", "cuda"], Smart("device")] = "auto"
    bf16: Annotated[Literal["auto"] | bool, Smart("bf16")] = "auto"


class DemoConfig(Config):
    experiment: str
    name: str = ""
    version: str = ""
    seed: int = 0
    tags: list[str] = Field([])
    training: TrainConfig = TrainConfig()
    model: component("models") = LlamaConfig(name="llama")
    judges: list[component("judges")] = Field([])
    weights: dict[str, float] = Field({})
    labels: dict[str, str] = Field({})
    extra: dict[str, Any] = Field({})


COMPONENTS: dict[tuple[str, str], type[Config]] = {
    ("experiments", "demo"): DemoConfig,
    ("models", "llama"): LlamaConfig,
    ("models", "gpt"): GptConfig,
    ("judges", "exact"): JudgeConfig,
}


def find_component(category: str, name: str) -> type[Config]:
    if (category, name) in COMPONENTS:
        return COMPONENTS[category, name]
    best = nearest(name, [known for kind, known in COMPONENTS if kind == category])
    raise ComponentError(f"no {category} component is called {name!r}", hint=f"did you mean {best}?" if best else "")


def problems_of(call: Callable[[], object]) -> Told:
    with pytest.raises(ConfigError) as caught:
        call()
    return [(problem.message, problem.origin, problem.hint) for problem in caught.value.problems]


@pytest.fixture
def told() -> Callable[[Callable[[], object]], Told]:
    """Return what a call's ConfigError says: message, origin and hint of each problem."""
    return problems_of


@pytest.fixture
def lookup() -> Callable[[str, str], type[Config]]:
    return find_component


@pytest.fixture
def schema() -> type[DemoConfig]:
    return DemoConfig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without the user file of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    return tmp_path


@pytest.fixture
def compose(folder: Path) -> Callable[..., Resolved]:
    """Resolve the text of `demo.yaml`; `experiment: demo` is added as its last line."""

    def call(
        text: str,
        flags: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        find_run: Callable[[str], Any] | None = None,
    ) -> Resolved:
        file = Path("demo.yaml")
        file.write_text(f"{text.rstrip()}\nexperiment: demo\n".lstrip("\n") if text else "experiment: demo\n")
        project = Project(folder, folder / ".burnish", folder / ".burnish/runs")
        return resolve(
            file, lookup=find_component, project=project, flags=flags, environ=environ or {}, find_run=find_run
        )

    return call


@pytest.fixture
def resolve_file(folder: Path) -> Callable[..., Resolved]:
    """Resolve a file of any format; `settings` is what the project file says."""

    def call(
        name: str,
        flags: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        settings: Mapping[str, object] | None = None,
        find_run: Callable[[str], Any] | None = None,
    ) -> Resolved:
        project = Project(folder, folder / ".burnish", folder / ".burnish/runs", settings=dict(settings or {}))
        return resolve(
            Path(name), lookup=find_component, project=project, flags=flags, environ=environ or {}, find_run=find_run
        )

    return call


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, type[Config]], None]:
    """Make a config class of a test's own known as a component."""
    return lambda category, name, kind: monkeypatch.setitem(COMPONENTS, (category, name), kind)


@pytest.fixture
def problems_in(compose: Callable[..., Resolved]) -> Callable[..., list[Problem]]:
    """Return what is wrong with the text of `demo.yaml`: message, origin and hint of each problem."""
    return lambda *args, **words: problems_of(lambda: compose(*args, **words))
