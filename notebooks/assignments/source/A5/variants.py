"""Conventions of A5; :mod:`resnorm.course.variants` explains their form."""

CONCATENATED = {
    "2acaf9a6": [
        (
            "Here every branch has a width of its own, as in the blocks of Inception (which concatenate their branches instead of adding them), so no number of groups fits.",
            "The blocks of Inception concatenate their branches instead of adding them, and each branch has a width of its own, so no number of groups fits. Here we do the same.",
        ),
        (
            "and of a 1 × 1 convolution to the block's output channels.",
            "and of a 1 × 1 convolution to the branch's output channels, of which every branch has equally many.",
        ),
        (
            "The block is the *sum* of its branches, without a shortcut and without a ReLU behind the sum.",
            "The block is the *concatenation* of what its branches return, in their order, without a shortcut and without a ReLU at the end.",
        ),
        (
            "At the end the branches are added: where does that happen in the last kernel, and what becomes of the biases?",
            "At the end the outputs stand side by side, too: which inputs may an output channel of the last kernel read?",
        ),
        (
            "Concatenate the first kernels along their outputs (axis 0) and the last ones along their inputs (axis 1). The middle kernel is zero but for one square of channels per branch. The last bias is the *sum* of the branches' last biases.",
            "Concatenate the first kernels along their outputs (axis 0), and all three kinds of biases. The middle kernel is zero but for one square of channels per branch, and the last one is zero but for one rectangle of channels per branch.",
        ),
    ],
    "merge": [
        (
            "Returns six tensors.",
            "Returns six tensors.\n\n    Their chain computes the concatenation of the branches.\n    ",
        ),
        (
            "    weight1, weight3 = torch.cat(first), torch.cat(last, 1)\n    return weight1, torch.cat(bias1), weight2, torch.cat(bias2), weight3, sum(bias3)",
            "    weight1, weight3 = torch.cat(first), torch.block_diag(*(w[..., 0, 0] for w in last))\n    weight3, bias3 = weight3[..., None, None], torch.cat(bias3)\n    return weight1, torch.cat(bias1), weight2, torch.cat(bias2), weight3, bias3",
        ),
    ],
    "test_merge": [
        (
            "expected = sum(chain(x, branch) for branch in branches)",
            "expected = torch.cat([chain(x, branch) for branch in branches], 1)",
        ),
        ("the block with branches of", "the concatenation of branches of"),
    ],
}
PARTS = {
    "2acaf9a6": [
        (
            "Here every branch has a width of its own, as in the blocks of Inception (which concatenate their branches instead of adding them), so no number of groups fits.",
            "Here every branch has a width of its own, and it reads its own part of the input, so no number of groups fits.",
        ),
        (
            "of a 1 × 1 convolution to $d$ channels,",
            "of a 1 × 1 convolution from $c$ to $d$ channels,",
        ),
        (
            "The block is the *sum* of its branches,",
            "The number $c$ is the same for all branches, and the block's input has $c$ channels for each of them: the first branch reads the first $c$ channels, the second branch the next $c$, and so on. The block is the *sum* of its branches,",
        ),
        (
            "In the middle, a channel of one branch must not read those of another. What does the kernel hold at such places?",
            "In the first kernel, a channel must not read the input of another branch, and in the middle one, it must not read another branch's channels. What do the kernels hold at such places?",
        ),
        (
            "Concatenate the first kernels along their outputs (axis 0) and the last ones along their inputs (axis 1). The middle kernel is zero but for one square of channels per branch.",
            "The first kernel is zero but for one rectangle of channels per branch, and the middle one is zero but for one square per branch. Concatenate the last kernels along their inputs (axis 1).",
        ),
    ],
    "merge": [
        (
            "Returns six tensors.",
            "Returns six tensors.\n\n    Each branch reads its own part of the chain's input.\n    ",
        ),
        (
            "    weight1, weight3 = torch.cat(first), torch.cat(last, 1)\n",
            "    weight1 = torch.block_diag(*(kernel[..., 0, 0] for kernel in first))\n    weight1, weight3 = weight1[..., None, None], torch.cat(last, 1)\n",
        ),
    ],
    "test_merge": [
        ("torch.randn(2, 5, 6, 6,", "torch.randn(2, 15, 6, 6,"),
        (
            "    expected = sum(chain(x, branch) for branch in branches)\n",
            "    read = x[:, : 5 * len(widths)]  # 5 channels for each branch\n    parts = zip(read.split(5, 1), branches)\n    expected = sum(chain(part, branch) for part, branch in parts)\n",
        ),
        ("chain(x, merge_branches", "chain(read, merge_branches"),
        ("torch.randn(1, 3, 5, 4,", "torch.randn(1, 12, 5, 4,"),
        ("chain(x, merged)", "chain(x[:, : 3 * len(widths)], merged)"),
    ],
}

