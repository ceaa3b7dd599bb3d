"""The demo's customers as arrays: who they are, what they like, how often and how they come."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine.shop import BRANDS_EACH, LEAVES
from personalization.demo.engine.words import DEPARTMENTS, PLACES, PREFIX, STYLES

FAVOURITES = 5
DEVICES = ("desktop", "mobile", "tablet")
_N_DEPARTMENTS = len(DEPARTMENTS)

_ACCOUNT_SHARE = 0.55
_SECOND_DEVICE_SHARE = 0.3
_DEVICE_SHARES = (0.38, 0.54, 0.08)


@dataclass(frozen=True, slots=True)
class Shoppers:
    """Latent tastes and habits of `n` customers.

    Attributes
    ----------
    favourites : (n, FAVOURITES) int16
        Leaves, the most loved first.
    affinity : (n, FAVOURITES) float64
        Share of missions a favourite gets; rows sum to 1.
    style : (n, n_styles) float32
        Rows sum to 1; most people like one or two styles.
    brands : (n, n_departments) int16
        The favourite brand in each department, numbered across departments.
    band : (n,) float32
        Preferred price against a leaf's own prices (standardised log).
    activity : (n,) float64
        Share of all sessions; sums to 1.
    keenness : (n,) float32
        Factor on the odds of putting something into the cart; median 1.
    account : (n,) bool
        Whether they have a user id.
    second_device : (n,) bool
    device : (n,) int8
        Usual device, index of DEVICES.
    place : (n,) int8
        Index of PLACES.
    """

    favourites: NDArray[np.int16]
    affinity: NDArray[np.float64]
    style: NDArray[np.float32]
    brands: NDArray[np.int16]
    band: NDArray[np.float32]
    activity: NDArray[np.float64]
    keenness: NDArray[np.float32]
    account: NDArray[np.bool_]
    second_device: NDArray[np.bool_]
    device: NDArray[np.int8]
    place: NDArray[np.int8]

    @property
    def size(self) -> int:
        """How many customers there are."""
        return len(self.activity)


def make_shoppers(rng: np.random.Generator, n_customers: int) -> Shoppers:
    """Draw `n_customers` with tastes: two departments, five leaves, a style, a price band each."""
    activity = rng.lognormal(0.0, 1.2, n_customers)
    # Account holders come more often: loyalty and log-in go together.
    account = rng.random(n_customers) < _ACCOUNT_SHARE
    activity *= np.where(account, 1.6, 1.0)
    shares = np.array([share for *_, share in PLACES])
    brand_in = np.minimum(rng.geometric(0.35, (n_customers, _N_DEPARTMENTS)) - 1, BRANDS_EACH - 1)
    return Shoppers(
        favourites=_favourites(rng, n_customers),
        affinity=rng.dirichlet(np.array([5.0, 3.0, 2.0, 1.2, 0.8]), n_customers),
        style=rng.dirichlet(np.full(len(STYLES), 0.25), n_customers).astype(np.float32),
        brands=(brand_in + np.arange(_N_DEPARTMENTS) * BRANDS_EACH).astype(np.int16),
        band=rng.normal(0.0, 0.9, n_customers).astype(np.float32),
        activity=activity / activity.sum(),
        keenness=rng.lognormal(0.0, 0.5, n_customers).astype(np.float32),
        account=account,
        second_device=rng.random(n_customers) < _SECOND_DEVICE_SHARE,
        device=rng.choice(len(DEVICES), n_customers, p=_DEVICE_SHARES).astype(np.int8),
        place=rng.choice(len(PLACES), n_customers, p=shares / shares.sum()).astype(np.int8),
    )


def user_id(number: int) -> str:
    """User id of customer `number`, where they have an account."""
    return f"{PREFIX}u-{number:05d}"


def anonymous_id(number: int, device: int) -> str:
    """Anonymous id of one browser (0 or 1) of customer `number`."""
    return f"{PREFIX}a-{number:05d}-{device}"


def _favourites(rng: np.random.Generator, n: int) -> NDArray[np.int16]:
    """Five different leaves each: three of one department, one of another, one from anywhere."""
    department = np.argsort(rng.random((n, _N_DEPARTMENTS)) * _department_pull(), axis=1)[:, :2]
    # Random order of all leaves per customer, those of the loved departments drawn to the front.
    leaf_department = np.array([d for d, _ in LEAVES])
    order = rng.random((n, len(LEAVES)))
    order -= 3.0 * (leaf_department == department[:, :1])
    order -= 1.5 * (leaf_department == department[:, 1:2])
    ranked = np.argsort(order, axis=1)
    first = (leaf_department == department[:, :1]).sum(axis=1)
    second = (leaf_department == department[:, 1:2]).sum(axis=1)
    rows = np.arange(n)
    return np.column_stack(
        [
            ranked[:, 0],
            ranked[:, 1],
            ranked[rows, first],
            ranked[:, 2],
            ranked[rows, first + second],
        ]
    ).astype(np.int16)


def _department_pull() -> NDArray[np.float64]:
    """Smaller is more popular: some departments have more lovers than others."""
    return np.linspace(0.8, 1.3, _N_DEPARTMENTS)
