"""The network of compress/config.h and compress/reading.h in PyTorch: the same tensors under the same names, the same
numbers. For tests/bench/torch_read.py, which trains it where a GPU is, and as a peer of `occ train read`."""
import json
import math

import torch
import torch.nn.functional as F
from torch import nn

NANO = dict(name="nano",
            sam=dict(patch_size=16, grid=32, dim=256, depth=4, heads=4, mlp_dim=1024, window=4, neck=256, net_2=384,
                     net_3=768, global_blocks=[]),
            clip=dict(dim=768, depth=1, heads=12, mlp_dim=1536, grid=8),
            projector=dict(output=768, norm=True))
READING = dict(channels=64, hidden=320, embedding=64, reach=4, trunk=1024, nested=4)
ROW, STEP, COLUMNS, SIDE = 8, 8, 4, 8  # pixels of a cell down and across; its columns; cells a token, down and across
SAM, CLIP, EPS, CLIP_EPS = "model.sam_model.", "model.vision_model.", 1e-6, 1e-5


def rate_of(inputs):
    """config_rate: a step of Adam moves what sums over many inputs the further the more there are."""
    return 192 / inputs if inputs > 192 else 1.0


class Tensors(nn.Module):
    """Parameters by their names in the file; `rates`: the factor of each learning rate; `decays`: whether it decays."""

    def __init__(self):
        super().__init__()
        self.table, self.rates, self.decays, self.shipped = {}, {}, {}, {}
        self.low = None  # copies of another type that are computed with, where there are any

    def add(self, name, shape, kind, deviation=None, shipped=True):
        width = math.prod(shape[1:])
        if kind == "matrix":
            value = torch.randn(shape) * (deviation or 1 / math.sqrt(width))
        elif kind == "table":
            value = torch.randn(shape) * 0.02
        else:
            value = torch.full(shape, 1.0 if kind == "gain" else 0.0)
        parameter = nn.Parameter(value)
        self.register_parameter(name.replace(".", "/"), parameter)
        self.table[name] = parameter
        self.rates[name] = rate_of(width) if kind == "matrix" else 1.0
        self.decays[name] = kind == "matrix"
        self.shipped[name] = shipped

    def linear(self, name, outputs, inputs, deviation=None, shipped=True, bias=True):
        self.add(name + ".weight", (outputs, inputs), "matrix", deviation, shipped)
        if bias:
            self.add(name + ".bias", (outputs,), "bias", shipped=shipped)

    def norm(self, name, width):
        self.add(name + ".weight", (width,), "gain")
        self.add(name + ".bias", (width,), "bias")

    def under(self, prefix):
        table = self.low or self.table
        return {name[len(prefix):]: value for name, value in table.items() if name.startswith(prefix)}

    def __getitem__(self, name):
        return (self.low or self.table)[name]

    def lower(self, dtype):
        """Copies that are leaves of their own: gradients come to them, and pass on to the parameters by `raise_`."""
        if self.low is None:
            self.low = {name: p.detach().to(dtype).requires_grad_() for name, p in self.table.items()}
        torch._foreach_copy_([p.data for p in self.low.values()], [p.data for p in self.table.values()])

    def raise_(self):
        for name, p in self.low.items():
            self.table[name].grad = None if p.grad is None else p.grad.to(self.table[name].dtype)
            p.grad = None


