"""The encoder on a CUDA card: torch in bfloat16, the same tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from classifiers.engines.graph import Ids, Mask
from classifiers.engines.model import LINEARS, NORMS, POSITIONS, WORDS, Shape
from classifiers.engines.weights import Tensors, Vectors, restored
from classifiers.errors import ModelRefused


class OnCuda:
    """device, kind: what the tests turn down to the processor and float32."""

    def __init__(
        self, tensors: Tensors, shape: Shape, *, device: str = "cuda", kind: torch.dtype = torch.bfloat16
    ) -> None:
        """Raises ModelRefused where there is no card."""
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelRefused("torch sees no CUDA card here; leave out the key 'device', or set device = 'cpu'")
        self.name = f"{device} {str(kind).removeprefix('torch.')}"
        self._shape, self._device = shape, device
        plain = {name: tensor.astype(np.float32) for name, tensor in tensors.items() if not name.endswith((".q", ".s"))}
        for name in [WORDS, *(f"encoder.layer.{n}.{part}" for n in range(shape.layers) for part in LINEARS)]:
            plain[f"{name}.weight"] = restored(tensors[f"{name}.q"], tensors[f"{name}.s"].astype(np.float32))
        self._parts = {name: torch.from_numpy(part).to(device, kind) for name, part in plain.items()}

    def run(self, ids: Ids, mask: Mask) -> Vectors:
        with torch.inference_mode():
            counted = torch.from_numpy(mask).to(self._device)
            states = self._states(torch.from_numpy(ids).to(self._device).long(), counted)
            mean = (states.float() * counted[:, :, None]).sum(1) / counted.sum(1, keepdim=True)
            features: Vectors = torch.cat([states[:, 0].float(), mean], 1).cpu().numpy()
            return features

    def _states(self, ids: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        words = self._parts[f"{WORDS}.weight"][ids] + self._parts[POSITIONS][: ids.shape[1]]
        states = self._norm(words, "embeddings.LayerNorm")
        shown = counted.bool()[:, None, None, :]
        for number in range(self._shape.layers):
            place = f"encoder.layer.{number}."
            query, key, value = (self._split(states, f"{place}attention.self.{p}") for p in ("query", "key", "value"))
            heard = scaled_dot_product_attention(query, key, value, attn_mask=shown).transpose(1, 2).flatten(2)
            states = self._norm(states + self._linear(heard, f"{place}attention.output.dense"), place + NORMS[0])
            thought = gelu(self._linear(states, f"{place}intermediate.dense"))
            states = self._norm(states + self._linear(thought, f"{place}output.dense"), place + NORMS[1])
        return states

    def _split(self, states: torch.Tensor, name: str) -> torch.Tensor:
        texts, pieces, _ = states.shape
        return self._linear(states, name).view(texts, pieces, self._shape.heads, -1).transpose(1, 2)

    def _linear(self, states: torch.Tensor, name: str) -> torch.Tensor:
        return linear(states, self._parts[f"{name}.weight"], self._parts[f"{name}.bias"])

    def _norm(self, states: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self._parts[f"{name}.weight"], self._parts[f"{name}.bias"]
        return layer_norm(states, (self._shape.hidden,), weight, bias, self._shape.eps)
