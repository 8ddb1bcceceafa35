"""torch_context_network.py - a frozen language model with LoRA, the bridge "named" before it, and what is lost.

The bridge is that of train/context/bridge.h: the encoder's reading head finds and names the characters that visual
tokens hold; the language model's tokenizer makes text tokens of them; the embedding of each, less the mean, is put
where its first character stands, in one of 16 parts of a cell (quarters of its rows of text); neighbours are merged in
pairs, s = a + b + M [a, b] with M = 0 at first, until `soft` ones are left of each visual token; a soft token is
shift + gain s.

Of lessons that read, the loss is the cross-entropy of the text. Else the same model without LoRA teaches, with the full
text before it: the loss is how far the learner's distributions are from its (context distillation), with a quarter of
the cross-entropy; of plain text only the first, so that what the model knows stays as it was."""
import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from torch_context_rows import END, MARKS, NONE, PARTS

LOW = torch.bfloat16
MERGES, GAINS = 5, 10  # that differ
COMMON = 3000          # first tokens, whose mean embedding is that of the bridge
PROJECTIONS = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
               "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"}
JOINED = ("q", "k", "v"), ("o",), ("gate", "up"), ("down",)  # maps of the same input are computed as one
LENGTH = 2048          # of a row, at most
FROM_TEACHER = 0.75    # share of the loss
FIGURES = "loss", "accuracy", "divergence", "teacher"  # a token; loss and teacher: cross-entropy


