"""Models with their tokenizers: built from scratch, or loaded from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from burnish.checkpoint import read_manifest, verify
from burnish.core.errors import ComponentError
from burnish.experiment.components.configs import CHARACTERS, LoraConfig, PretrainedConfig, TinyLlamaConfig

_SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
_VOCABULARY = (*_SPECIAL, *(chr(code) for code in range(32, 127)))
assert len(_VOCABULARY) == CHARACTERS

ModelAndTokenizer = tuple[Any, Any]


def build_tiny_llama(config: TinyLlamaConfig) -> ModelAndTokenizer:
    """Return a freshly initialized Llama over printable ASCII, one token a character."""
    tokenizer = character_tokenizer(config.max_positions)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=CHARACTERS,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.max_positions,
            initializer_range=config.initializer_range,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    return model, tokenizer


def character_tokenizer(max_length: int) -> Any:
    """Return a tokenizer whose tokens are the printable ASCII characters; anything else is unknown."""
    numbers = {token: number for number, token in enumerate(_VOCABULARY)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    inner.decoder = tokenizers.decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def load_pretrained(config: PretrainedConfig) -> ModelAndTokenizer:
    """Return the model and tokenizer of a folder.

    Raises:
        ComponentError: The folder is no model.
    """
    folder = Path(config.path)
    if read_manifest(folder) is not None:
        verify(folder)  # what was whole when the config was frozen may have been damaged since
    if (folder / "adapter_config.json").is_file():
        import peft

        # The adapters become part of the weights: what is trained next starts from the model as it was measured.
        model = peft.AutoPeftModelForCausalLM.from_pretrained(config.path, local_files_only=True).merge_and_unload()
    elif (folder / "config.json").is_file():
        model = AutoModelForCausalLM.from_pretrained(config.path, local_files_only=True)
    else:
        raise ComponentError(
            f"model.path {config.path!r} is no folder with a config.json or an adapter_config.json",
            hint="name a checkpoint, or a run: model.path='${run:ID@best}'",
        )
    tokenizer = AutoTokenizer.from_pretrained(config.path, local_files_only=True)
    return with_adapters(model, config.lora), tokenizer


def with_adapters(model: Any, lora: LoraConfig | None) -> Any:
    """Return the model with low-rank adapters to train, its own weights frozen; unchanged without a config."""
    if lora is None:
        return model
    import peft

    wanted = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(model, wanted)
