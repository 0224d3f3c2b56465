# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A3; see a1.py."""

SHORTCUT = "def shortcut_mean(x, out_channels, stride):\n"
BASIC = """class BasicBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, residual=True):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
BASIC_INIT = """self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu, self.add = nn.ReLU(), residual
        self.downsample = None if not residual or (stride == 1 and in_channels == out_channels) else nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels))"""
BOTTLENECK = """class Bottleneck(nn.Module):
    def __init__(self, in_channels, width, stride=1, dilation=1):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
BOTTLENECK_INIT = """out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, kernel_size=1, bias=False), nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or in_channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))"""
RESNET = """class ResNet(nn.Module):
    def __init__(self, block, blocks=(3, 4, 6, 3), width=64, num_classes=10, dilated=0):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
RESNET_INIT = """self.conv1 = nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.names, arrive, before = [], width, 1
        for i in range(len(blocks)):
            keeps = i >= len(blocks) - dilated
            after = before * 2 if keeps else before
            row = [block(arrive if j == 0 else 4 * width * 2**i, width * 2**i, 2 if i and j == 0 and not keeps else 1, before if j == 0 else after) for j in range(blocks[i])]
            arrive, before = 4 * width * 2**i, after
            self.names.append(f'layer{i + 1}')
            setattr(self, self.names[-1], nn.Sequential(*row))
        self.fc = nn.Linear(arrive, num_classes)"""
INITIALIZE = "def initialize(state):\n"
UNROLL = "def unroll(state, stride=1):\n"
SUM = """class SumBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
    def forward(self, x):
        {sum}
class Stack(nn.Module):
    def __init__(self, channels, depth):
        super().__init__()
        {convs}
    def forward(self, x):
        {stack}
class StartBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        {gain}
    def forward(self, x):
        {start}
