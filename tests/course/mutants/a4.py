# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A4; see a1.py."""

COUNTING = "def path_counts(n):\n    {counts}\n\ndef share_of_paths(n, low, high):\n    {share}\n"
UNRAVEL = "def whole(matrices):\n    {whole}\n\ndef path(matrices, taken):\n    {path}\n"
LESION = "def run_without(blocks, x, removed=()):\n    {without}\n\ndef run_in_order(blocks, x, order):\n    {order}\n\ndef kendall_tau(order):\n    {tau}\n"
LENGTHS = "def by_length(matrices):\n"
STOCHASTIC = (
    "class StochasticDepth(nn.Module):\n    def __init__(self, block, survival):\n        super().__init__()\n        self.block, self.survival = block, survival\n\n"
    "    def forward(self, x):\n        if not self.training:\n            {evaluation}\n        {training}\n"
)
EVALUATION = "return x + self.survival * self.block(x)"
SAMPLING = "def gradient_at_length(blocks, x, loss, k, samples, generator):\n"


def counting(
    counts="return [math.comb(n, k) for k in range(n + 1)]",
    share="return sum(path_counts(n)[low : high + 1]) / 2**n",
):
    return COUNTING.format(counts=counts, share=share)


def lesion(
    without="for i, f in enumerate(blocks):\n        x = x if i in removed else x + f(x)\n    return x",
    order="for i in order:\n        x = x + blocks[i](x)\n    return x",
    tau="n = len(order)\n    good = sum(order[i] < order[j] for i in range(n) for j in range(i + 1, n))\n    return 2 * good / (n * (n - 1) / 2) - 1",
):
    return LESION.format(without=without, order=order, tau=tau)


def stochastic(training, evaluation=EVALUATION):
    return STOCHASTIC.format(training=training, evaluation=evaluation)


MASK = "b = torch.bernoulli(torch.full((len(x), *[1] * (x.ndim - 1)), float(self.survival), dtype=x.dtype))\n        "

