# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A2; see a1.py."""

NORMALIZE = "def normalize(x, axes, eps=1e-5):\n"
RMS = "def rms_norm(x, gamma, eps=1e-6):\n"
STANDARDIZED = "def standardized(weight, eps=1e-10):\n"
INVARIANCE = "def scale_invariance(loss, w):\n"
FAMILY = (
    "def layer_norm(x, gamma, beta, eps=1e-5):\n    {layer}\n\n"
    "def instance_norm(x, gamma, beta, eps=1e-5):\n    {instance}\n\n"
    "def group_norm(x, groups, gamma, beta, eps=1e-5):\n    if x.shape[1] % groups:\n        raise ValueError('groups')\n    {group}\n"
)
BACKWARD = (
    "def layer_norm_forward(x, gamma, beta, eps=1e-5):\n    mean, var = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)\n"
    "    std = (var + eps).sqrt()\n    x_hat = (x - mean) / std\n    return gamma * x_hat + beta, (x_hat, std, gamma)\n\n"
    "def layer_norm_backward(dy, cache):\n    x_hat, std, gamma = cache\n    {dx}\n    return dx, {dgamma}, {dbeta}\n"
)
SUMS = {"dgamma": "(dy * x_hat).sum(0)", "dbeta": "dy.sum(0)"}


def family(**changes):
    affine = " * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
    lines = {
        "layer": "return normalize(x, (1, 2, 3), eps)" + affine,
        "instance": "return normalize(x, (2, 3), eps)" + affine,
        "group": "return normalize(x.reshape(len(x), groups, -1), (2,), eps).reshape(x.shape)"
        + affine,
    }
    return FAMILY.format(**(lines | changes))


