"""Flat recipes of other tools: what is carried over where, what is left and why, and that nothing is lost."""

from pathlib import Path

import pytest

from burnish.config.check import validate
from burnish.config.layer import leaves
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError
from burnish.experiment.registry import config_of
from burnish.project.migrate import migrate, to_yaml

STEPS = "Burnish counts steps, not epochs: set training.max_steps"
DATA = "write a dataset component and name it under data.name"
WEIGHTS = "model 'pretrained' loads the weights as they were saved, from a folder"
RUNS = "runs lie in .burnish/runs"
TRACKERS = "trackers are fed from the journal: tracking.sinks"
SHARE = "Burnish counts steps: set training.warmup_steps to this share of training.max_steps"
HINT = "there are sft, dpo and grpo; write an experiment of your own for others"
ASIDE = {"data": {"name": "reasoning-gym", "family": "spell_backward"}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def imported(folder):
    """Return the migration of a recipe's text."""

    def call(text, name="recipe.yaml", kind=None):
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return migrate(file, kind=kind)

    return call


@pytest.fixture
def refused(imported):
    """Return what is told of a recipe that cannot be imported."""

    def call(text, **words):
        with pytest.raises(ConfigError) as caught:
            imported(text, **words)
        return [(problem.message, problem.origin, problem.hint) for problem in caught.value.problems]

    return call


def left(migration):
    return {item.path: item.reason for item in migration.left}


def problems_of(migration):
    """Return what our schema says of an experiment, with what no recipe can state set aside."""
    values = {**ASIDE, "model": {"name": "tiny-llama"}, **migration.experiment}
    tree = parse_yaml(to_yaml_values(values), "experiment.yaml")
    return validate(config_of("experiments", str(values["experiment"])), tree, config_of).problems


def to_yaml_values(values):
    from burnish.config.snapshot import dump_yaml

    return dump_yaml(values)


def test_a_trl_recipe_for_sft(imported):
    found = imported(
        """\
model_name_or_path: ./llama
torch_dtype: bfloat16
use_peft: true
lora_r: 8
dataset_name: trl-lib/Capybara
max_length: 512
learning_rate: 2e-5
per_device_train_batch_size: 4
optim: adamw_torch
adam_beta2: 0.95
weight_decay: 0.1
lr_scheduler_type: cosine
max_steps: 200
warmup_ratio: 0.1
num_train_epochs: 3
save_steps: 20
save_total_limit: 3
eval_steps: 40
logging_steps: 5
seed: 7
bf16:
output_dir: out
report_to: [wandb]
colour: red
"""
    )
    assert found.kind == "trl"
    assert found.experiment == {
        "experiment": "sft",
        "seed": 7,
        "model": {"name": "pretrained", "path": "./llama", "lora": {"rank": 8, "alpha": 32, "dropout": 0.05}},
        "training": {
            "trl": {"max_length": 512},
            "learning_rate": 2e-5,
            "batch_size": 4,
            "optimizer": {"name": "adamw", "beta2": 0.95, "weight_decay": 0.1},
            "lr_scheduler": "cosine",
            "max_steps": 200,
            "warmup_steps": 20,
            "log_every": 5,
        },
        "checkpoints": {"every": 20, "keep_last": 3},
        "evaluation": {"every": 40},
    }
    assert left(found) == {
        "torch_dtype": WEIGHTS,
        "dataset_name": DATA,
        "num_train_epochs": STEPS,
        "bf16": "is empty",
        "output_dir": RUNS,
        "report_to": TRACKERS,
        "colour": "neither Burnish nor TRL's SFTConfig has such an argument",
    }
    assert [item for item in found.carried if item.path in ("lora_r", "save_steps", "warmup_ratio")] == [
        *(item for item in found.carried if item.to == "model.lora.rank"),
        *(item for item in found.carried if item.to == "training.warmup_steps"),
        *(item for item in found.carried if item.to == "checkpoints.every"),
    ]
    assert next(item.origin for item in found.carried if item.path == "lora_r") == "recipe.yaml:4:9"


def test_a_trl_recipe_for_dpo_states_trls_learning_rate_where_ours_differs(imported):
    found = imported("model_name_or_path: ./m\nbeta: 0.05\nloss_type: ipo\nmax_steps: 10\n")
    assert found.experiment == {
        "experiment": "dpo",
        "model": {"name": "pretrained", "path": "./m"},
        "training": {"trl": {"loss_type": "ipo"}, "max_steps": 10, "learning_rate": 1e-6},
        "beta": 0.05,
    }
    assert found.notes == (
        "training.learning_rate is not written there: 1e-06 is what trl takes",
        "to do: name a dataset component under data.name",
    )


def test_a_trl_recipe_for_grpo(imported):
    found = imported(
        "model_name_or_path: ./m\nnum_generations: 4\nreward_funcs: [accuracy]\nuse_vllm: true\n"
        "learning_rate: 1e-6\nmax_steps: 10\nmax_completion_length: 64\ntemperature: 0.7\nbeta: 0.01\n"
    )
    assert found.experiment == {
        "experiment": "grpo",
        "model": {"name": "pretrained", "path": "./m"},
        "training": {"trl": {"use_vllm": True}, "learning_rate": 1e-6, "max_steps": 10},
        "generations": 4,
        "max_completion_length": 64,
        "temperature": 0.7,
        "beta": 0.01,
    }
    assert left(found) == {"reward_funcs": "write a reward component and name it under rewards"}


def test_an_axolotl_recipe(imported):
    found = imported(
        """\
base_model: NousResearch/Llama
datasets: [{path: tatsu-lab/alpaca, type: alpaca}]
adapter: qlora
load_in_4bit: true
lora_r: 16
lora_alpha: 8
lora_target_linear: true
sequence_len: 1_024
sample_packing: yes
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 1
optimizer: paged_adamw_8bit
lr_scheduler: cosine
learning_rate: 2e-4
gradient_checkpointing: offload
wandb_project:
tf32: true
"""
    )
    assert found.kind == "axolotl"
    assert found.experiment == {
        "experiment": "sft",
        "model": {"name": "pretrained", "path": "NousResearch/Llama", "lora": {"rank": 16, "alpha": 8}},
        "training": {
            "trl": {"max_length": 1024, "packing": True, "optim": "paged_adamw_8bit", "tf32": True},
            "batch_size": 2,
            "gradient_accumulation_steps": 4,
            "lr_scheduler": "cosine",
            "learning_rate": 2e-4,
        },
    }
    assert left(found) == {
        "datasets": DATA,
        "load_in_4bit": WEIGHTS,
        "lora_target_linear": "so it is in Burnish anyway",
        "num_epochs": STEPS,
        "gradient_checkpointing": "Burnish knows true and false alone here",
        "wandb_project": "is empty",
    }
    assert "to do: model.path must be a folder; a name on a hub has to be downloaded first" in found.notes


def test_an_axolotl_recipe_says_by_rl_what_it_trains(imported):
    dpo = imported("base_model: ./m\nrl: dpo\ndpo_beta: 0.2\nlearning_rate: 1e-6\n")
    grpo = imported("base_model: ./m\nrl: grpo\ntrl: {num_generations: 4, max_completion_length: 32}\n")
    ipo = imported("base_model: ./m\nrl: ipo\n")
    assert dpo.experiment["experiment"] == "dpo"
    assert dpo.experiment["beta"] == 0.2
    assert grpo.experiment["experiment"] == "grpo"
    assert (grpo.experiment["generations"], grpo.experiment["max_completion_length"]) == (4, 32)
    assert ipo.experiment["experiment"] == "dpo"
    assert ipo.experiment["training"] == {"trl": {"loss_type": "ipo"}}


def test_a_llama_factory_recipe(imported):
    found = imported(
        """\
model_name_or_path: Qwen/Qwen3
stage: dpo
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
pref_beta: 0.2
pref_loss: sigmoid
dataset: dpo_en_demo
template: qwen3
cutoff_len: 2048
plot_loss: true
learning_rate: 5.0e-6
warmup_ratio: 0.1
"""
    )
    assert found.kind == "llama-factory"
    assert found.experiment == {
        "experiment": "dpo",
        "model": {"name": "pretrained", "path": "Qwen/Qwen3", "lora": {"rank": 8, "alpha": 16}},
        "training": {"trl": {"loss_type": "sigmoid", "max_length": 2048}, "learning_rate": 5e-6},
        "beta": 0.2,
    }
    assert left(found) == {
        "do_train": "so it is in Burnish anyway",
        "lora_target": "so it is in Burnish anyway",
        "dataset": DATA,
        "template": "chat prompts take the tokenizer's own template: data.chat",
        "plot_loss": "every metric is in the journal: burnish show",
        "warmup_ratio": SHARE,
    }


def test_a_torchtune_recipe(imported):
    found = imported(
        """\
output_dir: /tmp/out
model:
  _component_: torchtune.models.gemma2.lora_gemma2_2b
  lora_rank: 64
  lora_alpha: 128
  apply_lora_to_mlp: True
tokenizer: {_component_: torchtune.models.gemma.gemma_tokenizer, max_seq_len: 512}
checkpointer:
  _component_: torchtune.training.FullModelHFCheckpointer
  checkpoint_dir: /models/gemma
  output_dir: ${output_dir}
dataset: {_component_: torchtune.datasets.alpaca_dataset, packed: True}
optimizer: {_component_: torch.optim.AdamW, lr: 2e-5, betas: [0.9, 0.95]}
lr_scheduler:
  _component_: torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup
  num_warmup_steps: 10
loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}
batch_size: 4
batch_size_val: ${batch_size}
epochs: 2
max_steps_per_epoch: 50
clip_grad_norm: null
device: cuda
dtype: bf16
"""
    )
    assert found.kind == "torchtune"
    assert found.experiment == {
        "experiment": "sft",
        "model": {"name": "pretrained", "path": "/models/gemma", "lora": {"rank": 64, "alpha": 128}},
        "training": {
            "trl": {"max_length": 512, "packing": True},
            "optimizer": {"name": "adamw", "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.01},
            "learning_rate": 2e-5,
            "lr_scheduler": "cosine",
            "warmup_steps": 10,
            "batch_size": 4,
            "max_steps": 100,
            "device": "cuda",
            "bf16": True,
            "max_grad_norm": 0.0,
        },
    }
    assert left(found) == {
        "output_dir": RUNS,
        "model.apply_lora_to_mlp": "so it is in Burnish anyway",
        "tokenizer._component_": "the tokenizer is the one in the model's folder",
        "checkpointer._component_": WEIGHTS,
        "checkpointer.output_dir": WEIGHTS,
        "dataset._component_": DATA,
        "loss._component_": "the loss is cross entropy anyway",
        "batch_size_val": "evaluators have a batch size of their own: evaluation.evaluators",
        "epochs": STEPS,
        "clip_grad_norm": "is empty",
    }
    assert [item.value for item in found.left if item.path == "checkpointer.output_dir"] == ["/tmp/out"]


def test_what_the_schema_refuses_is_left_with_the_schemas_own_words(imported):
    found = imported(
        "model_name_or_path: ./m\nlearning_rate: 3\nlr_scheduler_type: polynomial\nsave_steps: 0.1\n"
        "lr_scheduler_kwargs: {power: 2}\nactivation_checkpointing: true\n"
    )
    assert found.experiment == {"experiment": "sft", "model": {"name": "pretrained", "path": "./m"}}
    assert left(found) == {
        "learning_rate": "training.learning_rate: should be less than 1, not 3",
        "lr_scheduler_type": "training.lr_scheduler: should be 'linear', 'cosine', 'constant' or "
        "'constant_with_warmup', not 'polynomial'",
        "save_steps": "checkpoints.every: should be a valid integer, got a number with a fractional part, not 0.1",
        "lr_scheduler_kwargs": "they are arguments of the schedule 'polynomial', which Burnish does not have",
        "activation_checkpointing": "training.trl.activation_checkpointing: is set by training.gradient_checkpointing",
    }


def test_what_is_wrong_with_no_value_of_the_recipe_is_to_do(imported):
    found = imported(
        "model_name_or_path: ./m\nnum_generations: 4\nmax_completion_length: 9\nlearning_rate: 1e-6\nmax_steps: 9\n"
        "steps_per_generation: 3\nsave_total_limit: 2\n"
    )
    assert found.left == ()
    assert found.notes == (
        "to do: checkpoints.every: must be a multiple of 3 steps, in which TRL reuses its completions",
        "to do: name a dataset component under data.name",
    )


def test_of_two_keys_that_mean_the_same_the_first_is_carried(imported):
    found = imported("base_model: ./m\nmicro_batch_size: 2\nper_device_train_batch_size: 4\n")
    assert found.experiment["training"] == {"batch_size": 2}
    assert left(found) == {
        "per_device_train_batch_size": "training.batch_size is taken from micro_batch_size (recipe.yaml:2:19) already"
    }


def test_what_burnish_would_read_as_its_own_syntax_is_carried_as_text_or_left(imported):
    found = imported(
        "model_name_or_path: ./${x}\nlearning_rate: 1e-5\nrun_name: ~delete\nmodel_init_kwargs: {}\n"
        "gradient_checkpointing_kwargs: {use_reentrant+: true}\n"
    )
    assert found.experiment["model"] == {"name": "pretrained", "path": "./$${x}"}
    assert left(found) == {
        "run_name": "in Burnish this value deletes its key",
        "model_init_kwargs": "is empty",
        "gradient_checkpointing_kwargs": "a key that ends in + merges in another way in Burnish",
    }


def test_unquoted_yes_and_no_are_booleans_as_the_other_tools_read_them(imported):
    found = imported("base_model: ./m\nsample_packing: no\nbf16: yes\ntf32: 'no'\n")
    assert found.experiment["training"] == {"trl": {"packing": False, "tf32": "no"}, "bf16": True}


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("model_name_or_path: m\nkl_coef: 0.1\n", "PPO", ":2:10"),
        ("model_name_or_path: m\ndesirable_weight: 1.0\n", "KTO", ":2:19"),
        ("base_model: m\nrl: kto\n", "KTO", ":2:5"),
        ("base_model: m\npretraining_dataset: [{path: c4}]\n", "pretraining", ":2:22"),
        ("base_model: m\nreward_model: true\n", "reward modelling", ":2:15"),
        ("stage: rm\nmodel_name_or_path: m\n", "reward modelling", ":1:8"),
        ("stage: pt\nmodel_name_or_path: m\n", "pretraining", ":1:8"),
        ("template: x\ninfer_backend: vllm\n", "inference", ":2:16"),
        ("model: {_component_: x}\ntasks: [a]\n", "evaluation", ":2:8"),
        ("model: {_component_: x}\nmax_new_tokens: 3\n", "generation", ":2:17"),
        (
            "optimizer: {lr: 1}\nloss: {_component_: torchtune.modules.loss.ForwardKLLoss}\n",
            "the loss ForwardKLLoss",
            ":2:21",
        ),
    ],
)
def test_a_recipe_that_no_experiment_is_for_says_what_it_is(refused, text, what, place):
    assert refused(text) == [(f"Burnish has no experiment for {what}", f"recipe.yaml{place}", HINT)]