"""
PLAIN = "def plain_twin(model):\n"

WRONG = {
    "shortcut": {
        "option A of the chapter": SHORTCUT
        + "    x = x[:, :, ::stride, ::stride]\n    return F.pad(x, (0, 0, 0, 0, 0, out_channels - x.shape[1]))",
        "zeros behind": ("(0, 0, 0, 0, new // 2, new - new // 2)", "(0, 0, 0, 0, 0, new)"),
        "the larger half before": ("new // 2, new - new // 2", "new - new // 2, new // 2"),
        "every stride-th position": (
            "F.avg_pool2d(x, stride, ceil_mode=True)",
            "x[:, :, ::stride, ::stride]",
        ),
        "max pooling": ("F.avg_pool2d(x, stride", "F.max_pool2d(x, stride"),
        "windows at the edge left out": (", ceil_mode=True)", ")"),
        "edge counted as zeros": (
            "F.avg_pool2d(x, stride, ceil_mode=True)",
            "F.avg_pool2d(F.pad(x, (0, -x.shape[3] % stride, 0, -x.shape[2] % stride)), stride)",
        ),
        "windows overlap": (
            "F.avg_pool2d(x, stride, ceil_mode=True)",
            "F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)",
        ),
        "stride always 2": ("F.avg_pool2d(x, stride,", "F.avg_pool2d(x, 2,"),
        "zeros along the width": (
            "(0, 0, 0, 0, new // 2, new - new // 2)",
            "(new // 2, new - new // 2)",
        ),
        "sum for mean": (
            "x = F.avg_pool2d(x, stride, ceil_mode=True)",
            "x = stride**2 * F.avg_pool2d(x, stride, ceil_mode=True)",
        ),
    },
    "basic": {
        "no relu after the addition": (
            "return F.relu(y + (x if self.downsample is None else self.downsample(x)))",
            "return y + (x if self.downsample is None else self.downsample(x))",
        ),
        "relu before the addition": (
            "y = self.bn2(self.conv2(y))",
            "y = F.relu(self.bn2(self.conv2(y)))",
        ),
        "no inner relu": ("y = F.relu(self.bn1(self.conv1(x)))", "y = self.bn1(self.conv1(x))"),
        "norm after relu": ("F.relu(self.bn1(self.conv1(x)))", "self.bn1(F.relu(self.conv1(x)))"),
        "no addition": ("if not self.residual", "if True"),
        "a difference": ("y + (x if", "y - (x if"),
        "stride in the second": (
            "out_channels, 3, stride, 1, bias=False)\n        self.bn1",
            "out_channels, 3, 1, 1, bias=False)\n        self.bn1",
        ),
        "no projection for width": ("stride != 1 or in_channels != out_channels", "stride != 1"),
        "no projection for stride": (
            "stride != 1 or in_channels != out_channels",
            "in_channels != out_channels",
        ),
        "projection always": (
            "if residual and (stride != 1 or in_channels != out_channels):",
            "if residual:",
        ),
        "projection in the plain block": ("if residual and (stride", "if (stride"),
        "the plain block adds": ("if not self.residual:", "if False:"),
        "the plain block without its last ReLU": ("return F.relu(y)\n", "return y\n"),
        "forward never written": BASIC.format(init=BASIC_INIT, forward="raise NotImplementedError"),
        "projection without norm": (
            "1, stride, bias=False),\n                nn.BatchNorm2d(out_channels),",
            "1, stride, bias=False),",
        ),
        "with bias": (
            "self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)",
            "self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1)",
        ),
        "one norm for both": ("y = self.bn2(self.conv2(y))", "y = self.bn1(self.conv2(y))"),
        "input changed in place": (
            "return F.relu(y +",
            "x = F.relu_(x) if self.downsample is None else x\n        return F.relu(y +",
        ),
        "batch statistics always": (
            "y = self.bn2(self.conv2(y))",
            "y = F.batch_norm(self.conv2(y), None, None, self.bn2.weight, self.bn2.bias, True)",
        ),
    },
    "bottleneck": {
        "stride on the first": (
            'nn.Conv2d(in_channels, width, 1, bias=False)\n        self.bn1 = nn.BatchNorm2d(width)\n        around = {"padding": dilation, "dilation": dilation}\n        self.conv2 = nn.Conv2d(width, width, 3, stride,',
            'nn.Conv2d(in_channels, width, 1, stride, bias=False)\n        self.bn1 = nn.BatchNorm2d(width)\n        around = {"padding": dilation, "dilation": dilation}\n        self.conv2 = nn.Conv2d(width, width, 3, 1,',
        ),
        "no dilation": ('{"padding": dilation, "dilation": dilation}', '{"padding": 1}'),
        "padding of 1": ('"padding": dilation', '"padding": 1'),
        "padding without dilation": (', "dilation": dilation}', "}"),
        "dilation twice": ('"dilation": dilation}', '"dilation": 2 * dilation - 1}'),
        "forward never written": BOTTLENECK.format(
            init=BOTTLENECK_INIT, forward="raise NotImplementedError"
        ),
        "no second relu": ("y = F.relu(self.bn2(self.conv2(y)))", "y = self.bn2(self.conv2(y))"),
        "relu before the addition": (
            "y = self.bn3(self.conv3(y))",
            "y = F.relu(self.bn3(self.conv3(y)))",
        ),
        "no relu after the addition": (
            "return F.relu(y + (x if self.downsample is None else self.downsample(x)))",
            "return y + (x if self.downsample is None else self.downsample(x))",
        ),
        "no addition": ("y + (x if self.downsample is None else self.downsample(x))", "y"),
        "no first relu": ("y = F.relu(self.bn1(self.conv1(x)))", "y = self.bn1(self.conv1(x))"),
        "last norm forgotten": ("y = self.bn3(self.conv3(y))", "y = self.conv3(y)"),
        "projection always": ("if stride != 1 or in_channels != 4 * width:", "if True:"),
        "projection for stride only": ("stride != 1 or in_channels != 4 * width", "stride != 1"),
        "a quarter of the input": ("in_channels != 4 * width", "in_channels != width"),
    },
    "resnet": {
        "wide first layer": ("3, width, 3, 1, 1, bias=False", "3, width, 7, 2, 3, bias=False"),
        "max pooling": (
            "for i in range(self.stages):",
            "x = F.max_pool2d(x, 3, 2, 1)\n        for i in range(self.stages):",
        ),
        "stride in layer1": ("1 if i == 0 else 2, dilation", "2, dilation"),
        "no strides": ("1 if i == 0 else 2, dilation", "1, dilation"),
        "a stride in every block": (
            "block(channels, inside, 1, dilation)",
            "block(channels, inside, stride, dilation)",
        ),
        "one block too many": ("range(number - 1)", "range(number)"),
        "always two blocks": ("range(number - 1)", "range(1)"),
        "dilation in the first block as well": (
            "inside, stride, before)",
            "inside, stride, dilation)",
        ),
        "stride kept": ("stride, dilation = 1, 2 * dilation", "dilation = 2 * dilation"),
        "dilation not doubled": ("stride, dilation = 1, 2 * dilation", "stride = 1"),
        "dilation 2 everywhere": ("2 * dilation\n", "2\n"),
        "the first stages dilated": ("if i >= len(blocks) - dilated", "if i < dilated"),
        "one stage too many dilated": (">= len(blocks) - dilated", ">= len(blocks) - dilated - 1"),
        "64 for the width": ("width * 2**i, 1 if", "64 * 2**i, 1 if"),
        "four stages": ("enumerate(blocks)", "enumerate((*blocks, 1, 1)[:4])"),
        "sum for mean": ("x.mean((2, 3))", "x.sum((2, 3))"),
        "max for mean": ("x.mean((2, 3))", "x.amax((2, 3))"),
        "no relu in the stem": (
            "F.relu(self.bn1(self.conv1(x)))\n        for",
            "self.bn1(self.conv1(x))\n        for",
        ),
        "no norm in the stem": (
            "F.relu(self.bn1(self.conv1(x)))\n        for",
            "F.relu(self.conv1(x))\n        for",
        ),
        "probabilities": (
            "return self.fc(x.mean((2, 3)))",
            "return self.fc(x.mean((2, 3))).softmax(1)",
        ),
        "forward never written": RESNET.format(
            init=RESNET_INIT, forward="raise NotImplementedError"
        ),
    },
    "initialize": {
        "fan in": ("value.shape[0] * value.shape[2]", "value.shape[1] * value.shape[2]"),
        "fan of both": (
            "value.shape[0] * value.shape[2] * value.shape[3]",
            "(value.shape[0] + value.shape[1]) / 2 * value.shape[2] * value.shape[3]",
        ),
        "without the kernel": (
            "value.shape[0] * value.shape[2] * value.shape[3]",
            "value.shape[0]",
        ),
        "gain of 1": ("(2 / fan_out) ** 0.5", "(1 / fan_out) ** 0.5"),
        "variance for deviation": ("(2 / fan_out) ** 0.5", "2 / fan_out"),
        "first norm to zero": ('"bn3" if prefix + "conv3.weight" in state else "bn2"', '"bn1"'),
        "always bn2": ('"bn3" if prefix + "conv3.weight" in state else "bn2"', '"bn2"'),
        "basic blocks forgotten": ('"bn3" if prefix + "conv3.weight" in state else "bn2"', '"bn3"'),
        "projections as well": (
            "    return new",
            "    for name in new:\n        if name.endswith('downsample.1.weight'):\n            new[name].fill_(0)\n    return new",
        ),
        "shift for scale": ('last + ".weight"].fill_(0)', 'last + ".bias"].fill_(0)'),
        "shifts left": ('("bias", "running_mean")', '("running_mean",)'),
        "statistics left": ('("weight", "running_var")', '("weight",)'),
        "in place": ("value.clone()", "value"),
        "convolutions left": ("value.normal_(0, (2 / fan_out) ** 0.5)", "pass"),
        "fc as well": (
            'elif "bn" in name or "downsample.1." in name:',
            "elif value.is_floating_point():",
        ),
        "zeroed, then set to one": (
            "    return new",
            "    for name in new:\n        if 'bn' in name and name.endswith('weight'):\n            new[name].fill_(1)\n    return new",
        ),
    },
    "unroll": {
        "shortcut clipped": (
            "    weight1 = torch.cat([kernel1, short, -short])\n    bias1 = torch.cat([shift1, shift, -shift])\n    return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
            "    weight1, bias1 = torch.cat([kernel1, short]), torch.cat([shift1, shift])\n    return weight1, bias1, torch.cat([kernel2, eye], 1), shift2",
        ),
        "no shortcut": (
            "return weight1, bias1, torch.cat([kernel2, eye, -eye], 1)",
            "return weight1, bias1, torch.cat([kernel2, 0 * eye, 0 * eye], 1)",
        ),
        "absolute value": (
            "torch.cat([kernel2, eye, -eye], 1)",
            "torch.cat([kernel2, eye, eye], 1)",
        ),
        "norms not folded": (
            "return scale.view(-1, 1, 1, 1) * conv, bias - scale * mean",
            "return conv, torch.zeros_like(mean)",
        ),
        "mean forgotten": ("bias - scale * mean", "bias"),
        "bias scaled": ("bias - scale * mean", "scale * (bias - mean)"),
        "variance for deviation": ("(var + 1e-5).rsqrt()", "(var + 1e-5).reciprocal()"),
        "eps forgotten": ("(var + 1e-5)", "var"),
        "input channels scaled": (
            "return scale.view(-1, 1, 1, 1) * conv, bias - scale * mean",
            "return scale.mean() * conv, bias - scale * mean",
        ),
        "projection not normalized": (
            'short, shift = folded(state["downsample.0.weight"], "downsample.1")',
            'short, shift = state["downsample.0.weight"], torch.zeros_like(shift1)',
        ),
        "shift of the projection forgotten": (
            "torch.cat([shift1, shift, -shift])",
            "torch.cat([shift1, 0 * shift, 0 * shift])",
        ),
        "sign of the second shift": (
            "torch.cat([shift1, shift, -shift])",
            "torch.cat([shift1, shift, shift])",
        ),
        "identity in a corner": ("F.pad(eye, (1, 1, 1, 1))", "F.pad(eye, (0, 2, 0, 2))"),
        "norms swapped": (
            'folded(state["conv1.weight"], "bn1")',
            'folded(state["conv1.weight"], "bn2")',
        ),
    },
    "repairs": {
        "as they were": "SumBlock, Stack, StartBlock = BrokenSum, BrokenStack, BrokenStart",
        "sum still in place": (
            "return F.relu(x + self.bn(self.conv(F.relu(x))))",
            "x += self.bn(self.conv(F.relu(x)))\n        return F.relu(x)",
        ),
        "relu in place": ("self.conv(F.relu(x))", "self.conv(F.relu_(x))"),
        "no relu at the end": ("return F.relu(x + self.bn", "return (x + self.bn"),
        "copies": (
            "[nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth)]",
            "[nn.Conv2d(channels, channels, 3, padding=1)] * depth",
        ),
        "a list": ("nn.ModuleList(convs)", "convs"),
        "no steps": ("x = x + torch.tanh(step(x))", "x = torch.tanh(step(x))"),
        "still detached": ("return x + self.gain", "return x.detach() + self.gain"),
        "still two zeros": (
            "self.gain = nn.Parameter(torch.zeros(1))",
            "self.gain = nn.Parameter(torch.zeros(1))\n        nn.init.zeros_(self.conv2.weight)\n        nn.init.zeros_(self.conv2.bias)",
        ),
        "gain of 1": ("nn.Parameter(torch.zeros(1))", "nn.Parameter(torch.ones(1))"),
        "gain is no parameter": (
            "self.gain = nn.Parameter(torch.zeros(1))",
            "self.gain = torch.zeros(1)",
        ),
        "branch detached": (
            "self.conv2(F.relu(self.conv1(x)))",
            "self.conv2(F.relu(self.conv1(x.detach())))",
        ),
    },
    "plain": {
        "not a copy": ("copy.deepcopy(model)", "model"),
        "shallow copy": ("copy.deepcopy(model)", "copy.copy(model)"),
        "projections left": (
            "module.downsample = Zero()",
            "module.downsample = module.downsample or Zero()",
        ),
        "identities left": (
            'if hasattr(module, "downsample"):',
            'if getattr(module, "downsample", None) is not None:',
        ),
        "identity for zero": ("return 0.0", "return x"),
        "no shortcut means None": ("module.downsample = Zero()", "module.downsample = None"),
        "nothing done": PLAIN + "    import copy\n    return copy.deepcopy(model)",
        "last norm to zero": ("module.downsample = Zero()", "nn.init.zeros_(module.bn2.weight)"),
        "trained weights lost": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    for p in twin.parameters():\n        nn.init.normal_(p)\n    return twin",
        "the first only": ("twin.modules()", "list(twin.children())[:1]"),
    },
}

RIGHT = {
    "shortcut": {
        "cat": SHORTCUT
        + "    x = F.avg_pool2d(x, stride, stride, ceil_mode=True)\n    n, c, h, w = x.shape\n    k = out_channels - c\n"
        "    return torch.cat([x.new_zeros(n, k // 2, h, w), x, x.new_zeros(n, k - k // 2, h, w)], 1)",
        "adaptive by hand": SHORTCUT
        + "    n, c, h, w = x.shape\n    rows = [x[:, :, i : i + stride] for i in range(0, h, stride)]\n"
        "    x = torch.stack([torch.stack([r[..., j : j + stride].mean((2, 3)) for j in range(0, w, stride)], -1) for r in rows], -2)\n"
        "    k = out_channels - c\n    y = torch.zeros(n, out_channels, *x.shape[2:], dtype=x.dtype)\n    y[:, k // 2 : k // 2 + c] = x\n    return y",
        "sum over count": SHORTCUT
        + "    p = (0, -x.shape[3] % stride, 0, -x.shape[2] % stride)\n    total = F.avg_pool2d(F.pad(x, p), stride)\n"
        "    count = F.avg_pool2d(F.pad(torch.ones_like(x), p), stride)\n    k = out_channels - x.shape[1]\n    return F.pad(total / count, (0, 0, 0, 0, k // 2, k - k // 2))",
        "module and convolution": SHORTCUT
        + "    x = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)(x)\n    c = x.shape[1]\n    w = torch.zeros(out_channels, c, 1, 1, dtype=x.dtype)\n"
        "    for i in range(c):\n        w[(out_channels - c) // 2 + i, i] = 1\n    return F.conv2d(x, w)",
    },
    "basic": {
        "modules": BASIC.format(
            init=BASIC_INIT,
            forward="y = self.relu(self.bn1(self.conv1(x)))\n        y = self.bn2(self.conv2(y))\n        if self.add:\n            y = y + (self.downsample(x) if self.downsample is not None else x)\n        return self.relu(y)",
        ),
        "in place": BASIC.format(
            init=BASIC_INIT,
            forward="y = F.relu(self.bn1(self.conv1(x)), inplace=True)\n        y = self.bn2(self.conv2(y))\n        if self.add:\n            y += self.downsample(x) if self.downsample else x\n        return torch.relu_(y)",
        ),
        "one expression": BASIC.format(
            init=BASIC_INIT,
            forward="d = (self.downsample or (lambda z: z)) if self.add else (lambda z: 0)\n        return (d(x) + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()",
        ),
        "clamped": BASIC.format(
            init=BASIC_INIT,
            forward="y = self.bn2(self.conv2(self.bn1(self.conv1(x)).clamp(min=0)))\n        if self.add:\n            y = torch.add(y, x if self.downsample is None else self.downsample(x))\n        return y.clamp(min=0)",
        ),
    },
    "bottleneck": {
        "modules": BOTTLENECK.format(
            init=BOTTLENECK_INIT,
            forward="s = x if self.downsample is None else self.downsample(x)\n        y = self.bn1(self.conv1(x)).relu()\n        y = self.bn2(self.conv2(y)).relu()\n        return (self.bn3(self.conv3(y)) + s).relu()",
        ),
        "in place": BOTTLENECK.format(
            init=BOTTLENECK_INIT,
            forward="y = F.relu_(self.bn1(self.conv1(x)))\n        y = F.relu_(self.bn2(self.conv2(y)))\n        y = self.bn3(self.conv3(y))\n        y += x if self.downsample is None else self.downsample(x)\n        return F.relu_(y)",
        ),
        "loop": BOTTLENECK.format(
            init=BOTTLENECK_INIT,
            forward="y = x\n        for i in (1, 2, 3):\n            y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))\n            if i < 3:\n                y = F.relu(y)\n        return F.relu(y + (self.downsample(x) if self.downsample else x))",
        ),
        "clamped": BOTTLENECK.format(
            init=BOTTLENECK_INIT,
            forward="y = self.bn2(self.conv2(self.bn1(self.conv1(x)).clamp_min(0))).clamp_min(0)\n        return torch.add(self.bn3(self.conv3(y)), x if self.downsample is None else self.downsample(x)).clamp_min(0)",
        ),
    },
    "resnet": {
        "names": RESNET.format(
            init=RESNET_INIT,
            forward="x = self.bn1(self.conv1(x)).relu()\n        for name in self.names:\n            x = getattr(self, name)(x)\n        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))",
        ),
        "pool and flatten modules": RESNET.format(
            init=RESNET_INIT
            + "\n        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())",
            forward="x = F.relu(self.bn1(self.conv1(x)))\n        for i in range(1, len(self.names) + 1):\n            x = getattr(self, f'layer{i}')(x)\n        return self.fc(self.head(x))",
        ),
        "mean of the flattened": RESNET.format(
            init=RESNET_INIT,
            forward="x = self.bn1(self.conv1(x)).clamp(min=0)\n        for stage in [getattr(self, n) for n in self.names]:\n            x = stage(x)\n        return self.fc(x.flatten(2).mean(-1))",
        ),
        "linear by hand": RESNET.format(
            init=RESNET_INIT,
            forward="x = F.relu(self.bn1(self.conv1(x)))\n        for name, stage in self.named_children():\n            x = stage(x) if name.startswith('layer') else x\n        return torch.einsum('nchw->nc', x) / (x.shape[2] * x.shape[3]) @ self.fc.weight.t() + self.fc.bias",
        ),
    },
    "initialize": {
        "new tensors": INITIALIZE
        + "    new = {}\n    for n, v in state.items():\n        if v.ndim == 4:\n            new[n] = torch.randn_like(v) * (2 / (v.shape[0] * v[0, 0].numel())) ** 0.5\n"
        "        elif ('bn' in n or 'downsample.1.' in n) and 'num_batches' not in n:\n            new[n] = torch.ones_like(v) if n.endswith(('weight', 'var')) else torch.zeros_like(v)\n        else:\n            new[n] = v.clone()\n"
        "        if n.endswith('bn2.weight') and n.replace('bn2', 'conv3') not in state or n.endswith('bn3.weight') and n.replace('bn3', 'conv2') in state:\n            new[n] = 0 * v\n    return new",
        "by kaiming_normal_": INITIALIZE
        + "    new = {n: v.clone() for n, v in state.items()}\n    for n in new:\n        if new[n].dim() == 4:\n            nn.init.kaiming_normal_(new[n], mode='fan_out', nonlinearity='relu')\n"
        "    norms = [n[: -len('running_var')] for n in new if n.endswith('running_var')]\n    for p in norms:\n        for part, value in (('weight', 1), ('bias', 0), ('running_mean', 0), ('running_var', 1)):\n            if p + part in new:\n                new[p + part].fill_(value)\n"
        "    for n in new:\n        if n.endswith('conv2.weight'):\n            p = n[: -len('conv2.weight')]\n            new[p + ('bn3' if p + 'conv3.weight' in new else 'bn2') + '.weight'].zero_()\n    return new",
        "with the dictionary's own copy": INITIALIZE
        + "    import copy\n    new = copy.deepcopy(state)\n    for n in list(new):\n        v = new[n]\n        if v.ndim == 4:\n            new[n] = torch.normal(0.0, (2 / v.shape[0] / v.shape[2] / v.shape[3]) ** 0.5, v.shape, dtype=v.dtype)\n"
        "        elif v.ndim == 1 and not n.startswith('fc'):\n            new[n] = torch.full_like(v, float(n.endswith(('weight', 'running_var'))))\n    blocks = [n.removesuffix('conv2.weight') for n in state if n.endswith('conv2.weight')]\n"
        "    for p in blocks:\n        new[p + 'bn2.weight' if p + 'conv3.weight' not in state else p + 'bn3.weight'] *= 0\n    return new",
        "zeros first": INITIALIZE
        + "    prefixes = {n[:-12] for n in state if n[-12:] == 'conv2.weight'}\n    zero = {p + ('bn3.weight' if p + 'conv3.weight' in state else 'bn2.weight') for p in prefixes}\n    new = {}\n    for n, v in state.items():\n        kind = n.rsplit('.', 1)[-1]\n        norm = 'bn' in n or 'downsample.1.' in n\n"
        "        if v.ndim == 4:\n            new[n] = torch.empty_like(v).normal_().mul_((2 / (v.size(0) * v.size(2) * v.size(3))) ** 0.5)\n        elif n in zero or norm and kind in ('bias', 'running_mean'):\n            new[n] = torch.zeros_like(v)\n        elif norm and kind in ('weight', 'running_var'):\n            new[n] = torch.ones_like(v)\n        else:\n            new[n] = v.detach().clone()\n    return new",
    },
    "unroll": {
        "filled": UNROLL
        + "    def fold(c, n):\n        s = state[n + '.weight'] / torch.sqrt(state[n + '.running_var'] + 1e-5)\n        return state[c] * s[:, None, None, None], state[n + '.bias'] - s * state[n + '.running_mean']\n"
        "    (a, p), (b, q) = fold('conv1.weight', 'bn1'), fold('conv2.weight', 'bn2')\n    C, D = a.shape[:2]\n    w1, b1, w2 = a.new_zeros(3 * C, D, 3, 3), a.new_zeros(3 * C), a.new_zeros(C, 3 * C, 3, 3)\n"
        "    w1[:C], b1[:C], w2[:, :C] = a, p, b\n    if 'downsample.0.weight' in state:\n        k, t = fold('downsample.0.weight', 'downsample.1')\n        k = k[:, :, 0, 0]\n    else:\n        k, t = torch.eye(C, dtype=a.dtype), a.new_zeros(C)\n"
        "    w1[C : 2 * C, :, 1, 1], w1[2 * C :, :, 1, 1], b1[C : 2 * C], b1[2 * C :] = k, -k, t, -t\n    for c in range(C):\n        w2[c, C + c, 1, 1], w2[c, 2 * C + c, 1, 1] = 1, -1\n    return w1, b1, w2, q",
        "signs in front": (
            "    weight1 = torch.cat([kernel1, short, -short])\n    bias1 = torch.cat([shift1, shift, -shift])\n    return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
            "    weight1 = torch.cat([-short, kernel1, short])\n    bias1 = torch.cat([-shift, shift1, shift])\n    return weight1, bias1, torch.cat([-eye, kernel2, eye], 1), shift2",
        ),
        "a large shift": (
            "    weight1 = torch.cat([kernel1, short, -short])\n    bias1 = torch.cat([shift1, shift, -shift])\n    return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
            "    weight1 = torch.cat([kernel1, short])\n    bias1 = torch.cat([shift1, shift + 1e3])\n    return weight1, bias1, torch.cat([kernel2, eye], 1), shift2 - 1e3",
        ),
        "scaled": (
            "    weight1 = torch.cat([kernel1, short, -short])\n    bias1 = torch.cat([shift1, shift, -shift])\n    return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
            "    weight1 = torch.cat([kernel1, 2 * short, -2 * short])\n    bias1 = torch.cat([shift1, 2 * shift, -2 * shift])\n    return weight1, bias1, torch.cat([kernel2, eye / 2, -eye / 2], 1), shift2",
        ),
    },
    "repairs": {
        "clones": SUM.format(
            sum="y = x.clone()\n        y += self.bn(self.conv(F.relu(x)))\n        return y.relu_()",
            convs="self.convs = nn.ModuleList()\n        for _ in range(depth):\n            self.convs.append(nn.Conv2d(channels, channels, 3, padding=1))",
            stack="for i in range(len(self.convs)):\n            x = x + self.convs[i](x).tanh()\n        return x",
            gain="self.gain = nn.Parameter(torch.tensor([0.0]))",
            start="return x + self.conv2(self.conv1(x).relu()) * self.gain",
        ),
        "deep copies": SUM.format(
            sum="return torch.add(x, self.bn(self.conv(x.relu()))).relu()",
            convs="import copy\n        conv = nn.Conv2d(channels, channels, 3, padding=1)\n        self.convs = nn.ModuleList([copy.deepcopy(conv) for _ in range(depth)])",
            stack="h = x\n        for conv in self.convs:\n            h = h + torch.tanh(conv(h))\n        return h",
            gain="self.gain = nn.Parameter(torch.zeros(1))",
            start="branch = self.conv2(F.relu(self.conv1(x)))\n        return self.gain * branch + x",
        ),
        "inherited": "class SumBlock(BrokenSum):\n    def forward(self, x):\n        return super().forward(x.clone())\n"
        "class Stack(BrokenStack):\n    def __init__(self, channels, depth):\n        super().__init__(channels, depth)\n        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))\n"
        "class StartBlock(BrokenStart):\n    def __init__(self, channels):\n        super().__init__(channels)\n        self.conv2.reset_parameters()\n    def forward(self, x):\n        return x + self.gain * self.conv2(F.relu(self.conv1(x)))",
        "sequential": SUM.format(
            sum="shortcut = x\n        x = self.bn(self.conv(F.relu(x)))\n        return F.relu(shortcut + x)",
            convs="self.convs = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth)))",
            stack="for conv in self.convs.children():\n            x = x + torch.tanh(conv(x))\n        return x",
            gain="self.register_parameter('gain', nn.Parameter(torch.zeros(1)))",
            start="return torch.addcmul(x, self.gain, self.conv2(F.relu(self.conv1(x))))",
        ),
    },
    "plain": {
        "forward replaced": PLAIN
        + "    import copy, types\n    twin = copy.deepcopy(model)\n    def basic(self, x):\n        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))\n"
        "    def bottleneck(self, x):\n        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))\n        return F.relu(self.bn3(self.conv3(y)))\n"
        "    for m in twin.modules():\n        if hasattr(m, 'downsample'):\n            m.forward = types.MethodType(bottleneck if hasattr(m, 'conv3') else basic, m)\n    return twin",
        "times zero": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    class Nothing(nn.Module):\n        def __init__(self, old):\n            super().__init__()\n            self.old = old if old is not None else nn.Identity()\n        def forward(self, x):\n            return 0 * self.old(x)\n"
        "    for m in [m for m in twin.modules() if 'downsample' in m.__dict__ or 'downsample' in m._modules]:\n        m.downsample = Nothing(m.downsample)\n    return twin",
        "a scalar": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    class Nothing(nn.Module):\n        def forward(self, x):\n            return torch.zeros((), dtype=x.dtype)\n    for b in twin.modules():\n        if hasattr(b, 'downsample'):\n            setattr(b, 'downsample', Nothing())\n    return twin",
        "sequential": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    def strip(m):\n        for name, child in list(m.named_children()):\n            if hasattr(child, 'downsample'):\n                parts = []\n                for i in (1, 2, 3):\n                    if hasattr(child, f'conv{i}'):\n"
        "                        parts += [getattr(child, f'conv{i}'), getattr(child, f'bn{i}'), nn.ReLU()]\n                setattr(m, name, nn.Sequential(*parts))\n            else:\n                strip(child)\n    if hasattr(twin, 'downsample'):\n        twin = nn.Sequential(twin)\n    strip(twin)\n    return twin.eval() if not model.training else twin",
    },
}

#: Slips: they cost nothing beyond their task, and little even where later answers call earlier ones.
SLIPS = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("shortcut", "the larger half before"),
        ("shortcut", "edge counted as zeros"),
        ("basic", "projection without norm"),
        ("basic", "no projection for stride"),
        ("basic", "with bias"),
        ("bottleneck", "no second relu"),
        ("bottleneck", "padding of 1"),
        ("resnet", "dilation in the first block as well"),
        ("resnet", "no relu in the stem"),
        ("initialize", "shifts left"),
        ("initialize", "in place"),
        ("unroll", "eps forgotten"),
        ("unroll", "sign of the second shift"),
        ("repairs", "gain of 1"),
    )
}

#: Errors about the idea, which cost at least half of their task.
CONCEPTUAL = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("shortcut", "option A of the chapter"),
        ("basic", "no addition"),
        ("basic", "relu before the addition"),
        ("basic", "forward never written"),
        ("bottleneck", "no dilation"),
        ("bottleneck", "no addition"),
        ("bottleneck", "forward never written"),
        ("resnet", "a stride in every block"),
        ("resnet", "forward never written"),
        ("initialize", "fan in"),
        ("initialize", "always bn2"),
        ("initialize", "first norm to zero"),
        ("unroll", "shortcut clipped"),
        ("unroll", "norms not folded"),
        ("unroll", "no shortcut"),
        ("repairs", "as they were"),
    )
}

#: What remains of a task with one error: name -> (answer, the wrong version, points).
REMAINING = {
    f"{task}: {name}": (task, WRONG[task][name], points)
    for task, name, points in (
        ("initialize", "fan in", 2.0),
        ("initialize", "always bn2", 2.0),
        ("unroll", "projection not normalized", 2.0),
        ("repairs", "copies", 3.0),
    )
}

#: Answers that call an earlier one: no later task of this assignment has a use for one.
CALLING = {}

#: Chapter -> what of it a copyist needs.
CHAPTERS = (
    ("3-residual/3-resnet-built.ipynb", ("option_a", "option_b", "Bottleneck", "stage", "ResNet")),
    ("1-depth/2-degradation.ipynb", ("PlainBlock",)),
)

#: The best that we could make of the chapters with no more thought than it takes to rename things,
#: reorder arguments and call one function with the result of another.
COPY = {
    "shortcut": SHORTCUT + "    return option_a(x, out_channels - x.shape[1])",
    "basic": """
