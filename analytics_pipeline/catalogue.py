"""One installation as a value: shops, shapes of their tables, marts. Built once and handed on, never imported.

What is in the database is not known here, but for the columns of tables from outside that marts say they read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import psycopg

from analytics_pipeline.errors import DescriptionError, PipelineError, SettingsError
from analytics_pipeline.marts.engine import LAYER, Mart, sql_columns
from analytics_pipeline.marts.folders import (
    MARTS_FOLDER,
    BrokenMart,
    Readable,
    files_of_all_shops,
    names_outside,
    read_marts,
)
from analytics_pipeline.marts.shops import ShopOfMarts, read_marts_of_all_shops
from analytics_pipeline.seeds import LAYER as SEEDS
from analytics_pipeline.seeds import Seed, read_seeds
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.tables.own_fields import orders_contract
from analytics_pipeline.tables.related import related_contract
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database, data_database
from analytics_pipeline.warehouse.foreign import Columns, columns_of

Opening: TypeAlias = Callable[[], Database]
"""Opens a database, starting the embedded server when it is the one."""


@dataclass(frozen=True)
class Catalogue:
    """What there is of one shop.

    Attributes:
        shop: The description of the shop.
        marts: The marts, each after the ones that it reads.
        broken: Marts and seeds whose file is wrong, and marts that read them, with the reason; nothing computes them.
        seeds: CSV files of the user's own folder.
        outside: Tables that marts read and nobody here writes.
        reference: Name of the packaged description, or the path of the description.
    """

    shop: Shop
    marts: tuple[Mart, ...]
    broken: tuple[BrokenMart, ...] = ()
    seeds: tuple[Seed, ...] = ()
    outside: tuple[Readable, ...] = ()
    reference: str = ""

    @property
    def namespace(self) -> str | None:
        """Begins the names of the shop's schemas and keys; None for the shop with the plain ones."""
        return self.shop.namespace

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
    def related(self) -> tuple[Contract, ...]:
        """Contracts of the raw tables of the shop's related lists, those that are followed last."""
        orders = self.shop.orders
        return (
            *(related_contract(name) for name in orders.related),
            *(related_contract(name, is_followed=True) for name in orders.follow),
        )

    @cached_property
    def tables(self) -> dict[tuple[str, ...], Table]:
        """Every table that an asset writes: of contracts, the report, marts and seeds; by the parts of its key."""
        shapes = (
            *(contract.table for contract in (*CONTRACTS, *self.related, orders_contract(self.shop))),
            SHOP_REPORTS.table,
            *(mart.table for mart in self.marts),
            *(seed.table for seed in self.seeds),
        )
        return {tuple(table.path): table for table in shapes}

    @property
    def of_marts(self) -> ShopOfMarts:
        """The shop as marts over all shops read it."""
        shop = self.shop
        readable = {(table.schema, table.name): table for table in (*OPS_TABLES, *self.tables.values())}
        return ShopOfMarts(
            shop.name,
            shop.namespace,
            shop.timezone,
            shop.currency,
            shop.first_day,
            shop.last_day,
            readable,
            {mart.table.name: mart for mart in self.marts},
        )

    def table(self, path: Sequence[str]) -> Table:
        """Return the table of an asset key's parts; KeyError when nothing has its name."""
        return self.tables[tuple(path)]

    def has(self, name: str) -> bool:
        """Return whether there is a table of this asset, as in `marts/daily_revenue`."""
        return tuple(name.split("/")) in self.tables


@dataclass(frozen=True)
class BrokenShop:
    """A description that is wrong, among several.

    Attributes:
        name: The file's name without its ending.
        reason: What is wrong with it, with file, line and remedy.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Installation:
    """The shops of one installation; at most one has the plain names of schemas.

    Attributes:
        shops: Those whose descriptions are right.
        broken: The others; they stop nobody else.
        marts: Marts over all shops.
        broken_marts: Those of them whose file is wrong.
    """

    shops: tuple[Catalogue, ...]
    broken: tuple[BrokenShop, ...] = ()
    marts: tuple[Mart, ...] = ()
    broken_marts: tuple[BrokenMart, ...] = ()

    @cached_property
    def shops_of_marts(self) -> tuple[ShopOfMarts, ...]:
        """The shops as marts over all of them read them."""
        return tuple(one.of_marts for one in self.shops)

    def mart(self, path: Sequence[str]) -> Mart | None:
        """Return the mart over all shops of an asset key's parts; None where it is none."""
        return next((mart for mart in self.marts if mart.table.path == list(path)), None)


