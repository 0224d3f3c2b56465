# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A1: for each task, wrong ones that must lose marks there, and right ones, differently written, that must not.

A wrong answer is an edit of the solution (what stands there, what takes its place) or whole code.
"""

STATISTICS = "def channel_statistics(x):\n"
FORWARD = "def batch_norm_forward(x, gamma, beta, eps=1e-5):\n"
RUNNING = "def update_running(running_mean, running_var, x, momentum=0.1):\n"
EVALUATION = "def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):\n"
FOLD = "def fold(weight, bias, gamma, beta, running_mean, running_var, eps=1e-5):\n"
BACKWARD = "def batch_norm_backward(dy, cache):\n"
MERGE = "def merge_statistics(n1, mean1, var1, n2, mean2, var2):\n"

WRONG = {
    "channel_statistics": {
        "unbiased": STATISTICS + "    return x.mean((0, 2, 3)), x.var((0, 2, 3))",
        "batch axis only": STATISTICS + "    return x.mean(0), x.var(0, unbiased=False)",
        "space only": STATISTICS
        + "    return x.mean((2, 3)).mean(0), x.var((2, 3), unbiased=False).mean(0)",
        "batch axis left out": STATISTICS
        + "    return x[0].mean((1, 2)), x[0].var((1, 2), unbiased=False)",
        "standard deviation": ("return mean, var", "return mean, var.sqrt()"),
        "raw second moment": ("(x - mean.view(1, -1, 1, 1)).square()", "x.square()"),
        "cancellation": (
            ".square().mean((0, 2, 3))\n",
            ".square().mean((0, 2, 3))\n    var = x.float().square().mean((0, 2, 3)).double() - x.float().mean((0, 2, 3)).double() ** 2\n",
        ),
        "keepdim": ("return mean, var", "return mean.view(1, -1, 1, 1), var.view(1, -1, 1, 1)"),
        "swapped": ("return mean, var", "return var, mean"),
        "over channels": STATISTICS + "    return x.mean(), x.var(unbiased=False)",
        "absolute deviation": (".square().mean((0, 2, 3))", ".abs().mean((0, 2, 3))"),
    },
    "forward": {
        "eps outside the root": ("(var + eps).rsqrt()", "1 / (var.sqrt() + eps)"),
        "no eps": ("(var + eps)", "var"),
        "eps fixed": ("(var + eps)", "(var + 1e-5)"),
        "divided by the variance": ("(var + eps).rsqrt()", "(var + eps).reciprocal()"),
        "multiplied by the deviation": (".rsqrt()", ".sqrt()"),
        "unbiased": ("(var + eps)", "(var * x.numel() / (x.numel() - x.shape[1]) + eps)"),
        "mean not taken away": ("(x - mean.view(1, -1, 1, 1))", "x"),
        "no beta": (" + beta.view(1, -1, 1, 1)", ""),
        "gamma and beta swapped": (
            "gamma.view(1, -1, 1, 1) * x_hat + beta.view",
            "beta.view(1, -1, 1, 1) * x_hat + gamma.view",
        ),
        "beta scaled": (
            "gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)",
            "gamma.view(1, -1, 1, 1) * (x_hat + beta.view(1, -1, 1, 1))",
        ),
        "input changed": ("x_hat = (x -", "x -= 0 * x + 1e-3\n    x_hat = (x -"),
        "statistics of all channels": (
            "mean, var = channel_statistics(x)",
            "mean, var = x.mean().expand(x.shape[1]), x.var(unbiased=False).expand(x.shape[1])",
        ),
        "gamma along the width": ("gamma.view(1, -1, 1, 1) * x_hat", "gamma[0] * x_hat"),
    },
    "running": {
        "momentum the other way": ("lerp_(mean, momentum)", "lerp_(mean, 1 - momentum)"),
        "biased": (" * n / (n - 1)", ""),
        "bessel upside down": ("* n / (n - 1)", "* (n - 1) / n"),
        "count with channels": ("x.numel() / x.shape[1]", "x.numel()"),
        "count of images": ("x.numel() / x.shape[1]", "max(2, x.shape[0])"),
        "momentum fixed": ("running_mean.lerp_(mean, momentum)", "running_mean.lerp_(mean, 0.1)"),
        "not in place": ("running_var.lerp_(", "running_var = running_var.lerp("),
        "mean not in place": ("running_mean.lerp_(", "running_mean = running_mean.lerp("),
        "replaced": ("running_mean.lerp_(mean, momentum)", "running_mean.copy_(mean)"),
        "added": ("running_mean.lerp_(mean, momentum)", "running_mean.add_(mean, alpha=momentum)"),
        "mean twice": (
            "running_var.lerp_(var * n / (n - 1), momentum)",
            "running_var.lerp_(mean, momentum)",
        ),
    },
    "evaluation": {
        "statistics of the batch": EVALUATION
        + "    return batch_norm_forward(x, gamma, beta, eps)[0]",
        "eps outside": ("(running_var + eps).rsqrt()", "1 / (running_var.sqrt() + eps)"),
        "eps fixed": ("running_var + eps", "running_var + 1e-5"),
        "variance for deviation": (".rsqrt()", ".reciprocal()"),
        "mean unscaled": ("beta - scale * running_mean", "beta - running_mean"),
        "sign": ("beta - scale", "beta + scale"),
        "no beta": ("shift = beta -", "shift = -"),
        "no gamma": ("gamma * (running_var", "(running_var"),
        "gamma on the mean twice": ("scale * running_mean", "gamma * scale * running_mean"),
    },
    "fold": {
        "bias forgotten": ("(old - running_mean)", "(-running_mean)"),
        "bias unscaled": (
            "beta + scale * (old - running_mean)",
            "beta + old - scale * running_mean",
        ),
        "sign of the mean": ("old - running_mean", "old + running_mean"),
        "beta forgotten": ("beta + scale *", "scale *"),
        "None not handled": ("torch.zeros_like(running_mean) if bias is None else bias", "bias"),
        "input channels scaled": (
            "scale.view(-1, 1, 1, 1)",
            "scale[: weight.shape[1]].view(1, -1, 1, 1)",
        ),
        "eps outside": ("(running_var + eps).rsqrt()", "1 / (running_var.sqrt() + eps)"),
        "eps fixed": ("running_var + eps", "running_var + 1e-5"),
        "weight as it was": ("weight * scale.view(-1, 1, 1, 1)", "weight"),
        "no gamma": ("gamma * (running_var", "(running_var"),
    },
    "backward": {
        "statistics constant": ("(dy - view(dbeta) / m - x_hat * view(dgamma) / m)", "dy"),
        "mean constant": ("dy - view(dbeta) / m - x_hat", "dy - x_hat"),
        "variance constant": (" - x_hat * view(dgamma) / m", ""),
        "sign of the third term": ("- x_hat * view(dgamma)", "+ x_hat * view(dgamma)"),
        "no gamma": ("view(gamma) * inv_std", "inv_std"),
        "no scale": ("view(gamma) * inv_std *", "view(gamma) *"),
        "squared scale": ("view(gamma) * inv_std", "view(gamma) * inv_std**2"),
        "count of images": ("dy.numel() / dy.shape[1]", "dy.shape[0]"),
        "bessel": ("dy.numel() / dy.shape[1]", "dy.numel() / dy.shape[1] - 1"),
        "dgamma without x_hat": ("(dy * x_hat).sum", "dy.sum"),
        "means for sums": (
            "dy.sum((0, 2, 3)), (dy * x_hat).sum((0, 2, 3))",
            "dy.mean((0, 2, 3)), (dy * x_hat).mean((0, 2, 3))",
        ),
        "parameters swapped": ("return dx, dgamma, dbeta", "return dx, dbeta, dgamma"),
        "upside down": ("return dx, dgamma, dbeta", "return -dx, dgamma, dbeta"),
        "dbeta over images only": (
            "dbeta, dgamma = dy.sum((0, 2, 3))",
            "dbeta, dgamma = dy.sum(0)[:, 0, 0]",
        ),
    },
    "merge": {
        "plain mean": ("mean1 + delta * (n2 / n)", "(mean1 + mean2) / 2"),
        "no cross term": (" + delta.square() * (n1 * n2 / n**2)", ""),
        "cross term unscaled": ("(n1 * n2 / n**2)", "(n1 * n2 / n)"),
        "plain variances": ("(n1 * var1 + n2 * var2) / n", "(var1 + var2) / 2"),
        "unbiased": ("(n1 * var1 + n2 * var2) / n +", "(n1 * var1 + n2 * var2) / (n - 2) +"),
        "weights swapped": ("delta * (n2 / n)", "delta * (n1 / n)"),
        "not squared": ("delta.square()", "delta.abs()"),
        "second moments": MERGE + "    n = n1 + n2\n    mean = (n1 * mean1 + n2 * mean2) / n\n"
        "    return mean, (n1 * (var1 + mean1**2) + n2 * (var2 + mean2**2)) / n - mean**2",
    },
}

RIGHT = {
    "channel_statistics": {
        "var": STATISTICS + "    return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)",
        "flattened": STATISTICS
        + "    rows = x.transpose(0, 1).flatten(1)\n    return rows.mean(1), rows.var(1, correction=0)",
        "loop": STATISTICS
        + "    means = torch.stack([x[:, c].mean() for c in range(x.shape[1])])\n"
        "    return means, torch.stack([((x[:, c] - means[c]) ** 2).mean() for c in range(x.shape[1])])",
        "var_mean": STATISTICS
        + "    var, mean = torch.var_mean(x, (0, 2, 3), correction=0)\n    return mean, var",
        "einsum": STATISTICS
        + "    n = x.numel() // x.shape[1]\n    mean = torch.einsum('nchw->c', x) / n\n"
        "    d = x - mean[:, None, None]\n    return mean, torch.einsum('nchw,nchw->c', d, d) / n",
    },
    "forward": {
        "broadcast by None": FORWARD
        + "    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)\n"
        "    std = torch.sqrt(var + eps)\n    x_hat = (x - mean) / std\n    return x_hat * gamma[None, :, None, None] + beta[None, :, None, None], (x_hat, 1 / std, gamma)",
        "channels last inside": FORWARD
        + "    z = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])\n    mean, var = z.mean(0), z.var(0, unbiased=False)\n"
        "    inv = (var + eps) ** -0.5\n    y = (gamma * (z - mean) * inv + beta).view(x.shape[0], *x.shape[2:], -1).permute(0, 3, 1, 2)\n"
        "    return y, ((x - mean.view(1, -1, 1, 1)) * inv.view(1, -1, 1, 1), inv.view(1, -1, 1, 1), gamma)",
        "one affine map": FORWARD
        + "    mean, var = channel_statistics(x)\n    inv = (var + eps).rsqrt().view(1, -1, 1, 1)\n    scale = gamma.view(1, -1, 1, 1) * inv\n"
        "    y = x * scale + (beta.view(1, -1, 1, 1) - mean.view(1, -1, 1, 1) * scale)\n    return y, ((x - mean.view(1, -1, 1, 1)) * inv, inv, gamma)",
        "loop": FORWARD
        + "    y, x_hat = torch.empty_like(x), torch.empty_like(x)\n    inv = torch.empty_like(gamma)\n"
        "    for c in range(x.shape[1]):\n        part = x[:, c]\n        inv[c] = 1 / torch.sqrt(part.var(unbiased=False) + eps)\n"
        "        x_hat[:, c] = (part - part.mean()) * inv[c]\n        y[:, c] = gamma[c] * x_hat[:, c] + beta[c]\n    return y, (x_hat, inv.view(1, -1, 1, 1), gamma)",
    },
    "running": {
        "written out": RUNNING
        + "    var, mean = torch.var_mean(x, (0, 2, 3))\n    running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)\n"
        "    running_var.mul_(1 - momentum).add_(var, alpha=momentum)",
        "copy": RUNNING
        + "    running_mean.copy_((1 - momentum) * running_mean + momentum * x.mean((0, 2, 3)))\n"
        "    running_var.copy_((1 - momentum) * running_var + momentum * x.var((0, 2, 3)))",
        "slice": RUNNING
        + "    running_mean[:] = (1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))\n"
        "    running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3), unbiased=True)",
        "plus equals": RUNNING
        + "    running_mean += momentum * (x.mean((0, 2, 3)) - running_mean)\n    running_var += momentum * (x.var((0, 2, 3)) - running_var)",
    },
    "evaluation": {
        "as in training": EVALUATION
        + "    v = lambda t: t.view(1, -1, 1, 1)\n    return v(gamma) * (x - v(running_mean)) / torch.sqrt(v(running_var) + eps) + v(beta)",
        "None": EVALUATION
        + "    i = (None, slice(None), None, None)\n    return (x - running_mean[i]) * (gamma / (running_var + eps).sqrt())[i] + beta[i]",
        "loop": EVALUATION
        + "    return torch.stack([gamma[c] * (x[:, c] - running_mean[c]) / (running_var[c] + eps) ** 0.5 + beta[c] for c in range(x.shape[1])], 1)",
        "convolution": EVALUATION
        + "    s = gamma / torch.sqrt(running_var + eps)\n    return F.conv2d(x, torch.diag(s)[:, :, None, None], beta - s * running_mean)",
    },
    "fold": {
        "reshape": FOLD
        + "    s = gamma / torch.sqrt(running_var + eps)\n    b = 0 if bias is None else bias\n    return weight * s.reshape(-1, 1, 1, 1), (b - running_mean) * s + beta",
        "einsum": FOLD
        + "    s = gamma / torch.sqrt(running_var + eps)\n    new = beta - s * running_mean\n    if bias is not None:\n        new = new + s * bias\n"
        "    return torch.einsum('o,oihw->oihw', s, weight), new",
        "loop": FOLD
        + "    s = gamma / torch.sqrt(running_var + eps)\n    w = torch.stack([weight[o] * s[o] for o in range(len(s))])\n"
        "    b = beta - s * running_mean + (s * bias if bias is not None else 0)\n    return w, b",
        "matrix": FOLD
        + "    s = torch.diag(gamma * (running_var + eps) ** -0.5)\n    old = torch.zeros_like(beta) if bias is None else bias\n"
        "    return (s @ weight.flatten(1)).view_as(weight), s @ (old - running_mean) + beta",
    },
    "backward": {
        "by means": BACKWARD
        + "    x_hat, inv_std, gamma = cache\n    axes = (0, 2, 3)\n    g = dy * gamma.view(1, -1, 1, 1)\n"
        "    dx = inv_std * (g - g.mean(axes, keepdim=True) - x_hat * (g * x_hat).mean(axes, keepdim=True))\n"
        "    return dx, (dy * x_hat).sum(axes), dy.sum(axes)",
        "three roads": BACKWARD
        + "    x_hat, inv_std, gamma = cache\n    axes, n = (0, 2, 3), dy.numel() // dy.shape[1]\n    dx_hat = dy * gamma[:, None, None]\n"
        "    dvar = (dx_hat * x_hat).sum(axes, keepdim=True) * -0.5 * inv_std**2\n    dmean = -(dx_hat * inv_std).sum(axes, keepdim=True)\n"
        "    dx = dx_hat * inv_std + dmean / n + 2 * dvar * x_hat / (inv_std * n)\n    return dx, (dy * x_hat).sum(axes), dy.sum(axes)",
        "one fraction": BACKWARD
        + "    x_hat, inv_std, gamma = cache\n    n = dy.numel() / dy.shape[1]\n    s, p = dy.sum((0, 2, 3), keepdim=True), (dy * x_hat).sum((0, 2, 3), keepdim=True)\n"
        "    return gamma.view(1, -1, 1, 1) * inv_std / n * (n * dy - s - x_hat * p), p.flatten(), s.flatten()",
        "loop": BACKWARD
        + "    x_hat, inv_std, gamma = cache\n    dx = torch.empty_like(dy)\n    for c in range(dy.shape[1]):\n        g, h = dy[:, c], x_hat[:, c]\n"
        "        dx[:, c] = gamma[c] * inv_std[0, c] * (g - g.mean() - h * (g * h).mean())\n    return dx, (dy * x_hat).sum((0, 2, 3)), dy.sum((0, 2, 3))",
    },
    "merge": {
        "weights": MERGE
        + "    w = n2 / (n1 + n2)\n    d = mean2 - mean1\n    return mean1 + w * d, (1 - w) * var1 + w * var2 + w * (1 - w) * d * d",
        "around the new mean": MERGE
        + "    n = n1 + n2\n    mean = mean1 + (mean2 - mean1) * n2 / n\n"
        "    return mean, (n1 * (var1 + (mean1 - mean) ** 2) + n2 * (var2 + (mean2 - mean) ** 2)) / n",
        "sums of squares": MERGE
        + "    n, d = n1 + n2, mean2 - mean1\n    m2 = n1 * var1 + n2 * var2 + d**2 * n1 * n2 / n\n    return mean1 + d * n2 / n, m2 / n",
        "in float64": MERGE
        + "    a, b = mean1.double(), mean2.double()\n    n = n1 + n2\n    mean = (n1 * a + n2 * b) / n\n"
        "    var = (n1 * (var1.double() + (a - mean) ** 2) + n2 * (var2.double() + (b - mean) ** 2)) / n\n    return mean.float(), var.float()",
    },
}
