"""How large the experiments of a page are."""

import os

SCALES = ("page", "full")


def scale() -> str:
    """Return ``"page"`` (seconds on a laptop) or ``"full"`` (work for a GPU).

    The environment variable ``RESNORM_SCALE`` decides. Without it, the scale is ``full`` where CUDA
    is available and ``page`` elsewhere. The outputs stored in the notebooks are those of ``page``.

    Returns:
        One of ``SCALES``.

    Raises:
        ValueError: ``RESNORM_SCALE`` is set to anything else.
    """
    chosen = os.environ.get("RESNORM_SCALE")
    if chosen is None:
        import torch  # here, so that only a call pays for loading it

        return "full" if torch.cuda.is_available() else "page"
    if chosen not in SCALES:
        raise ValueError(
            f"RESNORM_SCALE is {chosen!r}; it must be one of {', '.join(SCALES)}. "
            "Set it to one of these, or unset it to let the machine decide."
        )
    return chosen
