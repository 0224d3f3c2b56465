"""Conventions of A2; :mod:`resnorm.course.variants` explains their form."""

BY_LIBRARY = "expected = F.batch_norm(before, None, None, training=True)\n"
BY_LIBRARY_LAYER = "expected = F.layer_norm(before, (3, 4, 5), eps=0.1)\n"
OUTSIDE = {
    "8bf44d3e": [
        (
            "`eps` is added to the variance inside the root.",
            "`eps` is added to the standard deviation, *outside* of the root.",
        ),
    ],
    "normalize": [
        (
            "Normalize each group of values that share the index of the kept axes.",
            "Normalize each group of values that share the index of the kept axes.\n\n    eps is added to the standard deviation.",
        ),
        (
            "    return centered * (centered.square().mean(axes, keepdim=True) + eps).rsqrt()",
            "    return centered / (centered.square().mean(axes, keepdim=True).sqrt() + eps)",
        ),
    ],
    "test_by_hand": [
        (
            "### BEGIN HIDDEN TESTS\n",
            'y = normalize(x, (), eps=1.0)\nexpected = both * 14**0.5 / (14**0.5 + 1)\nchecking.close(y, expected, name="all four together, eps 1")\n### BEGIN HIDDEN TESTS\n',
        ),
    ],
    "test_axes": [
        (
            BY_LIBRARY,
            "rows = before.transpose(0, 1).flatten(1)\nstd = rows.std(1, correction=0) + 1e-5\nexpected = (before - rows.mean(1).view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)\n",
        ),
        (
            BY_LIBRARY_LAYER,
            "rows = before.flatten(1)\nstd = rows.std(1, correction=0, keepdim=True) + 0.1\nexpected = ((rows - rows.mean(1, True)) / std).view_as(x)\n",
        ),
    ],
}
FLOOR = {
    "8bf44d3e": [
        (
            "`eps` is added to the variance inside the root.",
            "`eps` is a *floor*: a variance below `eps` counts as `eps`, and a larger one is left as it is.",
        ),
        (
            "has mean 0 and, up to `eps`, biased variance 1",
            "has mean 0 and biased variance 1 (less where the floor is met)",
        ),
    ],
    "normalize": [
        (
            "Normalize each group of values that share the index of the kept axes.",
            "Normalize each group of values that share the index of the kept axes.\n\n    A variance below eps counts as eps.",
        ),
        (
            "    return centered * (centered.square().mean(axes, keepdim=True) + eps).rsqrt()",
            "    var = centered.square().mean(axes, keepdim=True)\n    return centered * var.clamp(min=eps).rsqrt()",
        ),
    ],
    "test_by_hand": [
        (
            "### BEGIN HIDDEN TESTS\n",
            'y = normalize(x, (), eps=1.0)\nchecking.close(y, both, name="the same, eps 1 (below the variance 14)")\n### BEGIN HIDDEN TESTS\n',
        ),
        ("normalize(x, (1,), eps=1.0)", "normalize(x, (1,), eps=2.0)"),
    ],
    "test_axes": [
        (
            BY_LIBRARY,
            "rows = before.transpose(0, 1).flatten(1)\nstd = rows.std(1, correction=0)  # the variance is far above 1e-5\nexpected = (before - rows.mean(1).view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)\n",
        ),
        (
            BY_LIBRARY_LAYER,
            "rows = before.flatten(1)\nexpected = ((rows - rows.mean(1, True)) / 3).view_as(x)\n",
        ),
        ("y = normalize(before, (0,), 0.1)", "y = normalize(before, (0,), 9.0)"),
        (
            "layer norm of images, eps 0.1",
            "layer norm of images with variance near 1, eps 9",
        ),
    ],
}

