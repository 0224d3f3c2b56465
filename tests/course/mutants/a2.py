# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A2; see a1.py."""

NORMALIZE = "def normalize(x, kept, eps=1e-5):\n"
GROUP = "def shuffled_group_norm(x, groups, gamma, beta, eps=1e-5):\n"
DIVIDES = "    if x.shape[-1] % groups:\n        raise ValueError('groups')\n"
STANDARDIZED = "def standardized(kernel, gain, eps=1e-5):\n"
BACKWARD = "def group_backward(dy, cache):\n    x_hat, inv_std, gamma = cache\n"
PARTIAL = (
    "def partial_rms_forward(x, k, gamma, eps=1e-6):\n"
    "    if k < 1 or k > x.shape[-1]:\n        raise ValueError('k')\n"
)
PARTIAL_BACKWARD = "def partial_rms_backward(dy, cache):\n    x_hat, inv_rms, gamma, k = cache\n"
FOLD = "def to_rms(weight1, bias1, gamma, beta, weight2, bias2):\n"
TOKENS = "def token_norm(x, gamma, beta, eps=1e-5):\n"
HALF = "def half_norm(x, gamma, eps=1e-6):\n"
REPAIRED = "def group_norm(x, groups, gamma, beta, eps=1e-5):\n"
COMPANIONS = "def companions(norm, shape):\n"
DGAMMA_DBETA = "(dy * x_hat).sum(0), dy.sum(0)"

