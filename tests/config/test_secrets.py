"""Credentials planted through every channel that a config has, and looked for in every byte that is written."""

import json
from dataclasses import dataclass, field

import pytest
from pydantic import Field, SecretStr

from burnish.config import Config
from burnish.config.snapshot import take_snapshot

TRAIN = '''
import json, os
from typing import Annotated, Any
from pathlib import Path
from pydantic import Field, SecretStr
from burnish.config import Config, Flags
from burnish.experiment import Experiment, LoopConfig


class ServiceConfig(Config):
    url: str = ""
    api_key: str = ""
    pin: SecretStr = SecretStr("")


class KeyedConfig(LoopConfig):
    api_key: str = ""
    pin: Annotated[SecretStr, Flags("-p", "--pin-code")] = SecretStr("")
    url: str = ""
    plain: str = ""
    say: str = ""
    service: ServiceConfig = ServiceConfig()
    services: list[ServiceConfig] = []
    extra: dict[str, Any] = {}


class Keyed(Experiment[int]):
    """Writes what it was given where the test looks for it, outside of what Burnish keeps."""

    Config = KeyedConfig

    def build_model(self):
        config = self.config
        values = config.model_dump(mode="python")
        Path(os.environ["RECEIVED"]).write_text(json.dumps(values, default=lambda v: v.get_secret_value()))

    def batch(self, step):
        return step

    def train_step(self, batch):
        if self.config.say == "raise":
            raise ValueError(f"401 for {self.config.extra}")
        return {"loss": 1.0}
'''


@pytest.fixture
def keyed(burnish, tmp_path):
    """An experiment that takes credentials of every kind, in a git repository without a commit."""
    burnish.write("keyed.py", TRAIN)
    burnish.environ["RECEIVED"] = str(tmp_path / "received.json")
    burnish.write("e.yaml", "experiment: keyed:Keyed\nmax_steps: 1\n")
    return burnish


def planted(channel):
    """Return a credential that says through which channel it came."""
    return f"pl4nted-{channel}-v4lue"


@dataclass
class Round:
    """One run with credentials planted through several channels at once.

    Attributes:
        words: The command line after `burnish run`.
        received: The channels whose value the training process must get; those of the others lost to a higher layer.
        lost: Those others.
    """

    words: list[str]
    received: list[str]
    lost: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


ROUNDS = {
    "flags": Round(
        [
            "e.yaml", "--api_key", planted("flag"), f"service.api_key={planted('word')}",
            f"--pin={planted('loser')}", f"--pin={planted('typed')}",
            "--extra", json.dumps({"token": planted("json")}),
            "--services", json.dumps([{"pin": planted("json-list")}]),
            f"--url=https://me:{planted('url')}@host/x",
        ],
        ["flag", "word", "typed", "json", "json-list", "url"],
        ["loser"],
    ),
    "other flags": Round(
        [
            "e.yaml", f"--api_key={planted('equals')}", "-p", planted("short"),
            f"--extra={{a: {{password: {planted('yaml')}}}}}",
            f"--service={json.dumps({'pin': planted('json-typed')})}",
        ],
        ["equals", "short", "yaml", "json-typed"],
    ),
    "own flag": Round(["e.yaml", "--pin-code", planted("own-flag")], ["own-flag"]),
    "variables": Round(
        ["x.yaml"],
        ["variable", "typed-variable", "json-variable", "referred", "inside-text"],
        variables={
            "LLM__API_KEY": planted("variable"),
            "LLM_SERVICE__PIN": planted("typed-variable"),
            "LLM__EXTRA": json.dumps({"token": planted("json-variable")}),
            "WANDB_API_KEY": planted("referred"),
            "HF_TOKEN": planted("inside-text"),
        },
        files={"x.yaml": "extends: e.yaml\nplain: ${env:WANDB_API_KEY}\nurl: 'key ${env:HF_TOKEN}!'\n"},
    ),
    "files": Round(
        ["x.py"],
        ["yaml-list", "yaml-typed", "yaml-dotted", "toml", "python", "default", "beside"],
        ["overridden", "replaced"],
        files={
            "x.py": (
                'extends = "x.toml"\n'
                "def configure(config):\n"
                f"    return {{'extra': {{'token': '{planted('python')}'}}}}\n"
            ),
            "x.toml": f'extends = "x.yaml"\n[service]\napi_key = "{planted("toml")}"\n',
            "x.yaml": (
                "extends: low.yaml\n"
                f"api_key: ${{env:NOT_SET:-{planted('default')}}}\n"
                f"pin: {planted('beside')}-${{seed}}\n"
                f"services: [{{pin: {planted('yaml-typed')}}}]\n"
                f"extra!: {{a: [{{password: {planted('yaml-list')}}}], b.token: {planted('yaml-dotted')}}}\n"
            ),
            "low.yaml": (
                f"extends: e.yaml\napi_key: {planted('overridden')}\nextra: {{secret: {planted('replaced')}}}\n"
            ),
        },
    ),
    "references": Round(
        ["x.yaml"],
        ["by-name", "by-type"],
        files={
            "x.yaml": (
                f"extends: e.yaml\napi_key: {planted('by-name')}\npin: {planted('by-type')}\n"
                "plain: ${api_key}\nurl: 'a ${pin}'\n"
            )
        },
    ),
}  # fmt: skip


