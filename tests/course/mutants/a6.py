# ruff: noqa: E501 (answers are code in strings, with lines of their own)
"""Answers to A6; see a1.py."""

NETWORK = "class MyNetwork(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = {net}\n\n    def forward(self, x):\n        {forward}\n"
PREDICT = "def predict(model, images, batch_size=500):\n"
MODES = (
    PREDICT
    + "    was = model.training\n    model.eval()\n    with torch.no_grad():\n        out = {out}\n    model.train(was)\n    return out"
)


def network(net, forward="return self.net(x)"):
    return NETWORK.format(net=net, forward=forward)


WRONG = {
    "network": {
        "too many parameters": network("models.cifar_resnet(32)"),
        "too much arithmetic": network("models.cifar_densenet(22, growth_rate=12)"),
        "too wide": network(
            "nn.Sequential(nn.Flatten(), nn.Linear(3072, 100), nn.ReLU(), nn.Linear(100, 10))"
        ),
        "a hundred classes": network("models.cifar_resnet(20, num_classes=100)"),
        "one logit": network("models.cifar_resnet(20, num_classes=1)"),
        "unused parameters": network("models.cifar_resnet(20)", "return self.extra(x)").replace(
            "        self.net",
            "        self.extra = models.cifar_resnet(8)\n        self.unused = nn.Linear(2, 2)\n        self.net",
        ),
        "nothing learned": network("nn.Conv2d(3, 10, 1)", "return self.net(x).mean((2, 3))"),
        "maps for logits": network("nn.Conv2d(3, 10, 3, padding=1)"),
        "one image only": network("models.cifar_resnet(20)", "return self.net(x[:1])"),
        "hidden cost": network(
            "nn.Conv2d(3, 64, 3, padding=1)", "return self.body(self.net(x)).mean((2, 3))"
        ).replace(
            "        self.net",
            "        self.body = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 10, 3, padding=1))\n        self.net",
        ),
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
    "network": {
        "wide": network(
            "models.PreActResNet(blocks.PreActBasicBlock, (1, 1, 1), (30, 60, 120), 16)"
        ),
        "small": network("models.cifar_resnet(8)"),
        "own": network(
            "nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))"
        ),
        "SpeedNet": network("models.SpeedNet((16, 48, 96))"),
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