WRONG = {
    "normalize": {
        "averaged over the kept axes": (
            "[a for a in range(x.ndim) if a not in [k % x.ndim for k in kept]]",
            "list(kept) or list(range(x.ndim))",
        ),
        "negative axes ignored": ("k % x.ndim for k in kept", "k for k in kept"),
        "no error": (
            'raise ValueError(f"all {x.ndim} axes are kept")',
            "return torch.zeros_like(x)",
        ),
        "another error": ("raise ValueError(", "raise IndexError("),
        "only the first kept axis": ("for k in kept]", "for k in kept[:1]]"),
        "unbiased": (
            "centered.square().mean(axes, keepdim=True)",
            "x.var(axes, keepdim=True)",
        ),
        "eps outside the root": (
            "(centered.square().mean(axes, keepdim=True) + eps).rsqrt()",
            "1 / (centered.square().mean(axes, keepdim=True).sqrt() + eps)",
        ),
        "eps fixed": (" + eps", " + 1e-5"),
        "no eps": (" + eps", ""),
        "divided by the variance": (".rsqrt()", ".reciprocal()"),
        "mean not taken away": ("x - x.mean(axes, keepdim=True)", "x"),
        "one mean for everything": ("x.mean(axes, keepdim=True)", "x.mean()"),
        "input changed": (
            "centered = x - x.mean(axes, keepdim=True)",
            "x -= x.mean(axes, keepdim=True)\n    centered = x",
        ),
    },
    "group_norm": {
        "neighbors": GROUP
        + DIVIDES
        + "    split = x.reshape(*x.shape[:-1], groups, -1)\n    axes = (*range(1, x.ndim - 1), -1)\n"
        "    var, mean = torch.var_mean(split, axes, correction=0, keepdim=True)\n"
        "    return gamma * ((split - mean) / (var + eps).sqrt()).reshape(x.shape) + beta",
        "group size for groups": ("-1, groups)", "groups, -1)"),
        "each position by itself": ("tuple(range(1, split.ndim - 1))", "(split.ndim - 2,)"),
        "each channel by itself": ("range(1, split.ndim - 1)", "range(1, split.ndim - 2)"),
        "the batch, too": ("range(1, split.ndim - 1)", "range(split.ndim - 1)"),
        "all channels": (
            "axes = tuple(range(1, split.ndim - 1))",
            "axes = tuple(range(1, split.ndim))",
        ),
        "no error": (
            'raise ValueError(f"{x.shape[-1]} channels do not split into {groups} groups")',
            "return x",
        ),
        "another error": ("raise ValueError(", "raise RuntimeError("),
        "gamma in the order of the groups": (
            "gamma * x_hat",
            "gamma.view(groups, -1).t().flatten() * x_hat",
        ),
        "no beta": (" + beta", ""),
        "eps fixed": (" + eps)", " + 1e-5)"),
        "unbiased": (
            "centered.square().mean(axes, keepdim=True)",
            "split.var(axes, keepdim=True)",
        ),
        "input changed": (
            "centered = split - split.mean(axes, keepdim=True)",
            "split -= split.mean(axes, keepdim=True)\n    centered = split",
        ),
        "images only": ("range(1, split.ndim - 1)", "range(1, 4)"),
    },
    "standardized": {
        "fan-out": ("kernel[..., 0].numel()", "kernel[:, :, 0].numel()"),
        "input channels only": ("kernel[..., 0].numel()", "kernel.shape[2]"),
        "no fan-in": ("fan_in * (var", "(var"),
        "fan-in not in the root": (
            "(fan_in * (var + eps)).rsqrt()",
            "(var + eps).rsqrt() / fan_in",
        ),
        "PyTorch's layout": ("axes = (0, 1, 2)", "axes = (1, 2, 3)"),
        "each position by itself": ("axes = (0, 1, 2)", "axes = (2,)"),
        "all filters together": ("axes = (0, 1, 2)", "axes = (0, 1, 2, 3)"),
        "mean left": ("return gain * centered *", "return gain * kernel *"),
        "unbiased": (
            "centered.square().mean(axes, keepdim=True)",
            "kernel.var(axes, keepdim=True, correction=min(1, fan_in - 1))",
        ),
        "eps not scaled": ("fan_in * (var + eps)", "fan_in * var + eps"),
        "eps fixed": ("(var + eps)", "(var + 1e-5)"),
        "no gain": ("return gain *", "return"),
        "input changed": (
            "centered = kernel - kernel.mean(axes, keepdim=True)",
            "kernel -= kernel.mean(axes, keepdim=True)\n    centered = kernel",
        ),
    },
    "group_backward": {
        "statistics constant": ("(g - mean - z * along)", "g"),
        "mean constant": ("(g - mean - z * along)", "(g - z * along)"),
        "variance constant": ("(g - mean - z * along)", "(g - mean)"),
        "gamma outside of the means": (
            "return dx.reshape(dy.shape)",
            "g = dy.reshape(g.shape)\n    dx = inv_std.unsqueeze(2) * (g - g.mean(2, keepdim=True) - z * (g * z).mean(2, keepdim=True))\n    return gamma * dx.reshape(dy.shape)",
        ),
        "the row as one group": (
            "mean, along = g.mean(2, keepdim=True), (g * z).mean(2, keepdim=True)",
            "mean, along = g.mean((1, 2), keepdim=True), (g * z).mean((1, 2), keepdim=True)",
        ),
        "batch norm's axes": (
            "mean, along = g.mean(2, keepdim=True), (g * z).mean(2, keepdim=True)",
            "mean, along = g.mean(0), (g * z).mean(0)",
        ),
        "no gamma": ("(dy * gamma)", "dy"),
        "no scale": ("inv_std.unsqueeze(2) * ", ""),
        "sums for means": (
            "g.mean(2, keepdim=True), (g * z).mean(2, keepdim=True)",
            "g.sum(2, keepdim=True), (g * z).sum(2, keepdim=True)",
        ),
        "sign": ("- z * along", "+ z * along"),
        "dgamma over the groups": (
            "(dy * x_hat).sum(0)",
            "(dy * x_hat).sum(1)",
        ),
        "dgamma of dy": ("(dy * x_hat).sum(0)", "dy.sum(0)"),
        "dbeta with gamma": (", dy.sum(0)", ", (dy * gamma).sum(0)"),
        "parameters swapped": (
            "(dy * x_hat).sum(0), dy.sum(0)",
            "dy.sum(0), (dy * x_hat).sum(0)",
        ),
    },
    "partial": {
        "all entries measured": ("x[:, :k].square()", "x.square()"),
        "only the measured entries divided": (
            "x_hat = x * inv_rms",
            "x_hat = torch.cat([x[:, :k] * inv_rms, x[:, k:]], 1)",
        ),
        "divided by D": (
            "x[:, :k].square().mean(1, keepdim=True)",
            "x[:, :k].square().sum(1, keepdim=True) / x.shape[1]",
        ),
        "the last entries": ("x[:, :k]", "x[:, -k:]"),
        "mean taken away": (
            "inv_rms =",
            "x = x - x[:, :k].mean(1, keepdim=True)\n    inv_rms =",
        ),
        "no error": ("raise ValueError(", "print("),
        "no error for k = 0": ("if not 1 <= k", "if not 0 <= k"),
        "no error for a large k": ("if not 1 <= k <= x.shape[1]", "if not 1 <= k"),
        "eps outside the root": (
            "(x[:, :k].square().mean(1, keepdim=True) + eps).rsqrt()",
            "1 / (x[:, :k].square().mean(1, keepdim=True).sqrt() + eps)",
        ),
        "eps fixed": (" + eps)", " + 1e-6)"),
        "no gamma": ("return gamma * x_hat", "return x_hat"),
        "gamma in the tuple": (
            "return gamma * x_hat, (x_hat,",
            "return gamma * x_hat, (gamma * x_hat,",
        ),
        "the whole batch": (".mean(1, keepdim=True)", ".mean()"),
        "input changed": ("x_hat = x * inv_rms", "x *= inv_rms\n    x_hat = x"),
    },
    "partial_backward": {
        "every entry measured": ("measured * x_hat", "x_hat"),
        "sum over the measured entries": (
            "(g * x_hat).sum(1, keepdim=True)",
            "(g * x_hat)[:, :k].sum(1, keepdim=True)",
        ),
        "mean over all entries": (
            "(g * x_hat).sum(1, keepdim=True) / k",
            "(g * x_hat).mean(1, keepdim=True)",
        ),
        "root mean square constant": (" - measured * x_hat * along", ""),
        "layer norm's": (
            "(g - measured * x_hat * along)",
            "(g - measured * g.mean(1, keepdim=True) - measured * x_hat * along)",
        ),
        "nothing for the others": (
            "inv_rms * (g - measured * x_hat * along)",
            "inv_rms * measured * (g - x_hat * along)",
        ),
        "gamma outside": (
            "g = dy * gamma",
            "g = dy",
        ),
        "no scale": ("inv_rms * (g", "(g"),
        "sign": ("g - measured", "g + measured"),
        "the last entries": ("< k", ">= dy.shape[1] - k"),
        "dgamma a mean": ("(dy * x_hat).sum(0)", "(dy * x_hat).mean(0)"),
        "dgamma with gamma": ("(dy * x_hat).sum(0)", "(g * x_hat).sum(0)"),
    },
    "fold": {
        "each row centered": (
            "weight1 - weight1.mean(0)",
            "weight1 - weight1.mean(1, keepdim=True)",
        ),
        "one mean for the matrix": ("weight1 - weight1.mean(0)", "weight1 - weight1.mean()"),
        "not centered": ("weight1 - weight1.mean(0)", "weight1"),
        "first bias not centered": ("bias1 - bias1.mean()", "bias1"),
        "first bias dropped": ("bias1 - bias1.mean()", "0 * bias1"),
        "gamma into the first layer": (
            "weight1 - weight1.mean(0), bias1 - bias1.mean(), weight2 * gamma",
            "(weight1 - weight1.mean(0)) * gamma.view(-1, 1), (bias1 - bias1.mean()) * gamma, weight2",
        ),
        "gamma forgotten": ("weight2 * gamma", "weight2"),
        "gamma along the outputs": (
            "weight2 * gamma",
            "weight2 * gamma[: weight2.shape[0]].view(-1, 1)",
        ),
        "beta forgotten": ("new_bias2 = weight2 @ beta", "new_bias2 = 0 * weight2[:, 0]"),
        "beta scaled": ("weight2 @ beta", "weight2 @ (gamma * beta)"),
        "second bias dropped": ("new_bias2 = new_bias2 + bias2", "pass"),
        "None not handled in the first layer": (
            "torch.zeros_like(beta) if bias1 is None else bias1",
            "bias1",
        ),
        "None not handled in the second layer": ("if bias2 is not None:", "if True:"),
        "weight changed": (
            "return weight1 - weight1.mean(0),",
            "weight1 -= weight1.mean(0)\n    return weight1,",
        ),
    },
    "repairs": {
        "as they were": "token_norm, half_norm, group_norm = broken_tokens, broken_half, broken_group",
        "tokens over the steps": (
            "mean = x.mean(2, keepdim=True)\n    var = x.var(2,",
            "mean = x.mean(1, keepdim=True)\n    var = x.var(1,",
        ),
        "only the mean of tokens": ("var = x.var(2,", "var = x.var((1, 2),"),
        "tokens unbiased": (
            "keepdim=True, correction=0)\n    return gamma",
            "keepdim=True)\n    return gamma",
        ),
        "half as it was": ("wide = x.double()", "wide = x"),
        "half returns float32": (".to(x.dtype)", ".float()"),
        "float64 through float32": ("x.double()", "x.float()"),
        "half in place": (
            "wide = x.double()",
            "wide = x.double()\n    x *= 0.5",
        ),
        "half clipped": ("x.double()", "x.clamp(-250, 250)"),
        "group still without the mean's gradient": (
            "mean = split.mean(2, keepdim=True)",
            "mean = split.detach().mean(2, keepdim=True)",
        ),
        "group still without the variance's gradient": (
            "(split.var(2,",
            "(split.detach().var(2,",
        ),
        "group with no gradient at all": (
            "split = x.reshape(x.shape[0], groups, -1)",
            "split = x.detach().reshape(x.shape[0], groups, -1)",
        ),
        "group unbiased": (
            "keepdim=True, correction=0) + eps).rsqrt()\n    x_hat = ((split",
            "keepdim=True) + eps).rsqrt()\n    x_hat = ((split",
        ),
    },
    "companions": {
        "everything": COMPANIONS + "    return torch.ones(shape, dtype=torch.bool)",
        "the first channel": COMPANIONS
        + "    mask = torch.zeros(shape, dtype=torch.bool)\n    mask[:, 0] = True\n    return mask",
        "the first row": COMPANIONS
        + "    mask = torch.zeros(shape, dtype=torch.bool)\n    mask[0] = True\n    return mask",
        "the others": ("!= 0", "== 0"),
        "only where it grows": ("!= 0", "> 0"),
        "all of the first image": ("norm(x)[(0,) * len(shape)]", "norm(x)[0].square().sum()"),
        "numbers": ("[0] != 0", "[0]"),
        "the last value": ("[(0,) * len(shape)]", "[(-1,) * len(shape)]"),
        "any output": ("norm(x)[(0,) * len(shape)]", "norm(x).square().mul(x).sum()"),
        "large derivatives only": ("[0] != 0", "[0].abs() > 0.1"),
    },
}