def build_installation(
    references: Sequence[str], project: Path | None = None, database: Opening | None = None, *, is_whole: bool = True
) -> Installation:
    """Read the descriptions of some shops, with their marts and seeds.

    Args:
        references: Names of packaged shop descriptions, or paths of some.
        project: The user's own folder; none when None.
        database: Opens the database in which tables from outside are looked up; asked only if a mart reads one.
        is_whole: Whether these are all shops that there are; without one of them, no mart is over all.

    Raises:
        DescriptionError: The description of the only shop is wrong; of several, such a one is among the broken.
        SettingsError: Two shops have the same name, or the same names of schemas.
    """
    shops: list[Catalogue] = []
    broken: list[BrokenShop] = []
    for reference in references:
        try:
            shops.append(build_catalogue(reference, project, database))
        except DescriptionError as error:
            if len(references) == 1:
                raise
            broken.append(BrokenShop(Path(reference).stem, str(error)))
    _refuse_same_names(shops)
    # One shop has no use for the packaged ones; a file of its own folder says itself that it is meant.
    folders = [*([MARTS_FOLDER] if len(references) > 1 else []), *([project / LAYER] if project is not None else [])]
    files = files_of_all_shops(*folders) if folders and shops and is_whole else []
    marts, broken_marts = read_marts_of_all_shops(files, [one.of_marts for one in shops])
    if broken:  # its rows would go, as if it had sold nothing
        reason = f"the description of the shop {broken[0].name} is wrong: {broken[0].reason}"
        lost = (BrokenMart(mart.table.name, f"{mart.path}: {reason}") for mart in marts)
        return Installation(tuple(shops), tuple(broken), (), (*broken_marts, *lost))
    return Installation(tuple(shops), (), marts, broken_marts)


def installation_of(settings: Settings) -> Installation:
    """Return the shops of an installation; see `build_installation`."""
    opening = partial(data_database, settings)
    return build_installation(settings.shops, settings.project, opening, is_whole=settings.is_whole)


def _refuse_same_names(shops: Sequence[Catalogue]) -> None:
    seen: dict[tuple[str, str | None], str] = {}
    for one in shops:
        for what, value in {"name": one.shop.name, "namespace": one.namespace}.items():
            other = seen.setdefault((what, value), one.reference)
            if other != one.reference:
                same = "no namespace" if value is None else f"the {what} {value}"
                raise SettingsError(
                    f"{other} and {one.reference} have {same}, so both would write the same tables. At most one shop "
                    "has no `namespace:`, and names differ."
                )


def build_catalogue(shop_reference: str, project: Path | None = None, database: Opening | None = None) -> Catalogue:
    """Read a shop's description, the marts and the seeds.

    Args:
        shop_reference: Name of a packaged shop description, or the path of one.
        project: The user's own folder, whose marts and seeds stand beside the packaged marts; none when None.
        database: Opens the database in which tables from outside are looked up; asked only if a mart reads one.

    Raises:
        DescriptionError: The description is wrong.
    """
    shop = load_shop(shop_reference)
    return Catalogue(shop, *read_tables(project, database, shop), reference=shop_reference)


def installed(settings: Settings) -> Catalogue:
    """Return the catalogue of an installation's only shop, or of the chosen one; see `build_catalogue`."""
    return build_catalogue(settings.shop, settings.project, partial(data_database, settings))


def read_tables(
    project: Path | None, database: Opening | None, shop: Shop | None = None
) -> tuple[tuple[Mart, ...], tuple[BrokenMart, ...], tuple[Seed, ...], tuple[Readable, ...]]:
    """Return marts, what is broken, seeds and tables from outside, as a catalogue has them; see `build_catalogue`."""
    folders = (MARTS_FOLDER,) if project is None else (MARTS_FOLDER, project / LAYER)
    seeds, faults = ((), {}) if project is None else read_seeds(project / SEEDS)
    outside = _outside(names_outside(*folders), database)
    orders = None if shop is None else orders_contract(shop).table
    others = [
        # With the columns of the description's own fields.
        *([Readable(orders.schema, orders.name, sql_columns(orders))] if orders else []),
        *(Readable(SEEDS, seed.table.name, sql_columns(seed.table)) for seed in seeds),
        *(Readable(SEEDS, name, fault=reason) for name, reason in faults.items()),
        *outside,
    ]
    marts, broken = read_marts(*folders, others=others)
    lost = (BrokenMart(name, reason, layer=SEEDS) for name, reason in faults.items())
    return marts, (*lost, *broken), seeds, outside


def _outside(names: Sequence[tuple[str, str]], database: Opening | None) -> tuple[Readable, ...]:
    """Look tables from outside up, where there are any to look up."""
    found: dict[tuple[str, str], Columns] = {}
    fault = "it is not in the database; load it there, then load the definitions again."
    try:
        if names and database is not None:
            found = columns_of(database(), names)
    except (PipelineError, psycopg.Error) as error:
        fault = f"the database cannot be asked for its columns ({error})"
    return tuple(
        Readable(layer, name, tuple(found.get((layer, name), {}).items()), None if (layer, name) in found else fault)
        for layer, name in names
    )
