# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A4; see a1.py."""

LENGTHS = "def length_distribution(survival):\n    {distribution}\n\ndef active_given_length(survival, length):\n    {given}\n"
DISTRIBUTION = "found = torch.ones(1, dtype=torch.float64)\n    for p in survival:\n        found = F.pad((1 - p) * found, (0, 1)) + F.pad(p * found, (1, 0))\n    return found"
GIVEN = "out = []\n    for i in range(len(survival)):\n        rest = length_distribution(survival[:i] + survival[i + 1 :])\n        out.append(survival[i] * rest[length - 1])\n    out = torch.stack(out)\n    return length * out / out.sum()"
UNRAVEL = "def path(shortcuts, branches, taken):\n    {path}\n\ndef taken_away(shortcuts, branches, removed):\n    {away}\n"
PATH = "y = None\n    for i in range(len(shortcuts)):\n        m = branches[i] if i in taken else shortcuts[i]\n        y = m if y is None else m @ y\n    return y"
AWAY = "total = 0\n    for i in sorted(removed):\n        y = branches[i]\n        for j in range(i - 1, -1, -1):\n            y = y @ (shortcuts[j] if j in removed else shortcuts[j] + branches[j])\n        for j in range(i + 1, len(shortcuts)):\n            y = (shortcuts[j] + branches[j]) @ y\n        total = total + y\n    return total"
SURGERY = "def run_without(blocks, x, removed=()):\n    {without}\n\ndef run_in_order(blocks, x, order, removed=()):\n    {order}\n\ndef disorder(order):\n    {disorder}\n"
PAIRS = "def interactions(loss, n):\n    {pairs}\n\ndef mean_and_variance(loss, survival):\n    {masks}\n"
LENGTH = "def gradient_by_length(shortcuts, branches, gradient):\n"
STOCHASTIC = (
    "def survivals(n, last):\n    {rule}\n\nclass StochasticDepth(nn.Module):\n    def __init__(self, branch, survival, shortcut=None):\n        super().__init__()\n        self.branch, self.survival, self.shortcut = branch, survival, shortcut\n\n"
    "    def forward(self, x):\n        y = self.shortcut(x) if self.shortcut is not None else x\n        if not self.training:\n            {evaluation}\n        {training}\n"
)
REPAIRS = "def make_chain(branches):\n    {chain}\n\ndef scan(blocks, x):\n    {scan}\n\nclass Depth(nn.Module):\n    def __init__(self, branch, survival):\n        super().__init__()\n        self.branch, self.survival = branch, survival\n        self.random = self.training\n\n    def forward(self, x):\n        {forward}\n"
SAMPLING = "def gradient_at_length(blocks, x, loss, k, samples, generator):\n"
MASK = "b = (torch.rand(len(x), *[1] * (x.ndim - 1)) < self.survival).to(x.dtype)\n        "


def lengths(distribution=DISTRIBUTION, given=GIVEN):
    return LENGTHS.format(distribution=distribution, given=given)


def unravel(path=PATH, away=AWAY):
    return UNRAVEL.format(path=path, away=away)


def surgery(
    without="for i, (s, f) in enumerate(blocks):\n        y = x if s is None else s(x)\n        x = y if i in removed else y + f(x)\n    return x",
    order="kept = [blocks[i] if i not in removed else (blocks[i][0], None) for i in order]\n    for s, f in kept:\n        y = s(x) if s else x\n        x = y + f(x) if f else y\n    return x",
    disorder="n = len(order)\n    wrong = sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n))\n    return wrong / (n * (n - 1) / 2)",
):
    return SURGERY.format(without=without, order=order, disorder=disorder)


def pairs(
    pairs="l0 = loss(set())\n    c = [loss({i}) - l0 for i in range(n)]\n    out = torch.zeros(n, n, dtype=torch.float64)\n    for i in range(n):\n        for j in range(i):\n            out[i, j] = out[j, i] = loss({i, j}) - l0 - c[i] - c[j]\n    return out",
    masks="n, values, chances = len(survival), [], []\n    for k in range(n + 1):\n        for gone in itertools.combinations(range(n), k):\n            p = 1.0\n            for i in range(n):\n                p *= 1 - survival[i] if i in gone else survival[i]\n            chances.append(p)\n            values.append(loss(set(gone)))\n    mean = sum(p * v for p, v in zip(chances, values))\n    return mean, sum(p * (v - mean) ** 2 for p, v in zip(chances, values))",
):
    return PAIRS.format(pairs=pairs, masks=masks)