TOLD = "The block's input is source 0, and the output of layer $\\ell$ is source $\\ell$. The argument `reads` has one tuple for each layer: the sources that the layer reads, *in the order in which they are concatenated*."
LAYER_BY_LAYER = "Layer by layer: `features.append(layer(torch.cat([features[s] for s in sources], 1)))`. In `__init__` the channels are `sum(sizes[s] for s in sources)` with `sizes = [in_channels, growth, growth, …]`."
READ_ONCE = "`sizes[s] for sources in reads for s in sources` goes through all that is read, and `set().union(*reads)` has each source that is read once."
DIRECTLY = (
    "the sources that it reads *directly*, in ascending order, numbered as in Task 2."
)
BACK = {
    "76ae77e3": [
        (
            TOLD,
            "The sources are the block's input and then the outputs of its layers, in their order. The argument `reads` has one tuple for each layer, which says *how many places back* the sources are that the layer reads: 1 is the newest source that there is when the layer runs, 2 is the one before it, and so on. The tuple lists them *in the order in which they are concatenated*.",
        ),
        ("`reads=((0,), (1, 0), (2, 1))`", "`reads=((1,), (1, 2), (1, 2))`"),
        ("of *all* sources, 0 first.", "of *all* sources, the input first."),
        (
            "How many channels has source 0, and how many has every other source? How many channels does a layer read with the sources `(2, 1)`, and with `(1, 0)`?",
            "How many channels has the block's input, and how many has every other source? How many channels does the second layer read with `(1, 2)`, and how many the third?",
        ),
        (
            "Keep a list `features` in `forward`, whose entry $s$ is source $s$.",
            "Keep a list `features` of the sources in `forward`. Which of its entries is one place back, and which is two?",
        ),
        (
            LAYER_BY_LAYER,
            "Layer by layer: `features.append(layer(torch.cat([features[-b] for b in back], 1)))`. In `__init__` a list `sizes`, which begins as `[in_channels]` and gets one `growth` behind each layer, gives the channels in the same way.",
        ),
    ],
    "wirings": [
        ("tuple(tuple(range(layer)) for", "tuple(tuple(range(layer, 0, -1)) for"),
        ("tuple(layer - step for step in back", "tuple(step for step in back"),
    ],
    "dense": [
        (
            "the sources that it reads, in the order of concatenation.",
            "how many places back the sources are that it reads, in\n    the order of concatenation.",
        ),
        ("sizes = [in_channels] + [growth] * len(reads)", "sizes = [in_channels]"),
        (
            "channels = sum(sizes[s] for s in sources)\n",
            "channels = sum(sizes[-s] for s in sources)\n            sizes.append(growth)\n",
        ),
        ("features[s]", "features[-s]"),
    ],
    "test_wired": [
        (
            "(((0,), (1, 0), (2, 1)), ((0,), (0,), (2, 0, 1)))",
            "(((1,), (1, 2), (1, 2)), ((1,), (2,), (1, 3, 2)))",
        ),
        ("sources[s]", "sources[-s]"),
        ("((0,), (1,), (2,), (3,))", "((1,), (1,), (1,), (1,))"),
    ],
    "a5-task-5": [
        ("`reads=((0,), (1, 0))`", "`reads=((1,), (1, 2))`"),
        (
            READ_ONCE,
            "With `sizes = [in_channels, growth, growth, …]`, layer $\\ell$ (counted from 1) reads `sizes[l - b]` for each of its `b`. The set of all `l - b` has each source that is read once.",
        ),
    ],
    "memory": [
        (
            "    if checkpointed:\n",
            "    read = [layer - s for layer, back in enumerate(reads, 1) for s in back]\n    if checkpointed:\n",
        ),
        ("set().union(*reads)", "set(read)"),
        ("for sources in reads for s in sources)", "for s in read)"),
    ],
    "test_kept": [
        ("((0,), (1, 0))", "((1,), (1, 2))"),
        ("((0,), (1,), (2, 0))", "((1,), (1,), (1, 3))"),
    ],
    "test_checkpointed": [
        ("((0,), (1, 0), (2, 1, 0))", "((1,), (1, 2), (1, 2, 3))"),
        ("((0,), (0,), (2, 0), (2,))", "((1,), (2,), (1, 3), (2,))"),
        ("((0,), (1,), (1,), (3, 1), (3,))", "((1,), (1,), (2,), (1, 3), (2,))"),
    ],
    "6faea046": [
        (
            DIRECTLY,
            "how many places back the sources are that it reads *directly*, as in Task 2, in ascending order.",
        ),
        (
            "Source 0 is the block's input: change `x`",
            "The first source is the block's input: change `x`",
        ),
    ],
    "wired": [("(s + 1) * values[s]", "(s + 1) * values[-s]")],
    "wiring": [
        (
            "List of tuples: the sources that each layer of the block reads directly.",
            "List of tuples: how many places back the sources of each layer are.",
        ),
        ("found[i].append(source)", "found[i].append(i + 1 - source)"),
        ("tuple(sources) for", "tuple(sorted(sources)) for"),
    ],
    "matrix": [
        (
            "Layers by sources: 1 where a layer reads a source.",
            "Layers by places back: 1 where a layer reads what is so many back.",
        ),
        ("matrix[i, source]", "matrix[i, source - 1]"),
    ],
    "test_wiring": [
        (
            "(((0,), (1, 0), (2,)), ((0,), (0,), (2, 0), (1,)))",
            "(((1,), (1, 2), (1,)), ((1,), (2,), (1, 3), (3,)))",
        ),
        ("((0,), (1,), (2,), (3,))", "((1,), (1,), (1,), (1,))"),
        (
            "((0,), (0, 1), (0,), (3, 1), (2, 4))",
            "((1,), (1, 2), (3,), (1, 3), (1, 3))",
        ),
    ],
}
MINUS_ONE = {
    "76ae77e3": [
        (
            TOLD,
            "The layers are numbered from 0. The output of layer $\\ell$ is source $\\ell$, and the block's input is source $-1$. The argument `reads` has one tuple for each layer: the sources that the layer reads, *in the order in which they are concatenated*.",
        ),
        ("`reads=((0,), (1, 0), (2, 1))`", "`reads=((-1,), (0, -1), (1, 0))`"),
        ("of *all* sources, 0 first.", "of *all* sources, −1 first."),
        (
            "How many channels has source 0, and how many has every other source? How many channels does a layer read with the sources `(2, 1)`, and with `(1, 0)`?",
            "How many channels has source −1, and how many has every other source? How many channels does a layer read with the sources `(1, 0)`, and with `(0, -1)`?",
        ),
        (
            "whose entry $s$ is source $s$.",
            "which begins with the input. Which of its entries is source $s$? (In Python, entry −1 is the last one.)",
        ),
        (
            LAYER_BY_LAYER,
            "Layer by layer: `features.append(layer(torch.cat([features[s + 1] for s in sources], 1)))`. In `__init__` the channels are `sum(sizes[s + 1] for s in sources)` with `sizes = [in_channels, growth, growth, …]`.",
        ),
    ],
    "wirings": [
        ("tuple(tuple(range(layer)) for", "tuple(tuple(range(-1, layer - 1)) for"),
        (
            "tuple(layer - step for step in back if step <= layer)",
            "tuple(layer - 1 - step for step in back if step <= layer)",
        ),
    ],
    "dense": [
        (
            "in the order of concatenation.",
            "in the order of concatenation.\n    Source -1 is the input.",
        ),
        ("sizes[s]", "sizes[s + 1]"),
        ("features[s]", "features[s + 1]"),
    ],
    "test_wired": [
        (
            "(((0,), (1, 0), (2, 1)), ((0,), (0,), (2, 0, 1)))",
            "(((-1,), (0, -1), (1, 0)), ((-1,), (-1,), (1, -1, 0)))",
        ),
        ("sources[s]", "sources[s + 1]"),
        ("((0,), (1,), (2,), (3,))", "((-1,), (0,), (1,), (2,))"),
    ],
    "a5-task-5": [
        ("`reads=((0,), (1, 0))`", "`reads=((-1,), (0, -1))`"),
        ("`sizes[s] for sources", "`sizes[s + 1] for sources"),
    ],
    "memory": [("sizes[s]", "sizes[s + 1]")],
    "test_kept": [
        ("((0,), (1, 0))", "((-1,), (0, -1))"),
        ("((0,), (1,), (2, 0))", "((-1,), (0,), (1, -1))"),
    ],
    "test_checkpointed": [
        (
            "kept_maps(3, 2, ((0,), (1, 0), (2, 1, 0)), checkpointed=True)",
            "kept_maps(3, 2, ((-1,), (-1,), (1, -1)), checkpointed=True)",
        ),
        (
            'checking.close(number, 7, name="the maps of 3 + 3 x 2 channels, everything read")',
            'checking.close(number, 5, name="the maps where layers 0 and 2 are read by none")',
        ),
        ("((0,), (0,), (2, 0), (2,))", "((-1,), (-1,), (1, -1), (1,))"),
        ("where layers 1, 3 and 4 are read", "where layers 0, 2 and 3 are read"),
        ("((0,), (1,), (1,), (3, 1), (3,))", "((-1,), (-1,), (1,), (2, 1), (2,))"),
    ],
    "6faea046": [
        (
            "Source 0 is the block's input: change",
            "Source −1 is the block's input: change",
        )
    ],
    "wired": [("(s + 1) * values[s]", "(s + 2) * values[s + 1]")],
    "wiring": [
        (
            "that each layer of the block reads directly.",
            "that each layer of the block reads directly.\n\n    Source -1 is the input.\n    ",
        ),
        ("found[i].append(source)", "found[i].append(source - 1)"),
    ],
    "matrix": [("matrix[i, source]", "matrix[i, source + 1]")],
    "test_wiring": [
        (
            "(((0,), (1, 0), (2,)), ((0,), (0,), (2, 0), (1,)))",
            "(((-1,), (0, -1), (1,)), ((-1,), (-1,), (1, -1), (0,)))",
        ),
        ("((0,), (1,), (2,), (3,))", "((-1,), (0,), (1,), (2,))"),
        (
            "((0,), (0, 1), (0,), (3, 1), (2, 4))",
            "((-1,), (-1, 0), (-1,), (2, 0), (1, 3))",
        ),
    ],
}

