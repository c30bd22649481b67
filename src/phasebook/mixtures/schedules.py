"""Continuous noise schedules `x_t = alpha_t x_0 + sigma_t eps`, variance preserving: `alpha_t^2 + sigma_t^2 = 1`.

Time runs over [0, 1], 0 = data. A schedule is its log-SNR `lambda_t = 2 log(alpha_t / sigma_t)`, strictly
falling; `alpha_t^2 = 1 / (1 + exp(-lambda_t))`. By name:

| name | `lambda_t` | at t = 0, t = 1 |
|---|---|---|
| `log_snr_linear` | `10 - 20 t` (the published toy of Karczewski et al.) | 10, -10 |
| `vp_linear` | `-log(exp(B_t) - 1)`, `B_t = int_0^t beta`, `beta = 0.1 + 19.9 t` (Song et al. 2021) | inf, -10.05 |
| `vp_cosine` | `-2 log tan(pi t / 2)` (Nichol and Dhariwal 2021, without offset) | inf, -inf |

The noise levels of discrete samplers are another module's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

__all__ = ["SCHEDULES", "Schedule", "schedule"]

BETA_0, BETA_1 = 0.1, 20.0
NO_SIGNAL = -20.0


@dataclass(frozen=True)
class Schedule:
    """A schedule by its log-SNR, the inverse and the derivative of it, elementwise. float64.

    Attributes:
        name: as in the table.
        log_snr: `lambda_t` at times t.
        time: the t at a log-SNR.
        slope: `d lambda / d t < 0`.
        last: T.
    """

    name: str
    log_snr: Callable[[Float[ndarray, "*b"]], Float[ndarray, "*b"]]
    time: Callable[[Float[ndarray, "*b"]], Float[ndarray, "*b"]]
    slope: Callable[[Float[ndarray, "*b"]], Float[ndarray, "*b"]]
    last: float = 1.0

    def alpha(self, t: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`alpha_t`, the signal's factor."""
        return np.sqrt(expit(self.log_snr(np.asarray(t, float))))

    def sigma(self, t: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`sigma_t`, the noise's standard deviation."""
        return np.sqrt(expit(-self.log_snr(np.asarray(t, float))))

    def ratio(self, t: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`sigma_t / alpha_t = exp(-lambda_t / 2)`, the noise in units of the data."""
        return np.exp(-self.log_snr(np.asarray(t, float)) / 2)

    def least_snr(self) -> float:
        """The SNR at `t = T`, or `exp(-20)` where the schedule has none there (`vp_cosine`).

        At zero SNR and `q = alpha x / sigma^2 != 0` there is no `x_t`: no curve in (t, x) meets `t = T`.
        """
        return float(np.exp(max(self.log_snr(np.array(self.last)), NO_SIGNAL)))

    def check(self, t: Float[ndarray, "*b"], name: str = "t") -> None:
        """Refuse times off the schedule.

        Args:
            t: diffusion times.
            name: of the parameter they come from.

        Raises:
            ValueError: unless every time lies in [0, T].
        """
        t = np.asarray(t, float)
        if not ((t >= 0) & (t <= self.last)).all():
            bad = t[~((t >= 0) & (t <= self.last))].ravel()[0]
            raise ValueError(f"{name}: t = {bad:g} is outside the schedule; takes 0 <= t <= {self.last:g}")

    def check_finite(self, t: Float[ndarray, "*b"], name: str = "t") -> None:
        """Refuse times off the schedule, and those of infinite log-SNR.

        Args:
            t: diffusion times.
            name: of the parameter they come from.

        Raises:
            ValueError: unless every time lies in [0, T] and has a finite log-SNR.
        """
        self.check(t, name)
        for at in np.ravel(t):
            if not np.isfinite(level := self.log_snr(np.array(float(at)))):
                raise ValueError(f"{name}: t = {at:g} has log-SNR {level:g} in {self.name}; takes times of finite "
                                 "log-SNR")


def _linear(t):
    return 10 - 20 * t


def _vp_linear(t):
    with np.errstate(divide="ignore"):
        return -np.log(np.expm1(BETA_0 * t + (BETA_1 - BETA_0) * t**2 / 2))


def _vp_linear_slope(t):
    B = BETA_0 * t + (BETA_1 - BETA_0) * t**2 / 2
    with np.errstate(divide="ignore"):
        return (BETA_0 + (BETA_1 - BETA_0) * t) / np.expm1(-B)


def _vp_linear_time(log_snr):
    B, slope = np.logaddexp(0, -np.asarray(log_snr, float)), BETA_1 - BETA_0
    return 2 * B / (BETA_0 + np.sqrt(BETA_0**2 + 2 * slope * B))       # the root that does not cancel at B = 0


def _vp_cosine(t):
    with np.errstate(divide="ignore"):
        # tan by the smaller angle: exact infinities at both ends
        return 2 * (np.log(np.sin(np.pi / 2 * (1 - t))) - np.log(np.sin(np.pi / 2 * t)))


def _vp_cosine_slope(t):
    with np.errstate(divide="ignore"):
        return -2 * np.pi / np.sin(np.pi * np.asarray(t, float))


SCHEDULES = {
    s.name: s for s in (
        Schedule("log_snr_linear", _linear, lambda log_snr: (10 - np.asarray(log_snr, float)) / 20,
                 lambda t: np.full_like(np.asarray(t, float), -20.0)),
        Schedule("vp_linear", _vp_linear, _vp_linear_time, _vp_linear_slope),
        Schedule("vp_cosine", _vp_cosine,
                 lambda log_snr: np.arctan(np.exp(-np.asarray(log_snr, float) / 2)) * 2 / np.pi,
                 _vp_cosine_slope),
    )
}


def schedule(name: str) -> Schedule:
    """A schedule by its name.

    Args:
        name: one of `SCHEDULES`.

    Returns:
        The schedule.

    Raises:
        ValueError: for any other name.
    """
    if not isinstance(name, str) or name not in SCHEDULES:
        raise ValueError(f"schedule = {name!r}: unknown; takes one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name]
