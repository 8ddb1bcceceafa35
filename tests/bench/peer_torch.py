"""peer_torch.py - the encoder in PyTorch, written from its description: the peer of bench-encoder.

    peer_torch.py --weights FILE --mode base --dtype bf16 --threads 2 --repeat 3 [--tokens OUT.f32] [--compare IN.f32]
    peer_torch.py --golden tests/golden/encoder

Prints one JSON line. The page is page_of of encoder.c. --tokens writes the tokens as raw F32, --compare prints how far
those of another program are. --golden checks this program against the tensors of the published modules.

Attention is PyTorch's scaled_dot_product_attention; the relative-position bias is its attn_mask, made for each block
as users of the published code have it.
"""

import argparse
import json
import math
import os
import resource
import statistics
import time

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

PUBLISHED = {"sam": {"patch_size": 16, "grid": 64, "dim": 768, "depth": 12, "heads": 12, "window": 14,
                     "global_blocks": [2, 5, 8, 11]},
             "clip": {"dim": 1024, "depth": 24, "heads": 16, "grid": 16}}
MODES = {"tiny": (512, 1), "small": (640, 1), "base": (1024, 1), "large": (1280, 1), "hifi": (1280, 2)}


class Encoder:
    def __init__(self, weights, config, dtype):
        self.w = {name: value.to(dtype) for name, value in weights.items()}
        self.sam, self.clip, self.dtype = config["sam"], config["clip"], dtype
        self.tables = {}

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def norm(self, x, name, eps):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], eps)

    def table(self, kind, name, size):
        """Position tables fitted to a size, once."""
        key = name, size
        if key not in self.tables:
            value = self.w[name].float()
            if kind == "line" and value.shape[0] != size:
                value = F.interpolate(value.T[None], size=size, mode="linear")[0].T
            elif kind == "grid" and value.shape[1] != size:
                value = F.interpolate(value.permute(0, 3, 1, 2), size=(size, size), mode="bicubic", antialias=True,
                                      align_corners=False).permute(0, 2, 3, 1)
            elif kind == "clip" and math.isqrt(value.shape[0] - 1) != size:
                side = math.isqrt(value.shape[0] - 1)
                grid = value[1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
                grid = F.interpolate(grid, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
                value = torch.cat([value[:1], grid.permute(0, 2, 3, 1).reshape(size * size, -1)])
            self.tables[key] = value.to(self.dtype).contiguous()
        return self.tables[key]

    def attend(self, x, prefix, qkv, out, heads, bias=None):
        batch, tokens, dim = x.shape
        q, k, v = self.linear(x, prefix + qkv).view(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if bias is None else bias(q)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.linear(y.transpose(1, 2).reshape(batch, tokens, dim), prefix + out)

    def relative(self, q, prefix, side):
        """(batch, heads, tokens, tokens): decomposed, with the unscaled q."""
        at = torch.arange(side)[:, None] - torch.arange(side)[None] + side - 1
        rows = self.table("line", prefix + "attn.rel_pos_h", 2 * side - 1)[at]
        columns = self.table("line", prefix + "attn.rel_pos_w", 2 * side - 1)[at]
        grid = q.unflatten(2, (side, side))
        down = torch.einsum("bhyxc,ykc->bhyxk", grid, rows)
        across = torch.einsum("bhyxc,xkc->bhyxk", grid, columns)
        return (down[..., :, None] + across[..., None, :]).flatten(4, 5).flatten(2, 3)

    def sam_block(self, x, index):
        prefix = f"model.sam_model.blocks.{index}."
        batch, side, _, dim = x.shape
        y = self.norm(x, prefix + "norm1", 1e-6)
        if index in self.sam["global_blocks"]:
            y = self.attend(y.flatten(1, 2), prefix, "attn.qkv", "attn.proj", self.sam["heads"],
                            lambda q: self.relative(q, prefix, side)).view(batch, side, side, dim)
        else:
            window = self.sam["window"]
            pad = -side % window
            count = (side + pad) // window
            y = F.pad(y, (0, 0, 0, pad, 0, pad)).view(batch, count, window, count, window, dim)
            y = y.transpose(2, 3).reshape(-1, window * window, dim)
            y = self.attend(y, prefix, "attn.qkv", "attn.proj", self.sam["heads"],
                            lambda q: self.relative(q, prefix, window))
            y = y.view(batch, count, count, window, window, dim).transpose(2, 3)
            y = y.reshape(batch, side + pad, side + pad, dim)[:, :side, :side]
        x = x + y
        y = self.norm(x, prefix + "norm2", 1e-6)
        return x + self.linear(F.gelu(self.linear(y, prefix + "mlp.lin1")), prefix + "mlp.lin2")

    def compress(self, pixels, phases):
        """pixels (batch, 3, side, side) -> (batch, rows, columns, dim)."""
        top = "model.sam_model."
        x = F.conv2d(pixels, self.w[top + "patch_embed.proj.weight"], self.w[top + "patch_embed.proj.bias"],
                     stride=self.sam["patch_size"]).permute(0, 2, 3, 1)
        x = x + self.table("grid", top + "pos_embed", x.shape[1])
        for index in range(self.sam["depth"]):
            x = self.sam_block(x, index)
        x = F.conv2d(x.permute(0, 3, 1, 2), self.w[top + "neck.0.weight"])
        x = self.norm(x.permute(0, 2, 3, 1), top + "neck.1", 1e-6).permute(0, 3, 1, 2)
        x = F.conv2d(x, self.w[top + "neck.2.weight"], padding=1)
        x = self.norm(x.permute(0, 2, 3, 1), top + "neck.3", 1e-6).permute(0, 3, 1, 2)
        x = F.conv2d(x, self.w[top + "net_2.weight"], stride=2, padding=1)
        x = F.conv2d(x, self.w[top + "net_3.weight"], stride=(2, 2 if phases == 1 else 1), padding=1)
        return x.permute(0, 2, 3, 1)

    def attend_all(self, grid):
        """grid (batch, side, side, dim) -> (batch, tokens, dim) of the global stage."""
        top = "model.vision_model."
        batch, side, _, dim = grid.shape
        first = self.w[top + "embeddings.class_embedding"].expand(batch, 1, dim)
        x = torch.cat([first, grid.flatten(1, 2)], 1)
        x = x + self.table("clip", top + "embeddings.position_embedding.weight", side)
        x = self.norm(x, top + "pre_layrnorm", 1e-5)
        for index in range(self.clip["depth"]):
            prefix = f"{top}transformer.layers.{index}."
            y = self.norm(x, prefix + "layer_norm1", 1e-5)
            x = x + self.attend(y, prefix, "self_attn.qkv_proj", "self_attn.out_proj", self.clip["heads"])
            y = self.linear(self.norm(x, prefix + "layer_norm2", 1e-5), prefix + "mlp.fc1")
            x = x + self.linear(y * torch.sigmoid(1.702 * y), prefix + "mlp.fc2")
        return x[:, 1:]

    @torch.inference_mode()
    def tokens(self, pixels, phases=1):
        """(batch, rows, columns, token dim)"""
        wide = self.compress(pixels.to(self.dtype), phases)
        parts = []
        for phase in range(phases):
            grid = wide[:, :, phase::phases]
            both = torch.cat([self.attend_all(grid), grid.flatten(1, 2)], -1)
            parts.append(self.linear(both, "model.projector.layers").unflatten(1, grid.shape[1:3]))
        return torch.stack(parts, 3).flatten(2, 3)


def page_of(side):
    y, x = numpy.mgrid[0:side, 0:side]
    ink = ((37 * (x // 3) + 101 * (y // 16) + 13 * (x // 11) * (y // 16)) % 7 < 3) & (y % 16 < 11)
    return torch.tensor(numpy.where(ink, -1.0, 1.0)).float()[None, None].expand(1, 3, side, side)


def golden(folder):
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    encoder = Encoder(load_file(os.path.join(folder, "weights.safetensors")), config, torch.float32)
    data = {case: load_file(os.path.join(folder, f"golden_{case}.safetensors"))
            for case in ("native", "small", "large", "twophase", "tiles")}
    cases = [(case, data[case]["input"], 1, data[case]["tokens"]) for case in ("native", "small", "large")]
    cases.append(("twophase", data["large"]["input"], 2, data["twophase"]["tokens"]))
    cases.append(("tiles", data["tiles"]["tiles"], 1, data["tiles"]["local.tokens"]))
    for case, pixels, phases, want in cases:
        got = encoder.tokens(pixels, phases).reshape(want.shape)
        miss = float((got - want).abs().max() / want.abs().max())
        print(f"{case}: {miss:.1e}")
        assert miss <= 2e-5, case


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", help="folder of golden tensors")
    parser.add_argument("--weights")
    parser.add_argument("--mode", default="tiny", choices=MODES)
    parser.add_argument("--dtype", default="bf16", choices=("bf16", "f32"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tokens")
    parser.add_argument("--compare")
    a = parser.parse_args()
    if a.golden:
        return golden(a.golden)
    torch.set_num_threads(a.threads)
    side, phases = MODES[a.mode]
    dtype = torch.bfloat16 if a.dtype == "bf16" else torch.float32
    encoder = Encoder(load_file(a.weights), PUBLISHED, dtype)
    pixels = page_of(side)
    tokens = encoder.tokens(pixels, phases)
    times = []
    for _ in range(a.repeat):
        start = time.monotonic()
        encoder.tokens(pixels, phases)
        times.append(time.monotonic() - start)
    line = {"mode": a.mode, "dtype": a.dtype, "torch": torch.__version__, "threads": a.threads,
            "seconds_per_page": round(statistics.median(times), 4), "tokens": tokens.shape[1] * tokens.shape[2],
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    tokens = tokens.float().numpy()
    if a.tokens:
        tokens.tofile(a.tokens)
    if a.compare:
        other = numpy.fromfile(a.compare, numpy.float32).reshape(tokens.shape)
        line["difference"] = float(numpy.abs(other - tokens).max() / numpy.abs(tokens).max())
        line["cosine"] = float((other * tokens).sum() / numpy.linalg.norm(other) / numpy.linalg.norm(tokens))
    print(json.dumps(line))


if __name__ == "__main__":
    main()