WRONG = {
    "counting": {
        "one too short": ("range(n + 1)", "range(n)"),
        "one too long": ("range(n + 1)", "range(n + 2)"),
        "permutations": ("math.comb", "math.perm"),
        "floats": counting(
            counts="c = [1.0]\n    for k in range(n):\n        c.append(c[-1] * (n - k) / (k + 1) * (1 + 1e-15))\n    return c"
        ),
        "upper end left out": ("high + 1", "high"),
        "lower end left out": ("[low : high", "[low + 1 : high"),
        "not a share": (" / 2**n", ""),
        "share of lengths": counting(share="return (high - low + 1) / (n + 1)"),
        "over n squared": ("2**n", "n**2 + 1"),
        "two blocks fewer": ("math.comb(n, k)", "math.comb(max(n - 1, 0), k)"),
    },
    "unravel": {
        "order of the product": ("result + matrix @ result", "result + result @ matrix"),
        "no skips": ("result + matrix @ result", "matrix @ result"),
        "sum": ("result + matrix @ result", "result + matrix"),
        "order of the path": ("matrices[i] @ result", "result @ matrices[i]"),
        "order of the set": ("sorted(taken)", "sorted(taken, reverse=True)"),
        "skips in the path": (
            "result = matrices[i] @ result",
            "result = result + matrices[i] @ result",
        ),
        "the others": ("sorted(taken)", "sorted(set(range(len(matrices))) - set(taken))"),
        "counted from 1": ("matrices[i] @", "matrices[i - 1] @"),
        "elementwise": ("matrix @ result", "matrix * result"),
        "in single precision": (
            "result = result + matrix @ result\n    return result",
            "result = result + matrix @ result\n    return result.float()",
        ),
    },
    "lesion": {
        "kept for removed": ("if i not in removed", "if i in removed"),
        "no shortcut": lesion(
            without="for i, f in enumerate(blocks):\n        x = x if i in removed else f(x)\n    return x"
        ),
        "removed to zero": lesion(
            without="for i, f in enumerate(blocks):\n        x = 0 * x if i in removed else x + f(x)\n    return x"
        ),
        "input changed": lesion(
            without="for i, f in enumerate(blocks):\n        if i not in removed:\n            x += f(x)\n    return x"
        ),
        "blocks of the input": lesion(
            without="y = x\n    for i, f in enumerate(blocks):\n        if i not in removed:\n            y = y + f(x)\n    return y"
        ),
        "inverse order": lesion(
            order="for i in [order.index(j) for j in range(len(order))]:\n        x = x + blocks[i](x)\n    return x"
        ),
        "original order": lesion(order="return run_without(blocks, x)"),
        "backwards": lesion(
            order="for i in reversed(order):\n        x = x + blocks[i](x)\n    return x"
        ),
        "distance": lesion(
            tau="n = len(order)\n    return sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n)) / (n * (n - 1) / 2)"
        ),
        "neighbours only": lesion(
            tau="return sum(1 if a < b else -1 for a, b in zip(order, order[1:])) / (len(order) - 1)"
        ),
        "spearman": lesion(
            tau="n = len(order)\n    return 1 - 6 * sum((i - a) ** 2 for i, a in enumerate(order)) / (n * (n * n - 1))"
        ),
        "ordered pairs": lesion(
            tau="n = len(order)\n    return sum(1 if order[i] < order[j] else -1 for i in range(n) for j in range(i + 1, n)) / (n * (n - 1))"
        ),
    },
    "lengths": {
        "order of the product": ("matrix @ s", "s @ matrix"),
        "without going on": ("[a + b for a, b in zip([*sums, zero], longer)]", "longer"),
        "from zero": ("torch.eye(len(zero), dtype=zero.dtype)", "zero"),
        "one too few": ("return sums", "return sums[:-1]"),
        "empty path forgotten": ("return sums", "return sums[1:]"),
        "powers of the mean": LENGTHS
        + "    n, mean = len(matrices), sum(matrices) / len(matrices)\n    return [math.comb(n, k) * torch.linalg.matrix_power(mean, k) for k in range(n + 1)]",
        "neighbours only": LENGTHS
        + "    n = len(matrices)\n    out = [torch.eye(len(matrices[0]), dtype=matrices[0].dtype)]\n    for k in range(1, n + 1):\n        total = 0\n"
        "        for i in range(n - k + 1):\n            p = out[0]\n            for m in matrices[i : i + k]:\n                p = m @ p\n            total = total + p\n        out.append(total)\n    return out",
        "elementwise": ("matrix @ s", "matrix * s"),
        "counted twice": ("sums = [a + b for", "sums = [a + 2 * b for"),
        "transposed": ("matrix @ s", "matrix.t() @ s"),
    },
    "stochastic": {
        "one draw for the batch": stochastic(
            "return x + self.block(x) if torch.rand(()) < self.survival else x"
        ),
        "a draw for every value": stochastic(
            "return x + (torch.rand_like(x) < self.survival).to(x.dtype) * self.block(x)"
        ),
        "a draw for every channel": stochastic(
            "return x + (torch.rand(*x.shape[:2], *[1] * (x.ndim - 2)) < self.survival).to(x.dtype) * self.block(x)"
        ),
        "dropped for kept": stochastic(
            "kept = torch.rand(len(x), *[1] * (x.ndim - 1)) > self.survival\n        return x + kept.to(x.dtype) * self.block(x)"
        ),
        "rescaled in training": stochastic(
            MASK + "return x + b / max(self.survival, 1e-9) * self.block(x)"
        ),
        "not scaled in evaluation": stochastic(
            MASK + "return x + b * self.block(x)", "return x + self.block(x)"
        ),
        "everything scaled": stochastic(
            MASK + "return x + b * self.block(x)", "return self.survival * (x + self.block(x))"
        ),
        "shortcut dropped, too": stochastic(MASK + "return b * (x + self.block(x))"),
        "no shortcut": stochastic(MASK + "return b * self.block(x)"),
        "scaled in training, drawn in evaluation": stochastic(
            EVALUATION, MASK + "return x + b * self.block(x)"
        ),
        "fixed share": stochastic(
            "kept = torch.zeros(len(x), *[1] * (x.ndim - 1), dtype=x.dtype)\n        kept[: len(x) // 2] = 1\n        return x + kept * self.block(x)"
        ),
    },
    "sampling": {
        "whole gradient": (
            "h = h.detach() + block(h) if i in taken else h + block(h).detach()",
            "h = h + block(h)",
        ),
        "shortcut beside": ("h.detach() + block(h) if", "h + block(h) if"),
        "the others": ("if i in taken", "if i not in taken"),
        "forward through taken blocks only": ("else h + block(h).detach()", "else h"),
        "sum for mean": ("sum(lengths) / samples", "sum(lengths)"),
        "squared length": (".norm().item()", ".square().sum().item()"),
        "with replacement": (
            "torch.randperm(len(blocks), generator=generator)[:k]",
            "torch.randint(len(blocks), (k,), generator=generator)",
        ),
        "generator ignored": ("generator=generator", "generator=torch.Generator().manual_seed(1)"),
        "last k": ("[:k]", "[-k:]"),
        "absolute sum": (".norm().item()", ".abs().sum().item()"),
    },
}

