"""Kernels in Triton for torch_network.py, where PyTorch's own operations move far more memory than they compute.

    torch_kernels.py        compares them with double precision; without a GPU: TRITON_INTERPRET=1 torch_kernels.py"""
import torch
import triton
import triton.language as tl

WINDOWS = 8            # of a program of attention_backward
ROWS, TILES = 4, 32    # of norms: rows at a time; those of a program, backward


# ---- Attention in windows of 4 x 4 with decomposed relative positions ----------------------------
# qkv (windows, 16, 3, heads, head). table (16, head): of positions down in rows 0 to 6, across in rows 8 to 14.

@triton.jit
def load(at, window, which, head, heads: tl.constexpr, size: tl.constexpr):
    i, c = tl.arange(0, 16)[:, None], tl.arange(0, size)[None, :]
    return tl.load(at + ((window * 16 + i) * 3 + which).to(tl.int64) * (heads * size) + head * size + c)


@triton.jit
def probabilities(q, k, table, scale):
    """Softmax of the scores; and for each pair the two rows of `table` that its bias comes from."""
    i, j = tl.arange(0, 16)[:, None], tl.arange(0, 16)[None, :]
    down, across = i // 4 - j // 4 + 3, i % 4 - j % 4 + 11
    biases = tl.dot(q, tl.trans(table))  # of each query with each row of the table
    scores = tl.dot(q, tl.trans(k)) * scale
    for r in tl.static_range(15):
        column = tl.sum(tl.where(j == r, biases, 0.0), 1)[:, None]
        scores += tl.where((down == r) | (across == r), column, 0.0)
    scores = tl.exp(scores - tl.max(scores, 1)[:, None])
    return scores / tl.sum(scores, 1)[:, None], down, across


@triton.jit
def attention_forward(qkv, table_at, out, scale, heads: tl.constexpr, size: tl.constexpr):
    window, head = tl.program_id(0), tl.program_id(1)
    i, c = tl.arange(0, 16)[:, None], tl.arange(0, size)[None, :]
    table = tl.load(table_at + i * size + c)
    q = load(qkv, window, 0, head, heads, size)
    k = load(qkv, window, 1, head, heads, size)
    v = load(qkv, window, 2, head, heads, size)
    p, down, across = probabilities(q, k, table, scale)
    y = tl.dot(p.to(v.dtype), v)
    tl.store(out + (window * 16 + i).to(tl.int64) * (heads * size) + head * size + c, y.to(v.dtype))


@triton.jit
def attention_backward(qkv, table_at, dout, dqkv, dtable, windows, scale, heads: tl.constexpr, size: tl.constexpr,
                       count: tl.constexpr):
    head = tl.program_id(1)
    i, c, j = tl.arange(0, 16)[:, None], tl.arange(0, size)[None, :], tl.arange(0, 16)[None, :]
    table = tl.load(table_at + i * size + c)
    table_sum = tl.zeros((16, size), tl.float32)
    first = tl.program_id(0) * count
    for window in range(first, tl.minimum(first + count, windows)):
        q = load(qkv, window, 0, head, heads, size)
        k = load(qkv, window, 1, head, heads, size)
        v = load(qkv, window, 2, head, heads, size)
        dy = tl.load(dout + (window * 16 + i).to(tl.int64) * (heads * size) + head * size + c)
        p, down, across = probabilities(q, k, table, scale)
        dp = tl.dot(dy, tl.trans(v))
        ds = p * (dp - tl.sum(p * dp, 1)[:, None])
        dbiases = tl.zeros((16, 16), tl.float32)
        for r in tl.static_range(15):
            column = tl.sum(tl.where((down == r) | (across == r), ds, 0.0), 1)[:, None]
            dbiases += tl.where(j == r, column, 0.0)
        ds, dbiases = (ds * scale).to(v.dtype), dbiases.to(v.dtype)
        at = dqkv + (window * 16 + i).to(tl.int64) * (3 * heads * size) + head * size + c
        tl.store(at, (tl.dot(ds, k) + tl.dot(dbiases, table)).to(v.dtype))
        tl.store(at + heads * size, tl.dot(tl.trans(ds), q).to(v.dtype))
        tl.store(at + 2 * heads * size, tl.dot(tl.trans(p.to(v.dtype)), dy).to(v.dtype))
        table_sum += tl.dot(tl.trans(dbiases), q)
    tl.store(dtable + ((tl.program_id(0) * heads + head) * 16 + i) * size + c, table_sum)


class Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv, table, heads):
        windows, tokens, width = qkv.shape
        size = width // (3 * heads)
        out = qkv.new_empty(windows, tokens, heads * size)
        attention_forward[(windows, heads)](qkv, table, out, size ** -0.5, heads, size, num_warps=1)
        ctx.save_for_backward(qkv, table)
        ctx.heads = heads
        return out

    @staticmethod
    def backward(ctx, dout):
        qkv, table = ctx.saved_tensors
        windows, programs = len(qkv), triton.cdiv(len(qkv), WINDOWS)
        dqkv = torch.empty_like(qkv)
        dtable = torch.empty((programs, ctx.heads, *table.shape), dtype=torch.float32, device=qkv.device)
        size = table.shape[1]
        attention_backward[(programs, ctx.heads)](qkv, table, dout.contiguous(), dqkv, dtable, windows, size ** -0.5,
                                                  ctx.heads, size, WINDOWS, num_warps=1)
        return dqkv, dtable.sum((0, 1)).to(table.dtype), None


def window_attention(qkv, down, across, heads):
    """qkv (windows, 16, 3 * heads * head), tables (7, head) -> (windows, 16, heads * head)."""
    if len(down) != 7:
        raise ValueError(f"windows of {(len(down) + 1) // 2} x {(len(down) + 1) // 2}: this kernel is for 4 x 4")
    empty = down.new_zeros(1, down.shape[1])
    return Attention.apply(qkv, torch.cat([down, empty, across, empty]), heads)


# ---- Norms ------------------------------------------------------------------------------------------

