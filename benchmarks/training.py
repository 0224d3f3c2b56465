"""The training loop beside a bare one, the data pipeline, precision and layout, step times."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from resnorm import augment, data, models, train
from resnorm.data import ImageDataset
from resnorm.train.precision import cpu_flags

from .measure import interleaved
from .models import judge

BATCH, SIDE, STEPS = 64, 32, 4
#: Time of ``fit`` over that of a bare loop, at most.
LOOP_TARGET = 1.05
#: Time of the per-image pipeline over that of the resident one, at least.
PIPELINE_TARGET = 10.0
#: Time of the resident pipeline over that of a training step, at most.
SHARE_TARGET = 0.05
#: Time of float32 over bfloat16 with channels last, at least, by what multiplies in bfloat16. AMX
#: has units for it; AVX512-BF16 only puts twice as many numbers into a vector, and a step does more
#: than multiply.
BF16_TARGETS = {"amx_bf16": 2.0, "avx512_bf16": 1.5}
FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "plain-20": lambda: models.cifar_plain(20),
    "ResNet-20": lambda: models.cifar_resnet(20),
    "WRN-10-2": lambda: models.cifar_wide_resnet(10, 2),
    "DenseNet-22, k = 12": lambda: models.cifar_densenet(22, 12),
    "SpeedNet": lambda: models.SpeedNet(),
}


def run(rounds: int) -> list[str]:
    """Print the tables and return the targets that were missed."""
    missed: list[str] = []
    best = train.best_precision("cpu")
    dataset = data.synthetic(train=BATCH * STEPS, test=64, size=SIDE)
    compare_loops(dataset, best, rounds, missed)
    compare_pipelines(dataset, best, rounds, missed)
    compare_precisions(best, rounds, missed)
    compare_families(best, rounds)
    if torch.cuda.is_available():
        print(
            f"SpeedNet on the GPU: {training_seconds():.1f} s for two epochs of 8,192 generated "
            "images, without compilation"
        )
    return missed


# --- what is compared -----------------------------------------------------------------------------


def compare_loops(dataset: ImageDataset, best: str, rounds: int, missed: list[str]) -> None:
    """``fit`` beside the same steps with nothing around them."""
    print(
        f"Training loop, {STEPS} steps of ResNet-20, batch {BATCH}, one thread; "
        f"the best precision here is {best}"
    )
    for precision in dict.fromkeys(("float32", best)):
        model = models.cifar_resnet(20).to(memory_format=torch.channels_last)

        def ours(model=model, precision=precision):
            train.fit(
                model,
                dataset,
                epochs=1,
                batch_size=BATCH,
                lr=1e-3,
                schedule=train.one_cycle(),
                channels_last=True,
                precision=precision,
                evaluate=False,
            )

        def bare(model=model, precision=precision):
            bare_loop(model, dataset, precision)

        times = timed({"bare": bare, "again": bare, "fit": ours}, "bare", rounds)
        ratio, spread = times["fit"]
        verdict = judge(f"loop in {precision}", ratio, LOOP_TARGET, missed)
        print(
            f"fit over a bare loop, {precision:<12} {ratio:>6.2f} +- {spread:.2f}, "
            f"noise {times['again'][0]:.2f}  {verdict}"
        )


def compare_pipelines(dataset: ImageDataset, best: str, rounds: int, missed: list[str]) -> None:
    """Augmentation of whole batches in memory beside a DataLoader, and beside a training step."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (BATCH * STEPS, 3, 32, 32), dtype=torch.uint8, generator=generator)
    model = models.cifar_resnet(20).to(memory_format=torch.channels_last)
    arms = {
        "resident": resident(images),
        "per image": per_image(images),
        "step": lambda: bare_loop(model, dataset, best),
    }
    times = timed(arms, "resident", rounds)
    ratio, spread = times["per image"]
    verdict = at_least("pipeline", ratio, PIPELINE_TARGET, missed)
    print(f"per-image DataLoader over resident pipeline   {ratio:>6.1f} +- {spread:.1f}  {verdict}")
    share = 1 / times["step"][0]
    verdict = judge("pipeline share of a step", share, SHARE_TARGET, missed)
    print(f"resident pipeline, share of a step            {share:>6.3f}  {verdict}")