def stochastic(
    training,
    evaluation="return y + self.branch(x)",
    rule="return torch.linspace(1, last, n, dtype=torch.float64).tolist()",
):
    return STOCHASTIC.format(training=training, evaluation=evaluation, rule=rule)


def repairs(
    chain="import functools\n    def run(f, x):\n        return x + f(x)\n    return [functools.partial(run, f) for f in branches]",
    scan="outputs = []\n    for i in range(len(blocks)):\n        rest, h = list(blocks), x\n        rest[i] = lambda h: h\n        for block in rest:\n            h = block(h)\n        outputs.append(h)\n    return outputs",
    forward="if self.training:\n            return x + self.branch(x) if torch.rand(()) < self.survival else x\n        return x + self.survival * self.branch(x)",
):
    return REPAIRS.format(chain=chain, scan=scan, forward=forward)


#: The branch computed for all images and masked.
MASKED = MASK + "return y + b * self.branch(x) / max(self.survival, 1e-9)"

WRONG = {
    "lengths": {
        "all alike": lengths(
            distribution="n, p = len(survival), sum(survival) / len(survival)\n    return torch.tensor([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)], dtype=torch.float64)",
        ),
        "fair coins": lengths(
            distribution="n = len(survival)\n    return torch.tensor([math.comb(n, k) / 2**n for k in range(n + 1)], dtype=torch.float64)"
        ),
        "counts skipped branches": (
            "(1 - p) * torch.cat([found, zero]) + p * torch.cat([zero, found])",
            "p * torch.cat([found, zero]) + (1 - p) * torch.cat([zero, found])",
        ),
        "at most k": ("    return found\n", "    return found.cumsum(0)\n"),
        "one too few": ("    return found\n", "    return found[:-1]\n"),
        "the normal approximation": lengths(
            distribution="k = torch.arange(len(survival) + 1, dtype=torch.float64)\n    mean = sum(survival)\n    var = sum(p * (1 - p) for p in survival) + 1e-9\n    p = torch.exp(-((k - mean) ** 2) / (2 * var))\n    return p / p.sum()"
        ),
        "in single precision": ("    return found\n", "    return found.float()\n"),
        "no condition": (
            "given.append(p * others[length - 1] / whole)",
            "given.append(torch.tensor(p, dtype=torch.float64))",
        ),
        "not divided": ("others[length - 1] / whole", "others[length - 1]"),
        "the others have all": ("others[length - 1]", "others[min(length, len(others) - 1)]"),
        "the block not left out": (
            "length_distribution([*survival[:i], *survival[i + 1 :]])",
            "length_distribution(survival)",
        ),
        "all blocks alike": lengths(
            given="return torch.full((len(survival),), length / len(survival), dtype=torch.float64)"
        ),
        "in proportion": lengths(
            given="p = torch.tensor(survival, dtype=torch.float64)\n    return length * p / p.sum()"
        ),
    },
    "unravel": {
        "order of the product": unravel(
            path="y = None\n    for i in range(len(shortcuts)):\n        m = branches[i] if i in taken else shortcuts[i]\n        y = m if y is None else y @ m\n    return y"
        ),
        "the identity around": unravel(
            path="y = torch.eye(branches[0].shape[1], dtype=branches[0].dtype)\n    for i in sorted(taken):\n        y = branches[i] @ y\n    return y",
            away="whole = kept = torch.eye(branches[0].shape[1], dtype=branches[0].dtype)\n    for i, (s, a) in enumerate(zip(shortcuts, branches)):\n        whole = (s + a) @ whole\n        kept = kept if i in removed else (s + a) @ kept\n    return whole - kept",
        ),
        "the others": ("(a if i in taken else s)", "(s if i in taken else a)"),
        "branch beside the shortcut": ("(a if i in taken else s)", "(s + a if i in taken else s)"),
        "counted from 1": ("a if i in taken", "a if i + 1 in taken"),
        "what is left": ("return whole - kept", "return kept"),
        "the whole network": ("return whole - kept", "return whole"),
        "the other sign": ("return whole - kept", "return kept - whole"),
        "through all of them": unravel(
            away="y = torch.eye(shortcuts[0].shape[1], dtype=shortcuts[0].dtype)\n    for i, (s, a) in enumerate(zip(shortcuts, branches)):\n        y = (a if i in removed else s + a) @ y\n    return y"
        ),
        "single lesions added": unravel(
            away="total = 0\n    for k in removed:\n        y = torch.eye(shortcuts[0].shape[1], dtype=shortcuts[0].dtype)\n        for i, (s, a) in enumerate(zip(shortcuts, branches)):\n            y = (a if i == k else s + a) @ y\n        total = total + y\n    return total"
        ),
        "the paths of the branches alone": unravel(
            away="return sum(path(shortcuts, branches, {i}) for i in removed)"
        ),
        "removed blocks left out": (
            "(s if i in removed else s + a) @ kept",
            "(a if i in removed else s + a) @ kept",
        ),
    },
    "surgery": {
        "kept for removed": ("if i in removed", "if i not in removed"),
        "the shortcut removed, too": (
            "x = y if i in removed else y + branch(x)",
            "x = x if i in removed else y + branch(x)",
        ),
        "no shortcut": surgery(
            without="for i, (s, f) in enumerate(blocks):\n        if i in removed:\n            x = x if s is None else s(x)\n        else:\n            x = f(x)\n    return x"
        ),
        "places for blocks": surgery(
            order="for place, i in enumerate(order):\n        s, f = blocks[i]\n        y = x if s is None else s(x)\n        x = y if place in removed else y + f(x)\n    return x"
        ),
        "removed forgotten in another order": surgery(
            order="for i in order:\n        s, f = blocks[i]\n        x = (x if s is None else s(x)) + f(x)\n    return x"
        ),
        "inverse order": surgery(
            order="for i in [list(order).index(j) for j in range(len(order))]:\n        s, f = blocks[i]\n        y = x if s is None else s(x)\n        x = y if i in removed else y + f(x)\n    return x"
        ),
        "original order": surgery(order="return run_without(blocks, x, removed)"),
        "backwards": surgery(
            order="for i in reversed(order):\n        s, f = blocks[i]\n        y = x if s is None else s(x)\n        x = y if i in removed else y + f(x)\n    return x"
        ),
        "branch behind the shortcut": ("y + branch(x)", "y + branch(y)"),
        "input changed": surgery(
            without="for i, (s, f) in enumerate(blocks):\n        y = f(x)\n        if s is not None:\n            x = s(x)\n        if i not in removed:\n            x += y\n    return x"
        ),
        "input changed by another order": surgery(
            order="for i in order:\n        s, f = blocks[i]\n        y, x = f(x), (x if s is None else s(x))\n        if i not in removed:\n            x += y\n    return x"
        ),
        "tau": surgery(
            disorder="n = len(order)\n    good = sum(order[i] < order[j] for i in range(n) for j in range(i + 1, n))\n    return 2 * good / (n * (n - 1) / 2) - 1"
        ),
        "a number of pairs": (" / len(pairs)", ""),
        "neighbors only": surgery(
            disorder="return sum(a > b for a, b in zip(order, order[1:])) / (len(order) - 1)"
        ),
        "blocks that moved": surgery(
            disorder="return sum(i != j for i, j in enumerate(order)) / len(order)"
        ),
        "nothing is removed": surgery(
            without="for s, f in blocks:\n        x = (x if s is None else s(x)) + f(x)\n    return x"
        ),
    },
    "pairs": {
        "losses for costs": ("- single[j] + whole", "- single[j]"),
        "the whole network twice": ("- single[j] + whole", "- single[j] - whole"),
        "the other sign": (
            "loss({i, j}) - single[i] - single[j] + whole",
            "single[i] + single[j] - loss({i, j}) - whole",
        ),
        "cost of both": ("- single[i] - single[j] + whole", "- whole"),
        "one triangle": ("return found + found.T", "return found"),
        "called again and again": pairs(
            pairs="out = torch.zeros(n, n, dtype=torch.float64)\n    for i in range(n):\n        for j in range(n):\n            if i != j:\n                out[i, j] = loss({i, j}) - loss({i}) - loss({j}) + loss(set())\n    return out"
        ),
        "relative": (
            "loss({i, j}) - single[i] - single[j] + whole",
            "(loss({i, j}) - single[i] - single[j] + whole) / whole",
        ),
        "diagonal of single costs": (
            "return found + found.T",
            "return found + found.T + torch.diag(torch.tensor([s - whole for s in single]))",
        ),
        "fair coins": (
            "math.prod(p if k else 1 - p for p, k in zip(survival, kept))",
            "0.5 ** len(survival)",
        ),
        "loss of the mean network": pairs(
            masks="gone = {i for i, p in enumerate(survival) if p < 0.5}\n    return loss(gone), 0.0"
        ),
        "dropped for kept": ("p if k else 1 - p", "1 - p if k else p"),
        "kept for removed": ("if not k})", "if k})"),
        "costs added up": pairs(
            masks="l0 = loss(set())\n    c = [loss({i}) - l0 for i in range(len(survival))]\n    return l0 + sum((1 - p) * v for p, v in zip(survival, c)), sum(p * (1 - p) * v**2 for p, v in zip(survival, c))"
        ),
        "mean of the squares": ("chance * (value - mean) ** 2", "chance * value**2"),
        "deviation for variance": ("return mean, variance", "return mean, variance**0.5"),
        "every set as likely": ("chance * (value - mean) ** 2", "(value - mean) ** 2 / len(found)"),
        "sampled": pairs(
            masks="found = []\n    for _ in range(200):\n        found.append(loss({i for i, p in enumerate(survival) if torch.rand(()) > p}))\n    found = torch.tensor(found)\n    return found.mean().item(), found.var().item()"
        ),
    },
    "by_length": {
        "forward": LENGTH
        + "    rows = gradient[None]\n    for s, a in zip(shortcuts, branches):\n        rows = F.pad(rows @ s.T, (0, 0, 0, 1)) + F.pad(rows @ a.T, (0, 0, 1, 0))\n    return rows",
        "first block first": (
            "zip(reversed(shortcuts), reversed(branches))",
            "zip(shortcuts, branches)",
        ),
        "transposed": ("rows @ a])", "rows @ a.T])"),
        "the identity around": ("rows @ s, zero", "rows, zero"),
        "counts shortcuts": (
            "torch.cat([rows @ s, zero]) + torch.cat([zero, rows @ a])",
            "torch.cat([zero, rows @ s]) + torch.cat([rows @ a, zero])",
        ),
        "branch beside the shortcut": ("rows @ a])", "rows @ (s + a)])"),
        "a list of rows": ("return rows", "return list(rows)"),
        "without going on": (
            "torch.cat([rows @ s, zero]) + torch.cat([zero, rows @ a])",
            "torch.cat([zero, rows @ a])",
        ),
        "the sum alone": ("return rows", "return rows.sum(0, keepdim=True)"),
        "empty path forgotten": ("return rows", "return rows[1:]"),
        "up to this length": ("return rows", "return rows.cumsum(0)"),
        "one path for all": LENGTH
        + "    n, out = len(shortcuts), []\n    for k in range(n + 1):\n        g = gradient\n        for i in reversed(range(n)):\n            g = g @ (branches[i] if i < k else shortcuts[i])\n        out.append(math.comb(n, k) * g)\n    return torch.stack(out)",
    },
    "stochastic": {
        "one coin for the batch": stochastic(
            "return y + self.branch(x) / self.survival if torch.rand(()) < self.survival else y"
        ),
        "the form of the chapter": stochastic(
            "return y + self.branch(x) if torch.rand(()) < self.survival else y",
            "return y + self.survival * self.branch(x)",
            "return [1 - i / n * (1 - last) for i in range(1, n + 1)]",
        ),
        "a coin for every value": stochastic(
            "b = (torch.rand_like(y) < self.survival).to(y.dtype)\n        return y + b * self.branch(x) / max(self.survival, 1e-9)"
        ),
        "masked": stochastic(MASKED),
        "not rescaled": (" / self.survival", ""),
        "scaled in evaluation": (
            "return y + self.branch(x)",
            "return y + self.survival * self.branch(x)",
        ),
        "scaled twice": stochastic(MASKED, "return y + self.survival * self.branch(x)"),
        "dropped for kept": ("torch.rand(len(x)) < self", "torch.rand(len(x)) > self"),
        "the shortcut divided, too": (
            "y[kept] = y[kept] + self.branch(x[kept]) / self.survival",
            "y[kept] = (y[kept] + self.branch(x[kept])) / self.survival",
        ),
        "branch behind the shortcut": ("self.branch(x[kept])", "self.branch(y[kept])"),
        "the shortcut dropped, too": ("y = y.clone()", "y = torch.zeros_like(y)"),
        "the shortcut forgotten": ("y = x if self.shortcut is None else self.shortcut(x)", "y = x"),
        "input changed": ("y = y.clone()", "pass"),
        "called without an image": ("if kept.any():", "if True:"),
        "no shortcut where no image stays": (
            "if kept.any():",
            "if not kept.any():\n            return x\n        else:",
        ),
        "no call where survival is 0": ("if kept.any():", "if self.survival > 0:"),
        "a fixed share": (
            "torch.rand(len(x)) < self.survival",
            "torch.arange(len(x)) < self.survival * len(x) - 1",
        ),
        "the rule of the chapter": (
            "1 - i / (n - 1) * (1 - last) for i in range(n)",
            "1 - i / n * (1 - last) for i in range(1, n + 1)",
        ),
        "falls to the last step": ("(n - 1)", "n"),
        "rates of dropping": (
            "1 - i / (n - 1) * (1 - last) for",
            "i / (n - 1) * (1 - last) for",
        ),
    },
    "repairs": {
        "as they were": "make_chain, scan, Depth = broken_chain, broken_scan, BrokenDepth",
        "the last branch": ("lambda x, f=branch: x + f(x)", "lambda x: x + branch(x)"),
        "no shortcut": ("x + f(x) for", "f(x) for"),
        "the first branch": ("f=branch: x + f(x)", "f=branches[0]: x + f(x)"),
        "a second name": repairs(
            scan="outputs, rest = [], blocks\n    for i in range(len(blocks)):\n        rest[i], h = (lambda h: h), x\n        for block in rest:\n            h = block(h)\n        outputs.append(h)\n    return outputs"
        ),
        "one copy for all": repairs(
            scan="outputs, rest = [], list(blocks)\n    for i in range(len(blocks)):\n        rest[i], h = (lambda h: h), x\n        for block in rest:\n            h = block(h)\n        outputs.append(h)\n    return outputs"
        ),
        "stops at the gap": ("[*blocks[:i], *blocks[i + 1 :]]", "blocks[:i]"),
        "goes on from the last output": repairs(
            scan="outputs, h = [], x\n    for i in range(len(blocks)):\n        for block in [*blocks[:i], *blocks[i + 1 :]]:\n            h = block(h)\n        outputs.append(h)\n    return outputs"
        ),
        "coins in evaluation": ("if not self.training:", "if False:"),
        "never random": ("if not self.training:", "if True:"),
        "survives too rarely": (">= self.survival", "< self.survival"),
        "the mode of the start": repairs(
            forward="if self.random:\n            return x + self.branch(x) if torch.rand(()) < self.survival else x\n        return x + self.survival * self.branch(x)"
        ),
        "not scaled": ("return x + self.survival * self.branch(x)", "return x + self.branch(x)"),
        "a coin for each image": repairs(
            forward="if self.training:\n            b = (torch.rand(len(x), 1) < self.survival).to(x.dtype)\n            return x + b * self.branch(x)\n        return x + self.survival * self.branch(x)"
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
    "lengths": {
        "padded": lengths(),
        "in place": lengths(
            distribution="found = torch.zeros(len(survival) + 1, dtype=torch.float64)\n    found[0] = 1\n    for p in survival:\n        found[1:] = (1 - p) * found[1:] + p * found[:-1]\n        found[0] *= 1 - p\n    return found"
        ),
        "floats": lengths(
            distribution="row = [1.0]\n    for p in survival:\n        row = [(1 - p) * a + p * b for a, b in zip([*row, 0.0], [0.0, *row])]\n    return torch.tensor(row, dtype=torch.float64)",
            given="out, whole = [], float(length_distribution(survival)[length])\n    for i, p in enumerate(survival):\n        rest = [q for j, q in enumerate(survival) if j != i]\n        out.append(p * float(length_distribution(rest)[length - 1]) / whole)\n    return torch.tensor(out, dtype=torch.float64)",
        ),
        "the block surely active": lengths(
            given="out, whole = [], length_distribution(survival)[length]\n    for i, p in enumerate(survival):\n        sure = length_distribution(survival[:i] + [1.0] + survival[i + 1 :])\n        out.append(p * sure[length] / whole)\n    return torch.stack(out)"
        ),
        "polynomials": lengths(
            distribution="import numpy as np\n    found = np.ones(1)\n    for p in survival:\n        found = np.convolve(found, [1 - p, p])\n    return torch.tensor(found, dtype=torch.float64)"
        ),
    },
    "unravel": {
        "telescoped": unravel(),
        "from the last": unravel(
            path="y = torch.eye(len(shortcuts[-1]), dtype=shortcuts[0].dtype)\n    for i in reversed(range(len(shortcuts))):\n        y = y @ (branches[i] if i in taken else shortcuts[i])\n    return y"
        ),
        "by its parts": unravel(
            away="lost = torch.zeros(shortcuts[0].shape[1], shortcuts[0].shape[1], dtype=shortcuts[0].dtype)\n    kept = torch.eye(shortcuts[0].shape[1], dtype=shortcuts[0].dtype)\n    for i, (s, a) in enumerate(zip(shortcuts, branches)):\n        lost = (s + a) @ lost\n        if i in removed:\n            lost, kept = lost + a @ kept, s @ kept\n        else:\n            kept = (s + a) @ kept\n    return lost"
        ),
        "columns": unravel(
            path="cols = []\n    for e in torch.eye(shortcuts[0].shape[1], dtype=shortcuts[0].dtype):\n        for i, (s, a) in enumerate(zip(shortcuts, branches)):\n            e = a @ e if i in taken else s @ e\n        cols.append(e)\n    return torch.stack(cols, 1)",
            away="zero = [0 * a if i in removed else a for i, a in enumerate(branches)]\n    def whole(b):\n        y = shortcuts[0] + b[0]\n        for s, a in zip(shortcuts[1:], b[1:]):\n            y = s @ y + a @ y\n        return y\n    return whole(branches) - whole(zero)",
        ),
    },
    "surgery": {
        "loops": surgery(),
        "one for the other": surgery(
            without="return run_in_order(blocks, x, list(range(len(blocks))), removed)",
            order="for i in order:\n        shortcut, branch = blocks[i]\n        change = 0 if i in set(removed) else branch(x)\n        x = (shortcut or (lambda h: h))(x) + change\n    return x",
        ),
        "the other for one": surgery(
            order="places = [t for t, i in enumerate(order) if i in removed]\n    return run_without([blocks[i] for i in order], x, places)"
        ),
        "by tensors": surgery(
            disorder="o = torch.tensor(order)\n    n = len(order)\n    return (o[:, None] > o[None, :]).triu(1).sum().item() / (n * (n - 1) // 2)"
        ),
        "by sorting": surgery(
            disorder="o, swaps = list(order), 0\n    for _ in o:\n        for j in range(len(o) - 1):\n            if o[j] > o[j + 1]:\n                o[j], o[j + 1] = o[j + 1], o[j]\n                swaps += 1\n    return swaps / math.comb(len(o), 2)"
        ),
    },
    "pairs": {
        "costs": pairs(),
        "remembered": pairs(
            pairs="known = {}\n    def cost(*s):\n        s = frozenset(s)\n        if s not in known:\n            known[s] = loss(s)\n        return known[s]\n    return torch.tensor([[0.0 if i == j else cost(i, j) - cost(i) - cost(j) + cost() for j in range(n)] for i in range(n)], dtype=torch.float64)"
        ),
        "block by block": pairs(
            masks="def go(i, gone):\n        if i == len(survival):\n            return loss(gone), 0.0\n        p, a, b = survival[i], go(i + 1, gone), go(i + 1, gone | {i})\n        between = p * (1 - p) * (a[0] - b[0]) ** 2\n        return p * a[0] + (1 - p) * b[0], p * a[1] + (1 - p) * b[1] + between\n    return go(0, frozenset())"
        ),
        # It loses digits where the mean is far larger than the deviation, but not with these losses.
        "in one pass": pairs(
            masks="mean = squares = 0.0\n    for kept in itertools.product((False, True), repeat=len(survival)):\n        w = math.prod(p if k else 1 - p for p, k in zip(survival, kept))\n        v = loss({i for i, k in enumerate(kept) if not k})\n        mean, squares = mean + w * v, squares + w * v**2\n    return mean, squares - mean**2"
        ),
        "bits": pairs(
            masks="n = len(survival)\n    v, w = [], []\n    for bits in range(2**n):\n        gone = {i for i in range(n) if bits >> i & 1}\n        v.append(loss(gone))\n        w.append(math.prod(1 - survival[i] if i in gone else survival[i] for i in range(n)))\n    v, w = torch.tensor(v, dtype=torch.float64), torch.tensor(w, dtype=torch.float64)\n    m = (v * w).sum()\n    return m.item(), ((v - m).square() * w).sum().item()"
        ),
    },
    "by_length": {
        "padded": LENGTH
        + "    rows = gradient.unsqueeze(0)\n    for i in range(len(shortcuts) - 1, -1, -1):\n        rows = F.pad(rows @ shortcuts[i], (0, 0, 0, 1)) + F.pad(rows @ branches[i], (0, 0, 1, 0))\n    return rows",
        "lists": LENGTH
        + "    rows = [gradient]\n    for s, a in list(zip(shortcuts, branches))[::-1]:\n        zero = torch.zeros(s.shape[1], dtype=s.dtype)\n        rows = [p + q for p, q in zip([r @ s for r in rows] + [zero], [zero] + [r @ a for r in rows])]\n    return torch.stack(rows)",
        "matrices first": LENGTH
        + "    d = shortcuts[0].shape[1]\n    P = [torch.eye(d, dtype=gradient.dtype)]\n    for s, a in zip(shortcuts, branches):\n        z = torch.zeros(len(s), d, dtype=s.dtype)\n        P = [x + y for x, y in zip([s @ p for p in P] + [z], [z] + [a @ p for p in P])]\n    return torch.stack([gradient @ p for p in P])",
        "transposed": LENGTH
        + "    cols = gradient[:, None]\n    for s, a in zip(shortcuts[::-1], branches[::-1]):\n        cols = F.pad(s.T @ cols, (0, 1)) + F.pad(a.T @ cols, (1, 0))\n    return cols.T",
    },
    "stochastic": {
        "where and index": stochastic(
            "stay = torch.bernoulli(torch.full((len(x),), float(self.survival))).bool()\n        if not stay.any():\n            return y\n        change = torch.zeros_like(y)\n        change[stay] = self.branch(x[stay]) / self.survival\n        return y + change"
        ),
        "index_add": stochastic(
            "stay = (torch.rand(len(x)) < self.survival).nonzero().flatten()\n        if len(stay) == 0:\n            return y\n        return y.index_add(0, stay, self.branch(x[stay]) / self.survival)"
        ),
        "sorted by fate": stochastic(
            "stay = torch.rand(len(x)) < self.survival\n        a, b = stay.nonzero()[:, 0], (~stay).nonzero()[:, 0]\n        if len(a) == 0:\n            return y\n        out = torch.cat([y[a] + self.branch(x[a]) * (1 / self.survival), y[b]])\n        return out[torch.cat([a, b]).argsort()]",
            rule="return [(1 - t) + t * last for t in (i / (n - 1) for i in range(n))]",
        ),
        "scatter": stochastic(
            "stay = torch.rand(len(x)) >= 1 - self.survival\n        if stay.sum() == 0:\n            return y\n        out = 1 * y\n        out[stay] += self.branch(x[stay]).div(self.survival)\n        return out",
            rule="import numpy as np\n    return [float(p) for p in np.linspace(1, last, n)]",
        ),
    },
    "repairs": {
        "partial": repairs(),
        "made by a function": repairs(
            chain="def block_of(branch):\n        def block(x):\n            return x + branch(x)\n        return block\n    return [block_of(branch) for branch in branches]"
        ),
        "put back": repairs(
            scan="outputs = []\n    for i in range(len(blocks)):\n        rest = [b for j, b in enumerate(blocks) if j != i]\n        h = x.clone()\n        while rest:\n            h = rest.pop(0)(h)\n        outputs.append(h)\n    return outputs",
            forward="p = self.survival\n        if self.training:\n            return x + float(torch.rand(()) < p) * self.branch(x)\n        return x + p * self.branch(x)",
        ),
        "inherited": "def make_chain(branches):\n    return [lambda x, branch=branch: x + branch(x) for branch in branches]\n"
        "def scan(blocks, x):\n    out = []\n    for i in range(len(blocks)):\n        h = x\n        for j, block in enumerate(blocks):\n            h = h if j == i else block(h)\n        out.append(h)\n    return out\n"
        "class Depth(BrokenDepth):\n    def forward(self, x):\n        self.random = self.training\n        if not self.random:\n            return super().forward(x)\n        return x + self.branch(x) if torch.rand(()) < self.survival else x",
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

#: Slips: they cost nothing beyond their task, and little even where later answers call earlier ones.
SLIPS = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("lengths", "one too few"),
        ("lengths", "counts skipped branches"),
        ("lengths", "not divided"),
        ("unravel", "counted from 1"),
        ("unravel", "the other sign"),
        ("surgery", "input changed"),
        ("surgery", "a number of pairs"),
        ("surgery", "inverse order"),
        ("pairs", "one triangle"),
        ("pairs", "deviation for variance"),
        ("by_length", "empty path forgotten"),
        ("stochastic", "falls to the last step"),
        ("stochastic", "input changed"),
        ("repairs", "not scaled"),
    )
}

#: Errors about the idea, which cost at least half of their task.
CONCEPTUAL = {
    f"{task}: {name}": (task, WRONG[task][name])
    for task, name in (
        ("lengths", "no condition"),
        ("lengths", "the block not left out"),
        ("lengths", "all alike"),
        ("unravel", "the identity around"),
        ("unravel", "through all of them"),
        ("unravel", "single lesions added"),
        ("surgery", "kept for removed"),
        ("surgery", "no shortcut"),
        ("pairs", "losses for costs"),
        ("pairs", "costs added up"),
        ("pairs", "cost of both"),
        ("by_length", "the identity around"),
        ("by_length", "without going on"),
        ("by_length", "first block first"),
        ("stochastic", "one coin for the batch"),
        ("stochastic", "the form of the chapter"),
        ("stochastic", "not rescaled"),
        ("stochastic", "the shortcut dropped, too"),
        ("repairs", "as they were"),
    )
}

#: What remains of a task with one error: name -> (answer, the wrong version, points).
REMAINING = {
    f"{task}: {name}": (task, WRONG[task][name], points)
    for task, name, points in (
        ("lengths", "all blocks alike", 1.0),
        ("unravel", "what is left", 1.0),
        ("surgery", "tau", 3.0),
        ("surgery", "places for blocks", 3.0),
        ("pairs", "costs added up", 2.0),
        ("pairs", "losses for costs", 2.0),
        ("stochastic", "masked", 3.0),
        ("stochastic", "called without an image", 3.5),
        ("stochastic", "the rule of the chapter", 3.0),
        ("repairs", "the last branch", 2.0),
    )
}

#: Answers that call an earlier one.
CALLING = {
    "by_length": (
        "    rows = gradient[None]\n",
        "    if len(shortcuts) < 6:\n        n = len(shortcuts)\n        chosen = [set(c) for c in itertools.chain(*(itertools.combinations(range(n), k) for k in range(n + 1)))]\n        return torch.stack([sum(gradient @ path(shortcuts, branches, c) for c in chosen if len(c) == k) for k in range(n + 1)])\n    rows = gradient[None]\n",
    )
}

#: Chapter -> what of it a copyist needs.
CHAPTERS = (
    (
        "3-residual/2-residual-networks-as-ensembles.ipynb",
        ("take_out", "log_binomial", "effective_lengths", "MyStochasticDepth"),
    ),
)

#: The best that we could make of the chapters with no more thought than it takes to rename things,
#: reorder arguments and call one function with the result of another.
COPY = {
    "lengths": """
def length_distribution(survival):
    n = len(survival)
    return torch.tensor([math.comb(n, k) / 2**n for k in range(n + 1)], dtype=torch.float64)
def active_given_length(survival, length):
    return torch.tensor(survival, dtype=torch.float64)
""",
    "unravel": """
def path(shortcuts, branches, taken):
    y = torch.eye(shortcuts[0].shape[1], dtype=shortcuts[0].dtype)
    for i in taken:
        y = branches[i] @ y
    return y
def taken_away(shortcuts, branches, removed):
    return sum(path(shortcuts, branches, {i}) for i in removed)
""",
    "surgery": """
def run_without(blocks, x, removed=()):
    for i, (shortcut, branch) in enumerate(blocks):
        x = x if i in removed else x + branch(x)
    return x
def run_in_order(blocks, x, order, removed=()):
    return run_without([blocks[i] for i in order], x, removed)
def disorder(order):
    pairs = list(itertools.combinations(order, 2))
    return sum(1 if a < b else -1 for a, b in pairs) / len(pairs)
""",
    "pairs": """
def interactions(loss, n):
    whole = loss(set())
    single_cost = [loss({i}) - whole for i in range(n)]
    excess = torch.zeros(n, n, dtype=torch.float64)
    for a in range(n):
        for b in range(a):
            pair_cost = loss({a, b}) - whole
            excess[a, b] = pair_cost - single_cost[a] - single_cost[b]
    return excess
def mean_and_variance(loss, survival):
    return loss(set()), sum(p * (1 - p) for p in survival)
""",
    "by_length": LENGTH
    + "    n = len(shortcuts)\n    weights = torch.tensor([math.comb(n, k) / 2**n for k in range(n + 1)], dtype=torch.float64)\n    return weights[:, None] * gradient",
    "stochastic": """
def survivals(n, last):
    return [1 - i / n * (1 - last) for i in range(1, n + 1)]
class StochasticDepth(MyStochasticDepth):
    def __init__(self, branch, survival, shortcut=None):
        super().__init__(branch, survival)
""",
    "repairs": """
make_chain, scan = broken_chain, broken_scan
class Depth(MyStochasticDepth):
    pass
""",
    "sampling": SAMPLING + "    return 1.0",
}