NEIGHBORS = {
    "bc15e8b0": [
        ("2. Group norm, channels last and shuffled", "2. Group norm, channels last")
    ],
    "64e24596": [
        ("Group norm, channels last and shuffled (", "Group norm, channels last ("),
        (
            "And after the channel shuffle of ShuffleNet ([Zhang et al., 2018](https://arxiv.org/abs/1707.01083)), the channels that belong together are no longer neighbors: with $G$ groups, group $g$ consists of the channels $g$, $g+G$, $g+2G$ and so on. Write",
            "The channels of a group are neighbors: with $G$ groups of $C/G$ channels, the first group consists of the first $C/G$ channels, and so on. Write",
        ),
        (
            "Write down the channels 0 to 5 for three groups, and the group of each. Now write the same six numbers as a table with three columns. Where do you find a group?",
            "Write down the channels 0 to 5 for three groups, and the group of each. Now write the same six numbers as a table with three rows. Where do you find a group? And which positions belong to it?",
        ),
        (
            "Split the last axis into ($C/G$, $G$). The mean runs over all axes except the first and the last one.",
            "Split the last axis into ($G$, $C/G$). The mean runs over all axes except the first one and the last but one.",
        ),
    ],
    "group_norm": [
        ("shuffled_group_norm", "last_group_norm"),
        (
            "Group norm, channels last; the channel c belongs to group c % groups.",
            "Group norm, channels last; the channels of a group are neighbors.",
        ),
        (
            "    split = x.reshape(*x.shape[:-1], -1, groups)\n    axes = tuple(range(1, split.ndim - 1))",
            "    split = x.reshape(*x.shape[:-1], groups, -1)\n    axes = (*range(1, split.ndim - 2), -1)",
        ),
    ],
    "test_groups_by_hand": [
        ("shuffled_group_norm", "last_group_norm"),
        (
            "channels 0 and 2 hold 1, 3, and channels 1\n# and 3 hold 10, 50.",
            "channels 0 and 1 hold 1, 3, and channels 2\n# and 3 hold 10, 50.",
        ),
        (
            "x = torch.tensor([1.0, 10.0, 3.0, 50.0]",
            "x = torch.tensor([1.0, 3.0, 10.0, 50.0]",
        ),
        ("torch.tensor([-1.0, -1.0, 1.0, 1.0]", "torch.tensor([-1.0, 1.0, -1.0, 1.0]"),
        ("1, 10, 3, 50 in two groups", "1, 3, 10, 50 in two groups"),
    ],
    "test_groups": [
        ("shuffled_group_norm", "last_group_norm"),
        (
            "# The library's groups are neighbors: bring each group's channels together, and back.\ntogether = torch.tensor([0, 3, 1, 4, 2, 5])\nback = together.argsort()\naffine = (gamma[together], beta[together])\nsorted_x = before[..., together].movedim(-1, 1)\nexpected = F.group_norm(sorted_x, 3, *affine, 0.01).movedim(1, -1)[..., back]\n",
            "# The library has the channels first.\nexpected = F.group_norm(before.movedim(-1, 1), 3, gamma, beta, 0.01).movedim(1, -1)\n",
        ),
    ],
}
SHUFFLED_FIRST = {
    "bc15e8b0": [
        ("channels last and shuffled", "shuffled"),
        (
            "with the channels last and with the axes",
            "with shuffled channels and with the axes",
        ),
    ],
    "64e24596": [
        ("Group norm, channels last and shuffled (", "Group norm, shuffled ("),
        (
            "JAX and TensorFlow store images as (N, H, W, C), with the channels last. And after the channel shuffle",
            "After the channel shuffle",
        ),
        (
            "`x` has the shape (N, …, C) with any number of axes for positions (two for images, one for sequences)",
            "`x` has the shape (N, C, …) with any number of axes for positions (two for images, one for sequences)",
        ),
        (
            "`x.reshape(*x.shape[:-1], a, b)` splits the last axis.",
            "`x.reshape(len(x), a, b, *x.shape[2:])` splits the axis of the channels.",
        ),
        (
            "Split the last axis into ($C/G$, $G$). The mean runs over all axes except the first and the last one. Then reshape to `x.shape` and use `gamma` and `beta`, which broadcast as they are.",
            "Split axis 1 into ($C/G$, $G$). The mean runs over all axes except 0 and 2. Then reshape to `x.shape`, and give `gamma` and `beta` one axis of size 1 for each axis of positions.",
        ),
    ],
    "group_norm": [
        (
            "Group norm, channels last; the channel c belongs to group c % groups.",
            "Group norm; the channel c belongs to group c % groups.",
        ),
        ("x: (N, ..., C)", "x: (N, C, ...)"),
        ("    if x.shape[-1] % groups:", "    if x.shape[1] % groups:"),
        ("{x.shape[-1]} channels", "{x.shape[1]} channels"),
        (
            "    split = x.reshape(*x.shape[:-1], -1, groups)\n    axes = tuple(range(1, split.ndim - 1))",
            "    split = x.reshape(len(x), -1, groups, *x.shape[2:])\n    axes = (1, *range(3, split.ndim))",
        ),
        (
            "    return gamma * x_hat.reshape(x.shape) + beta",
            "    per_channel = (-1, *[1] * (x.ndim - 2))\n    y = gamma.view(per_channel) * x_hat.reshape(x.shape)\n    return y + beta.view(per_channel)",
        ),
    ],
    "test_groups_by_hand": [
        ("view(1, 1, 1, 4)", "view(1, 4, 1, 1)"),
        (
            "checking.close(y, gamma * expected + 10 * gamma, name=name)",
            "gamma = gamma.view(1, 4, 1, 1)\nchecking.close(y, gamma * expected + 10 * gamma, name=name)",
        ),
        ("view(1, 1, 1, 6)", "view(1, 6, 1, 1)"),
    ],
    "test_groups": [
        ("x = 2 + torch.randn(2, 3, 2, 6,", "x = 2 + torch.randn(2, 6, 3, 2,"),
        ("before[..., together].movedim(-1, 1)", "before[:, together]"),
        (".movedim(1, -1)[..., back]", "[:, back]"),
        (
            "shapes = (((2, 5, 8), 2), ((3, 2, 2, 9), 3), ((1, 2, 3, 2, 4), 2), ((2, 7, 8), 4))",
            "shapes = (((2, 8, 5), 2), ((3, 9, 2, 2), 3), ((1, 4, 2, 3, 2), 2), ((2, 8, 7), 4))",
        ),
        (
            "    x = torch.randn(shape, dtype=torch.float64) * torch.arange(1.0, shape[-1] + 1)\n",
            "    sizes = torch.arange(1.0, shape[1] + 1).view(-1, *[1] * (len(shape) - 2))\n    x = sizes * torch.randn(shape, dtype=torch.float64)\n",
        ),
        ("torch.randn(2, shape[-1], dtype", "torch.randn(2, shape[1], dtype"),
    ],
}


