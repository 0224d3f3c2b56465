"""How large the experiments of a page should be."""

import os

SCALES = ("page", "full")


def scale() -> str:
    """Return ``"page"`` (seconds on a laptop) or ``"full"`` (a GPU's worth of work).

    The environment variable ``RESNORM_SCALE`` decides; without it, ``full`` where CUDA
    is available and ``page`` elsewhere. Outputs stored in the notebooks are ``page``.

    Raises:
        ValueError: ``RESNORM_SCALE`` is set to anything else.
    """
    chosen = os.environ.get("RESNORM_SCALE")
    if chosen is None:
        import torch  # here, so that asking for the scale is the only thing that pays for it

        return "full" if torch.cuda.is_available() else "page"
    if chosen not in SCALES:
        raise ValueError(
            f"RESNORM_SCALE is {chosen!r}; it must be one of {', '.join(SCALES)}. "
            "Set it to one of these, or unset it to let the machine decide."
        )
    return chosen