WINDOWS = "The windows of the pooling do not overlap. Where a side is odd, the last window reaches over the edge and is the mean of the positions that are there, so a side of 5 becomes 3."
AT_THE_EDGE = "`F.avg_pool2d` has an argument that keeps the windows at the edge. Check on a map of ones that every mean is 1."
POOLED = "return self.conv(F.avg_pool2d(F.relu(self.norm(x)), 2, ceil_mode=True))"
OVERLAPPING = {
    "a5-task-3": [
        (
            WINDOWS,
            "The windows of *this* pooling overlap: each has 3 × 3 positions, and their centers are two positions apart, beginning with the first position of a side. A window that reaches over an edge is the mean of the positions that are there, so a side of 5 becomes 3, and so does a side of 6.",
        ),
        (
            AT_THE_EDGE,
            "`F.avg_pool2d` has arguments for the stride and for the edge. Check on a map of ones that every mean is 1.",
        ),
        (
            "`F.avg_pool2d(h, 2, ceil_mode=True)`",
            "`F.avg_pool2d(h, 3, 2, 1, count_include_pad=False)`",
        ),
    ],
    "transition": [
        (
            "ceil(H / 2), ceil(W / 2)).",
            "ceil(H / 2), ceil(W / 2)).\n\n    The windows of the pooling have 3 x 3 positions and overlap.\n    ",
        ),
        (
            POOLED,
            "h = F.relu(self.norm(x))\n        return self.conv(F.avg_pool2d(h, 3, 2, 1, count_include_pad=False))",
        ),
    ],
    "test_transition": [
        ("h[:, :, i : i + 2].mean(2)", "h[:, :, max(0, i - 1) : i + 2].mean(2)"),
        ("h[..., i : i + 2].mean(3)", "h[..., max(0, i - 1) : i + 2].mean(3)"),
    ],
}
ZEROS = {
    "a5-task-3": [
        (
            "Where a side is odd, the last window reaches over the edge and is the mean of the positions that are there, so a side of 5 becomes 3.",
            "Where a side is odd, the last window reaches over the edge, where zeros stand that *count* in its mean, so a side of 5 becomes 3.",
        ),
        (
            AT_THE_EDGE,
            "`F.avg_pool2d` leaves out a window that does not fit. How many rows and columns of zeros make all windows fit? Check on a map of ones with 5 rows and 4 columns that the means of the last row are 0.5.",
        ),
        (
            "`F.avg_pool2d(h, 2, ceil_mode=True)`",
            "`F.avg_pool2d(F.pad(h, (0, h.shape[3] % 2, 0, h.shape[2] % 2)), 2)`",
        ),
    ],
    "transition": [
        (
            "ceil(H / 2), ceil(W / 2)).",
            "ceil(H / 2), ceil(W / 2)).\n\n    Zeros stand beyond the edge and count.\n    ",
        ),
        (
            POOLED,
            "h = F.pad(F.relu(self.norm(x)), (0, x.shape[3] % 2, 0, x.shape[2] % 2))\n        return self.conv(F.avg_pool2d(h, 2))",
        ),
    ],
    "test_transition": [
        ("((6, 4), (5, 7))", "((6, 3), (5, 7))"),
        (
            "    h = F.relu(F.batch_norm(x, *norm))\n",
            "    h = F.pad(F.relu(F.batch_norm(x, *norm)), (0, width % 2, 0, height % 2))\n",
        ),
    ],
}