def test_a_trl_recipe_is_told_by_names_around_it_where_its_keys_do_not_say(imported, refused):
    text = "model_name_or_path: ./m\nlearning_rate: 1e-6\n"
    assert imported(text, name="zephyr/dpo/config.yaml").experiment["experiment"] == "dpo"
    assert imported(text, name="a/sft/b.yaml").experiment["experiment"] == "sft"
    assert refused(f"{text}beta: 0.1\n", name="recipes/orpo/config.yaml") == [
        ("Burnish has no experiment for ORPO", "recipes/orpo/config.yaml", HINT)
    ]


KINDS_HINT = "say whose it is: --kind trl|axolotl|llama-factory|torchtune|hydra"


def test_a_file_of_no_tool_or_of_two_wants_to_be_told_whose_it_is(refused, imported):
    assert refused("a: 1\n") == [("no recipe of a tool that is known", "recipe.yaml", KINDS_HINT)]
    mixed = "base_model: m\nstage: sft\nlearning_rate: 1e-5\n"
    assert refused(mixed) == [
        (
            "this could be a recipe of axolotl ('base_model' at recipe.yaml:1:1) and llama-factory ('stage' at "
            "recipe.yaml:2:1)",
            "recipe.yaml",
            KINDS_HINT,
        )
    ]
    assert imported(mixed, kind="axolotl").kind == "axolotl"


