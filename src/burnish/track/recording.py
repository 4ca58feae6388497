"""What a run records besides scalars: samples, pictures, tables, data, files, words.

Whatever goes wrong below a method becomes one warning and a counter; a value of the wrong type raises at the call.
Each method loads what it needs when it is first called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from burnish.journal.entry import Kind
from burnish.track.wall import Wall

if TYPE_CHECKING:
    from burnish.track.artifacts import Artifact
    from burnish.track.image import Image

Level = Literal["info", "warning", "error"]


class Recording(Wall):
    """What a process records of one run. `Run` adds scalars, time and the end."""

    def log_text(self, key: str, text: str, step: int | None = None) -> None:
        """Record a piece of text, such as a sample or the resolved arguments of a trainer."""
        _check_text(text, "a text")
        self._add(Kind.TEXT, key, lambda: {"text": text}, step)

    def log_histogram(self, key: str, values: object, step: int | None = None, *, bins: int = 64) -> None:
        """Record how values are spread.

        Args:
            key: What to call it.
            values: A NumPy array or torch tensor of any shape, on any device; a sequence of numbers; or a pair
                `(counts, edges)` as `numpy.histogram` returns.
            step: The training step, the last one logged when left out.
            bins: How many bins of equal width.

        Raises:
            TypeError: The values are no numbers.
        """

        def make() -> dict[str, object]:
            from burnish.track.histogram import histogram

            return histogram(values, bins=bins)

        self._add(Kind.HISTOGRAM, key, make, step)

    def log_table(
        self, key: str, data: object, step: int | None = None, *, columns: Sequence[str] | None = None
    ) -> None:
        """Record a table, such as prompts with answers and rewards.

        Args:
            key: What to call it.
            data: A list of dicts, a list of lists with `columns`, a dict of columns, or a table of pandas, polars,
                arrow or datasets.
            step: The training step, the last one logged when left out.
            columns: The columns' names, or which of them to keep.

        Raises:
            TypeError: The data is no table.
        """

        def make() -> dict[str, object]:
            from burnish.track.table import table, table_payload

            return table_payload(self.paths.root, *table(data, columns))

        self._add(Kind.TABLE, key, make, step)

    def log_image(self, key: str, image: object, step: int | None = None, *, caption: str = "") -> None:
        """Record a picture as a file of the run.

        Args:
            key: What to call it.
            image: An array or tensor (H, W), (H, W, 1, 3 or 4) or (1, 3 or 4, H, W); a PIL image; a matplotlib figure;
                a PNG or JPEG file's path or bytes.
            step: The training step, the last one logged when left out.
            caption: What stands below.

        Raises:
            TypeError: It is no picture.
        """

        def make() -> Image:
            from burnish.track.image import encode_image

            return encode_image(image)

        self._add(Kind.MEDIA, key, lambda: self._picture("image", make(), caption), step)

    def log_figure(self, key: str, figure: object, step: int | None = None, *, caption: str = "") -> None:
        """Record a matplotlib figure as it looks now; it is neither closed nor changed.

        Raises:
            TypeError: It is no figure.
        """

        def make() -> Image:
            from burnish.track.image import encode_image

            return encode_image(figure)

        self._add(Kind.MEDIA, key, lambda: self._picture("figure", make(), caption), step)

    def log_attention(
        self,
        key: str,
        attentions: object,
        step: int | None = None,
        *,
        layers: Sequence[int] | None = None,
        heads: Sequence[int] | None = None,
        tokens: Sequence[str] | None = None,
        caption: str = "",
    ) -> None:
        """Record attention weights as a heat map for each layer and head. It needs matplotlib.

        Args:
            key: What to call it.
            attentions: What a transformers model returns with `output_attentions=True`, of which the first of the
                batch is drawn; or an array or tensor [layers, heads, query, key], [heads, query, key] or [query, key].
            step: The training step, the last one logged when left out.
            layers: Which layers to draw; by default all, or a dozen of them.
            heads: Which heads to draw.
            tokens: The text of each key; shown when there are at most 32.
            caption: What stands above.

        Raises:
            TypeError: These are no attention weights.
        """

        def make() -> Image:
            from burnish.track.attention import draw_attention

            at = f", step {self._at(step)}" if self._at(step) is not None else ""
            title = f"{key}{at}{f': {caption}' if caption else ''}"
            return draw_attention(attentions, layers=layers, heads=heads, tokens=tokens, title=title)

        self._add(Kind.MEDIA, key, lambda: self._picture("attention", make(), caption), step)

    def log_model_graph(self, model: object, example: object = None, *, key: str = "model") -> None:
        """Record the modules of a model: classes, parameters, shared ones, and with an example how data flows.

        Args:
            model: A torch module, or anything with `named_modules`.
            example: Arguments of one forward pass, a tuple or a dict; made without gradients, in evaluation mode.
            key: What to call it.

        Raises:
            TypeError: It is no model.
        """

        def make() -> dict[str, object]:
            import json

            from burnish.track.blobs import store_blob
            from burnish.track.graph import model_graph

            graph = model_graph(model, example)
            graph["note"] = self._masker.text(str(graph["note"]))  # an exception's text
            caption = f"{graph['parameters']:,} parameters, {graph['trainable']:,} trainable"
            blob = store_blob(self.paths.root, json.dumps(graph).encode(), "json")
            return {"type": "graph", "file": blob.file, "sha256": blob.sha256, "bytes": blob.bytes, "caption": caption}

        self._add(Kind.MEDIA, key, make, None)

    def log_dataset(self, name: str, source: object, *, revision: str = "") -> None:
        """Record what data a run uses, on its card: path, size and content hash, or a dataset's own fingerprint.

        Args:
            name: What to call it, such as `train`.
            source: A path, a Hugging Face dataset, an array, a list, a hub name, or a dict of such by split. What takes
                longer than 0.15 s to hash is hashed by the supervisor at the end.
            revision: Which version of it, where the source does not say.
        """

        def make() -> dict[str, object]:
            from burnish.track.fingerprint import fingerprint

            return {"data": {name: fingerprint(source, revision)}}

        self._add(Kind.LIFECYCLE, "card", make, None)

    def log_artifact(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        kind: str = "file",
        metadata: Mapping[str, object] | None = None,
        copy: bool = True,
    ) -> Artifact | None:
        """Keep a file or folder with the run, under the hash of its content.

        Args:
            path: The file or folder, which may change or go afterwards.
            name: What to call it; its own name when left out.
            kind: What it is: `model`, `dataset`, `predictions`, …
            metadata: What else is to be known of it.
            copy: False keeps only its hash and where it lies.

        Returns:
            What was kept; None where it could not be, which is warned of once.

        Raises:
            TypeError: An argument has the wrong type.
        """

        def make() -> Artifact:
            from burnish.track.artifacts import store_artifact

            source = Path(path)
            if not source.exists():
                raise FileNotFoundError(f"there is no {source}")
            return store_artifact(
                self.paths.root, source, name=name or source.name, kind=kind, metadata=metadata or {}, copy=copy
            )

        artifact = self._try(make, "artifact", name or str(path))
        if artifact is not None:
            self._record(Kind.ARTIFACT, artifact.name, artifact.payload("made"), self._at(None))
        return artifact

    def use_artifact(self, reference: str) -> Path:
        """Return the verified path of another run's artifact, and record that this run used it.

        Args:
            reference: `k7f2/name`: the run and what it called the artifact.

        Raises:
            RunError: There is no such run or artifact, or its content has changed.
        """
        from burnish.track.artifacts import find_used

        artifact, path = find_used(self.paths.root.parent, reference)
        self._record(Kind.ARTIFACT, artifact.name, artifact.payload("used"), self._at(None))
        return path

    def log_checkpoint(self, path: str | os.PathLike[str], step: int, metrics: Mapping[str, float]) -> None:
        """Record that a checkpoint is complete; `path` is kept relative when it lies in the run directory.

        Raises:
            TypeError: The step is no integer, or a metric no number.
        """
        from burnish.track.lazy import read_numbers

        root, folder = self.paths.root, Path(path)
        shown = folder.relative_to(root) if folder.is_relative_to(root) else folder.absolute()
        self._record(Kind.CHECKPOINT, str(shown), {"metrics": read_numbers(metrics)}, index(step))

    def alert(self, title: str, text: str = "", *, level: Level = "warning") -> None:
        """Tell whoever the run's alerts are told to (`tracking.alerts`), and record it.

        Raises:
            TypeError: Title or text is no string.
            ValueError: There is no such level.
        """
        _check_text(title, "an alert's title")
        _check_text(text, "an alert's text")
        if level not in get_args(Level):
            raise ValueError(f"an alert is {', '.join(get_args(Level))}, not {level!r}")
        payload = {"text": text, "level": level, "reason": "alert"}
        self._record(Kind.ALERT, title, payload, self._at(None))

    def note(self, text: str) -> None:
        """Add a note to the run, as `burnish note` does."""
        _check_text(text, "a note")
        self._record(Kind.LIFECYCLE, "note", {"text": text}, self._at(None))

    def tag(self, *tags: str) -> None:
        """Add words to find the run by."""
        for tag in tags:
            _check_text(tag, "a tag")
        self._record(Kind.LIFECYCLE, "tag", {"tags": list(tags)})

    def step_metric(self, pattern: str, axis: str = "step", *, best: Literal["min", "max", ""] = "") -> None:
        """Say over what metrics are drawn, and which way they are better.

        Args:
            pattern: Names such as `eval/*`; of several patterns that fit, the last one counts.
            axis: `step`, `time`, or a metric that counts something, such as `train/num_tokens`.
            best: Whether the lowest or the highest value is the best; by default what the name says.

        Raises:
            TypeError: Pattern or axis is no string.
            ValueError: `best` is neither.
        """
        _check_text(pattern, "a pattern of metrics")
        _check_text(axis, "an axis")
        if best not in ("min", "max", ""):
            raise ValueError(f"best is 'min' or 'max', not {best!r}")
        self._record(Kind.LIFECYCLE, "metric", {"pattern": pattern, "axis": axis, "best": best})

    def report(self, facts: Mapping[str, object]) -> None:
        """Add facts to the experiment card that only this process knows: device, seeds, fingerprints of data."""
        self._record(Kind.LIFECYCLE, "card", facts)

    def expect(self, total_steps: int) -> None:
        """Say how many steps there will be, so that the time left can be shown."""
        self._record(Kind.LIFECYCLE, "total", {"steps": index(total_steps)})

    def _picture(self, kind: str, image: Image, caption: str) -> dict[str, object]:
        from burnish.track.blobs import store_blob

        blob = store_blob(self.paths.root, image.content, image.suffix)
        size = {"bytes": blob.bytes, "width": image.width, "height": image.height}
        return {"type": kind, "file": blob.file, "sha256": blob.sha256, **size, "caption": caption}


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {type(value).__name__}")