MAXIMA = {
    "a5-task-4": [
        (
            "**The growth rate doubles from block to block:** it is `growth * 2**i` in",
            "**The growth rate rises from block to block:** it is `growth * (i + 1)` in",
        ),
        (
            "**rounded up to a multiple of 4**. (So 8 stays 8, and 8.4 becomes 12: nothing is rounded down first.)",
            "**rounded down to a multiple of 4, but at least 4**. (So 8 stays 8, 11.9 becomes 8, and 3 becomes 4.)",
        ),
        (
            "a ReLU and the mean over all positions. These means, concatenated",
            "a ReLU and the *maximum* over all positions. These maxima, concatenated",
        ),
        ("| `transitions[0]` | 12 | 8 |", "| `transitions[0]` | 12 | 4 |"),
        ("| `blocks[1]`, growth 6 | 8 | 26 |", "| `blocks[1]`, growth 6 | 4 | 22 |"),
        ("| `transitions[1]` | 26 | 16 |", "| `transitions[1]` | 22 | 8 |"),
        ("| `blocks[2]`, growth 12 | 16 | 28 |", "| `blocks[2]`, growth 9 | 8 | 17 |"),
        ("| `classifier` | 66 |", "| `classifier` | 51 |"),
    ],
    "a5-task-4-hints": [
        (
            "`4 * math.ceil(compression * channels / 4)` rounds up.",
            "`4 * math.floor(compression * channels / 4)` rounds down.",
        ),
        ("`F.relu(norm(x)).mean((2, 3))`", "`F.relu(norm(x)).amax((2, 3))`"),
    ],
    "densenet": [
        (
            '"""(N, 3, H, W) -> (N, num_classes)."""',
            '"""(N, 3, H, W) -> (N, num_classes), from the maxima of all blocks."""',
        ),
        (
            "4 * math.ceil(compression * channels / 4)",
            "max(4, 4 * math.floor(compression * channels / 4))",
        ),
        ("growth * 2**i", "growth * (i + 1)"),
        ("means", "maxima"),
        (".mean((2, 3))", ".amax((2, 3))"),
    ],
    "test_densenet": [
        (
            "[[6, 3, 2], [8, 6, 3], [16, 12, 1]]",
            "[[6, 3, 2], [4, 6, 3], [8, 9, 1]]",
        ),
        ("[[12, 8], [26, 16]]", "[[12, 4], [22, 8]]"),
        ("(12, 26, 28)", "(12, 22, 17)"),
        ("(8, 16)[i]", "(4, 8)[i]"),
        ("[5, 66]", "[5, 51]"),
        ("means", "maxima"),
        (".mean((2, 3))", ".amax((2, 3))"),
    ],
}
LAST_BLOCK_FIRST = {
    "a5-task-4": [
        (
            "**The growth rate doubles from block to block:** it is `growth * 2**i` in",
            "**The growth rate triples from block to block:** it is `growth * 3**i` in",
        ),
        (
            "**rounded up to a multiple of 4**. (So 8 stays 8, and 8.4 becomes 12:",
            "**rounded up to a multiple of 8**. (So 8 stays 8, and 8.4 becomes 16:",
        ),
        (
            "concatenated from the first block to the last, enter",
            "concatenated from the *last* block to the first, enter",
        ),
        ("| `blocks[1]`, growth 6 | 8 | 26 |", "| `blocks[1]`, growth 9 | 8 | 35 |"),
        ("| `transitions[1]` | 26 | 16 |", "| `transitions[1]` | 35 | 24 |"),
        (
            "| `blocks[2]`, growth 12 | 16 | 28 |",
            "| `blocks[2]`, growth 27 | 24 | 51 |",
        ),
        ("| `classifier` | 66 |", "| `classifier` | 98 |"),
    ],
    "a5-task-4-hints": [
        (
            "`4 * math.ceil(compression * channels / 4)` rounds up.",
            "`8 * math.ceil(compression * channels / 8)` rounds up.",
        ),
        (
            "then append `F.relu(norm(x)).mean((2, 3))` to a list,",
            "then put `F.relu(norm(x)).mean((2, 3))` at the front of a list,",
        ),
    ],
    "densenet": [
        (
            '"""(N, 3, H, W) -> (N, num_classes)."""',
            '"""(N, 3, H, W) -> (N, num_classes); the classifier reads the last block first."""',
        ),
        (
            "4 * math.ceil(compression * channels / 4)",
            "8 * math.ceil(compression * channels / 8)",
        ),
        ("growth * 2**i", "growth * 3**i"),
        ("torch.cat(means, 1)", "torch.cat(means[::-1], 1)"),
    ],
    "test_densenet": [
        (
            "[[6, 3, 2], [8, 6, 3], [16, 12, 1]]",
            "[[6, 3, 2], [8, 9, 3], [24, 27, 1]]",
        ),
        ("[[12, 8], [26, 16]]", "[[12, 8], [35, 24]]"),
        ("(12, 26, 28)", "(12, 35, 51)"),
        ("(8, 16)[i]", "(8, 24)[i]"),
        ("[5, 66]", "[5, 98]"),
        ("torch.cat(means, 1)", "torch.cat(means[::-1], 1)"),
        (
            "for blocks, growth, share in (((1, 2), 4, 0.5), ((3,), 2, 0.5), ((2, 1, 1, 2), 2, 0.7)):",
            "forms = ((1, 2), 4, 0.5), ((3, 1), 2, 0.5), ((2, 1, 1, 2), 2, 0.7)\nfor blocks, growth, share in forms:",
        ),
    ],
}

