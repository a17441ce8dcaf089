"""The checks that marts' files write down themselves (`-- check:`): one step a mart, so that those after it wait.

What a check is stands in `checks`.
"""

import dagster as dg

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.history.mart_days import shop_values
from analytics_pipeline.marts.engine import Check, Mart
from analytics_pipeline.marts.statement import DAYS, filled
from analytics_pipeline.marts.statement import of_the_shop as literals
from analytics_pipeline.orchestration.checks.stored import StoredCheck, build_check
from analytics_pipeline.shop.spec import Shop


def build_own_checks(catalogue: Catalogue) -> list[dg.AssetChecksDefinition]:
    """Return a step for each mart whose file has checks."""
    return [
        build_check(f"check_{mart.table.name}", [_stored_check(mart, one, catalogue) for one in mart.checks], catalogue)
        for mart in catalogue.marts
        if mart.checks
    ]


def _stored_check(mart: Mart, check: Check, catalogue: Catalogue) -> StoredCheck:
    others = [f"{layer}/{name}" for layer, name in check.sources if [layer, name] != mart.table.path]
    return StoredCheck(
        check.said.name,
        "/".join(mart.table.path),
        f"No row contradicts it, as this would find them: {' '.join(check.said.sql.split())}",
        _contradictions(check, catalogue.shop),
        compared_with=tuple(filter(catalogue.has, others)),
        is_blocking=check.said.is_blocking,
        is_whole=not mart.is_daily,
        place=f"{mart.path}: line {check.said.line}",
    )


def _contradictions(check: Check, shop: Shop) -> str:
    """Return what a check selects: the first column of the check's rows as the example, each counting one."""
    braced = [_braced(part) for part in check.parts]
    of_the_shop = {name: _braced(value) for name, value in literals(**shop_values(shop)).items()}
    values = of_the_shop | {day: f"date '{{{day}}}'" for day in DAYS}
    return f"select example::text as example, 1 as difference from ({filled(braced, values)}) as found(example)"


def _braced(sql: str) -> str:
    return sql.replace("{", "{{").replace("}", "}}")
