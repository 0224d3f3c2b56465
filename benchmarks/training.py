"""The training loop: what it adds to a bare one, the data pipeline, precision and layout, step times of families."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from resnorm import augment, data, models, train
from torchvision.transforms import v2

from .measure import interleaved
from .models import judge

BATCH, SIDE, STEPS = 64, 32, 4
LOOP_TARGET = 1.10
#: Images a second of the resident pipeline over the per-image one, at least; its share of a step, at most.
PIPELINE_TARGET, SHARE_TARGET = 10.0, 0.05
#: float32 over bfloat16 with channels-last, at least, where the CPU multiplies in bfloat16.
BF16_TARGET = 2.0
FAMILIES = {
    "plain-20": lambda: models.cifar_plain(20),
    "ResNet-20": lambda: models.cifar_resnet(20),
    "WRN-10-2": lambda: models.cifar_wide_resnet(10, 2),
    "DenseNet-22, k = 12": lambda: models.cifar_densenet(22, 12),
    "SpeedNet": lambda: models.SpeedNet(),
}


def bare_loop(model, split, precision: str) -> None:
    """STEPS steps with nothing around them: the least that a training can do."""
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], 1e-3, momentum=0.9
    )
    model.train()
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        images = split.train_images[rows].contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(images), split.train_labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def per_image(images: torch.Tensor):
    """A DataLoader without workers over torchvision's transforms, an image at a time."""
    transform = v2.Compose(
        [
            v2.ToPILImage(),
            v2.RandomCrop(32, padding=4),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(data.cifar.MEAN, data.cifar.STD),
        ]
    )

    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, i):
            return transform(images[i])

    loader = torch.utils.data.DataLoader(Images(), batch_size=BATCH)

    def epoch() -> None:
        for _ in loader:
            pass

    return epoch


def resident(images: torch.Tensor):
    """The same on whole batches of a tensor."""
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for batch in images.split(BATCH):
            data.cifar.standardize(
                augment.random_flip(augment.random_crop(batch, 4, generator), generator)
            )

    return epoch


def run(rounds: int) -> list[str]:
    """Print the tables; returns the targets that were missed."""
    missed: list[str] = []
    split = data.synthetic(train=BATCH * STEPS, test=64, size=SIDE)
    best = train.best_precision("cpu")
    print(
        f"Training loop, {STEPS} steps of ResNet-20, batch {BATCH}, one thread; the best precision here is {best}"
    )
    for precision in dict.fromkeys(("float32", best)):
        model = models.cifar_resnet(20).to(memory_format=torch.channels_last)

        def ours(model=model, precision=precision):
            options = {
                "channels_last": True,
                "precision": precision,
                "evaluate": False,
                "schedule": train.one_cycle(),
            }
            train.fit(model, split, epochs=1, batch_size=BATCH, lr=1e-3, **options)

        def theirs(model=model, precision=precision):
            bare_loop(model, split, precision)

        arms = {"bare": theirs, "again": theirs, "fit": ours}
        for arm in arms.values():
            arm()
        times = interleaved(arms, "bare", rounds)
        verdict = judge(f"loop in {precision}", times["fit"][0], LOOP_TARGET, missed)
        print(
            f"fit over a bare loop, {precision:<12} {times['fit'][0]:>6.2f} +- {times['fit'][1]:.2f}, noise {times['again'][0]:.2f}  {verdict}"
        )

    images = torch.randint(
        256,
        (BATCH * STEPS, 3, 32, 32),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0),
    )
    arms = {
        "resident": resident(images),
        "per image": per_image(images),
        "step": lambda: bare_loop(model, split, best),
    }
    for arm in arms.values():
        arm()
    times = interleaved(arms, "resident", rounds)
    faster = times["per image"][0]
    print(
        f"per-image DataLoader over resident pipeline   {faster:>6.1f} +- {times['per image'][1]:.1f}  {at_least('pipeline', faster, PIPELINE_TARGET, missed)}"
    )
    share = 1 / times["step"][0]
    print(
        f"resident pipeline, share of a step            {share:>6.3f}  {judge('pipeline share of a step', share, SHARE_TARGET, missed)}"
    )

    print("Precision and layout: a step of ResNet-20 over float32, contiguous")
    steps = {}
    for precision in ("float32", "bfloat16"):
        for layout in (torch.contiguous_format, torch.channels_last):
            steps[precision, layout] = a_step(models.cifar_resnet(20), layout, precision)
            steps[precision, layout]()
    reference = ("float32", torch.contiguous_format)
    times = interleaved(steps, reference, max(2, rounds // (1 if best == "bfloat16" else 4)))
    for (precision, layout), (ratio, spread) in times.items():
        print(
            f"{precision:<10} {'channels last' if layout is torch.channels_last else 'contiguous':<14} {ratio:>6.2f} +- {spread:.2f}"
        )
    gain = times["float32", torch.contiguous_format][0] / times["bfloat16", torch.channels_last][0]
    if best == "bfloat16":
        print(
            f"float32 over bfloat16, channels last: {gain:.2f}  {at_least('bfloat16', gain, BF16_TARGET, missed)}"
        )
    else:
        print(
            f"float32 over bfloat16, channels last: {gain:.2f}  (no target: this CPU only emulates bfloat16)"
        )

    print(f"A step of each family over ResNet-20's, {best}, channels last")
    steps = {name: a_step(make(), torch.channels_last, best) for name, make in FAMILIES.items()}
    for step in steps.values():
        step()
    for name, (ratio, spread) in interleaved(steps, "ResNet-20", rounds).items():
        print(f"{name:<22}{ratio:>6.2f} +- {spread:.2f}")
    if torch.cuda.is_available():
        print(
            f"SpeedNet on the GPU, {accuracy_time():.1f} s for two epochs of 8,192 generated images, compilation apart"
        )
    return missed


def a_step(model, layout, precision: str):
    """A function that runs forward and backward once."""
    model = model.to(memory_format=layout).train()
    images = torch.randn(
        BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)
    ).contiguous(memory_format=layout)
    labels = torch.arange(BATCH) % 10

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()

    return step


def accuracy_time() -> float:
    """Seconds of a small training on the GPU, without compilation; time to 94 % on CIFAR-10 is the experiment time-to-94."""
    split = data.synthetic(train=8192, test=64, size=32).to("cuda")
    model = models.SpeedNet((64, 256, 256))
    model.whitening.fit(split.train_images[:2000].cpu())
    start = time.perf_counter()
    history = train.fit(
        model.cuda(),
        split,
        epochs=2,
        batch_size=512,
        lr=0.4,
        channels_last=True,
        precision="auto",
        compile=True,
    )
    print(f"compilation and two epochs together: {time.perf_counter() - start:.1f} s")
    return sum(history.seconds)


def at_least(what: str, value: float, target: float, missed: list[str]) -> str:
    """``>= target: ok``, or MISSED, which is noted in ``missed``."""
    if value < target:
        missed.append(f"{what} {value:.2f} < {target}")
    return f">= {target}: {'ok' if value >= target else 'MISSED'}"