RIGHT = {
    "normalize": {
        "var_mean": NORMALIZE
        + "    kept = {k % x.ndim for k in kept}\n    axes = tuple(a for a in range(x.ndim) if a not in kept)\n"
        "    if len(axes) == 0:\n        raise ValueError('nothing to average')\n"
        "    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)\n    return (x - mean) * torch.rsqrt(var + eps)",
        "flattened": NORMALIZE
        + "    kept = sorted(k % x.ndim for k in kept)\n    rest = [a for a in range(x.ndim) if a not in kept]\n"
        "    if not rest:\n        raise ValueError(kept)\n    order = kept + rest\n    z = x.permute(order)\n"
        "    rows = z.reshape(*z.shape[: len(kept)], -1)\n    rows = (rows - rows.mean(-1, keepdim=True)) / (rows.var(-1, unbiased=False, keepdim=True) + eps).sqrt()\n"
        "    back = [order.index(a) for a in range(x.ndim)]\n    return rows.reshape(z.shape).permute(back)",
        "one axis at a time": NORMALIZE
        + "    axes = set(range(x.ndim)) - {k % x.ndim for k in kept}\n    if not axes:\n        raise ValueError\n"
        "    mean = x\n    for a in axes:\n        mean = mean.mean(a, keepdim=True)\n    var = (x - mean) ** 2\n    for a in axes:\n        var = var.mean(a, keepdim=True)\n"
        "    return (x - mean) / torch.sqrt(var + eps)",
        "moved": NORMALIZE
        + "    front = tuple(range(len(kept)))\n    if len(kept) == x.ndim:\n        raise ValueError('all kept')\n    z = x.movedim(tuple(kept), front)\n"
        "    axes = tuple(range(len(kept), x.ndim))\n    z = (z - z.mean(axes, True)) * (z.var(axes, unbiased=False, keepdim=True) + eps) ** -0.5\n"
        "    return z.movedim(front, tuple(kept))",
    },
    "group_norm": {
        "slices": GROUP
        + DIVIDES
        + "    y = torch.empty_like(x)\n    axes = tuple(range(1, x.ndim))\n    for g in range(groups):\n        part = x[..., g::groups]\n"
        "        var, mean = torch.var_mean(part, axes, correction=0, keepdim=True)\n        y[..., g::groups] = (part - mean) / (var + eps).sqrt()\n"
        "    return y * gamma + beta",
        "positions flattened": GROUP
        + DIVIDES
        + "    z = x.reshape(x.shape[0], -1, groups)\n    z = (z - z.mean(1, keepdim=True)) / torch.sqrt(z.var(1, unbiased=False, keepdim=True) + eps)\n"
        "    return z.reshape(x.shape) * gamma + beta",
        "order and back": GROUP
        + "    C = x.shape[-1]\n    if C % groups != 0:\n        raise ValueError('no')\n"
        "    order = torch.arange(C).view(-1, groups).t().flatten()\n    z = x[..., order].movedim(-1, 1).reshape(len(x), groups, -1)\n"
        "    z = (z - z.mean(2, keepdim=True)) * (z.var(2, correction=0, keepdim=True) + eps).rsqrt()\n"
        "    z = z.reshape(len(x), C, *x.shape[1:-1]).movedim(1, -1)[..., order.argsort()]\n    return z * gamma + beta",
        "one hot": GROUP
        + DIVIDES
        + "    member = (torch.arange(x.shape[-1])[:, None] % groups == torch.arange(groups)).to(x.dtype)\n"
        "    rows = x.reshape(len(x), -1, x.shape[-1])\n    m = rows.shape[1] * x.shape[-1] // groups\n    mean = rows.sum(1) @ member / m\n"
        "    d = rows - (mean @ member.t())[:, None]\n    var = d.square().sum(1) @ member / m\n    d = d / (var + eps).sqrt().mm(member.t())[:, None]\n"
        "    return gamma * d.reshape(x.shape) + beta",
    },
    "standardized": {
        "product of the shape": STANDARDIZED
        + "    h, w, i, o = kernel.shape\n    rows = kernel.reshape(-1, o)\n    var, mean = torch.var_mean(rows, 0, correction=0)\n"
        "    return ((rows - mean) / (h * w * i * (var + eps)).sqrt() * gain).view(kernel.shape)",
        "two roots": STANDARDIZED
        + "    n = kernel.numel() / kernel.shape[3]\n    mean = kernel.mean((0, 1, 2))\n    std = (kernel.var((0, 1, 2), unbiased=False) + eps).sqrt()\n"
        "    return (kernel - mean) / std * gain / n**0.5",
        "loop": STANDARDIZED
        + "    filters = []\n    for o in range(kernel.shape[3]):\n        f = kernel[..., o]\n        d = f - f.mean()\n"
        "        filters.append(gain[o] * d / (f.numel() * ((d * d).mean() + eps)) ** 0.5)\n    return torch.stack(filters, 3)",
        "as in PyTorch": STANDARDIZED
        + "    w = kernel.permute(3, 2, 0, 1)\n    w = w - w.mean((1, 2, 3), keepdim=True)\n    n = w[0].numel()\n"
        "    w = w / torch.sqrt(w.square().sum((1, 2, 3), keepdim=True) + n * eps)\n    return (gain.view(-1, 1, 1, 1) * w).permute(2, 3, 1, 0)",
    },
    "group_backward": {
        "loop over the groups": BACKWARD
        + "    groups, parts = inv_std.shape[1], []\n    for i, (g, z) in enumerate(zip((dy * gamma).chunk(groups, 1), x_hat.chunk(groups, 1))):\n"
        "        dx = g - g.mean(1, keepdim=True) - z * (g * z).mean(1, keepdim=True)\n        parts.append(dx * inv_std[:, i : i + 1])\n"
        f"    return torch.cat(parts, 1), {DGAMMA_DBETA}",
        "sums": BACKWARD
        + "    N, G = inv_std.shape\n    m = dy.shape[1] // G\n    g, z = (dy * gamma).view(N, G, m), x_hat.view(N, G, m)\n"
        "    dx = inv_std[..., None] / m * (m * g - g.sum(-1, keepdim=True) - z * (g * z).sum(-1, keepdim=True))\n"
        f"    return dx.view(N, -1), {DGAMMA_DBETA}",
        "einsum": BACKWARD
        + "    N, G = inv_std.shape\n    g, z = (dy * gamma).view(N, G, -1), x_hat.view(N, G, -1)\n    m = g.shape[2]\n"
        "    along = torch.einsum('ngm,ngm->ng', g, z)[..., None] / m\n    dx = (g - g.mean(2)[..., None] - z * along) * inv_std[..., None]\n"
        "    return dx.flatten(1), torch.einsum('nd,nd->d', dy, x_hat), torch.ones(N, dtype=dy.dtype) @ dy",
        "by paths": BACKWARD
        + "    N, G = inv_std.shape\n    r = inv_std.view(N, G, 1)\n    g, z = (dy * gamma).view(N, G, -1), x_hat.view(N, G, -1)\n    m = g.shape[2]\n"
        "    dvar = -0.5 * r**2 * (g * z).sum(2, keepdim=True)\n    dmean = -(g * r).sum(2, keepdim=True)\n    dx = g * r + dmean / m + dvar * 2 * z / (r * m)\n"
        f"    return dx.view(N, -1), {DGAMMA_DBETA}",
    },
    "partial": {
        "division": PARTIAL
        + "    rms = torch.sqrt((x[:, :k] ** 2).sum(1, keepdim=True) / k + eps)\n    return x / rms * gamma, (x / rms, 1 / rms, gamma, k)",
        "norm": PARTIAL
        + "    r = (x[..., :k].norm(dim=-1, keepdim=True) ** 2 / k + eps) ** -0.5\n    z = r * x\n    return z * gamma, (z, r, gamma, k)",
        "mask": PARTIAL
        + "    mask = (torch.arange(x.shape[1]) < k).to(x.dtype)\n    r = torch.rsqrt(x.square() @ mask / k + eps).unsqueeze(1)\n    return gamma * x * r, (x * r, r, gamma, k)",
        "narrow": PARTIAL
        + "    first = torch.narrow(x, 1, 0, k)\n    r = torch.rsqrt(torch.einsum('nk,nk->n', first, first)[:, None] / k + eps)\n    z = torch.mul(x, r)\n    return torch.mul(z, gamma), (z, r, gamma, k)",
        "not in range": (
            "if not 1 <= k <= x.shape[1]:",
            "if k not in range(1, x.shape[1] + 1):",
        ),
    },
    "partial_backward": {
        "slice": PARTIAL_BACKWARD
        + "    g = dy * gamma\n    dx = inv_rms * g\n    s = (g * x_hat).sum(1, keepdim=True)\n    dx[:, :k] -= inv_rms * x_hat[:, :k] * s / k\n"
        "    return dx, (dy * x_hat).sum(0)",
        "two parts": PARTIAL_BACKWARD
        + "    g = dy * gamma\n    s = (g * x_hat).sum(1, keepdim=True) / k\n    left = inv_rms * (g[:, :k] - x_hat[:, :k] * s)\n"
        "    return torch.cat([left, inv_rms * g[:, k:]], 1), torch.einsum('nd,nd->d', dy, x_hat)",
        "by the factor": PARTIAL_BACKWARD
        + "    x, g = x_hat / inv_rms, dy * gamma\n    dr = (g * x).sum(1, keepdim=True)\n    dx = g * inv_rms\n    extra = -dr * inv_rms**3 * x / k\n"
        "    extra[:, k:] = 0\n    return dx + extra, (dy * x_hat).sum(0)",
        "loop": PARTIAL_BACKWARD
        + "    rows = []\n    for n in range(len(dy)):\n        g, z, r = dy[n] * gamma, x_hat[n], inv_rms[n]\n        J = torch.diag(gamma) * 1.0\n"
        "        cut = z.clone()\n        cut[k:] = 0\n        rows.append(r * (g - cut * torch.dot(g, z) / k))\n    return torch.stack(rows), (x_hat * dy).sum(dim=0)",
    },
    "fold": {
        "by a matrix": FOLD
        + "    D = len(gamma)\n    P = torch.eye(D, dtype=gamma.dtype) - torch.ones(D, D, dtype=gamma.dtype) / D\n"
        "    b1 = torch.zeros(D, dtype=gamma.dtype) if bias1 is None else bias1\n    b2 = 0 if bias2 is None else bias2\n"
        "    return P @ weight1, P @ b1, weight2 @ torch.diag(gamma), F.linear(beta, weight2) + b2",
        "zeros first": FOLD
        + "    if bias1 is None:\n        bias1 = weight1.new_zeros(weight1.shape[0])\n    if bias2 is None:\n        bias2 = weight2.new_zeros(weight2.shape[0])\n"
        "    return weight1 - weight1.mean(0, keepdim=True), bias1 - bias1.mean(), weight2 * gamma.view(1, -1), bias2 + weight2.mv(beta)",
        "bias as a column": FOLD
        + "    both = torch.cat([weight1, (0 * beta if bias1 is None else bias1)[:, None]], 1)\n    both = both - both.mean(0)\n"
        "    return both[:, :-1], both[:, -1], torch.einsum('od,d->od', weight2, gamma), (weight2 * beta).sum(1) + (0 if bias2 is None else bias2)",
        "another sign": FOLD
        + "    b1 = 0 * beta if bias1 is None else bias1\n    b2 = weight2 @ beta + (0 if bias2 is None else bias2)\n"
        "    return weight1 - weight1.sum(0) / len(weight1), b1 - b1.sum() / len(b1), gamma * weight2, b2",
    },
    "repairs": {
        "reduced once": (
            "mean = x.mean(2, keepdim=True)\n    var = x.var(2, keepdim=True, correction=0)\n",
            "var, mean = torch.var_mean(x, -1, correction=0, keepdim=True)\n",
        ),
        "wide only if needed": (
            "wide = x.double()",
            "wide = x.float() if x.dtype == torch.float16 else x",
        ),
        "scaled first": HALF
        + "    largest = x.abs().amax(-1, keepdim=True).double()\n    small = x.double() / largest\n"
        "    ms = (small * small).mean(-1, keepdim=True) * largest**2\n    return (x.double() / (ms + eps).sqrt() * gamma.double()).to(x.dtype)\n"
        + TOKENS
        + "    z = x.flatten(0, 1)\n    z = (z - z.mean(1, keepdim=True)) / (z.var(1, unbiased=False, keepdim=True) + eps).sqrt()\n"
        "    return (z * gamma + beta).view(x.shape)\n"
        + REPAIRED
        + "    parts = []\n    for p in x.chunk(groups, 1):\n        m = p.mean((1, 2, 3), keepdim=True)\n        v = ((p - m) ** 2).mean((1, 2, 3), keepdim=True)\n"
        "        parts.append((p - m) / torch.sqrt(v + eps))\n    return torch.cat(parts, 1) * gamma[:, None, None] + beta[:, None, None]",
        "gradients enabled": (
            "    mean = split.mean(2, keepdim=True)\n",
            "    mean = split.mean(2).unsqueeze(2)\n",
        ),
    },
    "companions": {
        "backward": COMPANIONS
        + "    torch.manual_seed(3)\n    x = torch.randn(*shape).double().requires_grad_()\n    norm(x).flatten()[0].backward()\n    return x.grad.abs() > 0",
        "differences": COMPANIONS
        + "    torch.manual_seed(3)\n    x = torch.randn(shape, dtype=torch.float64)\n    before = norm(x).flatten()[0].item()\n    mask = torch.zeros(x.numel(), dtype=torch.bool)\n"
        "    for i in range(x.numel()):\n        z = x.clone()\n        z.view(-1)[i] += 0.5\n        mask[i] = norm(z).flatten()[0].item() != before\n    return mask.view(shape)",
        "jacobian": COMPANIONS
        + "    x = torch.randn(shape, dtype=torch.float64)\n    J = torch.autograd.functional.jacobian(norm, x)\n    return J.reshape(x.numel(), *shape)[0] != 0",
        "nan": COMPANIONS
        + "    x = torch.randn(shape, dtype=torch.float64)\n    mask = torch.zeros(shape, dtype=torch.bool)\n    for i in torch.cartesian_prod(*[torch.arange(n) for n in shape]).tolist():\n"
        "        z = x.clone()\n        z[tuple(i)] = float('nan')\n        mask[tuple(i)] = norm(z).flatten()[0].isnan()\n    return mask",
    },
}

