# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A1: for each task, wrong ones that must lose marks there, and right ones, differently written, that must not.

A wrong answer is an edit of the solution (what stands there, what takes its place) or whole code.
"""

STATISTICS = "def channel_statistics(x):\n"
FORWARD = "def batch_norm_forward(x, gamma, beta, eps=1e-5):\n"
RUNNING = "def update_running(mean_sum, var_sum, count, x, decay=0.999):\n"
EVALUATION = "def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps=1e-5):\n"
FOLD = "def fold(weight, bias, gamma, beta, running_mean, running_var, eps=1e-5):\n"
BACKWARD = "def batch_norm_backward(dy, cache):\n"
WEIGHTED = "def weighted_forward(x, weight, gamma, beta, eps=1e-5):\n"
WEIGHTED_BACKWARD = "def weighted_backward(dy, cache):\n"
VIDEO = "def video_norm(x, gamma, beta, eps=1e-5):\n"
RESIDUAL = "def residual_norm(x, gamma, beta, eps=1e-5):\n"
STATEFUL = "def stateful_norm(x, running_mean, running_var, training, momentum=0.1, eps=1e-5):\n"
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
            "var, mean = torch.var_mean(x, (0, 2, 3), correction=0)",
            "mean, var = x.mean().expand(x.shape[1]), x.var(unbiased=False).expand(x.shape[1])",
        ),
        "gamma along the width": ("gamma.view(1, -1, 1, 1) * x_hat", "gamma[0] * x_hat"),
        "statistics of each image": FORWARD
        + "    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)\n    inv_std = (var + eps).rsqrt()\n"
        "    x_hat = (x - mean) * inv_std\n    return gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1), (x_hat, inv_std, gamma)",
        "tuple in another order": (
            "return y, (x_hat, inv_std, gamma)",
            "return y, (inv_std, x_hat, gamma)",
        ),
        "deviation in the tuple": (
            "return y, (x_hat, inv_std, gamma)",
            "return y, (x_hat, 1 / inv_std, gamma)",
        ),
    },
    "running": {
        "PyTorch's convention": RUNNING
        + "    var, mean = torch.var_mean(x, (0, 2, 3))\n    mean_sum.lerp_(mean, 1 - decay)\n    var_sum.lerp_(var, 1 - decay)\n    count.add_(1)",
        "batches weighted": (
            "mean_sum.mul_(decay).add_(mean)",
            "mean_sum.mul_(decay).add_((1 - decay) * mean)",
        ),
        "biased": ("/ (m - 1)", "/ m"),
        "bessel twice": ("/ (m - 1)", "/ (m - 2)"),
        "count with channels": ("x.numel() / x.shape[1]", "x.numel()"),
        "count of images": ("x.numel() / x.shape[1]", "max(2, x.shape[0])"),
        "decay fixed": ("mean_sum.mul_(decay)", "mean_sum.mul_(0.999)"),
        "mean not in place": (
            "mean_sum.mul_(decay).add_(mean)",
            "mean_sum = decay * mean_sum + mean",
        ),
        "variance not in place": (
            "var_sum.mul_(decay).add_(var)",
            "var_sum = decay * var_sum + var",
        ),
        "count not in place": ("count.mul_(decay).add_(1)", "count = decay * count + 1"),
        "count forgotten": ("count.mul_(decay).add_(1)", "pass"),
        "count without decay": ("count.mul_(decay).add_(1)", "count.add_(1)"),
        "mean twice": ("var_sum.mul_(decay).add_(var)", "var_sum.mul_(decay).add_(mean)"),
        "added first": ("mean_sum.mul_(decay).add_(mean)", "mean_sum.add_(mean).mul_(decay)"),
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
            "scale.view(1, -1, 1, 1)",
            "scale[: weight.shape[0]].view(-1, 1, 1, 1)",
        ),
        "eps outside": ("(running_var + eps).rsqrt()", "1 / (running_var.sqrt() + eps)"),
        "eps fixed": ("running_var + eps", "running_var + 1e-5"),
        "weight as it was": ("weight * scale.view(1, -1, 1, 1)", "weight"),
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
    "weighted": {
        "weights ignored": (
            "(weight / weight.sum())",
            "(torch.ones_like(weight) / weight.numel())",
        ),
        "weights multiply the values": (
            "share = (weight / weight.sum()).unsqueeze(1)",
            "share = (weight / weight.sum()).unsqueeze(1)\n    x = weight.unsqueeze(1) * x",
        ),
        "divided by the number of positions": ("weight / weight.sum()", "weight / weight.numel()"),
        "variance without weights": (
            "(share * (x - mean).square()).sum((0, 2, 3), keepdim=True)",
            "(x - mean).square().mean((0, 2, 3), keepdim=True)",
        ),
        "mean without weights": (
            "(share * x).sum((0, 2, 3), keepdim=True)",
            "x.mean((0, 2, 3), keepdim=True)",
        ),
        "shares squared in the variance": ("(share * (x - mean)", "(share.square() * (x - mean)"),
        "weight 0 gives 0": (
            "x_hat = (x - mean) * inv_std",
            "x_hat = (x - mean) * inv_std * (share > 0)",
        ),
        "eps outside the root": ("(var + eps).rsqrt()", "1 / (var.sqrt() + eps)"),
        "no eps": ("(var + eps)", "var"),
        "shares of each image": ("weight.sum()", "weight.sum((1, 2), keepdim=True)"),
        "output weighted": (
            "gamma.view(1, -1, 1, 1) * x_hat",
            "gamma.view(1, -1, 1, 1) * share * x_hat",
        ),
        "only positive weights": WEIGHTED
        + "    real = (weight > 0).unsqueeze(1)\n    rows = x.movedim(1, -1)[weight > 0]\n    var, mean = torch.var_mean(rows, 0, correction=0)\n"
        "    v = lambda t: t.view(1, -1, 1, 1)\n    inv_std = (v(var) + eps).rsqrt()\n    x_hat = (x - v(mean)) * inv_std\n"
        "    return v(gamma) * x_hat + v(beta), (x_hat, inv_std, gamma, real / real.sum())",
    },
    "weighted_backward": {
        "every position alike": (
            "share * (view(dbeta)",
            "dy.shape[1] / dy.numel() * (view(dbeta)",
        ),
        "statistics constant": (" - share * (view(dbeta) + x_hat * view(dgamma))", ""),
        "mean constant": ("(view(dbeta) + x_hat * view(dgamma))", "(x_hat * view(dgamma))"),
        "variance constant": ("(view(dbeta) + x_hat * view(dgamma))", "view(dbeta)"),
        "shares inside the sums": (
            "share * (view(dbeta) + x_hat * view(dgamma))",
            "view((share * dy).sum((0, 2, 3))) - x_hat * view((share * dy * x_hat).sum((0, 2, 3)))",
        ),
        "the share on one term": ("share * (view(dbeta) + x_hat", "(share * view(dbeta) + x_hat"),
        "dy weighted": ("(dy - share *", "(share * dy - share *"),
        "sign": ("(dy - share", "(dy + share"),
        "no gamma": ("view(gamma) * inv_std", "inv_std"),
        "no scale": ("view(gamma) * inv_std *", "view(gamma) *"),
        "parameters swapped": ("return dx, dgamma, dbeta", "return dx, dbeta, dgamma"),
        "dbeta with weights": (
            "return dx, dgamma, dbeta",
            "return dx, dgamma, (share * dy).sum((0, 2, 3))",
        ),
    },
    "repairs": {
        "as they were": "video_norm, residual_norm, stateful_norm = broken_video, broken_residual, broken_stateful",
        "video as it was": (
            "x.transpose(1, 2)",
            "x.reshape(x.shape[0], x.shape[2], x.shape[1], *x.shape[3:])",
        ),
        "video not turned back": ("return y.transpose(1, 2)", "return y.reshape(x.shape)"),
        "one statistic for all steps": (
            "images.mean((0, 3, 4), keepdim=True)",
            "images.mean((0, 2, 3, 4), keepdim=True)",
        ),
        "video in place": ("x_hat = (images - mean)", "images -= 0.5\n    x_hat = (images - mean)"),
        "residual still in place": (
            "centered = x - x.mean((0, 2, 3), keepdim=True)",
            "centered = x\n    centered -= x.mean((0, 2, 3), keepdim=True)",
        ),
        "no residual": ("return x + gamma", "return gamma"),
        "residual of the centered": ("return x + gamma", "return centered + gamma"),
        "statistics in both modes": (
            "    if training:\n",
            "    running_mean.lerp_(x.mean((0, 2, 3)), momentum)\n    if training:\n",
        ),
        "still unbiased": ("var = x.var((0, 2, 3), correction=0)", "var = unbiased"),
        "running variance biased": (
            "running_var.lerp_(unbiased, momentum)",
            "running_var.lerp_(x.var((0, 2, 3), correction=0), momentum)",
        ),
        "never updated": ("running_mean.lerp_(mean, momentum)", "pass"),
        "modes the other way": ("if training", "if not training"),
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
        "times and plus": RUNNING
        + "    mean_sum *= decay\n    mean_sum += x.mean((0, 2, 3))\n    var_sum *= decay\n    var_sum += x.var((0, 2, 3))\n    count *= decay\n    count += 1",
        "copy": RUNNING
        + "    mean_sum.copy_(decay * mean_sum + x.mean((0, 2, 3)))\n    var_sum.copy_(decay * var_sum + x.var((0, 2, 3)))\n    count.copy_(decay * count + 1)",
        "slice": RUNNING
        + "    mean_sum[:] = decay * mean_sum + x.mean((0, 2, 3))\n    var_sum[:] = decay * var_sum + x.var((0, 2, 3), unbiased=True)\n    count[...] = decay * count + 1",
        "loop": RUNNING
        + "    var, mean = torch.var_mean(x, (0, 2, 3))\n    for total, new in ((mean_sum, mean), (var_sum, var), (count, 1.0)):\n        total.mul_(decay).add_(new)",
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
        + "    s = gamma / torch.sqrt(running_var + eps)\n    b = 0 if bias is None else bias\n    return weight * s.reshape(1, -1, 1, 1), (b - running_mean) * s + beta",
        "einsum": FOLD
        + "    s = gamma / torch.sqrt(running_var + eps)\n    new = beta - s * running_mean\n    if bias is not None:\n        new = new + s * bias\n"
        "    return torch.einsum('o,iohw->iohw', s, weight), new",
        "loop": FOLD
        + "    s = gamma / torch.sqrt(running_var + eps)\n    w = torch.stack([weight[:, o] * s[o] for o in range(len(s))], 1)\n"
        "    b = beta - s * running_mean + (s * bias if bias is not None else 0)\n    return w, b",
        "None": FOLD
        + "    s = gamma * (running_var + eps) ** -0.5\n    old = torch.zeros_like(beta) if bias is None else bias\n"
        "    return weight * s[:, None, None], s * (old - running_mean) + beta",
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
    "weighted": {
        "broadcast by None": WEIGHTED
        + "    w = weight[:, None]\n    total, axes = weight.sum(), (0, 2, 3)\n    mean = (w * x).sum(axes) / total\n"
        "    d = x - mean[:, None, None]\n    inv = 1 / torch.sqrt((w * d**2).sum(axes) / total + eps)\n    x_hat = d * inv[:, None, None]\n"
        "    return gamma[:, None, None] * x_hat + beta[:, None, None], (x_hat, inv.view(1, -1, 1, 1), gamma, w / total)",
        "einsum": WEIGHTED
        + "    s = weight / weight.sum()\n    mean = torch.einsum('nhw,nchw->c', s, x).view(1, -1, 1, 1)\n"
        "    var = torch.einsum('nhw,nchw->c', s, (x - mean) ** 2).view(1, -1, 1, 1)\n    r = torch.rsqrt(var + eps)\n    z = (x - mean) * r\n"
        "    return z * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1), (z, r, gamma, s[:, None])",
        "average": WEIGHTED
        + "    import numpy as np\n    w = np.broadcast_to(weight.numpy()[:, None], x.shape)\n"
        "    mean = torch.from_numpy(np.average(x.numpy(), (0, 2, 3), w)).view(1, -1, 1, 1)\n"
        "    var = torch.from_numpy(np.average((x - mean).numpy() ** 2, (0, 2, 3), w)).view(1, -1, 1, 1)\n    r = (var + eps) ** -0.5\n    z = (x - mean) * r\n"
        "    return gamma.view(1, -1, 1, 1) * z + beta.view(1, -1, 1, 1), (z, r, gamma, (weight / weight.sum())[:, None])",
        "loop": WEIGHTED
        + "    share = weight[:, None] / weight.sum()\n    x_hat, r = torch.empty_like(x), torch.empty_like(gamma)\n    for c in range(x.shape[1]):\n"
        "        d = x[:, c] - (share[:, 0] * x[:, c]).sum()\n        r[c] = 1 / ((share[:, 0] * d * d).sum() + eps).sqrt()\n        x_hat[:, c] = d * r[c]\n"
        "    y = gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)\n    return y, (x_hat, r.view(1, -1, 1, 1), gamma, share)",
    },
    "weighted_backward": {
        "scale first": WEIGHTED_BACKWARD
        + "    x_hat, inv_std, gamma, share = cache\n    axes = (0, 2, 3)\n    g = dy * gamma.view(1, -1, 1, 1)\n"
        "    dx = inv_std * (g - share * g.sum(axes, keepdim=True) - share * x_hat * (g * x_hat).sum(axes, keepdim=True))\n"
        "    return dx, (dy * x_hat).sum(axes), dy.sum(axes)",
        "by paths": WEIGHTED_BACKWARD
        + "    x_hat, r, gamma, share = cache\n    axes = (0, 2, 3)\n    d_hat = dy * gamma[:, None, None]\n"
        "    dvar = -0.5 * r**2 * (d_hat * x_hat).sum(axes, keepdim=True)\n    dmean = -(d_hat * r).sum(axes, keepdim=True)\n"
        "    dx = d_hat * r + share * dmean + dvar * 2 * share * x_hat / r\n    return dx, (dy * x_hat).sum(axes), dy.sum(axes)",
        "loop": WEIGHTED_BACKWARD
        + "    x_hat, r, gamma, share = cache\n    dx, s = torch.empty_like(dy), share[:, 0]\n    for c in range(dy.shape[1]):\n        g, h = dy[:, c], x_hat[:, c]\n"
        "        dx[:, c] = gamma[c] * r[0, c] * (g - s * g.sum() - s * h * (g * h).sum())\n    return dx, (dy * x_hat).sum((0, 2, 3)), dy.sum((0, 2, 3))",
        "einsum": WEIGHTED_BACKWARD
        + "    x_hat, r, gamma, share = cache\n    p, q = torch.einsum('nchw,nchw->c', dy, x_hat), torch.einsum('nchw->c', dy)\n"
        "    v = lambda t: t[None, :, None, None]\n    return v(gamma) * r * dy - v(gamma) * r * share * (v(q) + v(p) * x_hat), p, q",
    },
    "repairs": {
        "in place as far as nobody sees it": (
            "centered = x - x.mean((0, 2, 3), keepdim=True)",
            "centered = x.clone()\n    centered -= x.mean((0, 2, 3), keepdim=True)",
        ),
        "frames as channels": VIDEO
        + "    T, v = x.shape[1], lambda t: t[:, None, None]\n    z = x.flatten(1, 2)\n    var, mean = torch.var_mean(z, (0, 2, 3), correction=0)\n"
        "    z = (z - v(mean)) / torch.sqrt(v(var) + eps)\n    return (z * v(gamma.repeat(T)) + v(beta.repeat(T))).view(x.shape)\n"
        + RESIDUAL
        + "    x_hat = (x - x.mean((0, 2, 3), True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True) + eps) ** 0.5\n"
        "    return x + x_hat * gamma[:, None, None] + beta[:, None, None]\n"
        + STATEFUL
        + "    mean, var = running_mean, running_var\n    if training:\n        var, mean = torch.var_mean(x, (0, 2, 3), correction=0)\n"
        "        m = x.numel() / x.shape[1]\n        running_mean += momentum * (mean - running_mean)\n        running_var += momentum * (var * m / (m - 1) - running_var)\n"
        "    return (x - mean.view(1, -1, 1, 1)) / torch.sqrt(var.view(1, -1, 1, 1) + eps)",
        "without a swap": (
            "    images = x.transpose(1, 2)\n    mean = images.mean((0, 3, 4), keepdim=True)\n",
            "    images = x.permute(0, 2, 1, 3, 4).contiguous()\n    mean = images.mean((0, 3, 4)).view(1, x.shape[2], -1, 1, 1)\n",
        ),
        "early return": (
            "    else:\n        mean, var = running_mean, running_var\n    return (x",
            "    if not training:\n        mean, var = running_mean, running_var\n    return (x",
        ),
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

#: Slips: name -> (answer, the wrong version). They cost nothing beyond their task, and little even
#: where later answers call earlier ones.
SLIPS = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("channel_statistics", "unbiased"),
        ("channel_statistics", "keepdim"),
        ("forward", "eps outside the root"),
        ("forward", "no beta"),
        ("forward", "unbiased"),
        ("forward", "input changed"),
        ("running", "biased"),
        ("running", "count not in place"),
        ("evaluation", "sign"),
        ("fold", "None not handled"),
        ("backward", "no gamma"),
        ("backward", "parameters swapped"),
        ("weighted", "no eps"),
        ("weighted_backward", "no gamma"),
        ("weighted_backward", "dbeta with weights"),
        ("repairs", "running variance biased"),
    )
}

#: Errors about the idea, which cost at least half of their task.
CONCEPTUAL = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("channel_statistics", "space only"),
        ("channel_statistics", "over channels"),
        ("forward", "statistics of each image"),
        ("forward", "statistics of all channels"),
        ("running", "PyTorch's convention"),
        ("evaluation", "statistics of the batch"),
        ("fold", "input channels scaled"),
        ("backward", "statistics constant"),
        ("backward", "mean constant"),
        ("backward", "variance constant"),
        ("weighted", "weights ignored"),
        ("weighted", "weights multiply the values"),
        ("weighted", "only positive weights"),
        ("weighted_backward", "every position alike"),
        ("weighted_backward", "shares inside the sums"),
        ("repairs", "as they were"),
    )
}

#: What remains of a task with one error: name -> (answer, the wrong version, points).
REMAINING = {
    f"{task}: {name}": (task, WRONG[task][name], points)
    for task, name, points in (
        ("fold", "None not handled", 1.0),
        ("weighted_backward", "every position alike", 1.0),
        ("weighted_backward", "dbeta with weights", 3.0),
        ("merge", "no cross term", 1.5),
    )
}

#: Answers that call an earlier one, which the text advises against.
CALLING = {
    "forward": (
        "var, mean = torch.var_mean(x, (0, 2, 3), correction=0)",
        "mean, var = channel_statistics(x)",
    ),
    "running": ("mean = x.mean((0, 2, 3))", "mean, _ = channel_statistics(x)"),
}

#: Chapter -> what of it a copyist needs.
CHAPTERS = (
    (
        "2-normalization/1-batch-norm-forward.ipynb",
        ("as_channels", "batch_statistics", "normalize", "merge"),
    ),
    ("2-normalization/2-batch-norm-backward.ipynb", ("per_channel", "closed_backward")),
)

#: The best that we could make of the chapters with no more thought than it takes to rename things,
#: reorder arguments and call one function with the result of another.
COPY = {
    "channel_statistics": "channel_statistics = batch_statistics",
    "forward": FORWARD
    + "    mean, var = batch_statistics(x)\n    r = torch.rsqrt(as_channels(var, x) + eps)\n"
    "    return normalize(x, mean, var, gamma, beta, eps), ((x - as_channels(mean, x)) * r, r, gamma)",
    "running": RUNNING
    + "    mean, var = batch_statistics(x)\n    m = x.numel() // x.shape[1]\n    unbiased = var * m / (m - 1)\n"
    "    mean_sum += decay * (mean - mean_sum)\n    var_sum += decay * (unbiased - var_sum)\n    count += 1",
    "evaluation": EVALUATION
    + "    return normalize(x, running_mean, running_var, gamma, beta, eps)",
    "fold": FOLD
    + "    s = gamma * torch.rsqrt(running_var + eps)\n    return weight * s.view(-1, 1, 1, 1), beta + s * (bias - running_mean)",
    "backward": BACKWARD
    + "    x_hat, r, gamma = cache\n    return closed_backward(dy, x_hat, gamma * r.flatten(), 0 * gamma, 1 + 0 * gamma)",
    "weighted": WEIGHTED
    + "    rows, real = x.movedim(1, -1), weight > 0\n    y = torch.zeros_like(rows)\n    mean, var = batch_statistics(rows[real])\n"
    "    y[real] = normalize(rows[real], mean, var, gamma, beta, eps)\n    y = y.movedim(-1, 1)\n"
    "    return y, (y, torch.rsqrt(as_channels(var, x) + eps), gamma, real)",
    "weighted_backward": WEIGHTED_BACKWARD
    + "    x_hat, r, gamma, share = cache\n    return closed_backward(dy, x_hat, gamma * r.flatten(), 0 * gamma, 1 + 0 * gamma)",
    "repairs": VIDEO
    + "    mean, var = batch_statistics(x.movedim(2, 1))\n    return normalize(x.movedim(2, 1), mean, var, gamma, beta, eps).movedim(1, 2)\n"
    + RESIDUAL
    + "    mean, var = batch_statistics(x)\n    return x + normalize(x, mean, var, gamma, beta, eps)\n"
    + STATEFUL
    + "    one = torch.ones_like(running_mean)\n    if training:\n        mean, var = batch_statistics(x)\n        m = x.numel() // x.shape[1]\n"
    "        unbiased = var * m / (m - 1)\n        running_mean += momentum * (mean - running_mean)\n        running_var += momentum * (unbiased - running_var)\n"
    "    else:\n        mean, var = running_mean, running_var\n    return normalize(x, mean, var, one, 0 * one, eps)",
    "merge": MERGE
    + "    _, mean, var = merge((n1, mean1, var1), (n2, mean2, var2))\n    return mean, var",
}
