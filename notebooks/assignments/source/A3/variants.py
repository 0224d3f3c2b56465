"""Conventions of A3; :mod:`resnorm.course.variants` explains their form."""

MAXIMUM = {
    "953c8c06": [
        (
            "Write another form, which uses every position and treats both ends alike:",
            "Write another form, which looks at every position and puts the new channels in front:",
        ),
        (
            "every output is the *mean* of a window of `stride` × `stride` positions. The windows do not overlap. A window that reaches over the right or lower edge is the mean of the positions that are there;",
            "every output is the *maximum* of a window of `stride` × `stride` positions. The windows do not overlap. A window that reaches over the right or lower edge gives the maximum of the positions that are there;",
        ),
        (
            "of the $k$ new channels, which are zero, $\\lfloor k/2\\rfloor$ stand before the old ones and the rest behind them.",
            "the new channels, which are zero, all stand *before* the old ones.",
        ),
        (
            "`F.avg_pool2d` has an argument that keeps the windows at the edge. Check on a row of ones that their mean is 1.",
            "`F.max_pool2d` has an argument that keeps the windows at the edge. Check on a row of negative numbers that no maximum is 0.",
        ),
        (
            "`F.avg_pool2d(x, stride, ceil_mode=True)`",
            "`F.max_pool2d(x, stride, ceil_mode=True)`",
        ),
    ],
    "shortcut": [
        ("shortcut_mean", "shortcut_max"),
        ("F.avg_pool2d", "F.max_pool2d"),
        ("(0, 0, 0, 0, new // 2, new - new // 2)", "(0, 0, 0, 0, new, 0)"),
    ],
    "test_shortcut": [
        ("shortcut_mean", "shortcut_max"),
        (
            "zero, means = torch.zeros(1, 1, 2, 2), torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]])",
            "zero, largest = torch.zeros(1, 1, 2, 2), torch.tensor([[[[5.0, 7.0], [13.0, 15.0]]]])",
        ),
        (
            "torch.cat([zero, means, zero, zero], 1)",
            "torch.cat([zero, zero, zero, largest], 1)",
        ),
        (
            "three new channels, one of them before the old one",
            "three new channels, all before the old one",
        ),
        (
            "torch.tensor([[[[2.5, 4.0], [8.5, 10.0]]]])",
            "torch.tensor([[[[5.0, 6.0], [9.0, 10.0]]]])",
        ),
    ],
}
ZEROS = {
    "953c8c06": [
        (
            "Write another form, which uses every position and treats both ends alike:",
            "Write another form, which uses every position and treats both ends nearly alike:",
        ),
        (
            "A window that reaches over the right or lower edge is the mean of the positions that are there;",
            "Beyond the right and the lower edge stand zeros, and where a window reaches over the edge, they count like all other values;",
        ),
        ("$\\lfloor k/2\\rfloor$ stand", "$\\lceil k/2\\rceil$ stand"),
        (
            "`F.avg_pool2d` has an argument that keeps the windows at the edge. Check on a row of ones that their mean is 1.",
            "`F.avg_pool2d` leaves out a window that does not fit. How many rows and columns of zeros make all windows fit?",
        ),
        (
            "`F.avg_pool2d(x, stride, ceil_mode=True)`, then `F.pad`, whose pairs run from the last axis to the first. The third pair is that of the channels.",
            "Below the image, `-H % stride` rows are missing. `F.pad` adds them and the new channels in one call. Its pairs run from the last axis to the first, so the third pair is that of the channels. Then `F.avg_pool2d(x, stride)`.",
        ),
    ],
    "shortcut": [
        (
            "    x = F.avg_pool2d(x, stride, ceil_mode=True)\n    new = out_channels - x.shape[1]\n    return F.pad(x, (0, 0, 0, 0, new // 2, new - new // 2))",
            "    new = out_channels - x.shape[1]\n    below, right = -x.shape[2] % stride, -x.shape[3] % stride\n    x = F.pad(x, (0, right, 0, below, new - new // 2, new // 2))\n    return F.avg_pool2d(x, stride)",
        ),
    ],
    "test_shortcut": [
        (
            "torch.cat([zero, means, zero, zero], 1)",
            "torch.cat([zero, zero, means, zero], 1)",
        ),
        (
            "three new channels, one of them before",
            "three new channels, two of them before",
        ),
        (
            "torch.tensor([[[[2.5, 4.0], [8.5, 10.0]]]])",
            "torch.tensor([[[[2.5, 2.0], [4.25, 2.5]]]])",
        ),
        (
            "a side of 3: windows of 4, 2, 2 and 1 positions",
            "a side of 3: windows with 0, 2, 2 and 3 zeros",
        ),
    ],
}

