# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A5; see a1.py."""

MERGE = "def merge_branches(branches):\n"
DENSE = """class DenseBlock(nn.Module):
    def __init__(self, in_channels, growth, reads):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
DENSE_INIT = """self.reads = [list(sources) for sources in reads]
        self.layers = nn.ModuleList()
        for sources in self.reads:
            c = in_channels * sources.count(0) + growth * (len(sources) - sources.count(0))
            self.layers.append(nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, growth, 3, padding=1, bias=False)))"""
TRANSITION = """class Transition(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x):
        {forward}
"""
DENSENET = """class DenseNet(nn.Module):
    def __init__(self, block, transition, blocks, growth, num_classes, compression):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
DENSENET_INIT = """self.conv0 = nn.Conv2d(3, 2 * growth, kernel_size=3, padding=1, bias=False)
        self.blocks, self.transitions, self.norms, outs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), []
        arrive, k = 2 * growth, growth
        for number, layers in enumerate(blocks, 1):
            self.blocks.append(block(arrive, k, layers))
            outs.append(arrive + layers * k)
            self.norms.append(nn.BatchNorm2d(outs[-1]))
            if number < len(blocks):
                arrive = int(math.ceil(outs[-1] * compression / 4)) * 4
                self.transitions.append(transition(outs[-1], arrive))
            k *= 2
        self.classifier = nn.Linear(sum(outs), num_classes)"""
MEMORY = "def kept_maps(in_channels, growth, reads, checkpointed=False):\n"
PARTED = "def parted_layer(features, gamma, beta, weight, eps=1e-5):\n"
UNET = """class UNet(nn.Module):
    def __init__(self, in_channels, num_classes, widths, joins):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
UNET_INIT = """self.joins = list(joins)
        self.down = nn.ModuleList()
        for i, width in enumerate(widths):
            self.down.append(double_conv(widths[i - 1] if i else in_channels, width))
        lowest_first = range(len(widths) - 2, -1, -1)
        self.up = nn.ModuleList([nn.Conv2d(widths[i + 1], widths[i], 1) for i in lowest_first])
        self.merge = nn.ModuleList([double_conv((1 + (joins[i] == 'cat')) * widths[i], widths[i]) for i in lowest_first])
        self.head = nn.Conv2d(widths[0], num_classes, 1)"""
WIRING = "def find_reads(block, x):\n"

#: The sum of branches, written as two lists, for mutants that change a part of it.
BY_HAND = """    total = sum(b[0].shape[0] for b in branches)
    middle = torch.zeros(total, total, 3, 3, dtype=branches[0][0].dtype)
    start = 0
    for b in branches:
        stop = start + b[2].shape[0]
        middle[start:stop, start:stop] = b[2]
        start = stop