def compare_precisions(best: str, rounds: int, missed: list[str]) -> None:
    """A step in float32 and bfloat16, contiguous and channels last."""
    print("Precision and layout: a step of ResNet-20 over float32, contiguous")
    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    steps = {
        (precision, name): training_step(models.cifar_resnet(20), layout, precision)
        for precision in ("float32", "bfloat16")
        for name, layout in layouts.items()
    }
    if best != "bfloat16":
        rounds = max(2, rounds // 4)  # the emulation is slow
    times = timed(steps, ("float32", "contiguous"), rounds)
    for (precision, name), (ratio, spread) in times.items():
        print(f"{precision:<10} {name:<14} {ratio:>6.2f} +- {spread:.2f}")
    gain = times["float32", "contiguous"][0] / times["bfloat16", "channels last"][0]
    if best == "bfloat16":
        unit = next(name for name in BF16_TARGETS if name in cpu_flags())
        verdict = f"by {unit}, {at_least('bfloat16', gain, BF16_TARGETS[unit], missed)}"
    else:
        verdict = "(no target: this CPU only emulates bfloat16)"
    print(f"float32 over bfloat16, channels last: {gain:.2f}  {verdict}")


def compare_families(best: str, rounds: int) -> None:
    """A step of each family of networks."""
    print(f"A step of each family over ResNet-20's, {best}, channels last")
    steps = {
        name: training_step(make(), torch.channels_last, best) for name, make in FAMILIES.items()
    }
    for name, (ratio, spread) in timed(steps, "ResNet-20", rounds).items():
        print(f"{name:<22}{ratio:>6.2f} +- {spread:.2f}")


# --- the arms -------------------------------------------------------------------------------------


def bare_loop(model: nn.Module, dataset: ImageDataset, precision: str) -> None:
    """``STEPS`` steps with nothing around them: the least that a training can do."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, 1e-3, momentum=0.9)
    model.train()
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        images = dataset.train_images[batch].contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(images), dataset.train_labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def per_image(images: Tensor) -> Callable[[], None]:
    """Augment one image at a time: a DataLoader without workers and torchvision's transforms."""
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
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, i: int) -> Tensor:
            return transform(images[i])

    loader = torch.utils.data.DataLoader(Images(), batch_size=BATCH)

    def epoch() -> None:
        for _ in loader:
            pass

    return epoch


def resident(images: Tensor) -> Callable[[], None]:
    """Do the same to whole batches of a tensor."""
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for batch in images.split(BATCH):
            cropped = augment.random_crop(batch, 4, generator)
            data.cifar.standardize(augment.random_flip(cropped, generator))

    return epoch


def training_step(
    model: nn.Module, layout: torch.memory_format, precision: str
) -> Callable[[], None]:
    """Return a function that runs forward and backward once."""
    model = model.to(memory_format=layout).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    images = images.contiguous(memory_format=layout)
    labels = torch.arange(BATCH) % 10

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()

    return step


def training_seconds() -> float:
    """Seconds of a small training on the GPU; the experiment time-to-94 trains on CIFAR-10."""
    dataset = data.synthetic(train=8192, test=64, size=32).to("cuda")
    model = models.SpeedNet((64, 256, 256))
    model.whitening.fit(dataset.train_images[:2000].cpu())
    start = time.perf_counter()
    history = train.fit(
        model.cuda(),
        dataset,
        epochs=2,
        batch_size=512,
        lr=0.4,
        channels_last=True,
        precision="auto",
        compile=True,
    )
    print(f"compilation and two epochs together: {time.perf_counter() - start:.1f} s")
    return sum(history.seconds)


# --- measuring ------------------------------------------------------------------------------------


def timed(arms: dict, reference, rounds: int) -> dict:
    """Run every arm once, so that nothing is allocated in a round, then compare the times."""
    for arm in arms.values():
        arm()
    return interleaved(arms, reference, rounds)


def at_least(what: str, value: float, target: float, missed: list[str]) -> str:
    """``>= target: ok``, or MISSED, which is noted in ``missed``."""
    if value < target:
        missed.append(f"{what} {value:.2f} < {target}")
    return f">= {target}: {'ok' if value >= target else 'MISSED'}"