SLIPS = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("normalize", "unbiased"),
        ("normalize", "no error"),
        ("normalize", "negative axes ignored"),
        ("group_norm", "no beta"),
        ("group_norm", "input changed"),
        ("group_norm", "no error"),
        ("standardized", "no gain"),
        ("standardized", "eps not scaled"),
        ("group_backward", "parameters swapped"),
        ("group_backward", "no scale"),
        ("partial", "no error"),
        ("partial", "eps outside the root"),
        ("partial_backward", "dgamma a mean"),
        ("fold", "None not handled in the first layer"),
        ("fold", "None not handled in the second layer"),
        ("repairs", "half in place"),
    )
}

CONCEPTUAL = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("normalize", "averaged over the kept axes"),
        ("normalize", "one mean for everything"),
        ("group_norm", "neighbors"),
        ("group_norm", "each channel by itself"),
        ("group_norm", "the batch, too"),
        ("standardized", "fan-out"),
        ("standardized", "PyTorch's layout"),
        ("group_backward", "statistics constant"),
        ("group_backward", "gamma outside of the means"),
        ("group_backward", "batch norm's axes"),
        ("partial", "all entries measured"),
        ("partial", "only the measured entries divided"),
        ("partial_backward", "every entry measured"),
        ("partial_backward", "sum over the measured entries"),
        ("partial_backward", "root mean square constant"),
        ("fold", "each row centered"),
        ("fold", "not centered"),
        ("fold", "gamma into the first layer"),
        ("repairs", "as they were"),
    )
}