WRONG = {
    "normalize": {
        "unbiased": NORMALIZE
        + "    return (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True) + eps).sqrt()",
        "eps outside": NORMALIZE
        + "    return (x - x.mean(axes, keepdim=True)) / (x.std(axes, unbiased=False, keepdim=True) + eps)",
        "variance for deviation": (".rsqrt()", ".reciprocal()"),
        "mean not taken away": ("x - x.mean(axes, keepdim=True)", "x"),
        "mean of everything": ("x.mean(axes, keepdim=True)", "x.mean()"),
        "variance of everything": (
            "centered.square().mean(axes, keepdim=True)",
            "centered.square().mean()",
        ),
        "the other axes": NORMALIZE
        + "    axes = [a for a in range(x.ndim) if a not in [b % x.ndim for b in axes]] or list(range(x.ndim))\n"
        "    return (x - x.mean(axes, keepdim=True)) / (x.var(axes, unbiased=False, keepdim=True) + eps).sqrt()",
        "no eps": (" + eps", ""),
        "eps fixed": (" + eps", " + 1e-5"),
        "no keepdim": NORMALIZE
        + "    return (x - x.mean(axes)) / (x.var(axes, unbiased=False) + eps).sqrt()",
        "first axis only": ("x.mean(axes, keepdim=True)", "x.mean(axes[:1], keepdim=True)"),
    },
    "family": {
        "layer is instance": family(layer="return instance_norm(x, gamma, beta, eps)"),
        "instance is layer": family(instance="return layer_norm(x, gamma, beta, eps)"),
        "instance is batch": family(
            instance="return normalize(x, (0, 2, 3), eps) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "layer over channels only": family(
            layer="return normalize(x, (1,), eps) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "layer without affine": family(layer="return normalize(x, (1, 2, 3), eps)"),
        "layer over the batch, too": family(
            layer="return normalize(x, (0, 1, 2, 3), eps) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "instance without beta": family(
            instance="return normalize(x, (2, 3), eps) * gamma.view(1, -1, 1, 1)"
        ),
        "group without beta": family(
            group="return normalize(x.reshape(len(x), groups, -1), (2,), eps).reshape(x.shape) * gamma.view(1, -1, 1, 1)"
        ),
        "group size for groups": family(
            group="return normalize(x.reshape(len(x), x.shape[1] // groups, -1), (2,), eps).reshape(x.shape) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "interleaved groups": family(
            group="z = x.reshape(len(x), -1, groups, *x.shape[2:])\n"
            "    return normalize(z, (1, 3, 4), eps).reshape(x.shape) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "group eps fixed": family(
            group="return normalize(x.reshape(len(x), groups, -1), (2,)).reshape(x.shape) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "view of what is not contiguous": family(
            group="return normalize(x.view(len(x), groups, -1), (2,), eps).view(x.shape) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
        "no error": (
            'raise ValueError(f"{groups} groups do not divide {x.shape[1]} channels")',
            "return x",
        ),
        "another error": ("raise ValueError(", "raise AssertionError("),
    },
    "rms": {
        "mean taken away": RMS
        + "    x = x - x.mean(-1, keepdim=True)\n    return gamma * x / (x.square().mean(-1, keepdim=True) + eps).sqrt()",
        "sum for mean": (".mean(-1", ".sum(-1"),
        "eps outside": RMS
        + "    return gamma * x / (x.square().mean(-1, keepdim=True).sqrt() + eps)",
        "eps fixed": ("+ eps", "+ 1e-6"),
        "no eps": (" + eps", ""),
        "no gamma": ("gamma * x", "x"),
        "first axis": (".mean(-1, keepdim=True)", ".mean(0, keepdim=True)"),
        "of everything": (".mean(-1, keepdim=True)", ".mean()"),
        "not squared": ("x.square()", "x.abs()"),
        "root forgotten": (".rsqrt()", ".reciprocal()"),
    },
    "standardize": {
        "no fan in": (" / weight[0].numel() ** 0.5", ""),
        "fan in not rooted": ("weight[0].numel() ** 0.5", "weight[0].numel()"),
        "fan out": ("weight[0].numel()", "weight[:, 0].numel()"),
        "input channels only": ("weight[0].numel()", "weight.shape[1]"),
        "output axis": ("(1, 2, 3)", "(0, 2, 3)"),
        "positions only": ("(1, 2, 3)", "(2, 3)"),
        "everything": ("(1, 2, 3)", "(0, 1, 2, 3)"),
        "mean left": STANDARDIZED
        + "    return weight / (weight.var((1, 2, 3), unbiased=False, keepdim=True) + eps).sqrt() / weight[0].numel() ** 0.5",
        "eps forgotten": ("normalize(weight, (1, 2, 3), eps)", "normalize(weight, (1, 2, 3), 0)"),
        "multiplied": (" / weight[0].numel() ** 0.5", " * weight[0].numel() ** 0.5"),
    },
    "layer_backward": {
        "statistics constant": BACKWARD.format(dx="dx = dy * gamma / std", **SUMS),
        "mean constant": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - x_hat * (g * x_hat).mean(1, keepdim=True)) / std",
            **SUMS,
        ),
        "variance constant": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.mean(1, keepdim=True)) / std", **SUMS
        ),
        "batch norm's axes": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.mean(0) - x_hat * (g * x_hat).mean(0)) / std",
            **SUMS,
        ),
        "gamma outside": BACKWARD.format(
            dx="dx = gamma * (dy - dy.mean(1, keepdim=True) - x_hat * (dy * x_hat).mean(1, keepdim=True)) / std",
            **SUMS,
        ),
        "no gamma": BACKWARD.format(
            dx="dx = (dy - dy.mean(1, keepdim=True) - x_hat * (dy * x_hat).mean(1, keepdim=True)) / std",
            **SUMS,
        ),
        "sign": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.mean(1, keepdim=True) + x_hat * (g * x_hat).mean(1, keepdim=True)) / std",
            **SUMS,
        ),
        "times the deviation": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.mean(1, keepdim=True) - x_hat * (g * x_hat).mean(1, keepdim=True)) * std",
            **SUMS,
        ),
        "sums for means": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.sum(1, keepdim=True) - x_hat * (g * x_hat).sum(1, keepdim=True)) / std",
            **SUMS,
        ),
        "dgamma over rows": BACKWARD.format(
            dx="dx = dy * gamma / std", dgamma="(dy * x_hat).sum(1)", dbeta="dy.sum(0)"
        ),
        "dbeta a mean": ("dy.sum(0)", "dy.mean(0)"),
        "dgamma of dy": ("(dy * x_hat).sum(0)", "dy.sum(0)"),
        "unbiased": (
            "centered.square().mean(1, keepdim=True)",
            "x.var(1, keepdim=True, correction=0 if x.shape[1] == 1 else 1)",
        ),
    },
    "invariance": {
        "dot product": ("/ (g.norm() * w.norm())", ""),
        "gradient alone": ("(g * w).sum() / (g.norm() * w.norm())", "g.sum() / g.norm()"),
        "upside down": ("g.norm() / gradient(2 * w).norm()", "gradient(2 * w).norm() / g.norm()"),
        "half": ("gradient(2 * w)", "gradient(w / 2)"),
        "squared": (
            "(g.norm() / gradient(2 * w).norm())",
            "(g.norm() / gradient(2 * w).norm()) ** 2",
        ),
        "hard-coded": INVARIANCE + "    return 0.0, 2.0",
        "swapped": (
            "return cosine.item(), (g.norm() / gradient(2 * w).norm()).item()",
            "return (g.norm() / gradient(2 * w).norm()).item(), cosine.item()",
        ),
        "losses for gradients": ("(g.norm() / gradient(2 * w).norm())", "(loss(w) / loss(2 * w))"),
    },
}