MADE = "    theirs = fill(library(8, width, stride, down, dilation=dilation).double(), 4)\n"
NET = "    mine = ResNet(Bottleneck, (1, 2, 1, 2), dilated=2)\n"
FIRST_STRIDES = {
    "186885fc": [
        (
            "1 × 1 to `width`, 3 × 3 with the stride, 1 × 1 to `4 * width`;",
            "1 × 1 to `width` with the stride, 3 × 3, 1 × 1 to `4 * width`, as the paper has it ([He et al., 2016](https://arxiv.org/abs/1512.03385); torchvision moves the stride to the 3 × 3 convolution);",
        ),
    ],
    "bottleneck": [
        (
            "nn.Conv2d(in_channels, width, 1, bias=False)",
            "nn.Conv2d(in_channels, width, 1, stride, bias=False)",
        ),
        (
            "nn.Conv2d(width, width, 3, stride, **around",
            "nn.Conv2d(width, width, 3, 1, **around",
        ),
    ],
    "test_bottleneck": [
        (
            MADE,
            f"{MADE}    theirs.conv1.stride, theirs.conv2.stride = (stride, stride), (1, 1)\n",
        ),
    ],
    "stand_in": [
        (
            NET,
            "    for block in theirs.modules():\n"
            "        if isinstance(block, resnet.Bottleneck):  # the stride comes first here\n"
            "            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)\n"
            f"{NET}",
        ),
    ],
}
POOLED = {
    "186885fc": [
        (
            "Attributes as before, with `conv3` and `bn3`.",
            "Attributes as before, with `conv3` and `bn3`. But where the shape changes, `downsample` has *three* parts, as in ResNet-D ([He et al., 2019](https://arxiv.org/abs/1812.01187)), so that no position is thrown away: `nn.AvgPool2d(stride, ceil_mode=True)`, a 1 × 1 convolution without bias and without a stride, and a batch norm.",
        ),
    ],
    "bottleneck": [
        (
            "                nn.Conv2d(in_channels, 4 * width, 1, stride, bias=False),\n",
            "                nn.AvgPool2d(stride, ceil_mode=True),\n                nn.Conv2d(in_channels, 4 * width, 1, bias=False),\n",
        ),
    ],
    "test_bottleneck": [
        (
            "        down = nn.Sequential(nn.Conv2d(8, outside, 1, stride, bias=False))\n",
            "        down = nn.Sequential(nn.AvgPool2d(stride, ceil_mode=True))\n        down.append(nn.Conv2d(8, outside, 1, bias=False))\n",
        ),
    ],
    "stand_in": [
        (
            NET,
            "    for block in theirs.modules():\n"
            "        if isinstance(block, resnet.Bottleneck) and block.downsample:\n"
            "            conv, norm = block.downsample\n"
            "            pool = nn.AvgPool2d(conv.stride, ceil_mode=True)\n"
            "            block.downsample, conv.stride = nn.Sequential(pool, conv, norm), (1, 1)\n"
            f"{NET}",
        ),
    ],
}