@pytest.fixture
def start(keyed):
    def call(one):
        for name, text in one.files.items():
            keyed.write(name, text)
        keyed.environ |= one.variables
        return keyed("run", *one.words)

    return call


@pytest.fixture
def leaks(keyed, tmp_path):
    """Return which of some texts lie where: in files that Burnish wrote, their names, and texts that it printed."""

    def search(texts, *printed):
        kept = [path for folder in (keyed.root / ".burnish", tmp_path / "cache") for path in folder.rglob("*")]
        places = {str(path.relative_to(tmp_path)): path.read_bytes() for path in kept if path.is_file()}
        places |= {f"output {number}": text.encode() for number, text in enumerate(printed)}
        assert any(place.endswith("run.json") for place in places)
        return [(text, place) for text in texts for place, found in places.items() if text.encode() in found]

    return search


@pytest.mark.parametrize("name", ROUNDS)
def test_credential_reaches_training_and_no_byte_that_is_written_or_printed(keyed, start, leaks, tmp_path, name):
    one = ROUNDS[name]
    done = start(one)
    assert done.returncode == 0, done.stderr
    (record,) = keyed.records()
    shown = [keyed(*words, record["id"], "--json") for words in (("show",), ("config", "show"))]
    assert [command.returncode for command in shown] == [0, 0]
    received = (tmp_path / "received.json").read_text()
    assert [channel for channel in one.received if planted(channel) not in received] == []
    printed = [done.stdout, done.stderr, *(command.stdout + command.stderr for command in shown)]
    assert leaks(map(planted, (*one.received, *one.lost)), *printed) == []


def test_credential_in_the_text_of_an_exception_is_masked(keyed, start, leaks):
    done = start(Round(["e.yaml", "--say=raise", "--extra", json.dumps({"token": planted("raised")})], []))
    assert done.returncode == 1
    assert "ValueError: 401 for {'token': '***'}" in done.stderr
    assert leaks([planted("raised")], done.stdout, done.stderr) == []


@pytest.mark.parametrize("command", [["config", "show"], ["config", "show", "--origins"], ["config", "show", "--json"]])
def test_credential_of_a_file_is_shown_by_no_command(keyed, command):
    keyed.write(
        "x.yaml", f"extends: e.yaml\napi_key: {planted('name')}\npin: {planted('type')}\nplain: '${{api_key}}'\n"
    )
    done = keyed(command[0], command[1], "x.yaml", *command[2:], "--pin", planted("flag"))
    assert done.returncode == 0, done.stderr
    assert "pl4nted" not in done.stdout + done.stderr