REMAINING = {
    f"{task}: {name}": (task, WRONG[task][name], points)
    for task, name, points in (
        ("fold", "None not handled in the first layer", 2.0),
        ("group_backward", "statistics constant", 1.0),
        ("partial_backward", "every entry measured", 1.5),
        ("repairs", "half as it was", 3.0),
    )
}

#: Answers that call an earlier one, which the text advises against.
CALLING = {
    "group_norm": (
        "centered = split - split.mean(axes, keepdim=True)\n    x_hat = centered * (centered.square().mean(axes, keepdim=True) + eps).rsqrt()",
        "x_hat = normalize(split, (0, -1), eps)",
    ),
    "repairs": (
        "    mean = split.mean(2, keepdim=True)\n    inv_std = (split.var(2, keepdim=True, correction=0) + eps).rsqrt()\n    x_hat = ((split - mean) * inv_std).reshape(x.shape)",
        "    x_hat = normalize(split, (0, 1), eps).reshape(x.shape)",
    ),
}

CHAPTERS = (
    (
        "2-normalization/3-normalization-family.ipynb",
        (
            "standardize",
            "GroupNorm",
            "RMSNorm",
            "LayerNorm",
            "WeightStandardizedConv2d",
            "backward",
        ),
    ),
)

#: See a1.py.
COPY = {
    "normalize": NORMALIZE
    + "    return standardize(x, tuple(a for a in range(x.ndim) if a not in kept), eps)",
    "group_norm": GROUP
    + "    layer = GroupNorm(groups, x.shape[-1], eps)\n    layer.weight.data, layer.bias.data = gamma, beta\n"
    "    return layer(x.movedim(-1, 1)).movedim(1, -1).detach()",
    "standardized": STANDARDIZED + "    return gain * standardize(kernel, (0, 1, 2), eps)",
    "group_backward": BACKWARD
    + "    N, G = inv_std.shape\n    dx_hat, z = (dy * gamma).reshape(N, G, -1), x_hat.reshape(N, G, -1)\n"
    "    along_ones = dx_hat.mean(2, keepdim=True)\n    along_x_hat = (dx_hat * z).mean(2, keepdim=True)\n"
    "    dx = inv_std.view(N, G, 1) * (dx_hat - along_ones - z * along_x_hat)\n"
    "    return dx.reshape(dy.shape), (dy * x_hat).sum(0), dy.sum(0)",
    "partial": "def partial_rms_forward(x, k, gamma, eps=1e-6):\n"
    "    mean_square = x.square().mean(1, keepdim=True)\n    inv_rms = torch.rsqrt(mean_square + eps)\n"
    "    return gamma * x * inv_rms, (x * inv_rms, inv_rms, gamma, k)",
    "partial_backward": PARTIAL_BACKWARD
    + "    dx_hat = dy * gamma\n    along_x_hat = (dx_hat * x_hat).mean(1, keepdim=True)\n"
    "    return inv_rms * (dx_hat - x_hat * along_x_hat), (dy * x_hat).sum(0)",
    "fold": FOLD + "    return weight1, bias1, weight2 * gamma, weight2 @ beta + bias2",
    "repairs": TOKENS
    + "    return gamma * standardize(x, -1, eps) + beta\n"
    + HALF
    + "    mean_square = x.square().mean(-1, keepdim=True)\n    return gamma * x * torch.rsqrt(mean_square + eps)\n"
    + REPAIRED
    + "    split = x.reshape(len(x), groups, -1)\n    x_hat = standardize(split, 2, eps).reshape(x.shape)\n"
    "    return gamma.view(-1, 1, 1) * x_hat + beta.view(-1, 1, 1)",
    "companions": COMPANIONS
    + "    mask = torch.zeros(shape, dtype=torch.bool)\n    mask[:, 0] = True\n    return mask",
}
