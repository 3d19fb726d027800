"""The interval of a share, such as an accuracy."""

import math

from modelyard.errors import ModelyardError

NORMAL_QUANTILE_975 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Bound a share with 95 % confidence, also near 0 and 1, where the normal interval is wrong.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927. Raises
    ModelyardError for no trials, or successes outside 0..trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ModelyardError(
            "the interval of a share: expected a trial and 0 <= successes <= trials, "
            f"got {successes} of {trials}"
        )
    share, z2 = successes / trials, NORMAL_QUANTILE_975**2
    centre = share + z2 / (2 * trials)
    margin = NORMAL_QUANTILE_975 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)