def encoder_tensors(t, config):
    sam, clip, token = config["sam"], config["clip"], config["projector"]["output"]
    dim, depth = sam["dim"], sam["depth"]
    t.add(SAM + "pos_embed", (1, sam["grid"], sam["grid"], dim), "table")
    t.add(SAM + "patch_embed.proj.weight", (dim, 3, 16, 16), "matrix", 1 / 16)
    t.add(SAM + "patch_embed.proj.bias", (dim,), "bias")
    for i in range(depth):
        prefix, side = f"{SAM}blocks.{i}.", 2 * sam["window"] - 1
        t.norm(prefix + "norm1", dim)
        t.linear(prefix + "attn.qkv", 3 * dim, dim)
        t.linear(prefix + "attn.proj", dim, dim, 1 / math.sqrt(dim * 2 * depth))
        t.add(prefix + "attn.rel_pos_h", (side, dim // sam["heads"]), "table")
        t.add(prefix + "attn.rel_pos_w", (side, dim // sam["heads"]), "table")
        t.norm(prefix + "norm2", dim)
        t.linear(prefix + "mlp.lin1", sam["mlp_dim"], dim)
        t.linear(prefix + "mlp.lin2", dim, sam["mlp_dim"], 1 / math.sqrt(sam["mlp_dim"] * 2 * depth))
    t.add(SAM + "neck.0.weight", (sam["neck"], dim, 1, 1), "matrix")
    t.norm(SAM + "neck.1", sam["neck"])
    t.add(SAM + "neck.2.weight", (sam["neck"], sam["neck"], 3, 3), "matrix")
    t.norm(SAM + "neck.3", sam["neck"])
    t.add(SAM + "net_2.weight", (sam["net_2"], sam["neck"], 3, 3), "matrix")
    t.add(SAM + "net_3.weight", (sam["net_3"], sam["net_2"], 3, 3), "matrix")
    width = clip["dim"]
    t.add(CLIP + "embeddings.class_embedding", (width,), "table")
    t.add(CLIP + "embeddings.position_embedding.weight", (1 + clip["grid"] ** 2, width), "table")
    t.norm(CLIP + "pre_layrnorm", width)
    for i in range(clip["depth"]):
        prefix = f"{CLIP}transformer.layers.{i}."
        t.norm(prefix + "layer_norm1", width)
        t.linear(prefix + "self_attn.qkv_proj", 3 * width, width)
        t.linear(prefix + "self_attn.out_proj", width, width, 1 / math.sqrt(width * 2 * clip["depth"]))
        t.norm(prefix + "layer_norm2", width)
        t.linear(prefix + "mlp.fc1", clip["mlp_dim"], width)
        t.linear(prefix + "mlp.fc2", width, clip["mlp_dim"], 1 / math.sqrt(clip["mlp_dim"] * 2 * clip["depth"]))
    t.linear("model.projector.layers", token, 2 * width)
    t.norm("model.token_norm", token)
    t.add("model.image_newline", (token,), "table")
    t.add("model.view_seperator", (token,), "table")


def head_tensors(t, prefix, reading, classes, dim, cells, shipped=True):
    if shipped:
        t.add(prefix + "level.weight", (reading["nested"] + 1, dim), "table")
        t.linear(prefix + "trunk.0", reading["trunk"], dim)
        t.linear(prefix + "trunk.1", dim, reading["trunk"], 1 / math.sqrt(2 * reading["trunk"]))
    t.linear(prefix + "unfold", cells * cells * reading["channels"], dim, shipped=shipped)
    t.linear(prefix + "mix", reading["hidden"], (2 * reading["reach"] + 1) * reading["channels"], shipped=shipped)
    t.linear(prefix + "presence", 2 * COLUMNS, reading["hidden"], shipped=shipped)
    t.linear(prefix + "character", COLUMNS * reading["embedding"], reading["hidden"], shipped=shipped)
    t.linear(prefix + "class", classes, reading["embedding"], shipped=shipped)


def layer_norm(t, x, name, eps):
    return F.layer_norm(x, x.shape[-1:], t[name + ".weight"], t[name + ".bias"], eps)


def linear(t, x, name):
    return F.linear(x, t[name + ".weight"], t[name + ".bias"])


def fitted(table, rows, columns, side_rows, side_columns):
    """A position table (grid, grid, dim), resampled for the square page and cut to its rows."""
    grid, dtype = table.shape[0], table.dtype
    if (grid, grid) != (side_rows, side_columns):
        table = F.interpolate(table.permute(2, 0, 1)[None].float(), (side_rows, side_columns), mode="bicubic",
                              antialias=True, align_corners=False)[0].permute(1, 2, 0).to(dtype)
    return table[:rows, :columns]


def window_attention(qkv, down, across, heads):
    """qkv (windows, side * side, 3 * heads * head); decomposed relative positions (2 * side - 1, head)."""
    side = (len(down) + 1) // 2
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    at = torch.arange(side * side, device=q.device)
    y, x = at // side, at % side
    down = down.index_select(0, (y[:, None] - y[None, :] + side - 1).flatten())
    across = across.index_select(0, (x[:, None] - x[None, :] + side - 1).flatten())
    bias = torch.einsum("whic,ijc->whij", q, (down + across).view(len(at), len(at), -1))
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5 + bias
    return (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)


def sam_block(t, x, heads):
    """x (windows, window * window, dim); t: the tensors of the block."""
    qkv = linear(t, layer_norm(t, x, "norm1", EPS), "attn.qkv")
    y = window_attention(qkv, t["attn.rel_pos_h"], t["attn.rel_pos_w"], heads)
    x = x + linear(t, y, "attn.proj")
    y = linear(t, layer_norm(t, x, "norm2", EPS), "mlp.lin1")
    return x + linear(t, F.gelu(y), "mlp.lin2")


def channel_norm(t, x, name):
    return layer_norm(t, x.permute(0, 2, 3, 1), name, EPS).permute(0, 3, 1, 2)


def clip_block(t, x, i, heads):
    prefix = f"{CLIP}transformer.layers.{i}."
    y = linear(t, layer_norm(t, x, prefix + "layer_norm1", CLIP_EPS), prefix + "self_attn.qkv_proj")
    q, k, v = y.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x = x + linear(t, y, prefix + "self_attn.out_proj")
    y = linear(t, layer_norm(t, x, prefix + "layer_norm2", CLIP_EPS), prefix + "mlp.fc1")
    return x + linear(t, y * torch.sigmoid(1.702 * y), prefix + "mlp.fc2")


def encode(t, patches, config, offsets, side, last=3):
    """patches (pages, rows, columns, 256): as the patch embedding sees them, one channel. Gives what the stages end
    with, as (pages, rows, columns, numbers): neck, net_2, net_3, tokens; as many as `last` + 1."""
    sam, clip = config["sam"], config["clip"]
    pages, h, w, _ = patches.shape
    weight = t[SAM + "patch_embed.proj.weight"].flatten(2)[:, 0]
    x = F.linear(patches, weight, t[SAM + "patch_embed.proj.bias"])
    x = x + fitted(t[SAM + "pos_embed"][0], h, w, side, side)
    n = sam["window"]
    x = x.view(pages, h // n, n, w // n, n, -1).transpose(2, 3).reshape(-1, n * n, sam["dim"])
    for i in range(sam["depth"]):
        x = sam_block(t.under(f"{SAM}blocks.{i}."), x, sam["heads"])
    x = x.view(pages, h // n, w // n, n, n, -1).transpose(2, 3).reshape(pages, h, w, -1)
    x = F.linear(x, t[SAM + "neck.0.weight"].flatten(1)).permute(0, 3, 1, 2)
    x = F.conv2d(channel_norm(t, x, SAM + "neck.1"), t[SAM + "neck.2.weight"], padding=1)
    stages = [channel_norm(t, x, SAM + "neck.3")]
    if last >= 1:
        stages.append(F.conv2d(stages[0], t[SAM + "net_2.weight"], stride=2, padding=1))
    if last >= 2:
        stages.append(F.conv2d(stages[1], t[SAM + "net_3.weight"], stride=(2, 2 // offsets), padding=1))
    stages = [s.permute(0, 2, 3, 1) for s in stages]
    if last < 3:
        return stages
    _, rows, columns, width = stages[2].shape
    local = stages[2].reshape(pages, rows, columns // offsets, offsets, width)
    local = local.permute(0, 3, 1, 2, 4).reshape(pages * offsets, -1, width)
    position = t[CLIP + "embeddings.position_embedding.weight"]
    grid = clip["grid"]
    rest = fitted(position[1:].view(grid, grid, -1), rows, columns // offsets, side // 4, side // 4).reshape(-1, width)
    first = t[CLIP + "embeddings.class_embedding"].expand(pages * offsets, 1, -1)
    x = torch.cat([first.to(local.dtype), local], 1) + torch.cat([position[:1], rest.to(position.dtype)])
    x = layer_norm(t, x, CLIP + "pre_layrnorm", CLIP_EPS)
    for i in range(clip["depth"]):
        x = clip_block(t, x, i, clip["heads"])
    x = torch.cat([x[:, 1:].to(local.dtype), local], -1)
    x = layer_norm(t, linear(t, x, "model.projector.layers"), "model.token_norm", CLIP_EPS)
    x = x.view(pages, offsets, rows, columns // offsets, -1).permute(0, 2, 3, 1, 4)
    return stages + [x.reshape(pages, rows, columns, -1)]


def nested(t, tokens, levels, reading):
    """tokens (pages, rows, columns, dim) of `levels` (pages) halvings, as the reading head sees them."""
    dim = tokens.shape[-1]
    kept = (dim >> levels)[:, None] > torch.arange(dim, device=tokens.device)
    x = tokens * kept[:, None, None].to(tokens.dtype) + t["reader.level.weight"][levels][:, None, None].to(tokens.dtype)
    return x + linear(t, F.gelu(linear(t, x, "reader.trunk.0")), "reader.trunk.1")


def lattice(t, x, prefix, channels, offsets):
    """Features of the squares of a page from (pages, rows, columns, numbers): (pages, rows, steps, channels)."""
    x = linear(t, x, prefix + "unfold")
    pages, rows, columns, _ = x.shape
    side = math.isqrt(x.shape[-1] // channels)
    x = x.view(pages, rows, columns, side, side, channels).transpose(2, 3)
    if offsets == 1:
        return x.reshape(pages, rows * side, columns * side, channels)
    x = x.reshape(pages, rows * side, columns // 2, 2, side, channels)
    even, odd = x[:, :, :, 0].flatten(2, 3), x[:, :, :, 1].flatten(2, 3)
    half = side // 2
    other = torch.cat([even[:, :, :half], odd[:, :, :-half]], 2)
    return 0.5 * (even + other)


def read_rows(t, squares, prefix, reading, own):
    """squares (rows, steps, channels) -> hidden (rows * steps, hidden); each sees the `own` steps of its cell. One
    product of all steps of a cell: most of them see each other."""
    reach, (rows, steps, channels) = reading["reach"], squares.shape
    at = torch.arange(own, device=squares.device)
    side = at[None, :] - at[:, None] + reach  # of step `row`, its neighbour `column`
    seen = (side >= 0) & (side <= 2 * reach)
    mix = t[prefix + "mix.weight"].view(-1, 2 * reach + 1, channels).permute(1, 0, 2)
    mix = mix.index_select(0, side.clamp(0, 2 * reach).flatten()).view(own, own, -1, channels)
    mix = (mix * seen[:, :, None, None].to(mix.dtype)).permute(0, 2, 1, 3).reshape(-1, own * channels)
    x = F.linear(squares.reshape(-1, own * channels), mix, t[prefix + "mix.bias"].repeat(own))
    return F.gelu(x).view(rows * steps, -1)


def name_loss(wide, weight, bias, labels):
    """Of each character; `labels`: its class, or -100 for none."""
    logits = F.linear(wide, weight, bias)
    logits = logits.float() if logits.dtype == torch.bfloat16 else logits
    return F.cross_entropy(logits, labels, ignore_index=-100, reduction="none")


def metadata(config, reading, alphabet, profiles):
    named = {k: reading[k] for k in ("channels", "hidden", "embedding", "reach", "trunk", "nested")}
    named["cells"] = True
    return {"occ.config": json.dumps(config), "occ.pages": "grey", "occ.profiles": json.dumps(profiles),
            "occ.reading": json.dumps({**named, "alphabet": alphabet, "profiles": profiles}, ensure_ascii=False)}