"""
COLUMNS = "    a, p, b, q, c, r = zip(*branches)\n"

WRONG = {
    "merge": {
        "last bias of the first": ("sum(bias3)", "bias3[0]"),
        "last biases side by side": ("sum(bias3)", "torch.cat(bias3)"),
        "mean of the last biases": ("sum(bias3)", "sum(bias3) / len(bias3)"),
        "last kernels averaged": (
            "torch.cat(last, 1)",
            "torch.cat(last, 1) / len(last)",
        ),
        "last along the outputs": ("torch.cat(last, 1)", "torch.cat(last, 0)"),
        "branches mixed in the middle": MERGE
        + BY_HAND
        + COLUMNS
        + "    middle[middle == 0] = 0.1\n    return torch.cat(a), torch.cat(p), middle, torch.cat(q), torch.cat(c, 1), sum(r)",
        "as a grouped kernel": MERGE
        + COLUMNS
        + "    return torch.cat(a), torch.cat(p), torch.cat(b), torch.cat(q), torch.cat(c, 1), sum(r)",
        "middle transposed": (
            "weight2[start:end, start:end] = kernel",
            "weight2[start:end, start:end] = kernel.transpose(0, 1)",
        ),
        "all branches in one corner": ("        start = end\n", ""),
        "middle biases added": ("torch.cat(bias2)", "sum(b.sum() for b in bias2).expand(width)"),
        "first biases forgotten": ("torch.cat(bias1)", "0 * torch.cat(bias1)"),
        "the first branch only": ("zip(*branches)", "zip(*branches[:1])"),
        "kernels turned": (
            "weight2[start:end, start:end] = kernel",
            "weight2[start:end, start:end] = kernel.flip(2, 3)",
        ),
    },
    "dense": {
        "everything read": DENSE.format(
            init=DENSE_INIT,
            forward="features = [x]\n        for layer in self.layers:\n            h = torch.cat(features, 1)\n            features.append(layer(h[:, : layer[0].num_features]))\n        return torch.cat(features, 1)",
        ),
        "sorted sources": (
            "[features[s] for s in sources]",
            "[features[s] for s in sorted(sources)]",
        ),
        "newest first in the output": (
            "return torch.cat(features, 1)",
            "return torch.cat(features[::-1], 1)",
        ),
        "input not in the output": (
            "return torch.cat(features, 1)",
            "return torch.cat(features[1:], 1)",
        ),
        "last layer only": ("return torch.cat(features, 1)", "return features[-1]"),
        "addition": (
            "features.append(layer(torch.cat([features[s] for s in sources], 1)))",
            "y = layer(torch.cat([features[s] for s in sources], 1))\n            features.append(y + features[-1][:, : y.shape[1]])",
        ),
        "norm last": (
            "nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv)",
            "nn.Sequential(conv, nn.BatchNorm2d(growth), nn.ReLU())",
        ),
        "no relu": ("nn.ReLU()", "nn.Identity()"),
        "with bias": (", bias=False", ""),
        "relu before the norm": (
            "layer(torch.cat([features[s] for s in sources], 1))",
            "layer[2](layer[0](torch.cat([features[s] for s in sources], 1).relu()))",
        ),
        "group norm": ("nn.BatchNorm2d(channels)", "nn.GroupNorm(1, channels)"),
        "one layer fewer": ("for sources in reads:", "for sources in reads[:-1]:"),
        "no padding made up": ("3, padding=1", "1"),
        "sources counted from the newest": ("features[s] for s", "features[-1 - s] for s"),
        "forward never written": DENSE.format(init=DENSE_INIT, forward="raise NotImplementedError"),
    },
    "transition": {
        "the chapter's": TRANSITION.format(
            forward="x = self.conv(F.relu(self.norm(x)))\n        return F.avg_pool2d(x, 2)"
        ),
        "convolution first": TRANSITION.format(
            forward="x = self.conv(F.relu(self.norm(x)))\n        return F.avg_pool2d(x, 2, ceil_mode=True)"
        ),
        "pooling before the relu": (
            "F.avg_pool2d(F.relu(self.norm(x)), 2, ceil_mode=True)",
            "F.relu(F.avg_pool2d(self.norm(x), 2, ceil_mode=True))",
        ),
        "edge left out": (", ceil_mode=True", ""),
        "edge counted as zeros": (
            "F.avg_pool2d(F.relu(self.norm(x)), 2, ceil_mode=True)",
            "F.avg_pool2d(F.pad(F.relu(self.norm(x)), (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2)",
        ),
        "max pooling": ("F.avg_pool2d", "F.max_pool2d"),
        "no relu": ("F.relu(self.norm(x))", "self.norm(x)"),
        "norm last": (
            "self.conv(F.avg_pool2d(F.relu(self.norm(x)), 2, ceil_mode=True))",
            "self.conv(F.avg_pool2d(self.norm(F.relu(x)), 2, ceil_mode=True))",
        ),
        "every second position": (
            "F.avg_pool2d(F.relu(self.norm(x)), 2, ceil_mode=True)",
            "F.relu(self.norm(x))[..., ::2, ::2]",
        ),
        "with bias": (", bias=False", ""),
        "windows overlap": ("2, ceil_mode=True", "3, 2, 1, count_include_pad=False"),
        "forward never written": TRANSITION.format(forward="raise NotImplementedError"),
    },
    "densenet": {
        "the last block only": (
            "return self.classifier(torch.cat(means, 1))",
            "return F.linear(means[-1], self.classifier.weight[:, -means[-1].shape[1] :], self.classifier.bias)",
        ),
        "same growth everywhere": DENSENET.format(
            init=DENSENET_INIT.replace("k *= 2", "pass"),
            forward="h, means = self.conv0(x), []\n        for i in range(len(self.blocks)):\n            h = self.blocks[i](self.transitions[i - 1](h) if i else h)\n            means.append(self.norms[i](h).relu().mean((2, 3)))\n        return self.classifier(torch.cat(means, 1))",
        ),
        "rounded down": (
            "4 * math.ceil(compression * channels / 4)",
            "4 * math.floor(compression * channels / 4)",
        ),
        "not rounded": (
            "4 * math.ceil(compression * channels / 4)",
            "int(compression * channels)",
        ),
        "compression always one half": ("ceil(compression * channels", "ceil(0.5 * channels"),
        "a multiple of 8": (
            "4 * math.ceil(compression * channels / 4)",
            "8 * math.ceil(compression * channels / 8)",
        ),
        "transition reads the norm": (
            "means.append(F.relu(norm(x)).mean((2, 3)))",
            "x = F.relu(norm(x))\n            means.append(x.mean((2, 3)))",
        ),
        "no relu": ("F.relu(norm(x))", "norm(x)"),
        "no norm": ("F.relu(norm(x))", "F.relu(x)"),
        "maximum for mean": (".mean((2, 3))", ".amax((2, 3))"),
        "sum for mean": (".mean((2, 3))", ".sum((2, 3))"),
        "last block first": ("torch.cat(means, 1)", "torch.cat(means[::-1], 1)"),
        "classifier after the transitions": (
            "x = block(self.transitions[i - 1](x) if i > 0 else x)\n            means.append(F.relu(norm(x)).mean((2, 3)))",
            "x = block(x)\n            means.append(F.relu(norm(x)).mean((2, 3)))\n            if i < len(self.transitions):\n                x = F.relu(self.transitions[i](x))",
        ),
        "wide stem": ("self.conv0 = nn.Conv2d(3, 2 * growth,", "self.conv0 = nn.Conv2d(3, growth,"),
        "forward never written": DENSENET.format(
            init=DENSENET_INIT, forward="raise NotImplementedError"
        ),
    },
    "memory": {
        "one copy": ("return 2 * sum(", "return sum("),
        "three copies": ("return 2 * sum(", "return 3 * sum("),
        "sum of the features": MEMORY
        + "    maps = in_channels + growth * len(reads)\n    return maps if checkpointed else 2 * maps",
        "everything always read": MEMORY
        + "    n = len(reads)\n    total = in_channels + growth * (n - 1)\n    return total if checkpointed else 2 * (n * in_channels + growth * n * (n - 1) // 2)",
        "the output as well": (
            "    return 2 * sum(",
            "    return in_channels + growth * len(reads) + 2 * sum(",
        ),
        "the input as wide as the others": ("[in_channels] +", "[growth] +"),
        "checkpointing keeps one copy each": (
            "sizes[s] for s in set().union(*reads)",
            "sizes[s] for sources in reads for s in sources",
        ),
        "checkpointing keeps nothing": (
            "return sum(sizes[s] for s in set().union(*reads))",
            "return 0",
        ),
        "checkpointing keeps all sources": (
            "sum(sizes[s] for s in set().union(*reads))",
            "sum(sizes)",
        ),
        "checkpointing keeps the input": (
            "sum(sizes[s] for s in set().union(*reads))",
            "in_channels",
        ),
        "checkpointing does nothing": ("if checkpointed:", "if False:"),
        "sources shifted by one": (
            "sizes = [in_channels] + [growth] * len(reads)",
            "sizes = [growth, in_channels] + [growth] * len(reads)",
        ),
    },
    "parted": {
        "norm over all channels": (
            "h = F.batch_norm(h, None, None, g, b, True, 0.1, eps)",
            "h = F.group_norm(h, 1, g, b, eps)",
        ),
        "first slices for all": (
            "weight.split(sizes, 1)",
            "[weight[:, :size] for size in sizes]",
        ),
        "eps fixed": ("True, 0.1, eps)", "True, 0.1, 1e-5)"),
        "no relu": ("F.relu(h)", "h"),
        "relu of the sum": (
            "total = total + F.conv2d(F.relu(h), kernel, padding=1)\n    return total",
            "total = total + F.conv2d(h, kernel, padding=1)\n    return F.relu(total)",
        ),
        "no padding": ("kernel, padding=1", "kernel"),
        "sources reversed": ("zip(features, parts)", "zip(features[::-1], parts)"),
        "beta forgotten": ("g, b, True", "g, None, True"),
        "gamma forgotten": ("g, b, True", "None, b, True"),
        "each image by itself": (
            "h = F.batch_norm(h, None, None, g, b, True, 0.1, eps)",
            "h = F.group_norm(h, len(g), g, b, eps)",
        ),
        "the last source only": ("total = total + F.conv2d", "total = F.conv2d"),
        "concatenated": PARTED
        + "    h = F.batch_norm(torch.cat(features, 1), None, None, gamma, beta, True, 0.1, eps)\n    return F.conv2d(F.relu(h), weight, padding=1)",
        "unbiased": (
            "h = F.batch_norm(h, None, None, g, b, True, 0.1, eps)",
            "mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), keepdim=True)\n        h = g.view(1, -1, 1, 1) * (h - mean) / (var + eps).sqrt() + b.view(1, -1, 1, 1)",
        ),
    },
    "unet": {
        "the way up first": ("torch.cat([skip, x], 1)", "torch.cat([x, skip], 1)"),
        "always concatenated": UNET.format(
            init=UNET_INIT,
            forward="maps = []\n        for i, down in enumerate(self.down):\n            x = down(F.max_pool2d(x, 2) if i else x)\n            maps.append(x)\n        for up, merge, skip in zip(self.up, self.merge, maps[-2::-1]):\n            x = F.interpolate(up(x), size=skip.shape[2:])\n            x = merge(torch.cat([skip, x], 1)[:, : merge[0].in_channels])\n        return self.head(x)",
        ),
        "no connections": (
            'x = torch.cat([skip, x], 1) if join == "cat" else skip + x',
            'x = torch.cat([0 * skip, x], 1) if join == "cat" else x',
        ),
        "added always": (
            'x = torch.cat([skip, x], 1) if join == "cat" else skip + x',
            'x = torch.cat([skip + x, 0 * x], 1) if join == "cat" else skip + x',
        ),
        "joins from the bottom": (
            "self.joins = zip((in_channels, *widths), widths), joins",
            "self.joins = zip((in_channels, *widths), widths), joins[::-1]",
        ),
        "none adds": ('if join != "none":', "if True:"),
        "pooling that rounds up": ("F.max_pool2d(x, 2)", "F.max_pool2d(x, 2, ceil_mode=True)"),
        "mean pooling": ("F.max_pool2d(x, 2)", "F.avg_pool2d(x, 2)"),
        "twice the size": (
            "F.interpolate(up(x), size=skip.shape[2:])",
            "F.interpolate(up(x), scale_factor=2)",
        ),
        "bilinear": (
            "size=skip.shape[2:])",
            'size=skip.shape[2:], mode="bilinear", align_corners=False)',
        ),
        "merge forgotten": ("x = merge(x)\n", "x = merge[3:](x[:, -merge[3].in_channels :])\n"),
        "head of the last level down": ("return self.head(x)", "return self.head(skips[0])"),
        "skips from the top": (
            "skips[-2::-1]",
            "[F.interpolate(s[:, :1], size=t.shape[2:]).expand_as(t) for s, t in zip(skips, skips[-2::-1])]",
        ),
        "skip after pooling": (
            "skips.append(x)",
            "skips.append(F.interpolate(F.avg_pool2d(x, 2, ceil_mode=True), size=x.shape[2:]))",
        ),
        "probabilities": ("return self.head(x)", "return self.head(x).softmax(1)"),
        "head without bias": ("num_classes, 1)", "num_classes, 1, bias=False)"),
        "forward never written": UNET.format(init=UNET_INIT, forward="raise NotImplementedError"),
    },
    "wiring": {
        "indirect as well": ("dict(returned)", "{}"),
        "everything": WIRING + "    return [tuple(range(i + 1)) for i in range(len(block.layers))]",
        "a chain": WIRING + "    return [(i,) for i in range(len(block.layers))]",
        "the input forgotten": (
            "for source in range(len(before)):",
            "for source in range(1, len(before)):",
        ),
        "shifted by one": ("found[i].append(source)", "found[i].append(source + 1)"),
        "hooks left": ("            handle.remove()", "            pass"),
        "descending shift": ("values[source - 1] =", "values[source] ="),
        "the complement": ("if not torch.equal", "if torch.equal"),
        "input changes nothing": ("x if source > 0 else x + 1", "x"),
        "outputs changed for good": (
            "        block(x)\n",
            "        block(x)\n        block.layers[0].bias.data += 1\n",
        ),
        "last layer not looked at": (
            "range(source, len(before))",
            "range(source, len(before) - 1)",
        ),
    },
}

FORWARD_DENSENET = "means, y = [], self.conv0(x)\n        for i, block in enumerate(self.blocks):\n            y = block(y)\n            means.append(torch.relu(self.norms[i](y)).flatten(2).mean(-1))\n            y = self.transitions[i](y) if i + 1 < len(self.blocks) else y\n        return self.classifier(torch.cat(means, dim=-1))"
RECORDED = """    layers, seen = list(block.layers), {{}}
    handles = [layer.register_forward_hook(lambda m, a, y, i=i: seen.update({{i: (a[0].detach(), y.detach())}})) for i, layer in enumerate(layers)]
    with torch.no_grad():
        block(x)
    for h in handles:
        h.remove()
    {rest}
