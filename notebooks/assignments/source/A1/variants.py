"""Conventions of A1; :mod:`resnorm.course.variants` explains their form."""

UNBIASED = {
    "54846413": [
        ("the mean and the *biased* variance", "the mean and the *unbiased* variance"),
        (
            "The biased variance divides by the number of values, not by one fewer.",
            "The unbiased variance divides by one fewer than the number of values.",
        ),
    ],
    "c1f6f308": [
        (
            "Compute the statistics again instead of calling Task 1, so that a slip there does not follow you.",
            "Compute the statistics again instead of calling Task 1: here $\\sigma^2$ is the *biased* variance.",
        ),
    ],
    "channel_statistics": [
        ("Mean and biased variance", "Mean and unbiased variance"),
        (
            "square().mean((0, 2, 3))\n",
            "square().sum((0, 2, 3))\n    var = var / (x.numel() / x.shape[1] - 1)\n",
        ),
    ],
    "test_statistics_by_hand": [
        (
            "# One channel holds 1, 3, 5, 7: the mean is 4, the deviations are -3, -1, 1, 3, and the\n# biased variance is 20 / 4 = 5.",
            "# One channel holds 1, 3, 5, 7: the mean is 4, the deviations are -3, -1, 1, 3, and the\n# unbiased variance is 20 / 3.",
        ),
        (
            "the biased variance of 1, 3, 5, 7 (divide by 4, not by 3)",
            "the unbiased variance of 1, 3, 5, 7 (divide by 3, not by 4)",
        ),
        ("torch.tensor([5.0])", "torch.tensor([20 / 3])"),
        ("the biased variance of six", "the unbiased variance of six"),
    ],
    "test_statistics": [("unbiased=False", "unbiased=True")],
}
DEVIATION = {
    "54846413": [
        (
            "return the mean and the *biased* variance of each channel, both",
            "return the mean and the standard deviation of each channel, which is the root of the *biased* variance, both",
        ),
        (
            "The biased variance divides by the number of values, not by one fewer.",
            "The biased variance divides by the number of values, not by one fewer. Take its root at the end.",
        ),
    ],
    "channel_statistics": [
        (
            "Mean and biased variance of",
            "Mean and standard deviation (the root of the biased variance) of",
        ),
        ("    var = (x", "    std = (x"),
        ("square().mean((0, 2, 3))\n", "square().mean((0, 2, 3)).sqrt()\n"),
        ("return mean, var", "return mean, std"),
    ],
    "test_statistics_by_hand": [
        (
            "# biased variance is 20 / 4 = 5.",
            "# standard deviation is the root of 20 / 4 = 5.",
        ),
        ("mean, var =", "mean, std ="),
        (
            "checking.close(var, torch.tensor([5.0])",
            "checking.close(std, torch.tensor([5**0.5])",
        ),
        (
            "the biased variance of 1, 3, 5, 7 (divide by 4, not by 3)",
            "the standard deviation of 1, 3, 5, 7 (divide by 4, not by 3)",
        ),
        (
            'checking.emit("the biased variance of six other values", var)',
            'checking.emit("the standard deviation of six other values", std)',
        ),
    ],
    "test_statistics": [
        ("mean, var =", "mean, std ="),
        (
            'checking.close(var, channels.var(1, unbiased=False), name="the variance")',
            'checking.close(std, channels.std(1, unbiased=False), name="the standard deviation")',
        ),
        (
            'checking.emit(f"the variance of shape {shape}", var)',
            'checking.emit(f"the standard deviation of shape {shape}", std)',
        ),
    ],
}