RIGHT = {
    "counting": {
        "pascal": counting(
            counts="row = [1]\n    for _ in range(n):\n        row = [a + b for a, b in zip([0, *row], [*row, 0])]\n    return row"
        ),
        "factorials": counting(
            counts="f = math.factorial\n    return [f(n) // (f(k) * f(n - k)) for k in range(n + 1)]"
        ),
        "ratio": counting(
            counts="c = [1]\n    for k in range(n):\n        c.append(c[-1] * (n - k) // (k + 1))\n    return c"
        ),
        "share by comb": counting(
            share="return sum(math.comb(n, k) for k in range(low, high + 1)) / 2**n"
        ),
    },
    "unravel": {
        "product": UNRAVEL.format(
            whole="I = torch.eye(matrices[0].shape[0], dtype=matrices[0].dtype)\n    y = I\n    for A in matrices:\n        y = (I + A) @ y\n    return y",
            path="y = torch.eye(matrices[0].shape[0], dtype=matrices[0].dtype)\n    for i, A in enumerate(matrices):\n        if i in taken:\n            y = A @ y\n    return y",
        ),
        "from the last": UNRAVEL.format(
            whole="y = torch.eye(matrices[0].shape[0], dtype=matrices[0].dtype)\n    for A in reversed(matrices):\n        y = y + y @ A\n    return y",
            path="y = torch.eye(matrices[0].shape[0], dtype=matrices[0].dtype)\n    for i in sorted(taken, reverse=True):\n        y = y @ matrices[i]\n    return y",
        ),
        "all paths": UNRAVEL.format(
            whole="n = len(matrices)\n    return sum(path(matrices, set(s)) for k in range(n + 1) for s in itertools.combinations(range(n), k))",
            path="import functools\n    return functools.reduce(lambda y, i: matrices[i] @ y, sorted(taken), torch.eye(len(matrices[0]), dtype=matrices[0].dtype))",
        ),
        "columns": UNRAVEL.format(
            whole="cols = []\n    for e in torch.eye(len(matrices[0]), dtype=matrices[0].dtype):\n        for A in matrices:\n            e = e + A @ e\n        cols.append(e)\n    return torch.stack(cols, 1)",
            path="chosen = [matrices[i] for i in sorted(taken)]\n    return torch.linalg.multi_dot(chosen[::-1]) if len(chosen) > 1 else chosen[0] if chosen else torch.eye(len(matrices[0]), dtype=matrices[0].dtype)",
        ),
    },
    "lesion": {
        "loops": lesion(),
        "filter": lesion(
            without="for f in [f for i, f in enumerate(blocks) if i not in set(removed)]:\n        x = f(x) + x\n    return x",
            order="return run_without([blocks[i] for i in order], x)",
        ),
        "tau by inversions": lesion(
            tau="n = len(order)\n    bad = sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n))\n    return 1 - 4 * bad / (n * (n - 1))"
        ),
        "tau by tensors": lesion(
            tau="o = torch.tensor(order)\n    s = torch.sign(o[None, :] - o[:, None]).triu(1)\n    return s.sum().item() / (len(order) * (len(order) - 1) // 2)"
        ),
    },
    "lengths": {
        "in place": LENGTHS
        + "    d, n = len(matrices[0]), len(matrices)\n    P = [torch.eye(d, dtype=matrices[0].dtype)] + [torch.zeros(d, d, dtype=matrices[0].dtype) for _ in range(n)]\n"
        "    for A in matrices:\n        for k in range(n, 0, -1):\n            P[k] = P[k] + A @ P[k - 1]\n    return P",
        "from the last": LENGTHS
        + "    zero = torch.zeros_like(matrices[0])\n    P = [torch.eye(len(zero), dtype=zero.dtype)]\n    for A in reversed(matrices):\n        P = [p + q for p, q in zip(P + [zero], [zero] + [p @ A for p in P])]\n    return P",
        "stacked": LENGTHS
        + "    d, n = len(matrices[0]), len(matrices)\n    P = torch.zeros(n + 1, d, d, dtype=matrices[0].dtype)\n    P[0] = torch.eye(d)\n    for A in matrices:\n        P[1:] = P[1:] + A @ P[:-1]\n    return list(P)",
        "polynomial": LENGTHS
        + "    def times(P, A):\n        out = [p.clone() for p in P] + [torch.zeros_like(P[0])]\n        for k, p in enumerate(P):\n            out[k + 1] += A @ p\n        return out\n"
        "    P = [torch.eye(len(matrices[0]), dtype=matrices[0].dtype)]\n    for A in matrices:\n        P = times(P, A)\n    return P",
    },
    "stochastic": {
        "bernoulli": stochastic(MASK + "return x + b * self.block(x)"),
        "where": stochastic(
            "kept = torch.rand(len(x)) < self.survival\n        return torch.where(kept.view(-1, *[1] * (x.ndim - 1)), x + self.block(x), x)"
        ),
        "index": stochastic(
            "y = x.clone()\n        kept = (torch.rand(len(x)) < self.survival).nonzero().flatten()\n        y[kept] = x[kept] + self.block(x[kept])\n        return y"
        ),
        "loop": stochastic(
            "return torch.stack([v + self.block(v[None])[0] if torch.rand(()).item() < self.survival else v for v in x])"
        ),
    },
    "sampling": {
        "backward": SAMPLING
        + "    total = 0.0\n    for _ in range(samples):\n        taken = torch.randperm(len(blocks), generator=generator)[:k].tolist()\n        v = x.clone().requires_grad_()\n        h = v\n"
        "        for i, f in enumerate(blocks):\n            h = f(h) + h.detach() if i in taken else f(h).detach() + h\n        loss(h).backward()\n        total += v.grad.norm().item() / samples\n    return total",
        "vector-Jacobian products": SAMPLING
        + "    out = []\n    for _ in range(samples):\n        taken = set(torch.randperm(len(blocks), generator=generator)[:k].tolist())\n        hs = [x]\n        for f in blocks:\n            hs.append(hs[-1] + f(hs[-1]))\n"
        "        end = hs[-1].clone().requires_grad_()\n        g = torch.autograd.grad(loss(end), end)[0]\n        for i in reversed(range(len(blocks))):\n            if i in taken:\n                h = hs[i].clone().requires_grad_()\n                g = torch.autograd.grad(blocks[i](h), h, g)[0]\n"
        "        out.append(float(g.norm()))\n    return sum(out) / len(out)",
        "jacobians": SAMPLING
        + "    J = torch.autograd.functional.jacobian\n    values = []\n    for _ in range(samples):\n        taken = set(torch.randperm(len(blocks), generator=generator)[:k].tolist())\n        h, M = x, torch.eye(len(x), dtype=x.dtype)\n"
        "        for i, f in enumerate(blocks):\n            if i in taken:\n                M = J(f, h) @ M\n            h = h + f(h)\n        values.append((J(loss, h) @ M).norm().item())\n    return sum(values) / samples",
        "torch.func": SAMPLING
        + "    norms = []\n    for _ in range(samples):\n        taken = set(torch.randperm(len(blocks), generator=generator)[:k].tolist())\n        def run(v):\n            for i, f in enumerate(blocks):\n                v = v.detach() + f(v) if i in taken else v + f(v).detach()\n            return loss(v)\n"
        "        norms.append(torch.func.grad(run)(x).norm().item())\n    return float(torch.tensor(norms, dtype=torch.float64).mean())",
    },
}
