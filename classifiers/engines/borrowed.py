"""A head from elsewhere: a sequence classifier in Hugging Face's format, a folder or the id of one on the hub.

It answers for one of our heads; the others, and the embedding, stay with our own model. Only safetensors are read, and
no code that comes with a model is ever run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from classifiers import normalise
from classifiers.engines.encoder import batches
from classifiers.engines.model import PICKLES
from classifiers.engines.weights import Vectors
from classifiers.errors import ModelMissing, ModelRefused
from classifiers.triage import HEADS

MAX_TOKENS = 128


class Borrowed:
    """Judges texts for one head. labels: the model's label -> ours; one that is ours already need not stand there."""

    def __init__(
        self, head: str, model: str, *, revision: str | None, labels: Mapping[str, str], threads: int, batch_tokens: int
    ) -> None:
        """Raises ModelMissing, ModelRefused."""
        self.head, self.batch_tokens = head, batch_tokens
        folder = Path(model).expanduser()
        if folder.is_dir():
            _only_safetensors(folder)
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(threads)
        where: dict[str, Any] = {"revision": revision, "trust_remote_code": False, "local_files_only": folder.is_dir()}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, **where)
            self._model = AutoModelForSequenceClassification.from_pretrained(
                model, use_safetensors=True, dtype=torch.float32, **where
            )
        except OSError as error:
            raise ModelMissing(
                f"the model {model!r} for {head} is not there, has no safetensors, or the hub cannot be reached; "
                f"check the name, or load it once by hand into a folder and name that"
            ) from error
        # The library says in many ways that a file is broken or asks for code of its own.
        except Exception as error:
            raise ModelRefused(
                f"the model {model!r} for {head} cannot be loaded without running its own code, or is broken "
                f"({type(error).__name__}); Harken never runs code that comes with a model"
            ) from error
        self._model.train(False)
        self._columns = self._placed(model, labels)
        self.name = f"{Path(model).name}@{revision}" if revision else Path(model).name

    def _placed(self, model: str, labels: Mapping[str, str]) -> list[int]:
        """Return for each of our labels the model's column. Raises ModelRefused."""
        theirs = {str(name): int(index) for index, name in self._model.config.id2label.items()}
        ours = {labels.get(name, name.lower()): index for name, index in theirs.items()}
        missing = [label for label in HEADS[self.head] if label not in ours]
        if missing:
            raise ModelRefused(
                f"the model {model!r} has the labels {', '.join(theirs)}, and none of them stands for "
                f"{self.head} {missing[0]!r}; say which in [classifier.heads.{self.head}.labels]"
            )
        return [ours[label] for label in HEADS[self.head]]

    def judge(self, texts: Sequence[str]) -> Vectors:
        """Return texts x labels, probabilities, labels as in HEADS."""
        read = self._tokenizer([normalise.for_model(text) for text in texts], truncation=True, max_length=MAX_TOKENS)
        tokens = read["input_ids"]
        shares = np.zeros((len(texts), len(self._columns)), np.float32)
        for batch in batches([len(ids) for ids in tokens], self.batch_tokens):
            given = self._tokenizer.pad({"input_ids": [tokens[row] for row in batch]}, return_tensors="pt")
            with torch.inference_mode():
                scores = self._model(**given).logits[:, self._columns]
                shares[batch] = torch.softmax(scores.float(), 1).numpy()
        return shares


def _only_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    if any(True for pattern in PICKLES for _ in folder.glob(pattern)):
        raise ModelRefused(f"{folder} holds pickled weights, which can run code; only safetensors are read")
    raise ModelMissing(f"{folder} holds no safetensors file")