def test_mistakes_of_the_parser_pass_through(refused, folder):
    assert refused("seed: 1\nseed: 2\n") == [
        ("key 'seed' is given twice; it stands at line 1 already", "recipe.yaml:2:1", "")
    ]
    assert refused("a: !!python/object:os.system x\n")[0][0].endswith("is not supported")
    assert refused("- a\n") == [("a recipe holds keys and values", "recipe.yaml:1:1", "")]
    with pytest.raises(ConfigError, match=r"no such file: nowhere\.yaml"):
        migrate(Path("nowhere.yaml"))


def test_the_file_says_where_it_is_from_and_what_is_not_in_it(imported):
    found = imported('base_model: ./m\nnum_epochs: 3\nchat_template: "a\\nb"\nwandb_name:\nmax_steps: 5\n')
    assert (
        to_yaml(found)
        == """\
# Imported from recipe.yaml (axolotl).
# - to do: name a dataset component under data.name
experiment: sft
model:
  name: pretrained
  path: ./m
training:
  max_steps: 5

# Not carried over:
# - num_epochs: 3 (2:13): Burnish counts steps, not epochs: set training.max_steps
# - chat_template: "a\\nb" (3:16): chat prompts take the tokenizer's own template: data.chat

# Empty there, so there is nothing to carry over: wandb_name
"""
    )