@triton.jit
def norm_forward(x_at, weight, bias, out, means, rates, rows, width, eps, count: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * count + tl.arange(0, count)[:, None]
    c = tl.arange(0, block)[None, :]
    there = (row < rows) & (c < width)
    x = tl.load(x_at + row * width + c, mask=there, other=0.0).to(tl.float32)
    mean = tl.sum(x, 1)[:, None] / width
    away = tl.where(c < width, x - mean, 0.0)
    rate = 1 / tl.sqrt(tl.sum(away * away, 1)[:, None] / width + eps)
    w = tl.load(weight + c, mask=c < width, other=0.0).to(tl.float32)
    b = tl.load(bias + c, mask=c < width, other=0.0).to(tl.float32)
    tl.store(out + row * width + c, (away * rate * w + b).to(out.dtype.element_ty), mask=there)
    tl.store(means + row, mean, mask=row < rows)
    tl.store(rates + row, rate, mask=row < rows)


@triton.jit
def norm_backward(x_at, weight, dout, means, rates, dx, sums, rows, width, count: tl.constexpr, tiles: tl.constexpr,
                  block: tl.constexpr):
    c = tl.arange(0, block)[None, :]
    w = tl.load(weight + c, mask=c < width, other=0.0).to(tl.float32)
    dweight, dbias = tl.zeros((count, block), tl.float32), tl.zeros((count, block), tl.float32)
    for tile in range(tiles):
        row = (tl.program_id(0) * tiles + tile).to(tl.int64) * count + tl.arange(0, count)[:, None]
        there = (row < rows) & (c < width)
        x = tl.load(x_at + row * width + c, mask=there, other=0.0).to(tl.float32)
        dy = tl.load(dout + row * width + c, mask=there, other=0.0).to(tl.float32)
        mean, rate = tl.load(means + row, mask=row < rows, other=0.0), tl.load(rates + row, mask=row < rows, other=0.0)
        x = tl.where(there, (x - mean) * rate, 0.0)
        dweight += dy * x
        dbias += dy
        dy *= w
        dy = (dy - tl.sum(dy, 1)[:, None] / width - x * tl.sum(dy * x, 1)[:, None] / width) * rate
        tl.store(dx + row * width + c, dy.to(dx.dtype.element_ty), mask=there)
    at = sums + tl.program_id(0) * 2 * width + c
    tl.store(at, tl.sum(dweight, 0)[None, :], mask=c < width)
    tl.store(at + width, tl.sum(dbias, 0)[None, :], mask=c < width)


class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        x = x.contiguous()
        width, rows = x.shape[-1], x.numel() // x.shape[-1]
        out, (means, rates) = torch.empty_like(x), torch.empty((2, rows), dtype=torch.float32, device=x.device)
        norm_forward[(triton.cdiv(rows, ROWS),)](x, weight, bias, out, means, rates, rows, width, eps, ROWS,
                                                 triton.next_power_of_2(width), num_warps=4)
        ctx.save_for_backward(x, weight, means, rates)
        return out

    @staticmethod
    def backward(ctx, dout):
        x, weight, means, rates = ctx.saved_tensors
        width, rows = x.shape[-1], len(means)
        programs = triton.cdiv(rows, ROWS * TILES)
        dx, sums = torch.empty_like(x), torch.empty((programs, 2, width), dtype=torch.float32, device=x.device)
        norm_backward[(programs,)](x, weight, dout.contiguous(), means, rates, dx, sums, rows, width, ROWS, TILES,
                                   triton.next_power_of_2(width), num_warps=4)
        dweight, dbias = sums.sum(0).to(weight.dtype)
        return dx, dweight, dbias, None


def layer_norm(t, x, name, eps):
    return Norm.apply(x, t[name + ".weight"], t[name + ".bias"], eps)


# ---- Cross-entropy --------------------------------------------------------------------------------

@triton.jit
def entropy_forward(logits, labels, losses, sums, stride, classes, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    x = tl.load(logits + row * stride + at, mask=at < classes, other=-float("inf")).to(tl.float32)
    label = tl.load(labels + row)
    most = tl.max(x, 0)
    total = tl.log(tl.sum(tl.exp(x - most), 0)) + most
    tl.store(losses + row, tl.where(label >= 0, total - tl.sum(tl.where(at == label, x, 0.0), 0), 0.0))
    tl.store(sums + row, total)


@triton.jit
def entropy_backward(logits, labels, gradients, sums, stride, classes, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    x = tl.load(logits + row * stride + at, mask=at < classes, other=-float("inf")).to(tl.float32)
    label = tl.load(labels + row)
    gradient = tl.where(label >= 0, tl.load(gradients + row), 0.0)
    x = (tl.exp(x - tl.load(sums + row)) - tl.where(at == label, 1.0, 0.0)) * gradient
    tl.store(logits + row * stride + at, x.to(logits.dtype.element_ty), mask=at < stride)


class Entropy(torch.autograd.Function):
    """Of the first `classes` columns; a label below 0 has no loss. The gradient takes the place of the logits."""

    @staticmethod
    def forward(ctx, logits, labels, classes):
        rows, stride = logits.shape
        losses, sums = (torch.empty(rows, dtype=torch.float32, device=logits.device) for _ in range(2))
        ctx.block = triton.next_power_of_2(stride)
        ctx.classes = classes
        entropy_forward[(rows,)](logits, labels, losses, sums, stride, classes, ctx.block, num_warps=4)
        ctx.save_for_backward(logits, labels, sums)
        return losses

    @staticmethod
    def backward(ctx, gradients):
        logits, labels, sums = ctx.saved_tensors
        rows, stride = logits.shape
        entropy_backward[(rows,)](logits, labels, gradients.contiguous(), sums, stride, ctx.classes, ctx.block,
                                  num_warps=4)
        return logits, None, None


def name_loss(wide, weight, bias, labels):
    """torch_network.name_loss; rows of logits of whole 16 bytes, without which products are slow."""
    classes = len(weight)
    more = -classes % 8
    pad = torch.nn.functional.pad
    logits = torch.nn.functional.linear(wide, pad(weight, (0, 0, 0, more)), pad(bias, (0, more)))
    return Entropy.apply(logits, labels, classes)


# ---- The kernels beside double precision ----------------------------------------------------------

def compare(name, kernel, plain, inputs, limit):
    gradient, results = None, []
    for function, dtype in ((kernel, inputs[0].dtype), (plain, torch.float64)):
        leaves = [x.to(dtype).requires_grad_() for x in inputs]
        out = function(*leaves)
        gradient = torch.randn(out.shape, device=out.device) if gradient is None else gradient
        results.append((out, *torch.autograd.grad(out, leaves, gradient.to(out.dtype))))
    errors = [((x.double() - y).norm() / y.norm()).item() for x, y in zip(*results)]
    print(name, inputs[0].dtype, *(f"{e:.1e}" for e in errors), flush=True)
    if not max(errors) < limit:
        raise SystemExit(f"{name}: further than {limit} from double precision")


def main():
    import torch_network as net
    on_gpu = torch.cuda.is_available()
    device, dtype, limit = ("cuda", torch.bfloat16, 0.02) if on_gpu else ("cpu", torch.float32, 1e-5)
    make = lambda *shape: torch.randn(shape, device=device).to(dtype)
    compare("attention", lambda *x: window_attention(*x, 4), lambda *x: net.window_attention(*x, 4),
            [make(WINDOWS + 3, 16, 768), make(7, 64) / 4, make(7, 64) / 4], limit)
    for width in (96, 256, 768):
        named = lambda norm: lambda x, w, b: norm({"n.weight": w, "n.bias": b}, x, "n", 1e-5)
        inputs = [make(5, 83, width), make(width), make(width)]
        compare(f"norm of {width}", named(layer_norm), named(net.layer_norm), inputs, limit)
    labels = torch.randint(1890, (33,), device=device)
    labels[5] = -100
    compare("cross-entropy", lambda *x: name_loss(*x, labels), lambda *x: net.name_loss(*x, labels),
            [make(33, 64), make(1890, 64) / 4, make(1890)], limit)


if __name__ == "__main__":
    main()
