# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A3; see a1.py."""

SHORTCUT = "def shortcut_a(x, out_channels, stride):\n"
BASIC = """class BasicBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
BASIC_INIT = """self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample = None if stride == 1 and in_channels == out_channels else nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels))"""
BOTTLENECK = """class Bottleneck(nn.Module):
    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
BOTTLENECK_INIT = """out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, kernel_size=1, bias=False), nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or in_channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))"""
RESNET = """class ResNet18(nn.Module):
    def __init__(self, num_classes=10, widths=(64, 128, 256, 512)):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
RESNET_INIT = """a, b, c, d = widths
        self.conv1 = nn.Conv2d(3, a, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(a)
        self.layer1 = nn.Sequential(BasicBlock(a, a), BasicBlock(a, a))
        self.layer2 = nn.Sequential(BasicBlock(a, b, 2), BasicBlock(b, b))
        self.layer3 = nn.Sequential(BasicBlock(b, c, 2), BasicBlock(c, c))
        self.layer4 = nn.Sequential(BasicBlock(c, d, 2), BasicBlock(d, d))
        self.fc = nn.Linear(d, num_classes)"""
INITIALIZE = "def initialize(model):\n"
PLAIN = "def plain_twin(model):\n"

WRONG = {
    "shortcut": {
        "zeros before": (
            "(0, 0, 0, 0, 0, out_channels - x.shape[1])",
            "(0, 0, 0, 0, out_channels - x.shape[1], 0)",
        ),
        "zeros on both sides": SHORTCUT
        + "    x = x[:, :, ::stride, ::stride]\n    n = out_channels - x.shape[1]\n    return F.pad(x, (0, 0, 0, 0, n // 2, n - n // 2))",
        "mean pooling": ("x[:, :, ::stride, ::stride]", "F.avg_pool2d(x, stride, ceil_mode=True)"),
        "max pooling": ("x[:, :, ::stride, ::stride]", "F.max_pool2d(x, stride, ceil_mode=True)"),
        "floor": (
            "x[:, :, ::stride, ::stride]",
            "x[:, :, : x.shape[2] // stride * stride : stride, : x.shape[3] // stride * stride : stride]",
        ),
        "offset by one": (
            "x[:, :, ::stride, ::stride]",
            "x[:, :, stride - 1 :: stride, stride - 1 :: stride]",
        ),
        "height only": ("::stride, ::stride]", "::stride, :]"),
        "channels repeated": (
            "F.pad(x, (0, 0, 0, 0, 0, out_channels - x.shape[1]))",
            "torch.cat([x] * 5, 1)[:, :out_channels]",
        ),
        "stride always 2": ("::stride, ::stride", "::2, ::2"),
        "too many zeros": ("out_channels - x.shape[1]", "out_channels"),
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
        "no addition": ("y + (x if self.downsample is None else self.downsample(x))", "y"),
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
        "projection always": ("if stride != 1 or in_channels != out_channels:", "if True:"),
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
            "nn.Conv2d(in_channels, width, 1, bias=False)\n        self.bn1 = nn.BatchNorm2d(width)\n        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)",
            "nn.Conv2d(in_channels, width, 1, stride, bias=False)\n        self.bn1 = nn.BatchNorm2d(width)\n        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)",
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
        "no padding made up": (
            "width, 3, stride, 1, bias=False",
            "width, 3, stride, 0, bias=False",
        ),
        "a quarter of the input": ("in_channels != 4 * width", "in_channels != width"),
    },
    "resnet": {
        "wide first layer": ("widths[0], 3, 1, 1, bias=False", "widths[0], 7, 2, 3, bias=False"),
        "max pooling": (
            "for layer in (self.layer1",
            "x = F.max_pool2d(x, 3, 2, 1)\n        for layer in (self.layer1",
        ),
        "stride in layer1": ("1 if i == 1 else 2", "2"),
        "no strides": ("1 if i == 1 else 2", "1"),
        "one block a stage": (", BasicBlock(width, width))", ")"),
        "three blocks a stage": (
            ", BasicBlock(width, width))",
            ", BasicBlock(width, width), BasicBlock(width, width))",
        ),
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
        "layer3 twice": ("self.layer3, self.layer4)", "self.layer3, self.layer4[1:], self.layer4)"),
    },
    "initialize": {
        "fan in": ("fan_out", "fan_in"),
        "xavier": (
            'nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")',
            "nn.init.xavier_normal_(module.weight)",
        ),
        "linear gain": ('nonlinearity="relu"', 'nonlinearity="linear"'),
        "first norm to zero": (
            "module.bn2 if isinstance(module, BasicBlock)",
            "module.bn1 if isinstance(module, BasicBlock)",
        ),
        "bottlenecks forgotten": (
            "isinstance(module, (BasicBlock, Bottleneck)):\n            last",
            "isinstance(module, BasicBlock):\n            last",
        ),
        "all norms to zero": ("nn.init.ones_(module.weight)", "nn.init.zeros_(module.weight)"),
        "shift for scale": ("nn.init.zeros_(last.weight)", "nn.init.zeros_(last.bias)"),
        "shifts left": ("nn.init.zeros_(module.bias)", "pass"),
        "no count": ("return count", "return len(list(model.modules()))"),
        "zeroed, then set to one": (
            "    return count",
            "    for module in model.modules():\n        if isinstance(module, nn.BatchNorm2d):\n            nn.init.ones_(module.weight)\n    return count",
        ),
        "convolutions left": (
            'nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")',
            "pass",
        ),
    },
    "plain": {
        "not a copy": ("copy.deepcopy(model)", "model"),
        "shallow copy": ("copy.deepcopy(model)", "copy.copy(model)"),
        "downsampling left": (
            "module.downsample = Zero()",
            "module.downsample = module.downsample or Zero()",
        ),
        "bottlenecks forgotten": (
            "isinstance(module, (BasicBlock, Bottleneck))",
            "isinstance(module, BasicBlock)",
        ),
        "identity for zero": ("return 0.0", "return x"),
        "nothing done": PLAIN + "    import copy\n    return copy.deepcopy(model)",
        "last norm to zero": ("module.downsample = Zero()", "nn.init.zeros_(module.bn2.weight)"),
        "trained weights lost": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    for p in twin.parameters():\n        nn.init.normal_(p)\n    return twin",
        "top level only": ("twin.modules()", "twin.children()"),
    },
}

RIGHT = {
    "shortcut": {
        "cat": SHORTCUT
        + "    x = x[..., ::stride, ::stride]\n    n, c, h, w = x.shape\n    return torch.cat([x, x.new_zeros(n, out_channels - c, h, w)], 1)",
        "one by one pooling": SHORTCUT
        + "    x = F.avg_pool2d(x, 1, stride)\n    return F.pad(x, (0, 0, 0, 0, 0, out_channels - x.shape[1]))",
        "filled": SHORTCUT
        + "    s = x[:, :, ::stride, ::stride]\n    y = torch.zeros(x.shape[0], out_channels, *s.shape[2:], dtype=x.dtype, device=x.device)\n    y[:, : x.shape[1]] = s\n    return y",
        "convolution": SHORTCUT
        + "    w = torch.eye(out_channels, x.shape[1], dtype=x.dtype)[:, :, None, None]\n    return F.conv2d(x, w, stride=stride)",
    },
    "basic": {
        "modules": BASIC.format(
            init=BASIC_INIT,
            forward="shortcut = self.downsample(x) if self.downsample is not None else x\n        y = self.relu(self.bn1(self.conv1(x)))\n        y = self.bn2(self.conv2(y))\n        return self.relu(y + shortcut)",
        ),
        "in place": BASIC.format(
            init=BASIC_INIT,
            forward="y = F.relu(self.bn1(self.conv1(x)), inplace=True)\n        y = self.bn2(self.conv2(y))\n        y += self.downsample(x) if self.downsample else x\n        return torch.relu_(y)",
        ),
        "one expression": BASIC.format(
            init=BASIC_INIT,
            forward="d = self.downsample or (lambda z: z)\n        return (d(x) + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()",
        ),
        "clamped": BASIC.format(
            init=BASIC_INIT,
            forward="y = self.bn1(self.conv1(x)).clamp(min=0)\n        y = torch.add(self.bn2(self.conv2(y)), x if self.downsample is None else self.downsample(x))\n        return y.clamp(min=0)",
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
        "written out": RESNET.format(
            init=RESNET_INIT,
            forward="x = self.bn1(self.conv1(x)).relu()\n        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))\n        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))",
        ),
        "pool and flatten modules": RESNET.format(
            init=RESNET_INIT
            + "\n        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())",
            forward="x = F.relu(self.bn1(self.conv1(x)))\n        for i in range(1, 5):\n            x = getattr(self, f'layer{i}')(x)\n        return self.fc(self.head(x))",
        ),
        "mean of the flattened": RESNET.format(
            init=RESNET_INIT,
            forward="x = self.bn1(self.conv1(x)).clamp(min=0)\n        for stage in [self.layer1, self.layer2, self.layer3, self.layer4]:\n            x = stage(x)\n        return self.fc(x.flatten(2).mean(-1))",
        ),
        "linear by hand": RESNET.format(
            init=RESNET_INIT,
            forward="x = F.relu(self.bn1(self.conv1(x)))\n        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))\n        return torch.einsum('nchw->nc', x) / (x.shape[2] * x.shape[3]) @ self.fc.weight.t() + self.fc.bias",
        ),
    },
    "initialize": {
        "by hand": INITIALIZE
        + "    blocks = 0\n    with torch.no_grad():\n        for m in model.modules():\n            if isinstance(m, nn.Conv2d):\n                m.weight.normal_(0, (2 / (m.out_channels * m.kernel_size[0] * m.kernel_size[1])) ** 0.5)\n"
        "            if isinstance(m, nn.BatchNorm2d):\n                m.weight.fill_(1), m.bias.fill_(0)\n        for m in model.modules():\n            if isinstance(m, BasicBlock):\n                m.bn2.weight.zero_(); blocks += 1\n"
        "            if isinstance(m, Bottleneck):\n                m.bn3.weight.zero_(); blocks += 1\n    return blocks",
        "apply": INITIALIZE
        + "    model.apply(lambda m: nn.init.kaiming_normal_(m.weight, mode='fan_out', nonlinearity='relu') if isinstance(m, nn.Conv2d) else m.reset_parameters() if isinstance(m, nn.BatchNorm2d) else None)\n"
        "    blocks = [m for m in model.modules() if isinstance(m, (BasicBlock, Bottleneck))]\n    for b in blocks:\n        nn.init.constant_((b.bn3 if hasattr(b, 'bn3') else b.bn2).weight, 0)\n    return len(blocks)",
        "constants": INITIALIZE
        + "    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]\n    for m in norms:\n        nn.init.constant_(m.weight, 1.0), nn.init.constant_(m.bias, 0.0)\n"
        "    for m in model.modules():\n        if isinstance(m, nn.Conv2d):\n            nn.init.kaiming_normal_(m.weight, mode='fan_out', nonlinearity='relu')\n    blocks = [m for m in model.modules() if type(m).__name__ in ('BasicBlock', 'Bottleneck')]\n"
        "    for b in blocks:\n        last = getattr(b, 'bn3', None) or b.bn2\n        last.weight.data.zero_()\n    return len(blocks)",
        "data replaced": INITIALIZE
        + "    n = 0\n    for m in model.modules():\n        if isinstance(m, nn.Conv2d):\n            fan = m.weight.shape[0] * m.weight[0, 0].numel()\n            m.weight.data = torch.randn_like(m.weight) * (2 / fan) ** 0.5\n"
        "        elif isinstance(m, nn.BatchNorm2d):\n            m.weight.data, m.bias.data = torch.ones_like(m.weight), torch.zeros_like(m.bias)\n    for m in model.modules():\n        if isinstance(m, (BasicBlock, Bottleneck)):\n"
        "            norm = m.bn2 if isinstance(m, BasicBlock) else m.bn3\n            norm.weight.data = torch.zeros_like(norm.weight)\n            n += 1\n    return n",
    },
    "plain": {
        "forward replaced": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    def basic(self, x):\n        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))\n"
        "    def bottleneck(self, x):\n        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))\n        return F.relu(self.bn3(self.conv3(y)))\n    import types\n"
        "    for m in twin.modules():\n        if isinstance(m, BasicBlock):\n            m.forward = types.MethodType(basic, m)\n        elif isinstance(m, Bottleneck):\n            m.forward = types.MethodType(bottleneck, m)\n    return twin",
        "lambda": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    for m in twin.modules():\n        if isinstance(m, (BasicBlock, Bottleneck)):\n            m.downsample = None\n            m.__dict__['downsample'] = lambda x: 0\n            m._modules.pop('downsample', None)\n    return twin",
        "hook": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    class Nothing(nn.Module):\n        def forward(self, x):\n            return torch.zeros((), dtype=x.dtype)\n    for b in [m for m in twin.modules() if isinstance(m, (BasicBlock, Bottleneck))]:\n        b.downsample = Nothing()\n    return twin",
        "sequential": PLAIN
        + "    import copy\n    twin = copy.deepcopy(model)\n    def strip(m):\n        for name, child in list(m.named_children()):\n            if isinstance(child, (BasicBlock, Bottleneck)):\n                parts = []\n                for i in (1, 2, 3):\n                    if hasattr(child, f'conv{i}'):\n"
        "                        parts += [getattr(child, f'conv{i}'), getattr(child, f'bn{i}'), nn.ReLU()]\n                setattr(m, name, nn.Sequential(*parts))\n            else:\n                strip(child)\n    if isinstance(twin, (BasicBlock, Bottleneck)):\n        twin = nn.Sequential(twin)\n    strip(twin)\n    return twin.eval() if not model.training else twin",
    },
}