class BasicBlock(PlainBlock):
    def __init__(self, in_channels, out_channels, stride=1, residual=True):
        super().__init__(in_channels, out_channels, stride)
        self.residual = residual
        self.downsample = option_b(in_channels, out_channels, stride) if residual else None
    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.residual:
            out = out + (x if self.downsample is None else self.downsample(x))
        return F.relu(out)
""",
    "bottleneck": """
class OwnBottleneck(Bottleneck):
    def __init__(self, in_channels, width, stride=1, dilation=1):
        super().__init__(in_channels, width, stride, option_b(in_channels, 4 * width, stride))
OwnBottleneck, Bottleneck = Bottleneck, OwnBottleneck
""",
    "resnet": """
class ChapterResNet(ResNet):
    def __init__(self, block, blocks=(3, 4, 6, 3), width=64, num_classes=10, dilated=0):
        super().__init__(blocks, num_classes)
ResNet = ChapterResNet
""",
    "initialize": INITIALIZE
    + "    for value in state.values():\n        if value.ndim == 4:\n            nn.init.kaiming_normal_(value, mode='fan_out')\n    return state",
    "unroll": UNROLL
    + "    return state['conv1.weight'], state['bn1.bias'], state['conv2.weight'], state['bn2.bias']",
    "repairs": SUM.format(
        sum="return F.relu(x + self.bn(self.conv(F.relu(x))))",
        convs="self.convs = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth)))",
        stack="for conv in self.convs:\n            x = x + torch.tanh(conv(x))\n        return x",
        gain="self.gain = nn.Parameter(torch.zeros(1))\n        nn.init.zeros_(self.conv2.weight)",
        start="return x.detach() + self.gain * self.conv2(F.relu(self.conv1(x)))",
    ),
    "plain": PLAIN + "    return model",
}