LAST_MAP_FIRST = {
    "a5-task-6": [
        (
            "for each channel of the concatenation.",
            "for each channel of the concatenation, which begins with the *last* map of the list and ends with the first one (the channels of a map keep their order).",
        ),
        (
            "if `sizes` lists the channels of the sources.",
            "if `sizes` lists the channels of the sources in the order of the concatenation.",
        ),
    ],
    "parted": [
        (
            "(out, C, 3, 3) -> (N, out, H, W).",
            "(out, C, 3, 3) -> (N, out, H, W).\n\n    gamma, beta and weight begin with the channels of the last map.\n    ",
        ),
        (
            "    sizes, total =",
            "    features = features[::-1]\n    sizes, total =",
        ),
    ],
    "test_parted": [
        ("torch.cat(features, 1)", "torch.cat(features[::-1], 1)"),
        ("((5,), 1e-5)", "((5, 1), 1e-5)"),
    ],
    "test_parted_maps": [("torch.cat(features, 1)", "torch.cat(features[::-1], 1)")],
}
JAX_KERNELS = {
    "a5-task-6": [
        ("one slice `weight[:, c]`,", "one slice `weight[:, :, c]`,"),
        (
            "for each channel of the concatenation.",
            "for each channel of the concatenation: the kernel has JAX's layout (height, width, in, out).",
        ),
        ("`weight.split(sizes, 1)` cut", "`weight.split(sizes, 2)` cut"),
        (
            "then `F.conv2d` with its slice of the kernel and `padding=1`.",
            "then `F.conv2d` with its slice of the kernel in PyTorch's layout, which is `kernel.permute(3, 2, 0, 1)`, and `padding=1`.",
        ),
    ],
    "parted": [
        ("(out, C, 3, 3) -> (N, out, H, W).", "(3, 3, C, out) -> (N, out, H, W)."),
        ("weight.split(sizes, 1)", "weight.split(sizes, 2)"),
        (
            "        total = total + F.conv2d",
            "        kernel = kernel.permute(3, 2, 0, 1)\n        total = total + F.conv2d",
        ),
    ],
    "random_layer": [
        (
            "torch.Size([out, channels, 3, 3]), seed),",
            "torch.Size([out, channels, 3, 3]), seed).permute(2, 3, 1, 0),",
        ),
    ],
    "test_parted": [
        (
            "F.relu(h), weight, padding=1",
            "F.relu(h), weight.permute(3, 2, 0, 1), padding=1",
        )
    ],
    "test_parted_maps": [
        (
            "F.relu(h), weight, padding=1",
            "F.relu(h), weight.permute(3, 2, 0, 1), padding=1",
        )
    ],
}