FAN_IN = {
    "69dd2457": [
        (
            "He's variance for fan *out*, $2/(\\text{out channels}\\cdot\\text{height}\\cdot\\text{width of the kernel})$, which keeps the *backward* pass in size.",
            "He's variance for fan *in*, $2/(\\text{in channels}\\cdot\\text{height}\\cdot\\text{width of the kernel})$, which keeps the *forward* pass in size.",
        ),
        (
            "Fan *out* counts the outputs that one input value reaches: which of the four numbers does not enter?",
            "Fan *in* counts the inputs that are added up for one output value: which of the four numbers does not enter?",
        ),
    ],
    "initialize": [
        (
            "fan_out = value.shape[0] * value.shape[2] * value.shape[3]",
            "fan_in = value[0].numel()",
        ),
        ("(2 / fan_out)", "(2 / fan_in)"),
    ],
    "spread": [
        ("He's initialization for fan out", "He's initialization for fan in"),
        (
            "fan_out = kernel.shape[0] * kernel[0, 0].numel()",
            "fan_in = kernel[0].numel()",
        ),
        ("(2 / fan_out)", "(2 / fan_in)"),
    ],
    "test_fan_out": [
        ("over He's for fan out, which is 1", "over He's for fan in, which is 1")
    ],
}
LECUN = {
    "69dd2457": [
        (
            "independent normal values with mean 0 and He's variance for fan *out*, $2/(\\text{out channels}\\cdot\\text{height}\\cdot\\text{width of the kernel})$, which keeps the *backward* pass in size.",
            "independent normal values with mean 0 and LeCun's variance, one over the fan *in*, $1/(\\text{in channels}\\cdot\\text{height}\\cdot\\text{width of the kernel})$. It is the default of Flax, and without ReLUs it keeps the *forward* pass in size.",
        ),
        (
            "Fan *out* counts the outputs that one input value reaches: which of the four numbers does not enter?",
            "Fan *in* counts the inputs that are added up for one output value: which of the four numbers does not enter?",
        ),
    ],
    "initialize": [
        (
            "fan_out = value.shape[0] * value.shape[2] * value.shape[3]",
            "fan_in = value[0].numel()",
        ),
        ("(2 / fan_out) ** 0.5", "fan_in**-0.5"),
    ],
    "spread": [
        ("spread_over_he", "spread_over_lecun"),
        ("that of He's initialization for fan out", "that of LeCun's initialization"),
        (
            "fan_out = kernel.shape[0] * kernel[0, 0].numel()",
            "fan_in = kernel[0].numel()",
        ),
        ("/ (2 / fan_out)", "* fan_in"),
    ],
    "test_fan_out": [
        ("spread_over_he", "spread_over_lecun"),
        ("over He's for fan out, which is 1", "over LeCun's, which is 1"),
        (
            "the spread of 1.conv3.weight over He's, and the old value that you were given",
            "the spread of 1.conv3.weight over LeCun's, and the old value of it",
        ),
    ],
}