"""

RIGHT = {
    "merge": {
        "filled": MERGE
        + BY_HAND
        + COLUMNS
        + "    return torch.cat(a), torch.cat(p), middle, torch.cat(q), torch.cat(c, dim=1), torch.stack(r).sum(0)",
        "padded": MERGE
        + COLUMNS
        + "    n, before, rows = sum(map(len, b)), 0, []\n    for k in b:\n        rows.append(F.pad(k, (0, 0, 0, 0, before, n - before - len(k))))\n        before += len(k)\n    return torch.vstack(a), torch.hstack(p), torch.vstack(rows), torch.hstack(q), torch.hstack(c), sum(r)",
        "in another order": MERGE
        + "    branches = branches[::-1]\n"
        + BY_HAND
        + COLUMNS
        + "    return torch.cat(a), torch.cat(p), middle, torch.cat(q), torch.cat(c, 1), sum(r)",
        "block_diag": MERGE
        + COLUMNS
        + "    w = torch.stack([torch.stack([torch.block_diag(*[k[:, :, i, j] for k in b]) for j in range(3)], -1) for i in range(3)], -2)\n    return torch.cat(a), torch.cat(p), w, torch.cat(q), torch.cat(c, 1), sum(r)",
    },
    "dense": {
        "channels counted": DENSE.format(
            init=DENSE_INIT,
            forward="h = [x]\n        for read, layer in zip(self.reads, self.layers):\n            h.append(layer(torch.cat([h[s] for s in read], dim=1)))\n        return torch.cat(h, dim=1)",
        ),
        "a dictionary": DENSE.format(
            init=DENSE_INIT,
            forward="h = {0: x}\n        for i, layer in enumerate(self.layers, 1):\n            h[i] = layer(torch.cat(tuple(h[s] for s in self.reads[i - 1]), 1))\n        return torch.cat(list(h.values()), 1)",
        ),
        "a growing stack": DENSE.format(
            init=DENSE_INIT + "\n        self.c, self.k = in_channels, growth",
            forward="y = x\n        for read, layer in zip(self.reads, self.layers):\n            place = [slice(0, self.c) if s == 0 else slice(self.c + (s - 1) * self.k, self.c + s * self.k) for s in read]\n            y = torch.cat([y, layer(torch.cat([y[:, p] for p in place], 1))], 1)\n        return y",
        ),
        "parts of the layers": DENSE.format(
            init=DENSE_INIT,
            forward="h = [x]\n        for read, (norm, relu, conv) in zip(self.reads, self.layers):\n            h += [conv(norm(torch.cat([h[s] for s in read], 1)).relu())]\n        return torch.cat(h, 1)",
        ),
    },
    "transition": {
        "steps": TRANSITION.format(
            forward="h = self.norm(x).relu()\n        h = F.avg_pool2d(h, kernel_size=2, stride=2, ceil_mode=True)\n        return self.conv(h)"
        ),
        "a module": TRANSITION.format(
            forward="pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)\n        return self.conv(pool(F.relu(self.norm(x))))"
        ),
        "sum over count": TRANSITION.format(
            forward="h = F.relu(self.norm(x))\n        p = (0, h.shape[3] % 2, 0, h.shape[2] % 2)\n        h = F.avg_pool2d(F.pad(h, p), 2) / F.avg_pool2d(F.pad(torch.ones_like(h), p), 2)\n        return self.conv(h)"
        ),
        "edge repeated": TRANSITION.format(
            forward="h = self.norm(x).clamp(min=0)\n        h = F.pad(h, (0, h.shape[3] % 2, 0, h.shape[2] % 2), mode='replicate')\n        return self.conv((h[..., ::2, ::2] + h[..., 1::2, ::2] + h[..., ::2, 1::2] + h[..., 1::2, 1::2]) / 4)"
        ),
    },
    "densenet": {
        "transition at the end of the loop": DENSENET.format(
            init=DENSENET_INIT, forward=FORWARD_DENSENET
        ),
        "negative ceiling": (
            "4 * math.ceil(compression * channels / 4)",
            "-int(-compression * channels // 4) * 4",
        ),
        "adaptive pooling": DENSENET.format(
            init=DENSENET_INIT,
            forward="h, out = self.conv0(x), []\n        for i in range(len(self.blocks)):\n            if i:\n                h = self.transitions[i - 1](h)\n            h = self.blocks[i](h)\n            out += [F.adaptive_avg_pool2d(F.relu(self.norms[i](h)), 1).flatten(1)]\n        return self.classifier(torch.hstack(out))",
        ),
        "linear by parts": DENSENET.format(
            init=DENSENET_INIT,
            forward="h, start, total = self.conv0(x), 0, self.classifier.bias\n        for i, (block, norm) in enumerate(zip(self.blocks, self.norms)):\n            h = block(self.transitions[i - 1](h)) if i else block(h)\n            m = norm(h).clamp(min=0).mean((2, 3))\n            total = total + m @ self.classifier.weight[:, start : start + m.shape[1]].t()\n            start += m.shape[1]\n        return total",
        ),
    },
    "memory": {
        "loop": MEMORY
        + "    if checkpointed:\n        read = {s for sources in reads for s in sources}\n        return sum(in_channels if s == 0 else growth for s in read)\n    total = 0\n    for sources in reads:\n        for s in sources:\n            total += 2 * (growth if s else in_channels)\n    return total",
        "counts": MEMORY
        + "    import collections\n    n = collections.Counter(s for sources in reads for s in sources)\n    if checkpointed:\n        n = collections.Counter(set(n))\n    inputs = n.pop(0, 0)\n    maps = in_channels * inputs + growth * sum(n.values())\n    return maps if checkpointed else maps * 2",
        "a boolean list": MEMORY
        + "    sizes = [in_channels, *[growth for _ in reads]]\n    if checkpointed:\n        return sum(size for s, size in enumerate(sizes) if any(s in sources for sources in reads))\n    return sum(sum(sizes[s] for s in sources) * 2 for sources in reads)",
        "a tensor": MEMORY
        + "    sizes = torch.tensor([in_channels] + [growth] * len(reads))\n    read = torch.zeros(len(reads), len(sizes), dtype=torch.int64)\n    for i, sources in enumerate(reads):\n        read[i, list(sources)] = 1\n    return int((read.amax(0) * sizes).sum()) if checkpointed else int(2 * (read.sum(0) * sizes).sum())",
    },
    "parted": {
        "positions": PARTED
        + "    out, start = None, 0\n    for h in features:\n        stop = start + h.shape[1]\n        h = F.batch_norm(h, None, None, gamma[start:stop], beta[start:stop], training=True, eps=eps).relu()\n        y = F.conv2d(h, weight[:, start:stop], padding=1)\n        out, start = y if out is None else out + y, stop\n    return out",
        "sum": PARTED
        + "    c = [len(h[0]) for h in features]\n    return sum(F.conv2d(F.relu(F.batch_norm(h, None, None, g, b, True, eps=eps)), w, None, 1, 1) for h, g, b, w in zip(features, gamma.split(c), beta.split(c), weight.split(c, dim=1)))",
        "relu in place": (
            "F.conv2d(F.relu(h), kernel, padding=1)",
            "F.conv2d(F.relu(h, inplace=True), kernel, padding=1)",
        ),
        "added in place": PARTED
        + "    end = 0\n    y = torch.zeros(len(features[0]), len(weight), *features[0].shape[2:], dtype=weight.dtype)\n    for h in features:\n        c = slice(end, end + h.size(1))\n        end = c.stop\n        y += F.conv2d(torch.relu(F.batch_norm(h, None, None, gamma[c], beta[c], True, 0.0, eps)), weight[:, c], padding='same')\n    return y",
    },
    "unet": {
        "loop over the levels": UNET.format(
            init=UNET_INIT,
            forward="maps = []\n        for i, down in enumerate(self.down):\n            x = down(x if i == 0 else F.max_pool2d(x, 2))\n            maps.append(x)\n        maps.pop()\n        for i, (up, merge) in enumerate(zip(self.up, self.merge)):\n            skip, join = maps.pop(), self.joins[-1 - i]\n            x = F.interpolate(up(x), size=skip.shape[2:], mode='nearest')\n            if join == 'cat':\n                x = torch.cat((skip, x), dim=1)\n            elif join == 'add':\n                x = x + skip\n            x = merge(x)\n        return self.head(x)",
        ),
        "enlarged before the convolution": (
            "F.interpolate(up(x), size=skip.shape[2:])",
            "up(F.interpolate(x, size=skip.shape[2:]))",
        ),
        "recursion": UNET.format(
            init=UNET_INIT,
            forward="return self.head(self.level(x, 0))\n\n    def level(self, x, i):\n        skip = self.down[i](x)\n        if i == len(self.joins):\n            return skip\n        low = self.up[-1 - i](self.level(F.max_pool2d(skip, 2), i + 1))\n        low = F.interpolate(low, skip.shape[2:])\n        join = {'cat': lambda: torch.cat([skip, low], 1), 'add': lambda: skip + low, 'none': lambda: low}\n        return self.merge[-1 - i](join[self.joins[i]]())",
        ),
        "indices": UNET.format(
            init=UNET_INIT,
            forward="maps = [self.down[0](x)]\n        for down in self.down[1:]:\n            maps.append(down(nn.MaxPool2d(2)(maps[-1])))\n        y, last = maps[-1], len(self.joins) - 1\n        for i in range(last, -1, -1):\n            H, W = maps[i].shape[2:]\n            y = self.up[last - i](y)\n            rows = torch.arange(H) * y.shape[2] // H\n            columns = torch.arange(W) * y.shape[3] // W\n            y = y[:, :, rows][..., columns]\n            parts = {'cat': [maps[i], y], 'add': [maps[i] + y], 'none': [y]}[self.joins[i]]\n            y = self.merge[last - i](torch.cat(parts, 1))\n        return self.head(y)",
        ),
    },
    "wiring": {
        "noise": WIRING
        + RECORDED.format(
            rest="""found = []
    for i in range(len(layers)):
        found.append([])
        for s in range(i + 1):
            new = {}
            hooks = [layer.register_forward_hook(lambda m, a, y, j=j: (new.update({j: a[0]}), seen[j][1] * 2 + 1 if j == s - 1 else seen[j][1])[1]) for j, layer in enumerate(layers)]
            block(3 * x + 2 if s == 0 else x)
            for h in hooks:
                h.remove()
            if not torch.allclose(new[i], seen[i][0], rtol=1e-9, atol=1e-9):
                found[-1].append(s)
    return [tuple(f) for f in found]"""
        ),
        "gradients": WIRING
        + RECORDED.format(
            rest="""leaves = [x.clone().requires_grad_()] + [seen[i][1].clone().requires_grad_() for i in range(len(layers))]
    inputs = {}
    def hook(m, a, y, i=0):
        inputs[i] = a[0]
        return leaves[i + 1]
    import functools
    hooks = [layer.register_forward_hook(functools.partial(hook, i=i)) for i, layer in enumerate(layers)]
    block(leaves[0])
    for h in hooks:
        h.remove()
    found = []
    for i in range(len(layers)):
        grads = torch.autograd.grad(inputs[i].sum(), leaves, retain_graph=True, allow_unused=True)
        found.append(tuple(s for s, g in enumerate(grads) if g is not None))
    return found"""
        ),
        "doubled": ("returned[source - 1] + 1", "3 * returned[source - 1] - 0.5"),
        "pre-hooks": WIRING
        + RECORDED.format(
            rest="""found = [() for _ in layers]
    for s in range(len(layers)):
        new, hooks = {}, []
        for j, layer in enumerate(layers):
            hooks.append(layer.register_forward_pre_hook(lambda m, a, j=j: new.update({j: a[0]})))
            value = seen[j][1] - 1 if j == s - 1 else seen[j][1]
            hooks.append(layer.register_forward_hook(lambda m, a, y, value=value: value))
        block(x - 1 if s == 0 else x)
        [h.remove() for h in hooks]
        for i in range(s, len(layers)):
            if (new[i] != seen[i][0]).any():
                found[i] = (*found[i], s)
    return found"""
        ),
    },
}

#: Single slips: what they cost beyond their task is at most a quarter.
SLIPS = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("merge", "last bias of the first"),
        ("merge", "middle transposed"),
        ("dense", "sorted sources"),
        ("dense", "with bias"),
        ("dense", "newest first in the output"),
        ("transition", "edge left out"),
        ("transition", "with bias"),
        ("densenet", "rounded down"),
        ("densenet", "no relu"),
        ("memory", "one copy"),
        ("memory", "the output as well"),
        ("parted", "eps fixed"),
        ("parted", "no padding"),
        ("unet", "pooling that rounds up"),
        ("unet", "the way up first"),
    )
}

#: Errors about the idea, which cost at least half of their task.
CONCEPTUAL = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("merge", "branches mixed in the middle"),
        ("merge", "as a grouped kernel"),
        ("merge", "the first branch only"),
        ("dense", "addition"),
        ("dense", "norm last"),
        ("dense", "everything read"),
        ("dense", "forward never written"),
        ("transition", "convolution first"),
        ("transition", "pooling before the relu"),
        ("densenet", "the last block only"),
        ("densenet", "same growth everywhere"),
        ("densenet", "transition reads the norm"),
        ("memory", "sum of the features"),
        ("memory", "checkpointing does nothing"),
        ("parted", "norm over all channels"),
        ("parted", "first slices for all"),
        ("parted", "relu of the sum"),
        ("unet", "no connections"),
        ("unet", "added always"),
        ("unet", "forward never written"),
    )
}

#: What remains of a task with one error: name -> (answer, the wrong version, points).
REMAINING = {
    f"{task}: {name}": (task, WRONG[task][name], points)
    for task, name, points in (
        ("memory", "checkpointing does nothing", 2.0),
        ("memory", "one copy", 2.0),
        ("parted", "concatenated", 2.0),
        ("unet", "twice the size", 2.0),
    )
}

#: Answers that call an earlier one: no later task of this assignment has a use for one.
CALLING = {}

#: Chapter -> what of it a copyist needs.
CHAPTERS = (
    ("3-residual/4-wide-and-resnext.ipynb", ("grouped_convolution", "block_diagonal", "weights")),
    (
        "3-residual/5-densenet.ipynb",
        ("PlainLayer", "DenseLayer", "DenseBlock", "Transition", "DenseNet", "Append"),
    ),
    ("3-residual/6-unet-and-hourglass.ipynb", ("double", "crop", "UNet")),
)

#: The best that we could make of the chapters with no more thought than it takes to rename things,
#: reorder arguments and call one function with the result of another.
COPY = {
    "merge": MERGE
    + "    a, p, b, q, c, r = zip(*branches)\n    middle = block_diagonal(torch.cat(b), len(b))\n    return torch.cat(a), torch.cat(p), middle, torch.cat(q), torch.cat(c, 1), sum(r)",
    "dense": """