def kernels(shape, order, gain, where):
    """The edits for another layout of the kernels in Task 3.

    Arguments: the shape in words, the axes of (h, w, in, out) in the order of the layout, how a
    vector of shape (out,) has to be written to broadcast, and where kernels are stored like this.
    """
    there = ", ".join(map(str, order))
    back = ", ".join(str(order.index(axis)) for axis in range(4))
    out, axes = order.index(3), tuple(place for place in range(4) if order[place] != 3)
    filters = ", ".join(str(axis) for axis in axes)
    first = f"kernel.select({out}, 0)"
    return {
        "87992801": [
            (
                "JAX stores them as (h, w, in, out), where PyTorch has (out, in, h, w).",
                f"{where} as {shape}, where PyTorch has (out, in, h, w).",
            ),
            (
                "The axes are (0, 1, 2), and `n` is the product of the first three sizes.",
                f"The axes are ({filters}), and `n` is the product of their three sizes.",
            ),
            (
                "A vector of shape (out,) broadcasts against (h, w, in, out) as it is.",
                f"Written as `{gain.format('gain')}`, the gain broadcasts against {shape}.",
            ),
        ],
        "standardized": [
            ("kernel: (h, w, in, out)", f"kernel: {shape}"),
            ("axes = (0, 1, 2)", f"axes = ({filters})"),
            ("kernel[..., 0].numel()", f"{first}.numel()"),
            ("return gain * centered", f"return {gain.format('gain')} * centered"),
        ],
        "test_filters": [
            (
                "w = standardized(kernel, gain, 0.0)",
                f"w = standardized(kernel.permute({there}), gain, 0.0).permute({back})",
            ),
            (
                "w = standardized(kernel, gain, 3.0)",
                f"w = standardized(kernel.permute({there}), gain, 3.0).permute({back})",
            ),
            (
                "# One filter with",
                f"# The kernels are made as (h, w, in, out) and handed in as {shape}.\n# One filter with",
            ),
            (
                "standardized(kernel[:2, :1], gain, 0.5)",
                f"standardized(kernel[:2, :1].permute({there}), gain, 0.5)",
            ),
            (
                "standardized(kernel[:1, :1], gain, 0.1)",
                f"standardized(kernel[:1, :1].permute({there}), gain, 0.1)",
            ),
        ],
        "test_standardized": [
            (
                "w = standardized(kernel, gain)\n",
                f"given = kernel.permute({there}).contiguous()  # {shape}\nw = standardized(given, gain).permute({back})\nkernel = given.permute({back})\n",
            ),
            (
                "    before = kernel.clone()\n    w = standardized(kernel, gain, eps)\n",
                f"    kernel = kernel.permute({there}).contiguous()\n    before = kernel.clone()\n    w = standardized(kernel, gain, eps)\n",
            ),
        ],
    }