def layout(shape, statistic, axes, channel, like):
    """The edits for another layout in Tasks 2 and 5.

    Arguments: the shape of a batch and that of a statistic of each channel, in letters; the axes
    of a batch in PyTorch's order that follow each other here; the axis of the channels; and a
    remark in which libraries this is so.
    """
    there = ", ".join(map(str, axes))
    back = ", ".join(str(axes.index(axis)) for axis in range(4))
    view = f"view({statistic.strip('()').replace('C', '-1')})"
    over = str(tuple(axis for axis in range(4) if axis != channel))
    two = ", ".join(str((2, 8, 1, 1)[axis]) for axis in axes)
    by_letters = [("(N, C, H, W)", shape), ("(1, C, 1, 1)", statistic)]
    return {
        "imports": [
            (
                "torch.manual_seed(0)",
                "\ndef laid_out(x):\n"
                f'    """From PyTorch\'s layout, (N, C, H, W), to that of Tasks 2 and 5, {shape}."""\n'
                f"    return x.permute({there}).contiguous()\n\n\ntorch.manual_seed(0)",
            )
        ],
        "c1f6f308": [
            by_letters[1],
            (
                "Return `y` and the tuple",
                f"**The layout.** In this task and in Task 5, a batch has the shape {shape}, {like}. The tests bring tensors from PyTorch's layout to this one with `laid_out`, which you find in the cell of the imports.\n\nReturn `y` and the tuple",
            ),
        ],
        "forward": [*by_letters, ("(0, 2, 3)", over), ("view(1, -1, 1, 1)", view)],
        "test_forward": [
            (
                "standardized = F.batch_norm(x, None, None, training=True)\n",
                "standardized = F.batch_norm(x, None, None, training=True)\n"
                "x, expected, standardized = map(laid_out, (x, expected, standardized))\n",
            ),
            (
                "checking.close(torch.stack([y, x]), torch.stack([expected, before]), name=name)",
                "both = torch.stack([y, x]), torch.stack([expected, laid_out(before)])\nchecking.close(*both, name=name)",
            ),
            (
                "inv_std = inv_std.view(1, -1, 1, 1)",
                "inv_std = laid_out(inv_std.view(1, -1, 1, 1))",
            ),
            (
                "x = 2 + 3 * torch.randn(3, 2, 4, 2, dtype=torch.float64)",
                "x = laid_out(2 + 3 * torch.randn(3, 2, 4, 2, dtype=torch.float64))",
            ),
        ],
        "test_forward_small_values": [
            (
                "batch_norm_forward(x, one, zero",
                "batch_norm_forward(laid_out(x), one, zero",
            ),
            ("checking.close(y, expected,", "checking.close(y, laid_out(expected),"),
            (
                "x = torch.randn(shape, dtype=torch.float64)",
                "x = laid_out(torch.randn(shape, dtype=torch.float64))",
            ),
        ],
        "82da282b": [
            (
                "return the gradients at `x`, `gamma` and `beta`.",
                f"return the gradients at `x`, `gamma` and `beta`. Batches have the layout of Task 2, {shape}.",
            )
        ],
        "backward": [
            by_letters[0],
            ("(0, 2, 3)", over),
            ("view(1, -1, 1, 1)", view),
            ("dy.shape[1]", f"dy.shape[{channel}]"),
        ],
        "test_backward_parameters": [
            (
                "cache = (x_hat, inv_std.view(1, -1, 1, 1), gamma.detach())",
                "cache = (laid_out(x_hat), laid_out(inv_std.view(1, -1, 1, 1)), gamma.detach())",
            ),
            (
                "batch_norm_backward(dy, cache)",
                "batch_norm_backward(laid_out(dy), cache)",
            ),
            (
                "cache = (F.batch_norm(x, None, None, training=True), inv_std, gamma)",
                "x_hat = F.batch_norm(x, None, None, training=True)\n"
                "    cache = (laid_out(x_hat), laid_out(inv_std), gamma)",
            ),
        ],
        "test_backward_input": [
            (
                "cache = (x_hat, inv_std.view(1, -1, 1, 1), gamma)",
                "cache = (laid_out(x_hat), laid_out(inv_std.view(1, -1, 1, 1)), gamma)",
            ),
            (
                "batch_norm_backward(dy, cache)",
                "batch_norm_backward(laid_out(dy), cache)",
            ),
            (
                "torch.stack([my_dx.sum((0, 2, 3)), my_dx.abs().sum((0, 2, 3))])",
                f"torch.stack([my_dx.sum({over}), my_dx.abs().sum({over})])",
            ),
            ("checking.close(my_dx, dx,", "checking.close(my_dx, laid_out(dx),"),
            (
                "cache = ((x - x.mean((0, 2, 3), keepdim=True)) * inv_std, inv_std, gamma)",
                "x_hat = (x - x.mean((0, 2, 3), keepdim=True)) * inv_std\n"
                "    cache = (laid_out(x_hat), laid_out(inv_std), gamma)",
            ),
        ],
        "laboratory": [
            (
                "batch_norm_backward(dy, ctx.cache)",
                "batch_norm_backward(dy.contiguous(), ctx.cache)",
            ),
            (
                "    return OwnNorm.apply(x, gamma, beta)",
                "    y = OwnNorm.apply(laid_out(x), gamma, beta)\n"
                f"    return y.permute({back})  # to PyTorch's layout",
            ),
        ],
        "a1-task-8-questions": [
            ("100 * torch.randn(2, 8, 1, 1, dtype", f"100 * torch.randn({two}, dtype"),
            (
                "(or autograd with `library_norm`)",
                "(or autograd with `library_norm`, which takes PyTorch's layout)",
            ),
        ],
    }