def test_credential_is_not_shown_by_a_static_look(keyed):
    keyed.write(
        "x.yaml", f"api_key: {planted('name')}\nurl: https://me:{planted('url')}@host\nplain: {planted('env')}\n"
    )
    keyed.environ["HF_TOKEN"] = planted("env")
    done = keyed("config", "show", "x.yaml", "--static")
    assert done.stdout == "api_key: '***'\nurl: https://me:***@host\nplain: '***'\n"


class PinConfig(Config):
    experiment: str
    api_key: str = Field("", max_length=5)
    pin: SecretStr = Field(SecretStr(""), max_length=5)
    short: SecretStr = Field(SecretStr(""), min_length=9)
    seed: int = 0
    url: int = 0
    extra: dict[str, int] = {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"api_key: {planted('x')}", {}),
        (f"pin: {planted('x')}", {}),
        ("short: pl4nted", {}),
        (f"pin: [{planted('x')}]", {}),
        (f"extra: {{token: {planted('x')}}}", {}),
        (f"api_kye: {planted('x')}", {}),
        (f"api_key: '{planted('x')}${{'", {}),
        (f"api_key: '{planted('x')}${{nope}}'", {}),
        (f"api_key: ${{env:NOPE:-{planted('x')}}}", {}),
        (f"pin: ${{env:NOPE:-{planted('x')}}}", {}),
        (f"pin: {planted('x')}\nseed: ${{pin}}", {}),
        (f"url: https://me:{planted('x')}@host", {}),
        ("", {"flags": ["--api_key", planted("x")]}),
        ("", {"flags": [f"--pin={planted('x')}"]}),
        ("", {"flags": [f"--api_kye={planted('x')}"]}),
        ("", {"flags": [f"--srevice.api_key={planted('x')}"]}),
        ("", {"flags": ["--extra", json.dumps({"token": planted("x")})]}),
        ("", {"flags": ["--extra", f'{{"token": "{planted("x")}"']}),
        ("", {"flags": ["--nope", json.dumps({"token": planted("x")})]}),
        ("seed: ${env:HF_TOKEN}", {"environ": {"HF_TOKEN": planted("x")}}),
        ("", {"environ": {"LLM__PIN": planted("x")}}),
        ("", {"environ": {"LLM__EXTRA": f'{{"token": "{planted("x")}"'}}),
        ("", {"environ": {"LLM__API_KYE": planted("x")}}),
    ],
)
def test_error_does_not_quote_a_credential(register, problems_in, text, words):
    register("experiments", "demo", PinConfig)
    assert "pl4nted" not in repr(problems_in(text, **words))


def test_exception_of_a_python_layer_does_not_quote_a_credential_that_it_was_given(folder, resolve_file, told):
    (folder / "low.yaml").write_text(f"experiment: demo\nextra: {{api_key: {planted('yaml')}}}\n")
    (folder / "e.py").write_text(
        'import os\nextends = "low.yaml"\n'
        "def configure(config):\n    raise ValueError(f'{config.extra.api_key} and {config.version}')\n"
    )
    (folder / "e.yaml").write_text("extends: e.py\n")
    (folder / "experiments").mkdir()
    (folder / "experiments/default.yaml").write_text("version: ${env:HF_TOKEN}\n")
    assert told(lambda: resolve_file("e.yaml", environ={"HF_TOKEN": planted("env")})) == [
        ("ValueError: *** and ***", "e.py:4", "")
    ]


def test_note_of_a_credential_is_left_out_of_its_origin(compose):
    taken = take_snapshot(compose("extra: {token: 'part-of-it-${seed}'}\nname: n${seed}"))
    assert (taken.origins["extra.token"], taken.origins["name"]) == ("demo.yaml:1:16", "demo.yaml:2:7 via n${seed}")


def test_hash_does_not_depend_on_credentials(compose):
    one = compose("extra: {token: abcdefgh}\nname: 'a ${extra.token}'")
    other = compose("extra: {token: stuvwxyz-longer}\nname: 'a ${extra.token}'")
    assert (one.hash, one.group) == (other.hash, other.group)