def test_no_value_of_the_source_can_break_out_of_a_comment(imported):
    found = imported('base_model: ./m\n"x: 1\\nexperiment: evil\\a": "y\\u2028z: 1"\n')
    text = to_yaml(found)
    tree = parse_yaml(text, "out.yaml")
    assert list(tree.items) == ["experiment", "model"]


NOT_OURS = {
    "tulu3_8b_preview_mix_v3.1.yaml": "is given twice",
    "tulu3_8b_preview_mix_v3.2.yaml": "is given twice",
    "tokens_cfg.yaml": "no recipe of a tool that is known",
    "inference/qwen3_lora_sft.yaml": "no experiment for inference",
    "70B_generation_distributed.yaml": "no experiment for generation",
    "eleuther_evaluation.yaml": "no experiment for evaluation",
}


@pytest.mark.testdata
def test_each_real_recipe_is_carried_or_says_why_not(recipes):
    carried = 0
    for recipe in recipes:
        reason = next((text for name, text in NOT_OURS.items() if str(recipe).endswith(name)), None)
        if reason is not None:
            with pytest.raises(ConfigError, match=reason):
                migrate(recipe)
            continue
        found = migrate(recipe)
        carried += 1
        assert parse_yaml(to_yaml(found), recipe.name).items.keys() == found.experiment.keys()
        if found.kind != "hydra":
            assert problems_of(found) == (), recipe
    assert carried == 27


@pytest.mark.testdata
def test_every_value_of_each_real_recipe_is_carried_or_left(recipes):
    for recipe in recipes:
        if any(str(recipe).endswith(name) for name in NOT_OURS):
            continue
        found = migrate(recipe)
        told = [item.path for item in found.carried] + [item.path for item in found.left]
        tree = parse_yaml(recipe.read_bytes(), recipe.name)
        told.append("defaults") if found.kind == "hydra" else None
        lost = [
            path
            for path, _ in leaves(tree)
            if not any(path == covered or path.startswith(f"{covered}.") for covered in told)
        ]
        assert lost == [], recipe