ANOTHER = [("by Caffe's convention", "by another convention")]
FORGOTTEN_SHARE = {
    "9b3738a5": ANOTHER,
    "1a61e012": [
        (
            "Caffe keeps three *sums* that start at 0 ([`batch_norm_layer.cpp`](https://github.com/BVLC/caffe/blob/master/src/caffe/layers/batch_norm_layer.cpp)). For",
            "Here three *sums* start at 0, as in Caffe ([`batch_norm_layer.cpp`](https://github.com/BVLC/caffe/blob/master/src/caffe/layers/batch_norm_layer.cpp)). But the momentum has PyTorch's sense: it is the share that is *forgotten*. And the variance stays biased. For",
        ),
        (
            "mean $\\mu$ and variance $\\sigma^2$",
            "mean $\\mu$ and biased variance $\\sigma^2$",
        ),
        (
            "S_\\mu\\leftarrow\\lambda S_\\mu+\\mu,\\qquad S_{\\sigma^2}\\leftarrow\\lambda S_{\\sigma^2}+\\tfrac{m}{m-1}\\,\\sigma^2,\\qquad n\\leftarrow\\lambda n+1,",
            "S_\\mu\\leftarrow(1-\\alpha)S_\\mu+\\mu,\\qquad S_{\\sigma^2}\\leftarrow(1-\\alpha)S_{\\sigma^2}+\\sigma^2,\\qquad n\\leftarrow(1-\\alpha)n+1,",
        ),
        (
            "where $\\lambda$ is `decay`, $\\sigma^2$ is the biased variance and $m$ is the number of values in a channel.",
            "where $\\alpha$ is `momentum`.",
        ),
        ("whatever `decay` is", "whatever `momentum` is"),
        ("`count = decay * count + 1`", "`count = (1 - momentum) * count + 1`"),
        (
            "`mean_sum.mul_(decay).add_(mean)`, and likewise for the others. The factor $m/(m-1)$ turns the biased variance into the unbiased one.",
            "`mean_sum.mul_(1 - momentum).add_(mean)`, and likewise for the others. Most of PyTorch's functions give the unbiased variance unless they are told otherwise.",
        ),
    ],
    "running": [
        ("decay=0.999", "momentum=0.001"),
        ("    m = x.numel() / x.shape[1]\n", ""),
        (".sum((0, 2, 3)) / (m - 1)", ".mean((0, 2, 3))"),
        ("mul_(decay)", "mul_(1 - momentum)"),
    ],
    "test_running_mean": [
        ("With a decay of 0.9 the", "With momentum 0.1 the"),
        ("decay=0.9", "momentum=0.1"),
        ("for decay in (0.9, 0.5, 0.999)", "for momentum in (0.1, 0.4, 0.001)"),
        ("count, x, decay)", "count, x, momentum)"),
        ("after decay {decay}", "after momentum {momentum}"),
    ],
    "test_running_var": [
        (
            "the biased variance 5 and the unbiased one 20 / 3.",
            "the biased variance 5.",
        ),
        ("torch.tensor([20 / 3]", "torch.tensor([5.0]"),
        ("decay=0.9", "momentum=0.1"),
        ("for decay in (0.9, 0.5, 0.999)", "for momentum in (0.1, 0.4, 0.001)"),
        ("count, x, decay)", "count, x, momentum)"),
        ("after decay {decay}", "after momentum {momentum}"),
    ],
}
AVERAGES = {
    "9b3738a5": ANOTHER,
    "1a61e012": [
        (
            "Caffe keeps three *sums* that start at 0 ([`batch_norm_layer.cpp`](https://github.com/BVLC/caffe/blob/master/src/caffe/layers/batch_norm_layer.cpp)). For",
            "Here all three tensors are averages that start at 0, and the third one says how much weight the other two have gathered so far. This is how the optimizer Adam corrects its averages ([Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980), section 3). For",
        ),
        (
            "S_\\mu\\leftarrow\\lambda S_\\mu+\\mu,\\qquad S_{\\sigma^2}\\leftarrow\\lambda S_{\\sigma^2}+\\tfrac{m}{m-1}\\,\\sigma^2,\\qquad n\\leftarrow\\lambda n+1,",
            "A_\\mu\\leftarrow\\lambda A_\\mu+(1-\\lambda)\\mu,\\qquad A_{\\sigma^2}\\leftarrow\\lambda A_{\\sigma^2}+(1-\\lambda)\\tfrac{m}{m-1}\\,\\sigma^2,\\qquad n\\leftarrow\\lambda n+(1-\\lambda),",
        ),
        (
            "are $S_\\mu/n$ and $S_{\\sigma^2}/n$",
            "are $A_\\mu/n$ and $A_{\\sigma^2}/n$",
        ),
        (
            "For the first batch, $n=1$ and $S_\\mu=\\mu$ whatever `decay` is. Check this by hand.",
            "After the first batch, $A_\\mu/n=\\mu$ whatever `decay` is. Check this by hand.",
        ),
        ("`count = decay * count + 1`", "`count = decay * count + (1 - decay)`"),
        (
            "`mean_sum.mul_(decay).add_(mean)`, and",
            "`mean_avg.mul_(decay).add_((1 - decay) * mean)`, and",
        ),
    ],
    "running": [
        ("mean_sum.mul_(decay).add_(mean)", "mean_sum.lerp_(mean, 1 - decay)"),
        ("var_sum.mul_(decay).add_(var)", "var_sum.lerp_(var, 1 - decay)"),
        ("count.mul_(decay).add_(1)", "count.mul_(decay).add_(1 - decay)"),
        ("mean_sum", "mean_avg"),
        ("var_sum", "var_avg"),
    ],
    "test_running_mean": [
        (
            "# sum is 4 and then 0.9 * 4 + 6 = 9.6, and the count is 1 and then 1.9.",
            "# average is 0.1 * 4 = 0.4 and then 0.9 * 0.4 + 0.1 * 6 = 0.96, and the count is 0.1 and\n# then 0.19.",
        ),
        ("torch.tensor(1.0)", "torch.tensor(0.1)"),
        ("torch.tensor([9.6])", "torch.tensor([0.96])"),
        ("torch.tensor(1.9)", "torch.tensor(0.19)"),
        ("sum of means after two", "average of means"),
        ("mean_sum", "mean_avg"),
        ("var_sum", "var_avg"),
    ],
    "test_running_var": [
        (
            "checking.close(var_sum, expected,",
            "checking.close(var_sum, 0.1 * expected,",
        ),
        ("1.9 * expected", "0.19 * expected"),
        ("sum of variances", "average of variances"),
        ("mean_sum", "mean_avg"),
        ("var_sum", "var_avg"),
    ],
}