MEANS_DOWN = {
    "a5-task-7": [
        (
            "a max pooling takes the maximum of 2 × 2 positions.",
            "an average pooling takes the *mean* of 2 × 2 positions.",
        ),
    ],
    "unet": [
        (
            "widths: channels of the levels, from the top to the bottom.",
            "The way down takes the mean of 2 x 2 positions.\n    widths: channels of the levels, from the top to the bottom.",
        ),
        ("F.max_pool2d", "F.avg_pool2d"),
    ],
    "test_unet": [("F.max_pool2d", "F.avg_pool2d")],
    "test_joins": [("F.max_pool2d", "F.avg_pool2d")],
}
BILINEAR_UP = {
    "a5-task-7": [
        (
            "then the map is enlarged to *the size that this level had on the way down* by repeating positions (nearest neighbor: along a side, position $i$ of $n$ takes the value at position $\\lfloor im/n\\rfloor$ of the smaller map's $m$, counted from 0);",
            'then the map is enlarged *bilinearly* to *the size that this level had on the way down*, as `F.interpolate` does it with `mode="bilinear"`;',
        ),
        (
            "F.interpolate(up(x), size=skips[i].shape[2:])",
            'F.interpolate(up(x), size=skips[i].shape[2:], mode="bilinear")',
        ),
    ],
    "unet": [
        (
            "widths: channels of the levels, from the top to the bottom.",
            "The way up enlarges bilinearly.\n    widths: channels of the levels, from the top to the bottom.",
        ),
        ("size=skip.shape[2:])", 'size=skip.shape[2:], mode="bilinear")'),
    ],
    "test_unet": [
        (".repeat_interleave(2, 2)\n", "\n"),
        (
            "    h = torch.cat([skip, h.repeat_interleave(2, 3)], 1)\n",
            '    h = F.interpolate(h, scale_factor=2, mode="bilinear")\n    h = torch.cat([skip, h], 1)\n',
        ),
    ],
    "test_joins": [
        (
            "    rows = torch.tensor([i * 3 // 7 for i in range(7)])\n    columns = torch.tensor([i // 2 for i in range(10)])\n    h = h.index_select(2, rows).index_select(3, columns)\n",
            '    h = F.interpolate(h, size=(7, 10), mode="bilinear")\n',
        ),
    ],
}

CONVENTIONS = {
    "branches": {
        "concatenated": CONCATENATED,
        "parts of the input": PARTS,
    },
    "numbers of the sources": {
        "places back": BACK,
        "the input is -1": MINUS_ONE,
    },
    "pooling of the transition": {
        "overlapping windows": OVERLAPPING,
        "zeros at the edge": ZEROS,
    },
    "DenseNet": {
        "maxima": MAXIMA,
        "the last block first": LAST_BLOCK_FIRST,
    },
    "parameters of the parted layer": {
        "the last map first": LAST_MAP_FIRST,
        "JAX's kernels": JAX_KERNELS,
    },
    "U-Net": {
        "means on the way down": MEANS_DOWN,
        "bilinear on the way up": BILINEAR_UP,
    },
}