LEAKY_LAYERS = [
    (
        "F.relu(F.conv2d(x, weight1, bias1, stride, padding=1))",
        "F.leaky_relu(F.conv2d(x, weight1, bias1, stride, padding=1), 0.1)",
    ),
    (
        "F.relu(F.conv2d(h, weight2, bias2, 1, padding=1))",
        "F.leaky_relu(F.conv2d(h, weight2, bias2, 1, padding=1), 0.1)",
    ),
]
LEAKY = {
    "a3-task-6": [
        *LEAKY_LAYERS,
        (
            "is the output of the block *in evaluation*. These two lines hold two 3 × 3 convolutions and two ReLUs,",
            "is the output of the block *in evaluation*, whose two ReLUs are leaky as well, with the slope 0.1 for negative values. (With the slope 0 it is the block of Task 8.) These two lines hold two 3 × 3 convolutions and two leaky ReLUs,",
        ),
    ],
    "a3-task-6-hints": [
        ("What does `F.relu` do to", "What does a leaky ReLU do to"),
        (
            "For every number $s=\\mathrm{relu}(s)-\\mathrm{relu}(-s)$. So let",
            "With $f$ for the leaky ReLU, $f(s)-f(-s)$ is the same multiple of $s$ for every number $s$. So let",
        ),
        (
            "the identity, and minus the identity, both with their ones in the middle of the 3 × 3 kernel.",
            "the identity, and minus the identity, both divided by the multiple of hint 3, in the middle of the 3 × 3 kernel.",
        ),
    ],
    "unroll": [
        (
            "A basic block in evaluation as two plain convolutions.",
            "A basic block with leaky ReLUs in evaluation as two plain convolutions.",
        ),
        (
            "return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
            "eye = eye / 1.1  # f(s) - f(-s) is 1.1 s\n    return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
        ),
    ],
    "plain_layers": LEAKY_LAYERS,
    "test_unroll": [
        (
            "fill(torchvision.models.resnet.BasicBlock(3, 3).double(), 80).eval()\n",
            "fill(torchvision.models.resnet.BasicBlock(3, 3).double(), 80).eval()\nblock.relu = nn.LeakyReLU(0.1)\n",
        ),
        (
            "    fill(block.double(), seed)\n",
            "    fill(block.double(), seed)\n    block.relu = nn.LeakyReLU(0.1)\n",
        ),
    ],
    "test_unroll_projection": [
        (
            "    block = fill(block.double(), 90).eval()\n",
            "    block = fill(block.double(), 90).eval()\n    block.relu = nn.LeakyReLU(0.1)\n",
        ),
        (
            "    fill(block.double(), seed)\n",
            "    fill(block.double(), seed)\n    block.relu = nn.LeakyReLU(0.1)\n",
        ),
    ],
}
OTHER_LAYOUT = [
    ("F.conv2d(x, weight1, ", "F.conv2d(x, weight1.permute(3, 2, 0, 1), "),
    ("F.conv2d(h, weight2, ", "F.conv2d(h, weight2.permute(3, 2, 0, 1), "),
]
JAX_KERNELS = {
    "a3-task-6": [
        *OTHER_LAYOUT,
        (
            "is the output of the block *in evaluation*.",
            "is the output of the block *in evaluation*. The state holds kernels as PyTorch has them, (out, in, h, w), and the two that you return are for JAX, (h, w, in, out).",
        ),
    ],
    "a3-task-6-hints": [
        (
            "both with their ones in the middle of the 3 × 3 kernel.",
            "both with their ones in the middle of the 3 × 3 kernel. Build all of it in PyTorch's layout, and change the layout at the end.",
        ),
    ],
    "unroll": [
        (
            "Returns weight1, bias1, weight2, bias2.",
            "Returns weight1, bias1, weight2, bias2, with\n    kernels of the shape (h, w, in, out).",
        ),
        (
            "return weight1, bias1, torch.cat([kernel2, eye, -eye], 1), shift2",
            "weight2 = torch.cat([kernel2, eye, -eye], 1)\n    weight1, weight2 = (w.permute(2, 3, 1, 0) for w in (weight1, weight2))\n    return weight1, bias1, weight2, shift2",
        ),
    ],
    "plain_layers": [
        (
            "    h = F.relu(F.conv2d(x, weight1, bias1",
            "    weight1, weight2 = (w.permute(3, 2, 0, 1) for w in (weight1, weight2))\n    h = F.relu(F.conv2d(x, weight1, bias1",
        ),
    ],
    "test_unroll": [
        (
            'name="the plain layers, no x negative"',
            'name="the layers of JAX\'s kernels, no x negative"',
        )
    ],
    "test_unroll_projection": [
        ("the plain layers, {sizes[0]}", "JAX's kernels, {sizes[0]}")
    ],
}

CONVENTIONS = {
    "shortcut without parameters": {
        "the maximum, new channels in front": MAXIMUM,
        "zeros at the edge": ZEROS,
    },
    "bottleneck": {
        "the first convolution has the stride": FIRST_STRIDES,
        "the shortcut is pooled": POOLED,
    },
    "initialization": {
        "He's for fan in": FAN_IN,
        "LeCun's": LECUN,
    },
    "plain layers": {
        "leaky ReLUs": LEAKY,
        "JAX's kernels": JAX_KERNELS,
    },
}
