"""One installation as a value: the shop, the shapes of its tables, its marts. Built once and handed on, never imported.

What is in the database is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analytics_pipeline.marts.engine import LAYER, MARTS_FOLDER, BrokenMart, Mart, read_marts
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.shape import Table


@dataclass(frozen=True)
class Catalogue:
    """What there is in one installation.

    Attributes:
        shop: The description of the shop.
        marts: The marts, each after the ones that it reads.
        broken: Marts whose file is wrong, and those that read them, with the reason; nothing computes them.
    """

    shop: Shop
    marts: tuple[Mart, ...]
    broken: tuple[BrokenMart, ...] = ()

    @cached_property
    def daily_marts(self) -> tuple[Table, ...]:
        """Tables of the marts by business day."""
        return tuple(mart.table for mart in self.marts if mart.is_daily)

    @cached_property
    def due_names(self) -> tuple[str, ...]:
        """Names of those whose days have to be there on time, as in marts.daily_revenue, in order."""
        due = (mart.table for mart in self.marts if mart.is_daily and mart.header.is_due)
        return tuple(sorted(table.qualified_name for table in due))

    def mart(self, path: Sequence[str]) -> Mart | None:
        """Return the mart of an asset key's parts; None where it is none."""
        return next((mart for mart in self.marts if mart.table.path == list(path)), None)

    @cached_property
    def tables(self) -> dict[tuple[str, ...], Table]:
        """Every table that has a contract or is a mart, by the parts of its asset key."""
        shapes = (*(contract.table for contract in CONTRACTS), *(mart.table for mart in self.marts))
        return {tuple(table.path): table for table in shapes}

    def table(self, path: Sequence[str]) -> Table:
        """Return the table of an asset key's parts; KeyError when no contract and no mart has its name."""
        return self.tables[tuple(path)]

    def has(self, name: str) -> bool:
        """Return whether there is a table of this asset, as in `marts/daily_revenue`."""
        return tuple(name.split("/")) in self.tables


def build_catalogue(shop_reference: str, project: Path | None = None) -> Catalogue:
    """Read a shop's description and the marts.

    Args:
        shop_reference: Name of a packaged shop description, or the path of one.
        project: The user's own folder, whose marts stand beside the packaged ones; none when None.

    Raises:
        DescriptionError: The description is wrong.
    """
    marts, broken = read_marts(*mart_folders(project))
    return Catalogue(load_shop(shop_reference), marts, broken)


def mart_folders(project: Path | None) -> tuple[Path, ...]:
    """Return where the SQL files of marts lie: in the package, and in the user's own folder."""
    return (MARTS_FOLDER,) if project is None else (MARTS_FOLDER, project / LAYER)
