# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A6; see a1.py."""

PREDICT = "def predict(model, images, batch_size=500):\n"
MODES = (
    PREDICT
    + "    was = model.training\n    model.eval()\n    with torch.no_grad():\n        out = {out}\n    model.train(was)\n    return out"
)
WIDEST = "def widest(plan_of, parameters=MAX_PARAMETERS, multiply_adds=MAX_MULTIPLY_ADDS):\n"

WRONG = {
    "plan": {
        "stride in every stage": ("stage > 0 and block == 0", "block == 0"),
        "stride in every block": ("stage > 0 and block == 0", "stage > 0"),
        "no stride": ("2 if stage > 0 and block == 0 else 1", "1"),
        "stride in the second convolution": (
            "[plans.conv(width, stride=stride), plans.batch_norm()]\n            branch += [plans.relu(), plans.conv(width), plans.batch_norm()]",
            "[plans.conv(width), plans.batch_norm()]\n            branch += [plans.relu(), plans.conv(width, stride=stride), plans.batch_norm()]",
        ),
        "shortcut B": (
            "[plans.max_pool(1, 2), plans.pad_channels(width)]",
            "[plans.conv(width, 1, 2), plans.batch_norm()]",
        ),
        "average in the shortcut": ("plans.max_pool(1, 2)", "plans.avg_pool(2, 2)"),
        "no activation after the sum": (", plans.relu()]\n    return", "]\n    return"),
        "activation in the branch": (
            "plans.conv(width), plans.batch_norm()]\n",
            "plans.conv(width), plans.batch_norm(), plans.relu()]\n",
        ),
        "activation before the norm": (
            "plans.batch_norm()]\n            branch += [plans.relu(), plans.conv(width)",
            "plans.relu()]\n            branch += [plans.batch_norm(), plans.conv(width)",
        ),
        "plain": (
            "[plans.add(shortcut if stride == 2 else [], branch), plans.relu()]",
            "[*branch, plans.relu()]",
        ),
        "three blocks always": ("range(n)", "range(3)"),
        "widths fixed": ("enumerate(widths)", "enumerate((16, 32, 64))"),
        "no global pool": ("[plans.global_pool(), plans.linear(10)]", "[plans.linear(10)]"),
        "biased": (
            "plans.conv(width, stride=stride)",
            "plans.conv(width, stride=stride, bias=True)",
        ),
        "no activation after the stem": (
            "[plans.conv(widths[0]), plans.batch_norm(), plans.relu()]",
            "[plans.conv(widths[0]), plans.batch_norm()]",
        ),
    },
    "widest": {
        "parameters alone": (" or cost.multiply_adds > multiply_adds", ""),
        "arithmetic alone": ("cost.parameters > parameters or ", ""),
        "both exceeded": (" or cost.multiply_adds", " and cost.multiply_adds"),
        "one too wide": ("return width\n", "return width + 1\n"),
        "strictly below": (
            "cost.parameters > parameters or cost.multiply_adds > multiply_adds",
            "cost.parameters >= parameters or cost.multiply_adds >= multiply_adds",
        ),
        "fixed budget": (
            "cost.parameters > parameters or cost.multiply_adds > multiply_adds",
            "cost.parameters > MAX_PARAMETERS or cost.multiply_adds > MAX_MULTIPLY_ADDS",
        ),
        "at least one": ("width = 0", "width = 1"),
        "powers of two": WIDEST
        + "    width = 1\n    while True:\n        cost = plans.cost(plan_of(2 * width))\n        if cost.parameters > parameters or cost.multiply_adds > multiply_adds:\n            return width\n        width *= 2",
        "the cost": ("return width\n", "return cost.parameters\n"),
    },
    "predict": {
        "training mode": PREDICT
        + "    with torch.no_grad():\n        return torch.cat([model(part).argmax(1) for part in images.split(batch_size)])",
        "left in evaluation": ("    model.train(training)\n", ""),
        "always back to training": ("model.train(training)", "model.train()"),
        "gradients": ("with torch.no_grad():\n", "if True:\n"),
        "all at once": MODES.format(out="model(images).argmax(1)"),
        "last images dropped": MODES.format(
            out="torch.cat([model(images[i : i + batch_size]).argmax(1) for i in range(0, len(images) - batch_size + 1, batch_size)])"
        ),
        "images alone": MODES.format(
            out="torch.cat([model(images[: batch_size]).argmax(1)] + [model(images[i : i + 1]).argmax(1) for i in range(batch_size, len(images))])"
        ).replace("range(batch_size,", "range(batch_size + 1,"),
        "logits": MODES.format(out="torch.cat([model(part) for part in images.split(batch_size)])"),
        "probabilities": MODES.format(
            out="torch.cat([model(part).softmax(1).amax(1) for part in images.split(batch_size)])"
        ),
        "the smallest": MODES.format(
            out="torch.cat([model(part).argmin(1) for part in images.split(batch_size)])"
        ),
        "batch fixed": MODES.format(
            out="torch.cat([model(part).argmax(1) for part in images.split(500)])"
        ),
        "over the batch": MODES.format(
            out="torch.cat([model(part).argmax(0) for part in images.split(batch_size)])"
        ),
    },
}