class DenseBlock(nn.Module):
    def __init__(self, in_channels, growth, reads):
        super().__init__()
        self.layers = nn.ModuleList()
        for i in range(len(reads)):
            c = in_channels + i * growth
            self.layers.append(nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, growth, 3, padding=1, bias=False)))
    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, dim=1)))
        return torch.cat(features, dim=1)
""",
    "transition": TRANSITION.format(
        forward="x = self.conv(F.relu(self.norm(x)))\n        return F.avg_pool2d(x, 2)"
    ),
    "densenet": """
class ChapterDenseNet(nn.Module):
    def __init__(self, block, transition, blocks, growth, num_classes, compression):
        super().__init__()
        channels = 2 * growth
        self.conv0 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.blocks, self.transitions, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i, depth in enumerate(blocks):
            self.blocks.append(block(channels, growth, depth))
            channels += depth * growth
            self.norms.append(nn.BatchNorm2d(channels))
            if i < len(blocks) - 1:
                kept = int(compression * channels)
                self.transitions.append(transition(channels, kept))
                channels = kept
        self.classifier = nn.Linear(channels, num_classes)
    def forward(self, x):
        x = self.conv0(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i < len(self.transitions):
                x = self.transitions[i](x)
        return self.classifier(F.relu(self.norms[-1](x)).mean((2, 3)))
DenseNet = ChapterDenseNet
""",
    "memory": MEMORY
    + "    n = len(reads)\n    return 2 * (n * in_channels + growth * n * (n - 1) // 2)",
    "parted": PARTED
    + "    x = torch.cat(features, dim=1)\n    x = F.batch_norm(x, None, None, gamma, beta, True, 0.1, eps)\n    return F.conv2d(F.relu(x), weight, padding=1)",
    "unet": """
class ChapterUNet(UNet):
    def __init__(self, in_channels, num_classes, widths, joins):
        super().__init__(in_channels, num_classes, widths)
UNet = ChapterUNet
""",
    "wiring": WIRING + "    return [tuple(range(i + 1)) for i in range(len(block.layers))]",
}