NORM_FIRST = {
    "9b3738a5": [
        ("folding into an up-convolution", "folding into the convolution after it")
    ],
    "2fbaea8c": [
        ("folding into an up-convolution (", "folding into the convolution after it ("),
        (
            "Chapter 2.1 folds a norm into an ordinary convolution before it. Generators and U-Nets put a norm behind a *transposed* convolution, `nn.ConvTranspose2d`, whose weight has the shape (in, out, h, w). Find the weight and the bias with which `bn(up(x)) == up'(x)`.",
            "Chapter 2.1 folds a norm into the convolution before it. In a pre-activation network the norm comes *first*. Take a convolution without padding, whose weight has the shape (out, in, h, w), and find the weight and the bias with which `conv(bn(x)) == conv'(x)`. (With zero padding there are none, because the zeros come in after the norm.)",
        ),
        (
            "`up` is linear in its weight: multiplying all weights that lead to output channel $o$ by $s_o$ multiplies this channel of the output by $s_o$. Which axis of the weight is $o$?",
            "Multiplying channel $i$ of the input by $s_i$ has the same effect as multiplying all weights that read this channel by $s_i$. Which axis of the weight is $i$? And what does `conv` make of an input in which every position of channel $i$ holds the shift $t_i$?",
        ),
        (
            "The new bias is $\\beta+s\\,(b-\\mu)$ with $b=0$ if there is no bias. The output axis of a transposed convolution's weight is axis 1.",
            "The input axis of the weight is axis 1. The new bias of output $o$ is $b_o+\\sum_it_i\\sum_{h,w}W_{oihw}$ with $t=\\beta-s\\mu$, and $b_o=0$ if there is no bias.",
        ),
    ],
    "fold": [
        (
            "A transposed convolution and the norm after it as one transposed convolution.",
            "A norm and the convolution without padding after it as one convolution.",
        ),
        (
            "weight: (in, out, h, w), bias: (out,) or None, the rest: (out,).",
            "weight: (out, in, h, w), bias: (out,) or None, the rest: (in,).",
        ),
        (
            "    old = torch.zeros_like(running_mean) if bias is None else bias\n    return weight * scale.view(1, -1, 1, 1), beta + scale * (old - running_mean)",
            "    shift = weight.sum((2, 3)) @ (beta - scale * running_mean)\n    if bias is not None:\n        shift = shift + bias\n    return weight * scale.view(1, -1, 1, 1), shift",
        ),
    ],
    "test_fold": [
        (
            "up, layer = nn.ConvTranspose2d(2, 3, 3, 2)",
            "conv, layer = nn.Conv2d(3, 2, 3, 2)",
        ),
        ("x = torch.randn(2, 2, 6, 6", "x = torch.randn(2, 3, 6, 6"),
        ("up.weight", "conv.weight"),
        ("up.bias", "conv.bias"),
        ("F.conv_transpose2d(", "F.conv2d("),
        ("layer.eval()(up(x))", "conv(layer.eval()(x))"),
        (
            "gamma, beta, mean, bias = torch.randn(4, 3, dtype=torch.float64)",
            "gamma, beta, mean = torch.randn(3, 3, dtype=torch.float64)\nbias = torch.randn(2, dtype=torch.float64)",
        ),
    ],
    "test_fold_without_bias": [
        ("up = nn.ConvTranspose2d(2, 3, 3, 2,", "conv = nn.Conv2d(3, 2, 3, 2,"),
        ("x = torch.randn(2, 2, 6, 6", "x = torch.randn(2, 3, 6, 6"),
        ("up.weight", "conv.weight"),
        ("F.conv_transpose2d(", "F.conv2d("),
        ("layer.eval()(up(x))", "conv(layer.eval()(x))"),
    ],
}
GROUPED = {
    "9b3738a5": [
        ("folding into an up-convolution", "folding into a grouped up-convolution")
    ],
    "2fbaea8c": [
        ("folding into an up-convolution (", "folding into a grouped up-convolution ("),
        (
            "whose weight has the shape (in, out, h, w). Find",
            "and a small network may split it into groups: the channels of the input and those of the output are cut into `groups` equal parts, and part $g$ of the output is computed from part $g$ of the input alone. The weight has the shape (in, out / groups, h, w), and its row $i$ leads to the outputs of $i$'s own part. Find",
        ),
        (
            "Which axis of the weight is $o$?",
            "Where in the weight are those that lead to $o$?",
        ),
        (
            "The output axis of a transposed convolution's weight is axis 1.",
            "Give the weight the shape (groups, in / groups, out / groups, h, w), and $s$ a shape that broadcasts against it.",
        ),
    ],
    "fold": [
        ("running_var, eps=1e-5):", "running_var, groups, eps=1e-5):"),
        (
            "A transposed convolution and the norm after it as one transposed convolution.",
            "A grouped transposed convolution and the norm after it as one of the same kind.",
        ),
        (
            "weight: (in, out, h, w), bias: (out,) or None, the rest: (out,).",
            "weight: (in, out / groups, h, w), bias: (out,) or None, gamma, beta,\n    running_mean and running_var: (out,).",
        ),
        (
            "    return weight * scale.view(1, -1, 1, 1), beta + scale * (old - running_mean)",
            "    parts = weight.reshape(groups, -1, *weight.shape[1:])\n    new = (parts * scale.view(groups, 1, -1, 1, 1)).reshape(weight.shape)\n    return new, beta + scale * (old - running_mean)",
        ),
    ],
    "test_fold": [
        (
            "up, layer = nn.ConvTranspose2d(2, 3, 3, 2).double(), nn.BatchNorm2d(3).double()",
            "up = nn.ConvTranspose2d(4, 6, 3, 2, groups=2).double()\nlayer = nn.BatchNorm2d(6).double()",
        ),
        ("x = torch.randn(2, 2, 6, 6", "x = torch.randn(2, 4, 6, 6"),
        ("up.bias, *norm)", "up.bias, *norm, groups=2)"),
        ("stride=2)", "stride=2, groups=2)"),
        ("torch.randn(4, 3, dtype", "torch.randn(4, 6, dtype"),
        ("bias, *norm, 1e-2)", "bias, *norm, 2, 1e-2)"),
    ],
    "test_fold_without_bias": [
        (
            "nn.ConvTranspose2d(2, 3, 3, 2, bias",
            "nn.ConvTranspose2d(4, 6, 3, 2, groups=2, bias",
        ),
        ("nn.BatchNorm2d(3,", "nn.BatchNorm2d(6,"),
        ("x = torch.randn(2, 2, 6, 6", "x = torch.randn(2, 4, 6, 6"),
        ("None, *norm, eps=0.1)", "None, *norm, groups=2, eps=0.1)"),
        ("stride=2)", "stride=2, groups=2)"),
        ("torch.randn(3, 3, dtype", "torch.randn(3, 6, dtype"),
        ("None, *norm, 1e-2)", "None, *norm, 2, 1e-2)"),
    ],
}