RIGHT = {
    "plan": {
        "dictionaries": (
            "[plans.conv(widths[0]), plans.batch_norm(), plans.relu()]",
            '[plans.conv(widths[0]), {"layer": "batch_norm"}, {"layer": "relu"}]',
        ),
        "average of one pixel": ("plans.max_pool(1, 2)", "plans.avg_pool(1, 2)"),
        "branch first": (
            "plans.add(shortcut if stride == 2 else [], branch)",
            "plans.add(branch, shortcut if stride == 2 else [])",
        ),
        "channels always padded": (
            "shortcut if stride == 2 else []",
            "shortcut if stride == 2 else [plans.pad_channels(width)]",
        ),
        "other names": "def resnet_plan(n=3, widths=(16, 32, 64)):\n    p = plans\n    def half(out, stride):\n        return [p.conv(out, 3, stride), p.batch_norm()]\n    layers = half(widths[0], 1) + [p.relu()]\n    for i in range(3 * n):\n        out, first = widths[i // n], i % n == 0 and i > 0\n        skip = [p.max_pool(1, 2), p.pad_channels(out)] if first else []\n        layers += [p.add(skip, half(out, 1 + first) + [p.relu()] + half(out, 1)), p.relu()]\n    return layers + [p.avg_pool(8, 8), p.linear(10)]",
    },
    "widest": {
        "counting": WIDEST
        + "    import itertools\n    for width in itertools.count(1):\n        cost = plans.cost(plan_of(width))\n        if not (cost.parameters <= parameters and cost.multiply_adds <= multiply_adds):\n            return width - 1",
        "bisection": WIDEST
        + "    def fits(width):\n        cost = plans.cost(plan_of(width))\n        return cost.parameters <= parameters and cost.multiply_adds <= multiply_adds\n    low, high = 0, 200\n    while high - low > 1:\n        middle = (low + high) // 2\n        low, high = (middle, high) if fits(middle) else (low, middle)\n    return low",
        "built": WIDEST
        + "    width = 0\n    while True:\n        network = plans.build(plan_of(width + 1))\n        count = sum(p.numel() for p in network.parameters())\n        if count > parameters or multiply_adds < network.cost.multiply_adds:\n            return width\n        width += 1",
        "sum": WIDEST
        + "    costs = [plans.cost(plan_of(w)) for w in range(1, 100)]\n    return sum(c.parameters <= parameters and c.multiply_adds <= multiply_adds for c in costs)",
    },
    "predict": {
        "inference mode": PREDICT
        + "    was = model.training\n    model.eval()\n    with torch.inference_mode():\n        out = torch.cat([model(images[i : i + batch_size]).argmax(-1) for i in range(0, len(images), batch_size)])\n    model.train(was)\n    return out.clone()",
        "decorator": "@torch.no_grad()\ndef predict(model, images, batch_size=500):\n    was = model.training\n    model.eval()\n    try:\n        return torch.cat([model(x).max(1).indices for x in images.split(batch_size)])\n    finally:\n        model.train(was)",
        "loader": MODES.format(
            out="torch.cat([model(x).argmax(1) for (x,) in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size=batch_size)])"
        ),
        "filled": PREDICT
        + "    classes, was = torch.empty(len(images), dtype=torch.int64), model.training\n    model.eval()\n    with torch.no_grad():\n        for i in range(0, len(images), batch_size):\n            classes[i : i + batch_size] = model(images[i : i + batch_size]).argmax(1)\n    model.train(was)\n    return classes",
    },
}