RIGHT = {
    "normalize": {
        "var": NORMALIZE
        + "    return (x - x.mean(axes, keepdim=True)) / torch.sqrt(x.var(axes, unbiased=False, keepdim=True) + eps)",
        "var_mean": NORMALIZE
        + "    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)\n    return (x - mean) * torch.rsqrt(var + eps)",
        "by moments": NORMALIZE
        + "    axes = tuple(a % x.ndim for a in axes)\n    mean = x.mean(dim=axes, keepdim=True)\n    var = ((x - mean) ** 2).mean(dim=axes, keepdim=True)\n"
        "    return (x - mean) / (var + eps) ** 0.5",
        "one axis at a time": NORMALIZE
        + "    mean = x\n    for a in axes:\n        mean = mean.mean(a, keepdim=True)\n    var = (x - mean) ** 2\n    for a in axes:\n        var = var.mean(a, keepdim=True)\n"
        "    return (x - mean) / torch.sqrt(var + eps)",
    },
    "family": {
        "flattened": family(),
        "instance by groups": family(instance="return group_norm(x, x.shape[1], gamma, beta, eps)"),
        "layer by groups": family(layer="return group_norm(x, 1, gamma, beta, eps)"),
        "by hand": family(
            layer="m = x.flatten(1)\n    z = (x - m.mean(1)[:, None, None, None]) / (m.var(1, unbiased=False) + eps).sqrt()[:, None, None, None]\n"
            "    return z * gamma[:, None, None] + beta[:, None, None]"
        ),
        "loop over groups": family(
            group="parts = [normalize(part, (1, 2, 3), eps) for part in x.chunk(groups, 1)]\n    return torch.cat(parts, 1) * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)"
        ),
    },
    "rms": {
        "division": RMS
        + "    return x / torch.sqrt((x * x).mean(dim=-1, keepdim=True) + eps) * gamma",
        "norm": RMS
        + "    return gamma * x / (x.norm(dim=-1, keepdim=True) ** 2 / x.shape[-1] + eps) ** 0.5",
        "einsum": RMS
        + "    ms = torch.einsum('...d,...d->...', x, x) / x.shape[-1]\n    return x * gamma * torch.rsqrt(ms + eps)[..., None]",
        "variance and mean": RMS
        + "    ms = x.var(-1, unbiased=False, keepdim=True) + x.mean(-1, keepdim=True) ** 2\n    return gamma * (x / (ms + eps).sqrt())",
    },
    "standardize": {
        "flattened": STANDARDIZED
        + "    rows = weight.flatten(1)\n    z = (rows - rows.mean(1, keepdim=True)) / (rows.var(1, unbiased=False, keepdim=True) + eps).sqrt()\n"
        "    return (z / rows.shape[1] ** 0.5).view_as(weight)",
        "product of the shape": STANDARDIZED
        + "    _, i, h, w = weight.shape\n    return normalize(weight, (1, 2, 3), eps) * (i * h * w) ** -0.5",
        "loop": STANDARDIZED
        + "    return torch.stack([normalize(w, (0, 1, 2), eps) / w.numel() ** 0.5 for w in weight])",
        "one root": STANDARDIZED
        + "    axes = (1, 2, 3)\n    c = weight - weight.mean(axes, keepdim=True)\n    n = weight[0].numel()\n    return c / (n * (c.square().mean(axes, keepdim=True) + eps)).sqrt()",
    },
    "layer_backward": {
        "division": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.mean(1, keepdim=True) - x_hat * (g * x_hat).mean(1, keepdim=True)) / std",
            **SUMS,
        ),
        "sums": BACKWARD.format(
            dx="g, d = dy * gamma, dy.shape[1]\n    dx = (d * g - g.sum(1, keepdim=True) - x_hat * (g * x_hat).sum(1, keepdim=True)) / (d * std)",
            **SUMS,
        ),
        "projection": BACKWARD.format(
            dx="g, d = dy * gamma, dy.shape[1]\n    rows = []\n    for r in range(len(dy)):\n        u = torch.ones(d, dtype=dy.dtype)\n        P = torch.eye(d, dtype=dy.dtype) - torch.outer(u, u) / d - torch.outer(x_hat[r], x_hat[r]) / d\n"
            "        rows.append(P @ g[r] / std[r])\n    dx = torch.stack(rows)",
            **SUMS,
        ),
        "einsum": BACKWARD.format(
            dx="g = dy * gamma\n    dx = (g - g.mean(1)[:, None] - x_hat * (torch.einsum('nd,nd->n', g, x_hat) / g.shape[1])[:, None]) / std",
            dgamma="torch.einsum('nd,nd->d', dy, x_hat)",
            dbeta="torch.ones(len(dy), dtype=dy.dtype) @ dy",
        ),
    },
    "invariance": {
        "backward": INVARIANCE
        + "    lengths, grads = [], []\n    for a in (1, 2):\n        v = (a * w).detach().requires_grad_()\n        loss(v).backward()\n        grads.append(v.grad)\n"
        "    g = grads[0]\n    return float((g * w).sum() / g.norm() / w.norm()), float(grads[0].norm() / grads[1].norm())",
        "cosine_similarity": INVARIANCE
        + "    g = lambda v: torch.autograd.grad(loss(v), v)[0]\n    a, b = w.clone().requires_grad_(), (2 * w).requires_grad_()\n"
        "    return F.cosine_similarity(w.flatten(), g(a).flatten(), dim=0).item(), (g(a).norm() / g(b).norm()).item()",
        "torch.func": INVARIANCE
        + "    g = torch.func.grad(loss)\n    a, b = g(w), g(2 * w)\n    return (torch.dot(a.flatten(), w.flatten()) / a.norm() / w.norm()).item(), (a.norm() / b.norm()).item()",
        "jacobian": INVARIANCE
        + "    J = torch.autograd.functional.jacobian\n    a, b = J(loss, w), J(loss, 2 * w)\n    return ((a * w).sum() / (a.square().sum() * w.square().sum()).sqrt()).item(), (a.square().sum() / b.square().sum()).sqrt().item()",
    },
}