INTERLEAVED = {
    "imports": [
        (
            "torch.manual_seed(0)",
            '\ndef interleaved(x, groups):\n    """From neighboring groups to those of Task 4, along the last axis."""\n    return x.unflatten(-1, (groups, -1)).transpose(-1, -2).flatten(-2)\n\n\ntorch.manual_seed(0)',
        ),
    ],
    "837930fc": [
        (
            "each row consists of $G$ groups of $D/G$ neighboring entries.",
            "each row consists of $G$ groups of $D/G$ entries that are *interleaved*: entry $d$ belongs to group $d$ mod $G$. (The tests make such rows with `interleaved`, which you find in the cell of the imports.)",
        ),
        (
            "`dy.reshape(N, G, -1)` gives the groups an axis of their own.",
            "`dy.reshape(N, -1, G)` gives the groups an axis of their own, the last one.",
        ),
    ],
    "group_backward": [
        (
            "Gradients of group norm of rows.",
            "Gradients of group norm of rows, where entry d belongs to group d % G.",
        ),
        (
            "    g = (dy * gamma).reshape(*inv_std.shape, -1)\n",
            "    g = (dy * gamma).reshape(len(dy), -1, inv_std.shape[1])\n",
        ),
        (
            "g.mean(2, keepdim=True), (g * z).mean(2, keepdim=True)",
            "g.mean(1, keepdim=True), (g * z).mean(1, keepdim=True)",
        ),
        ("inv_std.unsqueeze(2)", "inv_std.unsqueeze(1)"),
    ],
    "test_group_parameters": [
        (
            "_, my_dgamma, my_dbeta = group_backward(dy, (x_hat, inv_std, gamma.detach()))",
            "x_hat, mine = interleaved(x_hat, 2), interleaved(gamma.detach(), 2)\n_, my_dgamma, my_dbeta = group_backward(interleaved(dy, 2), (x_hat, inv_std, mine))",
        ),
        (
            "checking.close(my_dgamma, dgamma,",
            "checking.close(my_dgamma, interleaved(dgamma, 2),",
        ),
        (
            "checking.close(my_dbeta, dbeta,",
            "checking.close(my_dbeta, interleaved(dbeta, 2),",
        ),
        (
            "x_hat, groups = F.group_norm(x, 2), x.view(4, 2, 3)",
            "x_hat, parts = F.group_norm(x, 2), x.view(4, 2, 3)",
        ),
        ("inv_std = (groups.var(", "inv_std = (parts.var("),
        (
            "_, my_dgamma, my_dbeta = group_backward(dy, (F.group_norm(x, 2), inv_std, gamma))",
            "cache = (interleaved(F.group_norm(x, 2), 2), inv_std, gamma)\n_, my_dgamma, my_dbeta = group_backward(dy, cache)",
        ),
    ],
    "test_group_input": [
        (
            "    my_dx, _, _ = group_backward(dy, (x_hat, inv_std, gamma))\n    parts = my_dx.reshape(4, groups, -1)\n    sums = torch.stack([parts.sum(2), parts.abs().sum(2)])\n",
            "    cache = (interleaved(x_hat, groups), inv_std, interleaved(gamma, groups))\n    my_dx, _, _ = group_backward(interleaved(dy, groups), cache)\n    parts = my_dx.reshape(4, -1, groups)\n    sums = torch.stack([parts.sum(1), parts.abs().sum(1)])\n",
        ),
        ("checking.close(my_dx, dx,", "checking.close(my_dx, interleaved(dx, groups),"),
        ("for groups in (1, 2):", "for groups in (3, 2):"),
        ("((5, 4), 1, 1.0)", "((5, 4), 2, 1.0)"),
        (
            "    x_hat = F.group_norm(x, groups, eps=eps)\n",
            "    x_hat = interleaved(F.group_norm(x, groups, eps=eps), groups)\n",
        ),
    ],
}
COLUMNS = {
    "837930fc": [
        (
            "Group norm of rows: `x` has the shape (N, D), and each row consists of $G$ groups of $D/G$ neighboring entries.",
            "Group norm of *columns*: `x` has the shape (D, N), so an example is a column, as in Julia's Flux. Each column consists of $G$ groups of $D/G$ neighboring entries.",
        ),
        (
            "The cache holds `x_hat` (N, D), `inv_std` (N, G)",
            "The cache holds `x_hat` (D, N), `inv_std` (G, N)",
        ),
        ("`dy.reshape(N, G, -1)` gives", "`dy.reshape(G, -1, N)` gives"),
        (
            "$\\gamma\\,$`dy`.\n\n</details>\n\n<details><summary>Hint 3",
            "$\\gamma\\,$`dy`, with $\\gamma$ as a column.\n\n</details>\n\n<details><summary>Hint 3",
        ),
        ("Reshape to (N, D) at the end.", "Reshape to (D, N) at the end."),
    ],
    "group_backward": [
        ("Gradients of group norm of rows.", "Gradients of group norm of columns."),
        (
            "dy: (N, D), cache: x_hat (N, D), inv_std (N, G) and gamma (D,).",
            "dy: (D, N), cache: x_hat (D, N), inv_std (G, N) and gamma (D,).",
        ),
        ("Returns dx (N, D)", "Returns dx (D, N)"),
        (
            "    g = (dy * gamma).reshape(*inv_std.shape, -1)\n",
            "    g = (dy * gamma[:, None]).reshape(len(inv_std), -1, dy.shape[1])\n",
        ),
        (
            "g.mean(2, keepdim=True), (g * z).mean(2, keepdim=True)",
            "g.mean(1, keepdim=True), (g * z).mean(1, keepdim=True)",
        ),
        ("inv_std.unsqueeze(2)", "inv_std.unsqueeze(1)"),
        ("(dy * x_hat).sum(0), dy.sum(0)", "(dy * x_hat).sum(1), dy.sum(1)"),
    ],
    "test_group_parameters": [
        (
            "_, my_dgamma, my_dbeta = group_backward(dy, (x_hat, inv_std, gamma.detach()))",
            "cache = (x_hat.t(), inv_std.t(), gamma.detach())\n_, my_dgamma, my_dbeta = group_backward(dy.t(), cache)",
        ),
        (
            "_, my_dgamma, my_dbeta = group_backward(dy, (F.group_norm(x, 2), inv_std, gamma))",
            "cache = (F.group_norm(x, 2).t(), inv_std.t(), gamma)\n_, my_dgamma, my_dbeta = group_backward(dy.t(), cache)",
        ),
    ],
    "test_group_input": [
        (
            "    my_dx, _, _ = group_backward(dy, (x_hat, inv_std, gamma))\n    parts =",
            "    my_dx, _, _ = group_backward(dy.t(), (x_hat.t(), inv_std.t(), gamma))\n    my_dx = my_dx.t()\n    parts =",
        ),
        (
            "    my_dx, _, _ = group_backward(dy, (x_hat, inv_std, gamma))\n    checking",
            "    my_dx, _, _ = group_backward(dy.t(), (x_hat.t(), inv_std.t(), gamma))\n    checking",
        ),
    ],
}