class Bridge(torch.nn.Module):
    def __init__(self, embedding, newline):
        super().__init__()
        mean, width = embedding[:COMMON].float().mean(0), embedding.shape[1]
        self.register_buffer("mean", mean.clone())
        self.merge = torch.nn.ParameterList([torch.nn.Parameter(mean.new_zeros(width, 2 * width))
                                             for _ in range(MERGES)])
        gain = 2.0 ** (-0.5 * (torch.arange(GAINS, device=mean.device).float() - 1))
        self.gain = torch.nn.Parameter(gain[:, None].repeat(1, width))
        self.shift = torch.nn.Parameter(mean.clone())
        self.marks = torch.nn.Parameter(embedding[newline].float().expand(MARKS, -1).clone())

    def forward(self, embedding, lesson, leaf, ids):
        """ids: text tokens; leaf: the part of a cell that each stands in, those of cells that are not halved first;
        lesson.leaves: in none -> soft tokens of the batch, in the same order."""
        x = torch.zeros(lesson.leaves + 1, len(self.mean), device=leaf.device)
        x = x.index_add(0, leaf, F.embedding(ids, embedding).float() - self.mean)
        whole, out = lesson.rows * (lesson.cells - lesson.old) * PARTS, []
        for s, left in (x[:whole], PARTS), (x[whole:lesson.leaves], PARTS << lesson.halvings):
            merges = 0
            while len(s) > 0 and left > lesson.soft:
                pairs, merge = s.view(len(s) // 2, -1), self.merge[min(merges, MERGES - 1)]
                s = s[0::2] + s[1::2] + F.linear(pairs.to(LOW), merge.to(LOW)).float()
                left, merges = left // 2, merges + 1
            if len(s) > 0:
                out.append(self.shift + self.gain[min(merges, GAINS - 1)] * s)
        return torch.cat(out)


class Network(torch.nn.Module):
    """A model of the Llama family from a folder in the Hugging Face layout."""

    def __init__(self, folder, rank, newline, device, seed=1):
        super().__init__()
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            c = self.config = json.load(file)
        weights = load_file(os.path.join(folder, "model.safetensors"))
        t = {name: value.to(device, LOW) for name, value in weights.items()}
        self.count, self.rank = c["num_hidden_layers"], rank
        self.heads, self.groups = c["num_attention_heads"], c["num_key_value_heads"]
        self.size = c.get("head_dim") or c["hidden_size"] // self.heads
        self.embedding, self.norm = t["model.embed_tokens.weight"], t["model.norm.weight"]
        self.head = self.embedding if c["tie_word_embeddings"] else t["lm_head.weight"]
        self.layers, self.a, self.b = [], torch.nn.ParameterDict(), torch.nn.ParameterDict()
        for i in range(self.count):
            own = {short: t[f"model.layers.{i}.{name}.weight"] for short, name in PROJECTIONS.items()}
            norms = [t[f"model.layers.{i}.{name}_layernorm.weight"] for name in ("input", "post_attention")]
            self.layers.append((*norms, *(torch.cat([own[short] for short in shorts]) for shorts in JOINED)))
        torch.manual_seed(seed)
        for short, weight in own.items():
            a = torch.randn(self.count, rank, weight.shape[1]) / weight.shape[1] ** 0.5
            self.a[short] = torch.nn.Parameter(a.to(device))
            self.b[short] = torch.nn.Parameter(torch.zeros(self.count, weight.shape[0], rank, device=device))
        rates = c["rope_theta"] ** (-torch.arange(0, self.size, 2).float() / self.size)
        angle = torch.arange(LENGTH)[:, None] * rates
        self.cos = torch.cat([angle.cos(), angle.cos()], -1).to(device)[None, :, None]
        self.sin = torch.cat([-angle.sin(), angle.sin()], -1).to(device)[None, :, None]
        self.bridge = Bridge(self.embedding, newline)

    # ---- The language model

    def low_rank(self):
        """(A, B) of each of JOINED, a tensor for each layer; alpha = 2 rank."""
        def join(shorts):
            a = torch.cat([self.a[short].to(LOW) for short in shorts], 1)
            b = [F.pad((2 * self.b[short]).to(LOW), (i * self.rank, (len(shorts) - 1 - i) * self.rank))
                 for i, short in enumerate(shorts)]
            return a.unbind(0), torch.cat(b, 1).unbind(0)
        return [join(shorts) for shorts in JOINED]

    @staticmethod
    def adapted(x, weight, low, layer):
        y = x @ weight.t()
        return y if low is None else torch.addmm(y, x @ low[0][layer].t(), low[1][layer].t())

    def rotate(self, x):
        half, x = self.size // 2, x.float()
        turned = torch.cat([x[..., half:], x[..., :half]], -1)
        return (x * self.cos[:, :x.shape[1]] + turned * self.sin[:, :x.shape[1]]).to(LOW).transpose(1, 2)

    def forward(self, x, low):
        """(rows, length, width) -> (rows * length, width). low: low_rank(), or None: the model as it is."""
        rows, length, width = x.shape
        eps, low = self.config["rms_norm_eps"], low or [None] * len(JOINED)
        x = x.reshape(rows * length, width)
        for i, (norm1, norm2, qkv, o, gate_up, down) in enumerate(self.layers):
            y = self.adapted(F.rms_norm(x, (width,), norm1, eps), qkv, low[0], i).view(rows, length, -1, self.size)
            q, k, v = y.split([self.heads, self.groups, self.groups], 2)
            y = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v.transpose(1, 2), is_causal=True,
                                               enable_gqa=True)
            x = x + self.adapted(y.transpose(1, 2).reshape(rows * length, -1), o, low[1], i)
            gate, up = self.adapted(F.rms_norm(x, (width,), norm2, eps), gate_up, low[2], i).chunk(2, -1)
            x = x + self.adapted(F.silu(gate) * up, down, low[3], i)
        return F.rms_norm(x, (width,), self.norm, eps)

    def predict(self, x, at, low):
        """Logits after the inputs `at` of each row."""
        index = at + torch.arange(len(x), device=at.device)[:, None] * x.shape[1]
        return (self(x, low).index_select(0, index.flatten().long()) @ self.head.t()).float()

    # ---- Rows

    def embed(self, inputs, others):
        """`others`: what an input of -1 - i stands for."""
        text = F.embedding(inputs.clamp(min=0), self.embedding)
        other = F.embedding((-1 - inputs).clamp(min=0), others.to(LOW))
        return torch.where((inputs < 0)[..., None], other, text)

    def embed_row(self, lesson, v):
        if not lesson.cells:
            return F.embedding(v["inputs"], self.embedding)
        soft = self.bridge(self.embedding, lesson, v["leaf"], v["ids"])
        return self.embed(v["inputs"], torch.cat([self.bridge.marks, soft]))

    def loss(self, lesson, v):
        """(what is to fall, FIGURES). v: the views of a batch."""
        labels = v["labels"].flatten().long()
        on, zero = labels >= 0, torch.zeros((), device=labels.device)
        count = on.sum().clamp(min=1)
        logits = self.predict(self.embed_row(lesson, v), v["at"], self.low_rank())
        entropy = F.cross_entropy(logits, labels, ignore_index=NONE)
        right = ((logits.argmax(-1) == labels) & on).sum() / count
        if lesson.kind == "r":
            return entropy, torch.stack([entropy.detach(), right, zero, zero])
        with torch.no_grad():
            inputs, at = (v["inputs"], v["at"]) if lesson.kind == "t" else (v["taught"], v["taught_at"])
            taught = self.predict(F.embedding(inputs, self.embedding), at, None)
            teacher = F.cross_entropy(taught, labels, ignore_index=NONE)
            taught = taught.log_softmax(-1)
        apart = F.kl_div(logits.log_softmax(-1), taught, reduction="none", log_target=True).sum(-1)
        apart = (apart * on).sum() / count
        loss = 2 * apart if lesson.kind == "t" else (1 - FROM_TEACHER) * entropy + FROM_TEACHER * apart
        return loss, torch.stack([entropy.detach(), right, apart.detach(), teacher])

    @torch.no_grad()
    def without_context(self, v):
        """Cross-entropy of posts of a batch of kind a after their prompts alone: [with LoRA and [end], of the model as
        it is]."""
        labels, inputs = v["labels"].flatten().long(), v["inputs"]
        begins = (inputs == -1 - END).int().argmax(1, keepdim=True)
        at = (v["at"] - begins).clamp(min=1)
        place = (begins + torch.arange(int(at.max()) + 1, device=at.device)).clamp(max=inputs.shape[1] - 1)
        inputs = inputs.gather(1, place)  # from [end] on
        with_lora = self.predict(self.embed(inputs, self.bridge.marks), at, self.low_rank())
        as_it_is = self.predict(F.embedding(inputs[:, 1:].clamp(min=0), self.embedding), at - 1, None)
        return [F.cross_entropy(logits, labels, ignore_index=NONE).item() for logits in (with_lora, as_it_is)]
