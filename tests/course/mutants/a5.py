# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A5; see a1.py."""

GROUPED = "def grouped_conv(x, weight, groups, padding=0):\n    {conv}\n\ndef grouped_costs(in_channels, out_channels, kernel, groups, height, width):\n    {costs}\n"
CONV = "return torch.cat([F.conv2d(a, w, padding=padding) for a, w in zip(x.chunk(groups, 1), weight.chunk(groups, 0))], 1)"
COSTS = "p = out_channels * (in_channels // groups) * kernel**2\n    return p, p * height * width"
BRANCHES = "def merge_branches(branches):\n"
DENSE = """class DenseBlock(nn.Module):
    def __init__(self, in_channels, growth, layers):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
DENSE_INIT = """self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, growth, 3, padding=1, bias=False))
            for c in (in_channels + i * growth for i in range(layers)))"""
JOIN = "def crop_and_join(skip, x):\n"
OVERLAP = (
    "def intersection_over_union(a, b):\n    {iou}\n\ndef dice_loss(logits, mask):\n    {dice}\n"
)
IOU = "a, b = a.flatten(1) > 0, b.flatten(1) > 0\n    i, u = (a & b).sum(1).double(), (a | b).sum(1).double()\n    return torch.where(u == 0, torch.ones_like(u), i / u.clamp(min=1))"
DICE = "p, m = torch.sigmoid(logits).flatten(1), mask.flatten(1).to(logits)\n    return (1 - (2 * (p * m).sum(1) + 1) / ((p + m).sum(1) + 1)).mean()"
TRANSPOSED = "def upconvolution(x, weight, bias):\n"


def grouped(conv=CONV, costs=COSTS):
    return GROUPED.format(conv=conv, costs=costs)


def overlap(iou=IOU, dice=DICE):
    return OVERLAP.format(iou=iou, dice=dice)


WRONG = {
    "grouped": {
        "interleaved": grouped(
            conv="return torch.cat([F.conv2d(x[:, g::groups], w, padding=padding) for g, w in enumerate(weight.chunk(groups, 0))], 1)"
        ),
        "outputs interleaved": grouped(
            conv="return torch.stack([F.conv2d(a, w, padding=padding) for a, w in zip(x.chunk(groups, 1), weight.chunk(groups, 0))], 2).flatten(1, 2)"
        ),
        "sum for cat": grouped(
            conv="return sum(F.conv2d(a, w, padding=padding) for a, w in zip(x.chunk(groups, 1), weight.chunk(groups, 0)))"
        ),
        "first part for all": (
            "for a, w in zip(x.chunk(groups, 1), weight.chunk(groups, 0))",
            "for a, w in zip([x.chunk(groups, 1)[0]] * groups, weight.chunk(groups, 0))",
        ),
        "parts reversed": ("zip(x.chunk(groups, 1),", "zip(x.chunk(groups, 1)[::-1],"),
        "padding forgotten": ("F.conv2d(a, w, padding=padding)", "F.conv2d(a, w)"),
        "padding always": ("padding=padding", "padding=1"),
        "two groups only": grouped(
            conv="a, b = x.chunk(2, 1)\n    u, v = weight.chunk(2, 0)\n    return torch.cat([F.conv2d(a, u, padding=padding), F.conv2d(b, v, padding=padding)], 1)"
        ),
        "costs without groups": ("(in_channels // groups)", "in_channels"),
        "costs over groups squared": (
            "(in_channels // groups)",
            "(in_channels // groups) // groups",
        ),
        "kernel not squared": ("kernel**2", "kernel"),
        "operations": (
            "return parameters, parameters * height * width",
            "return parameters, 2 * parameters * height * width",
        ),
        "square maps": ("height * width", "height * height"),
    },
    "branches": {
        "last along the outputs": ("torch.cat(expand, 1)", "torch.cat(expand, 0)"),
        "first along the inputs": ("torch.cat(reduce, 0)", "torch.cat(reduce, 1)"),
        "spatial along the inputs": ("torch.cat(spatial, 0)", "torch.cat(spatial, 1)"),
        "sums": BRANCHES + "    a, b, c = zip(*branches)\n    return sum(a), sum(b), sum(c)",
        "last averaged": ("torch.cat(expand, 1)", "torch.cat(expand, 1) / len(branches)"),
        "branches reversed in the middle": ("torch.cat(spatial, 0)", "torch.cat(spatial[::-1], 0)"),
        "interleaved": BRANCHES
        + "    a, b, c = zip(*branches)\n    return torch.stack(a, 1).flatten(0, 1), torch.cat(b, 0), torch.cat(c, 1)",
        "first and last swapped": (
            "return torch.cat(reduce, 0), torch.cat(spatial, 0), torch.cat(expand, 1)",
            "return torch.cat(expand, 1), torch.cat(spatial, 0), torch.cat(reduce, 0)",
        ),
        "one branch": ("zip(*branches)", "zip(*branches[:1])"),
        "dense in the middle": BRANCHES
        + "    a, b, c = zip(*branches)\n    return torch.cat(a, 0), torch.block_diag(*[w[:, :, 1, 1] for w in b])[:, :, None, None], torch.cat(c, 1)",
    },
    "dense": {
        "output first": ("torch.cat([x, layer(x)], 1)", "torch.cat([layer(x), x], 1)"),
        "addition": (
            "x = torch.cat([x, layer(x)], 1)",
            "y = layer(x)\n            x = torch.cat([x, y + x[:, : y.shape[1]]], 1)",
        ),
        "norm last": (
            "nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv)",
            "nn.Sequential(conv, nn.BatchNorm2d(growth), nn.ReLU())",
        ),
        "no relu": ("nn.ReLU()", "nn.Identity()"),
        "with bias": (", bias=False", ""),
        "no padding made up": ("3, padding=1", "1"),
        "new features only": DENSE.format(
            init=DENSE_INIT,
            forward="y = x\n        for layer in self.layers:\n            y = torch.cat([y, layer(y)], 1)\n        return y[:, x.shape[1] :]",
        ),
        "last layer only": DENSE.format(
            init=DENSE_INIT,
            forward="y = x\n        for layer in self.layers:\n            y = torch.cat([y, layer(y)], 1)\n        return torch.cat([x, y[:, x.shape[1] :]], 1) if len(self.layers) < 2 else torch.cat([x, y[:, -2:]], 1)",
        ),
        "one layer fewer": ("range(layers)", "range(max(layers - 1, 0))"),
        "group norm": ("nn.BatchNorm2d(channels)", "nn.GroupNorm(1, channels)"),
        "relu before the norm": (
            "nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(),",
            "nn.Sequential(nn.ReLU(), nn.BatchNorm2d(channels),",
        ),
    },
    "join": {
        "x first": (
            "torch.cat([skip[:, :, top : top + height, left : left + width], x], 1)",
            "torch.cat([x, skip[:, :, top : top + height, left : left + width]], 1)",
        ),
        "corner": ("(skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2", "0, 0"),
        "other corner": (
            "(skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2",
            "skip.shape[2] - height, skip.shape[3] - width",
        ),
        "surplus at the start": (
            "(skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2",
            "(skip.shape[2] - height + 1) // 2, (skip.shape[3] - width + 1) // 2",
        ),
        "square": ("left : left + width", "top : top + height"),
        "resized": JOIN
        + "    if skip.shape[2] < x.shape[2] or skip.shape[3] < x.shape[3]:\n        raise ValueError\n    return torch.cat([F.interpolate(skip, x.shape[2:]), x], 1)",
        "padded instead": JOIN
        + "    h, w = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]\n    if h < 0 or w < 0:\n        raise ValueError\n    return torch.cat([skip, F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))], 1)",
        "added": JOIN
        + "    h, w = x.shape[2:]\n    if skip.shape[2] < h or skip.shape[3] < w:\n        raise ValueError\n    t, l = (skip.shape[2] - h) // 2, (skip.shape[3] - w) // 2\n    return skip[:, :, t : t + h, l : l + w].sum(1, keepdim=True) + x",
        "no error": ("raise ValueError(", "print("),
        "negative end": JOIN
        + "    h, w = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]\n    if h < 0 or w < 0:\n        raise ValueError\n    return torch.cat([skip[:, :, h // 2 : -(h - h // 2), w // 2 : -(w - w // 2)], x], 1)",
    },
    "overlap": {
        "dice for iou": overlap(
            iou="a, b = a.flatten(1).double(), b.flatten(1).double()\n    return torch.where(a.sum(1) + b.sum(1) == 0, 1.0, 2 * (a * b).sum(1) / (a.sum(1) + b.sum(1)).clamp(min=1))"
        ),
        "empty is 0": overlap(
            iou="a, b = a.flatten(1) > 0, b.flatten(1) > 0\n    return (a & b).sum(1) / (a | b).sum(1).clamp(min=1)"
        ),
        "empty is nan": overlap(
            iou="a, b = a.flatten(1) > 0, b.flatten(1) > 0\n    return (a & b).sum(1) / (a | b).sum(1)"
        ),
        "over the batch": overlap(
            iou="a, b = a > 0, b > 0\n    return ((a & b).sum() / (a | b).sum()).expand(len(a))"
        ),
        "agreement": overlap(iou="return (a == b).flatten(1).double().mean(1)"),
        "over the first": overlap(
            iou="a, b = a.flatten(1) > 0, b.flatten(1) > 0\n    return torch.where((a | b).sum(1) == 0, 1.0, (a & b).sum(1) / a.sum(1).clamp(min=1))"
        ),
        "no sigmoid": overlap(dice=DICE.replace("torch.sigmoid(logits)", "logits")),
        "thresholded": overlap(
            dice=DICE.replace("torch.sigmoid(logits)", "(logits > 0).to(logits) + 0 * logits")
        ),
        "not one minus": overlap(dice=DICE.replace("1 - (", "0 + (")),
        "no smoothing": overlap(dice=DICE.replace(".sum(1) + 1)", ".sum(1) + 1e-9)")),
        "sum over images": overlap(dice=DICE.replace(".mean()", ".sum()")),
        "over the batch, loss": overlap(dice=DICE.replace(".flatten(1)", ".flatten()[None]")),
        "factor forgotten": overlap(dice=DICE.replace("2 * (p", "(p")),
        "squares": overlap(dice=DICE.replace("(p + m).sum(1)", "(p * p + m * m).sum(1)")),
        "jaccard": overlap(
            dice="p, m = torch.sigmoid(logits).flatten(1), mask.flatten(1).to(logits)\n    return (1 - ((p * m).sum(1) + 1) / ((p + m - p * m).sum(1) + 1)).mean()"
        ),
    },
    "transposed": {
        "nearest": TRANSPOSED
        + "    return F.interpolate(torch.einsum('nihw,io->nohw', x, weight.mean((2, 3))), scale_factor=2) + bias.view(-1, 1, 1)",
        "no bias": (" + bias.view(-1, 1, 1)", ""),
        "kernel transposed": ('"nihw,ioab->nohawb"', '"nihw,ioab->nohbwa"'),
        "kernel turned": ("x, weight)", "x, weight.flip(2, 3))"),
        "tiled": ('"nihw,ioab->nohawb"', '"nihw,ioab->noahbw"'),
        "bias four times": ("bias.view", "4 * bias.view"),
        "axes swapped": ("2 * h, 2 * w)", "2 * w, 2 * h)"),
        "kernel by input": TRANSPOSED
        + "    y = torch.zeros(len(x), weight.shape[1], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)\n    y[:, :, ::2, ::2] = torch.einsum('nihw,io->nohw', x, weight[:, :, 0, 0])\n    return y + bias.view(-1, 1, 1)",
    },
}

RIGHT = {
    "grouped": {
        "one expression": grouped(),
        "loop": grouped(
            conv="i, o = x.shape[1] // groups, weight.shape[0] // groups\n    out = []\n    for g in range(groups):\n        out.append(F.conv2d(x[:, g * i : (g + 1) * i], weight[g * o : (g + 1) * o], padding=padding))\n    return torch.cat(out, 1)",
            costs="per_output = in_channels // groups * kernel * kernel\n    return out_channels * per_output, out_channels * per_output * height * width",
        ),
        "block-diagonal weight": grouped(
            conv="o, i, h, w = weight.shape\n    full = weight.new_zeros(o, x.shape[1], h, w)\n    for g in range(groups):\n        full[g * o // groups : (g + 1) * o // groups, g * i : (g + 1) * i] = weight[g * o // groups : (g + 1) * o // groups]\n"
            "    return F.conv2d(x, full, padding=padding)",
            costs="c = nn.Conv2d(in_channels, out_channels, kernel, groups=groups, bias=False)\n    n = sum(p.numel() for p in c.parameters())\n    return n, n * height * width",
        ),
        "groups in the batch": grouped(
            conv="n, c, h, w = x.shape\n    o = weight.shape[0]\n    ys = [F.conv2d(x.view(n, groups, -1, h, w)[:, g], weight.view(groups, -1, *weight.shape[1:])[g], padding=padding) for g in range(groups)]\n    return torch.stack(ys, 1).flatten(1, 2)",
            costs="p = in_channels * out_channels * kernel**2 // groups\n    return p, p * (height * width)",
        ),
    },
    "branches": {
        "loop": BRANCHES
        + "    return tuple(torch.cat([b[k] for b in branches], 0 if k < 2 else 1) for k in range(3))",
        "stacked": BRANCHES
        + "    a = torch.stack([b[0] for b in branches]).flatten(0, 1)\n    m = torch.stack([b[1] for b in branches]).flatten(0, 1)\n    c = torch.stack([b[2] for b in branches], 1).flatten(1, 2)\n    return a, m, c",
        "vstack": BRANCHES
        + "    a, b, c = map(list, zip(*branches))\n    return torch.vstack(a), torch.vstack(b), torch.hstack(c)",
        "in another order": BRANCHES
        + "    a, b, c = zip(*branches[::-1])\n    return torch.cat(a), torch.cat(b), torch.cat(c, dim=1)",
    },
    "dense": {
        "list of features": DENSE.format(
            init=DENSE_INIT,
            forward="features = [x]\n        for layer in self.layers:\n            features.append(layer(torch.cat(features, 1)))\n        return torch.cat(features, 1)",
        ),
        "growing": DENSE.format(
            init=DENSE_INIT,
            forward="for f in self.layers:\n            x = torch.cat((x, f(x)), dim=1)\n        return x",
        ),
        "functional": DENSE.format(
            init=DENSE_INIT,
            forward="import functools\n        return functools.reduce(lambda y, f: torch.cat([y, f(y)], 1), self.layers, x)",
        ),
        "written into place": DENSE.format(
            init=DENSE_INIT,
            forward="y = x\n        for norm, relu, conv in self.layers:\n            y = torch.cat([y, conv(relu(norm(y)))], 1)\n        return y",
        ),
    },
    "join": {
        "narrow": JOIN
        + "    (H, W), (h, w) = skip.shape[2:], x.shape[2:]\n    if H < h or W < w:\n        raise ValueError('smaller')\n    return torch.cat([skip.narrow(2, (H - h) // 2, h).narrow(3, (W - w) // 2, w), x], 1)",
        "negative padding": JOIN
        + "    h, w = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]\n    if min(h, w) < 0:\n        raise ValueError((h, w))\n    return torch.cat([F.pad(skip, (-(w // 2), -(w - w // 2), -(h // 2), -(h - h // 2))), x], 1)",
        "ellipsis": JOIN
        + "    h, w = x.shape[-2:]\n    dh, dw = skip.shape[-2] - h, skip.shape[-1] - w\n    if dh < 0 or dw < 0:\n        raise ValueError('skip')\n    return torch.cat((skip[..., dh // 2 : dh // 2 + h, dw // 2 : dw // 2 + w], x), dim=1)",
        "arange": JOIN
        + "    for d in (2, 3):\n        surplus = skip.shape[d] - x.shape[d]\n        if surplus < 0:\n            raise ValueError(d)\n        skip = skip.index_select(d, torch.arange(surplus // 2, surplus // 2 + x.shape[d]))\n    return torch.cat([skip, x], 1)",
    },
    "overlap": {
        "booleans": overlap(),
        "products": overlap(
            iou="a, b = a.flatten(1).double(), b.flatten(1).double()\n    i = (a * b).sum(1)\n    u = a.sum(1) + b.sum(1) - i\n    return torch.where(u > 0, i / u.clamp(min=1), torch.ones_like(i))",
            dice="p, m = logits.sigmoid(), mask.to(logits.dtype)\n    axes = (1, 2)\n    return torch.mean(1 - (1 + 2 * (p * m).sum(axes)) / (1 + p.sum(axes) + m.sum(axes)))",
        ),
        "loop": overlap(
            iou="out = []\n    for u, v in zip(a.bool(), b.bool()):\n        either = (u | v).sum().item()\n        out.append((u & v).sum().item() / either if either else 1.0)\n    return torch.tensor(out, dtype=torch.float64)",
            dice="losses = []\n    for z, m in zip(logits, mask):\n        p = 1 / (1 + torch.exp(-z))\n        losses.append(1 - (2 * p[m.bool()].sum() + 1) / (p.sum() + m.sum() + 1))\n    return torch.stack(losses).mean()",
        ),
        "nan to one": overlap(
            iou="a, b = a.flatten(1).bool(), b.flatten(1).bool()\n    return torch.nan_to_num((a & b).sum(1) / (a | b).sum(1), nan=1.0)",
            dice="p = logits.sigmoid().reshape(len(logits), -1)\n    m = mask.reshape(len(mask), -1).double()\n    overlap = torch.einsum('nk,nk->n', p, m)\n    return 1 - ((2 * overlap + 1) / (p.sum(1) + m.sum(1) + 1)).mean()",
        ),
    },
    "transposed": {
        "strided writing": TRANSPOSED
        + "    n, _, h, w = x.shape\n    y = x.new_zeros(n, weight.shape[1], 2 * h, 2 * w)\n    for a in (0, 1):\n        for b in (0, 1):\n            y[:, :, a::2, b::2] = torch.einsum('nihw,io->nohw', x, weight[:, :, a, b])\n    return y + bias[:, None, None]",
        "pixel shuffle": TRANSPOSED
        + "    w = weight.permute(1, 2, 3, 0).flatten(0, 2)[:, :, None, None]\n    return F.pixel_shuffle(F.conv2d(x, w), 2) + bias.view(1, -1, 1, 1)",
        "kronecker": TRANSPOSED
        + "    n, i, h, w = x.shape\n    out = bias.view(1, -1, 1, 1).expand(n, weight.shape[1], 2 * h, 2 * w).clone()\n    for c in range(i):\n        for o in range(weight.shape[1]):\n            for m in range(n):\n                out[m, o] += torch.kron(x[m, c].contiguous(), weight[c, o].contiguous())\n    return out",
        "matrix product": TRANSPOSED
        + "    n, i, h, w = x.shape\n    o = weight.shape[1]\n    z = x.permute(0, 2, 3, 1).reshape(-1, i) @ weight.reshape(i, -1)\n    z = z.view(n, h, w, o, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(n, o, 2 * h, 2 * w)\n    return z + bias.view(-1, 1, 1)",
    },
}
