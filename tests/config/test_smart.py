"""What is chosen where the run starts, by which machine and launcher, and what is never chosen for anybody."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import model_validator

from burnish.config import Config, Smart, broken, resolve
from burnish.core.hardware import Gpu, Machine
from burnish.core.paths import Project
from burnish.experiment.registry import config_of

CPU = Machine((), 4, "no NVIDIA driver")
AMPERE = Machine((Gpu(0, "A100", "u", 80 << 30, (8, 0), "1"),), 4)
TURING = Machine((Gpu(0, "T4", "u", 16 << 30, (7, 5), "1"),), 4)
MIXED = Machine((*AMPERE.gpus, *TURING.gpus), 4)


class SmartTraining(Config):
    device: Annotated[Literal["auto", "cpu", "cuda", "cuda:1"], Smart("device")] = "auto"
    bf16: Annotated[Literal["auto"] | bool, Smart("bf16")] = "auto"
    dtype: Annotated[str, Smart("dtype")] = "auto"
    local_rank: Annotated[Literal["auto"] | int, Smart("local_rank")] = "auto"
    world_size: Annotated[Literal["auto"] | int, Smart("world_size")] = "auto"
    batch_size: Annotated[int, Smart("batch")] = 8
    accumulation: Annotated[int, Smart("accumulation")] = 1
    gradient_checkpointing: bool = False
    most: int = 64

    @model_validator(mode="after")
    def _effective_batch_is_sane(self):
        effective = self.batch_size * self.accumulation * (self.world_size if isinstance(self.world_size, int) else 1)
        if effective > self.most:
            message = f"the effective batch size {effective} is above {self.most}"
            raise broken("batch_size", message, hint="lower it", reads=("accumulation", "world_size", "most"))
        return self


class SmartConfig(Config):
    experiment: str
    training: SmartTraining = SmartTraining()


@pytest.fixture
def decided(register, compose):
    """Resolve `demo.yaml` on a machine; return the `training` section."""
    register("experiments", "demo", SmartConfig)

    def call(text="", machine=CPU, launcher=None, **words):
        return compose(text, **words).on_machine(machine, launcher or {})

    return call


def training(resolved):
    return resolved.values["training"]


@pytest.mark.parametrize(
    ("machine", "device", "bf16", "dtype"),
    [
        (CPU, "cpu", False, "float32"),
        (AMPERE, "cuda", True, "bfloat16"),
        (TURING, "cuda", False, "float32"),
        (MIXED, "cuda", False, "float32"),
    ],
)
def test_device_and_precision_follow_the_hardware(decided, machine, device, bf16, dtype):
    chosen = training(decided(machine=machine))
    assert (chosen["device"], chosen["bf16"], chosen["dtype"]) == (device, bf16, dtype)


def test_precision_follows_a_device_that_somebody_chose(decided):
    chosen = training(decided("training: {device: cpu}", AMPERE))
    assert (chosen["device"], chosen["bf16"], chosen["dtype"]) == ("cpu", False, "float32")


def test_precision_follows_a_named_gpu(decided):
    chosen = training(decided("training: {device: 'cuda:1'}", AMPERE))
    assert (chosen["device"], chosen["bf16"], chosen["dtype"]) == ("cuda:1", True, "bfloat16")


def test_written_auto_is_chosen_like_one_that_nobody_wrote(decided):
    assert training(decided(flags=["--training.device=auto"], machine=AMPERE))["device"] == "cuda"


@pytest.mark.parametrize(
    ("field", "value"), [("device", "cpu"), ("bf16", False), ("dtype", "float16"), ("local_rank", 3)]
)
def test_what_somebody_wrote_is_never_changed(decided, field, value):
    resolved = decided(f"training: {{{field}: {str(value).lower()}}}", AMPERE, {"LOCAL_RANK": "1"})
    assert training(resolved)[field] == value
    assert str(resolved.origins[f"training.{field}"]).startswith("demo.yaml:1:")


def test_origin_of_a_chosen_value_says_what_hardware_it_is_for(decided):
    origins = decided(machine=AMPERE).origins
    assert [str(origins[f"training.{key}"]) for key in ("device", "bf16", "dtype")] == ["machine: 1 × A100"] * 3


# --- launchers


@pytest.mark.parametrize(
    ("launcher", "rank", "size", "origins"),
    [
        (
            {},
            0,
            1,
            [
                "machine: no launcher (LOCAL_RANK or SLURM_LOCALID not set)",
                "machine: no launcher (WORLD_SIZE or SLURM_NTASKS not set)",
            ],
        ),
        ({"LOCAL_RANK": "3", "WORLD_SIZE": "8"}, 3, 8, ["machine: LOCAL_RANK=3", "machine: WORLD_SIZE=8"]),
        ({"SLURM_LOCALID": "1", "SLURM_NTASKS": "4"}, 1, 4, ["machine: SLURM_LOCALID=1", "machine: SLURM_NTASKS=4"]),
        (
            {"OMPI_COMM_WORLD_LOCAL_RANK": "2", "OMPI_COMM_WORLD_SIZE": "6"},
            2,
            6,
            ["machine: OMPI_COMM_WORLD_LOCAL_RANK=2", "machine: OMPI_COMM_WORLD_SIZE=6"],
        ),
    ],
)
def test_rank_and_size_are_the_launchers(decided, launcher, rank, size, origins):
    resolved = decided(launcher=launcher)
    assert (training(resolved)["local_rank"], training(resolved)["world_size"]) == (rank, size)
    assert [str(resolved.origins[f"training.{key}"]) for key in ("local_rank", "world_size")] == origins


def test_torchrun_inside_slurm_is_the_nearer_launcher(decided):
    launcher = {"LOCAL_RANK": "1", "WORLD_SIZE": "2", "SLURM_LOCALID": "0", "SLURM_NTASKS": "1"}
    chosen = training(decided(launcher=launcher))
    assert (chosen["local_rank"], chosen["world_size"]) == (1, 2)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "²"])
def test_variable_that_is_no_number_is_no_launcher(decided, text):
    assert training(decided(launcher={"LOCAL_RANK": text, "WORLD_SIZE": text}))["local_rank"] == 0


def test_launcher_is_read_where_the_run_starts_and_not_where_the_config_is_resolved(decided):
    assert training(decided(environ={"WORLD_SIZE": "8"}, launcher={"WORLD_SIZE": "2"}))["world_size"] == 2


# --- batch under gradient checkpointing

CHECKPOINTING = "training: {gradient_checkpointing: true}"


def test_batch_is_lowered_under_gradient_checkpointing_and_the_effective_one_stays(decided):
    resolved = decided(CHECKPOINTING)
    assert (training(resolved)["batch_size"], training(resolved)["accumulation"]) == (4, 2)
    assert resolved.warnings == (
        "training.gradient_checkpointing is on: training.batch_size is 4, not 8, and training.accumulation 2, not 1; "
        "the effective batch size is the same (set training.batch_size to choose yourself)",
    )


def test_origin_of_a_lowered_batch_says_why_and_its_history_what_it_was(decided):
    resolved = decided(CHECKPOINTING)
    assert str(resolved.origins["training.batch_size"]) == (
        "machine: training.gradient_checkpointing is on, so memory is short"
    )
    assert [value for value, _ in resolved.history("training.batch_size")] == [4, 8]
    assert [value for value, _ in resolved.history("training.accumulation")] == [2, 1]


@pytest.mark.parametrize(
    ("words", "batch", "accumulation"),
    [
        ({"text": "training: {gradient_checkpointing: true, batch_size: 16}"}, 16, 1),
        ({"text": "training: {gradient_checkpointing: true, batch_size: 8}"}, 8, 1),
        ({"text": "training: {gradient_checkpointing: true, accumulation: 4}"}, 8, 4),
        ({"text": CHECKPOINTING, "flags": ["--training.batch_size=6"]}, 6, 1),
        ({"text": CHECKPOINTING, "environ": {"LLM_TRAINING__ACCUMULATION": "1"}}, 8, 1),
        ({"text": "training: {gradient_checkpointing: false}"}, 8, 1),
        ({"text": ""}, 8, 1),
    ],
)
def test_batch_is_never_lowered_where_somebody_wrote_one_or_memory_is_not_short(decided, words, batch, accumulation):
    resolved = decided(**words)
    assert (training(resolved)["batch_size"], training(resolved)["accumulation"]) == (batch, accumulation)
    assert resolved.warnings == ()


def test_batch_of_the_built_in_trainers_is_lowered_too(folder):
    (folder / "e.yaml").write_text(
        "experiment: sft\nmodel: tiny-llama\ndata: {name: reasoning-gym, family: chain_sum}\n"
        "training: {gradient_checkpointing: true}\n"
    )
    project = Project(folder, folder, folder)
    resolved = resolve(Path("e.yaml"), lookup=config_of, project=project, environ={}).on_machine(CPU)
    assert (training(resolved)["batch_size"], training(resolved)["gradient_accumulation_steps"]) == (4, 2)
    assert resolved.computed["training.effective_batch_size"][0] == 8


# --- rules are checked again


def test_rule_that_world_size_breaks_is_told(decided, told):
    assert told(lambda: decided("training: {batch_size: 16}", launcher={"WORLD_SIZE": "8"})) == [
        ("training.batch_size: the effective batch size 128 is above 64", "demo.yaml:1:24", "lower it")
    ]


def test_rule_that_a_world_size_breaks_over_defaults_alone_is_told_at_the_machine(decided, told):
    assert told(lambda: decided(launcher={"WORLD_SIZE": "16"})) == [
        ("training.batch_size: the effective batch size 128 is above 64", "machine: WORLD_SIZE=16", "lower it")
    ]


def test_rule_holds_while_the_world_size_is_open(compose, register):
    register("experiments", "demo", SmartConfig)
    assert compose("training: {batch_size: 64}").values["training"]["world_size"] == "auto"


def test_effective_batch_above_the_limit_of_the_built_in_trainers_is_told(folder, told):
    (folder / "e.yaml").write_text(
        "experiment: sft\nmodel: tiny-llama\ndata: {name: reasoning-gym, family: chain_sum}\n"
        "training: {batch_size: 2048}\n"
    )
    project = Project(folder, folder, folder)
    resolved = resolve(Path("e.yaml"), lookup=config_of, project=project, environ={})
    assert told(lambda: resolved.on_machine(CPU, {"WORLD_SIZE": "8"})) == [
        (
            "training.batch_size: the effective batch size 16384 (batch × accumulation × processes) is above "
            "max_effective_batch_size 8192",
            "e.yaml:4:24",
            "lower one of them, or raise training.max_effective_batch_size",
        )
    ]


def test_python_layers_choice_for_the_machine_is_what_others_are_chosen_by(decided, folder, resolve_file):
    (folder / "e.py").write_text(
        'MACHINE = ["training.device"]\n'
        'def configure(config): return {"experiment": "demo"}\n'
        'def on_machine(config, machine): return {"training": {"device": "cpu"}}\n'
    )
    chosen = training(resolve_file("e.py").on_machine(AMPERE))
    assert (chosen["device"], chosen["bf16"]) == ("cpu", False)


def test_config_without_anything_to_choose_is_decided(register, compose):
    class Fixed(Config):
        experiment: str

    register("experiments", "demo", Fixed)
    resolved = compose("")
    assert not resolved.is_undecided
    assert resolved.on_machine(AMPERE).values == {"experiment": "demo"}


def test_a_batch_that_will_be_lowered_cannot_be_referred_to(decided, told):
    text = "training: {gradient_checkpointing: true, most: '${training.batch_size}'}"
    ((message, _, _),) = told(lambda: decided(text))
    assert message.startswith("${training.batch_size} is not known before the run starts")


@pytest.mark.parametrize(
    "text",
    [
        "training: {most: '${training.batch_size}'}",
        "training: {gradient_checkpointing: true, batch_size: 8, most: '${training.batch_size}'}",
    ],
)
def test_a_batch_that_stays_can_be_referred_to(decided, text):
    assert training(decided(text))["most"] == 8