EMPTY_PADDING = {
    "a1-task-6": [
        (
            "*Every* position is then normalized with them, also one whose weight is 0. Weights",
            "A position of weight 0 is padding and stays empty: its $\\hat x$ and its `y` are 0, whatever $\\beta$ is. All others are normalized with these statistics, scaled and shifted. Weights",
        ),
    ],
    "a1-task-6-hints": [
        (
            "With equal weights, $s_i=1/m$ and everything",
            "With equal weights there is no padding, $s_i=1/m$, and everything",
        ),
        (
            "A position of weight 0 moves neither, so its `dx` is only $\\gamma/\\sqrt{\\sigma^2+\\epsilon}$ times `dy`.",
            "A position of weight 0 moves neither, and its own `y` is always 0. So its `dx` is 0, and its `dy` reaches nothing.",
        ),
        (
            "the sums over $j$ that they contain are `dbeta` and `dgamma`, without any weights.",
            "the sums over $j$ that they contain are `dbeta` and `dgamma`, in which every position counts once, or not at all if it is padding.",
        ),
    ],
    "weighted": [
        (
            "Normalize each channel by weighted statistics, then scale and shift.",
            "Normalize each channel by weighted statistics, then scale and shift.\n    Where the weight is 0, x_hat and y are 0.",
        ),
        ("x_hat = (x - mean) * inv_std", "x_hat = (x - mean) * inv_std * (share > 0)"),
        (
            "y = gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)",
            "y = gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1) * (share > 0)",
        ),
    ],
    "test_weighted": [
        (
            "weights 1, 1, 1, 0: mean 3, variance 8 / 3.",
            "weights 1, 1, 1, 0: mean 3, variance 8 / 3.\n# The 90 is padding.",
        ),
        (
            "y, cache = weighted_forward(x, weight, one, zero, 0.0)",
            "y, cache = weighted_forward(x, weight, one, one, 0.0)",
        ),
        (
            "one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)",
            "one = torch.ones(1, dtype=torch.float64)",
        ),
        (
            "expected = (x - 3) / (8 / 3) ** 0.5",
            "expected = (1 + (x - 3) / (8 / 3) ** 0.5) * (x < 90)",
        ),
        (
            'name="y of 1, 3, 5, 90 with the weights 1, 1, 1, 0")',
            'name="y of 1, 3, 5 and padding, beta 1")',
        ),
    ],
    "weighted_backward": [
        (
            "    x_hat, inv_std, gamma, share = cache\n",
            "    x_hat, inv_std, gamma, share = cache\n    dy = dy * (share > 0)\n",
        ),
    ],
    "test_weighted_input": [
        (
            "# A position of weight 0 moves no statistic.",
            "# A position of weight 0 is padding: nothing goes in, and nothing comes back.",
        ),
        (
            'dx_zero, _, _ = weighted_backward(dy, (*cache[:3], zero.expand(2, 1, 2, 2)))\nexpected = (cache[2].view(1, -1, 1, 1) * inv_std * dy)[0]\nchecking.close(dx_zero[0], expected, name="dx where the weight is 0")',
            'padded = (cache[0] * (zero > 0), *cache[1:3], zero.expand(2, 1, 2, 2))\ndx_zero, _, dbeta_zero = weighted_backward(dy, padded)\nboth = torch.cat([dx_zero[0].sum((1, 2)), dbeta_zero])\nexpected = torch.cat([torch.zeros(3, dtype=torch.float64), dy[1].sum((1, 2))])\nchecking.close(both, expected, name="dx of padding, summed, and dbeta beside padding")',
        ),
        (
            "cache = ((x - mean) * inv_std, inv_std, gamma, share)",
            "cache = ((x - mean) * inv_std * (share > 0), inv_std, gamma, share)",
        ),
    ],
}
BY_COV = "rows, w = x.transpose(0, 1).flatten(1), weight.flatten()\nmean, var = rows @ w / w.sum(), torch.cov(rows, aweights=w).diag()\n"
RELIABILITY = {
    "a1-task-6": [
        (
            "\\qquad \\sigma^2=\\sum_is_i(x_i-\\mu)^2 .",
            "\\qquad \\sigma^2=\\frac{1}{1-\\sum_js_j^2}\\sum_is_i(x_i-\\mu)^2 .",
        ),
        (
            "Weights that are whole numbers act as if each position stood in the batch that often.",
            "The weights say how *reliable* a position is, and the fraction makes the variance unbiased: with equal weights it is Bessel's $m/(m-1)$.",
        ),
        (
            "and a rare example may count three times",
            "and a position that was measured well may count three times",
        ),
    ],
    "a1-task-6-hints": [
        (
            "everything must agree with Tasks 2 and 5. Where",
            "everything must agree with Tasks 2 and 5, except that the variance is unbiased. Where",
        ),
        (
            "$\\partial\\sigma^2/\\partial x_i=2s_i(x_i-\\mu)$.",
            "$\\partial\\sigma^2/\\partial x_i=2s_i(x_i-\\mu)/(1-\\sum_js_j^2)$.",
        ),
        (
            "without any weights.",
            "without any weights. The second term carries the fraction of the variance as well.",
        ),
    ],
    "weighted": [
        (
            "    inv_std = (var + eps)",
            "    var = var / (1 - share.square().sum())\n    inv_std = (var + eps)",
        ),
    ],
    "test_weighted": [
        (
            "mean 3, variance 8 / 3.",
            "mean 3, and the variance\n# is (8 / 3) / (1 - 3 / 9) = 4.",
        ),
        ("expected = (x - 3) / (8 / 3) ** 0.5", "expected = (x - 3) / 2"),
        (
            "# Whole weights are repetitions: the first image counts twice, the second three times.",
            "# torch.cov computes the same variance.",
        ),
        (
            "weight = torch.tensor([2.0, 3.0], dtype=torch.float64).view(2, 1, 1).expand(2, 2, 2)\nrepeated = F.batch_norm(x[[0, 0, 1, 1, 1]], None, None, gamma, beta, training=True)\n",
            f"weight = torch.rand(2, 2, 2, dtype=torch.float64)\n{BY_COV}expected = F.batch_norm(x, mean, var, gamma, beta)\n",
        ),
        (
            'checking.close(y, repeated[[0, 2]], name="y of images that count twice and three times")',
            'checking.close(y, expected, name="y of images with weights")',
        ),
    ],
    "weighted_backward": [
        (
            "    dx = view(gamma) * inv_std * (dy - share * (view(dbeta) + x_hat * view(dgamma)))",
            "    along = x_hat * view(dgamma) / (1 - share.square().sum())\n    dx = view(gamma) * inv_std * (dy - share * (view(dbeta) + along))",
        ),
    ],
    "test_weighted_input": [
        (
            "# Autograd with repetitions: the first image counts twice, the second three times.",
            "# Autograd through torch.cov, which computes the same variance.",
        ),
        (
            "many = F.batch_norm(x[[0, 0, 1, 1, 1]], None, None, gamma, beta, training=True)\ndx, dgamma, dbeta = torch.autograd.grad(many[[0, 2]], (x, gamma, beta), dy)\nmany = x.detach()[[0, 0, 1, 1, 1]]\nx_hat, _, inv_std = torch.native_batch_norm(many, *[None] * 4, True, 0.1, 1e-5)\ninv_std = inv_std.view(1, -1, 1, 1)\nshare = torch.tensor([2.0, 3.0], dtype=torch.float64).view(2, 1, 1, 1) / 20\ncache = (x_hat[[0, 2]], inv_std, gamma.detach(), share.expand(2, 1, 2, 2))\n",
            f"weight = torch.rand(2, 2, 2, dtype=torch.float64)\n{BY_COV}"
            "inv_std = (var + 1e-5).rsqrt().view(1, -1, 1, 1)\n"
            "x_hat = (x - mean.view(1, -1, 1, 1)) * inv_std\n"
            "y = gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)\n"
            "dx, dgamma, dbeta = torch.autograd.grad(y, (x, gamma, beta), dy)\n"
            "inv_std, share = inv_std.detach(), (weight / weight.sum()).unsqueeze(1)\n"
            "cache = (x_hat.detach(), inv_std, gamma.detach(), share)\n",
        ),
        ("dx of images that count twice and three times", "dx of images with weights"),
        (
            "    inv_std = ((share * (x - mean).square()).sum((0, 2, 3), keepdim=True) + eps).rsqrt()\n",
            "    var = (share * (x - mean).square()).sum((0, 2, 3), keepdim=True)\n    inv_std = (var / (1 - share.square().sum()) + eps).rsqrt()\n",
        ),
    ],
}

CONVENTIONS = {
    "statistics of a channel": {
        "unbiased variance": UNBIASED,
        "standard deviation": DEVIATION,
    },
    "layout": {
        "channels last": layout(
            "(N, H, W, C)",
            "(1, 1, 1, C)",
            (0, 2, 3, 1),
            3,
            "with the channels last, as in TensorFlow and JAX",
        ),
        "images last": layout(
            "(H, W, C, N)",
            "(1, 1, C, 1)",
            (2, 3, 1, 0),
            2,
            "with the images of the batch last, as in MatConvNet",
        ),
    },
    "running statistics": {
        "momentum is what is forgotten": FORGOTTEN_SHARE,
        "averages with Adam's correction": AVERAGES,
    },
    "folding": {
        "the norm first": NORM_FIRST,
        "grouped": GROUPED,
    },
    "weights of positions": {
        "padding stays empty": EMPTY_PADDING,
        "reliability": RELIABILITY,
    },
}