LAST = {
    "a2-task-5": [
        (
            "measure the root mean square on the first $k$ of the $D$ entries only, and divide",
            "measure the root mean square on $k$ of the $D$ entries only, here on the *last* $k$, and divide",
        ),
        ("\\frac1k\\sum_{j\\le k}x_j^2", "\\frac1k\\sum_{j>D-k}x_j^2"),
        (
            "because a slice such as `x[:, :k]` would hide the mistake",
            "because a slice such as `x[:, -k:]` would hide the mistake",
        ),
        (
            "Which inputs does $y_D$ depend on, if $k<D$? And which outputs does $x_1$ move?",
            "Which inputs does $y_1$ depend on, if $k<D$? And which outputs does $x_D$ move?",
        ),
        ("for $i\\le k$, and 0", "for $i>D-k$, and 0"),
        ("and for $i\\le k$ another one", "and for $i>D-k$ another one"),
        ("and subtract from the first $k$.", "and subtract from the last $k$."),
    ],
    "partial": [
        ("of its first k entries", "of its last k entries"),
        ("x[:, :k]", "x[:, -k:]"),
    ],
    "test_partial": [
        (
            "# The first two of 3, 4, 100 have the mean square 12.5.",
            "# The last two of 100, 3, 4 have the mean square 12.5.",
        ),
        ("torch.tensor([[3.0, 4.0, 100.0]]", "torch.tensor([[100.0, 3.0, 4.0]]"),
        ("torch.tensor([1.0, 2.0, -1.0]", "torch.tensor([-1.0, 1.0, 2.0]"),
        ("torch.tensor([[3.0, 8.0, -100.0]]", "torch.tensor([[-100.0, 3.0, 8.0]]"),
        (
            "y of 3, 4, 100 with k = 2 and gamma 1, 2, -1",
            "y of 100, 3, 4 with k = 2 and gamma -1, 1, 2",
        ),
    ],
    "partial_backward": [
        (
            "torch.arange(dy.shape[1]) < k",
            "torch.arange(dy.shape[1]) >= dy.shape[1] - k",
        )
    ],
    "test_partial_input": [
        (
            "# Here the library measures the first k entries",
            "# Here the library measures the last k entries",
        ),
        (
            "factor = F.rms_norm(x[:, :k], (k,), eps=0.1)[:, :1] / x[:, :1]",
            "factor = F.rms_norm(x[:, -k:], (k,), eps=0.1)[:, -1:] / x[:, -1:]",
        ),
        (
            'checking.close(my_dx[:, k:], dx[:, k:], name="dx of the entries that are not measured")',
            'name = "dx of the entries that are not measured"\nchecking.close(my_dx[:, :-k], dx[:, :-k], name=name)',
        ),
        (
            "checking.close(my_dx[:, :k], dx[:, :k],",
            "checking.close(my_dx[:, -k:], dx[:, -k:],",
        ),
        ("inv_rms = (x[:, :k].square()", "inv_rms = (x[:, -k:].square()"),
    ],
}
EVERY = {
    "a2-task-5": [
        (
            "measure the root mean square on the first $k$ of the $D$ entries only, and divide *all* entries by it,",
            "measure the root mean square on a part of the $D$ entries only, and divide *all* entries by it. Here the part $P$ is every $k$-th entry, beginning with the first one: $1, 1+k, 1+2k$ and so on. With $n$ for their number,",
        ),
        ("\\frac1k\\sum_{j\\le k}x_j^2", "\\frac1n\\sum_{j\\in P}x_j^2"),
        (
            "because a slice such as `x[:, :k]` would hide the mistake",
            "because a slice such as `x[:, ::k]` would hide a $k$ that is too large",
        ),
        (
            "Which inputs does $y_D$ depend on, if $k<D$? And which outputs does $x_1$ move?",
            "Which inputs does $y_2$ depend on, if $k=2$? And which outputs does $x_1$ move?",
        ),
        ("-r^3x_i/k$ for $i\\le k$, and 0", "-r^3x_i/n$ for $i\\in P$, and 0"),
        ("and for $i\\le k$ another one", "and for $i\\in P$ another one"),
        ("The other term is $-\\frac{r}{k}", "The other term is $-\\frac{r}{n}"),
        ("and subtract from the first $k$.", "and subtract from those in $P$."),
    ],
    "partial": [
        ("of its first k entries", "of every k-th entry"),
        ("x[:, :k]", "x[:, ::k]"),
    ],
    "test_partial": [
        (
            "# The first two of 3, 4, 100 have the mean square 12.5.",
            "# The first and the last of 3, 100, 4 have the mean square 12.5.",
        ),
        ("torch.tensor([[3.0, 4.0, 100.0]]", "torch.tensor([[3.0, 100.0, 4.0]]"),
        ("torch.tensor([1.0, 2.0, -1.0]", "torch.tensor([1.0, -1.0, 2.0]"),
        ("torch.tensor([[3.0, 8.0, -100.0]]", "torch.tensor([[3.0, -100.0, 8.0]]"),
        (
            "y of 3, 4, 100 with k = 2 and gamma 1, 2, -1",
            "y of 3, 100, 4 with k = 2 and gamma 1, -1, 2",
        ),
    ],
    "partial_backward": [
        (
            "measured = torch.arange(dy.shape[1]) < k",
            "measured = torch.arange(dy.shape[1]) % k == 0",
        ),
        (
            "(g * x_hat).sum(1, keepdim=True) / k",
            "(g * x_hat).sum(1, keepdim=True) / measured.sum()",
        ),
    ],
    "test_partial_input": [
        (
            "# Here the library measures the first k entries",
            "# Here the library measures every k-th entry",
        ),
        (
            "factor = F.rms_norm(x[:, :k], (k,), eps=0.1)[:, :1] / x[:, :1]",
            "factor = F.rms_norm(x[:, ::k], (2,), eps=0.1)[:, :1] / x[:, :1]",
        ),
        (
            'checking.close(my_dx[:, k:], dx[:, k:], name="dx of the entries that are not measured")',
            'rest = [1, 2, 4]\nname = "dx of the entries that are not measured"\nchecking.close(my_dx[:, rest], dx[:, rest], name=name)',
        ),
        (
            "checking.close(my_dx[:, :k], dx[:, :k],",
            "checking.close(my_dx[:, ::k], dx[:, ::k],",
        ),
        ("inv_rms = (x[:, :k].square()", "inv_rms = (x[:, ::k].square()"),
        ("((2, 5), 1, 0.1), ((4, 8), 7, 0.5)", "((2, 5), 4, 0.1), ((4, 8), 7, 0.5)"),
    ],
}

CONVENTIONS = {
    "eps": {
        "outside of the root": OUTSIDE,
        "a floor": FLOOR,
    },
    "groups of channels": {
        "channels last, neighbors": NEIGHBORS,
        "channels first, shuffled": SHUFFLED_FIRST,
    },
    "layout of kernels": {
        "outputs before inputs": kernels(
            "(h, w, out, in)",
            (0, 1, 3, 2),
            "{}[:, None]",
            "TensorFlow stores those of a transposed convolution",
        ),
        "outputs first": kernels(
            "(out, h, w, in)",
            (3, 0, 1, 2),
            "{}[:, None, None, None]",
            "TensorFlow Lite stores them",
        ),
    },
    "groups of rows": {
        "interleaved": INTERLEAVED,
        "columns": COLUMNS,
    },
    "the measured part": {
        "the last entries": LAST,
        "every k-th entry": EVERY,
    },
}
