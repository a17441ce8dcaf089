"""When the shop knows of an order: late ones reach it days after they were placed, deleted ones leave it unannounced.

Each order draws from a generator of its own, so that no other draw depends on these shares.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.model import History
from analytics_pipeline.demo_shop.settings import DemoShopSettings

_HOUR = 3600
_DAY = 24 * _HOUR
_LATEST_ARRIVAL = 15 * _DAY
_LATEST_DELETION = 20 * _DAY


def in_the_shop(settings: DemoShopSettings, history: History) -> History:
    """The history as the shop has it.

    A late order has no other fate than to be deleted, so that nothing becomes of it before it arrives.
    """
    order = history.versions[0]
    earliest_deletion = _DAY
    if _falls_on(settings, order.order_id, "late", settings.late_share):
        arrives_after = _rng(settings, order.order_id, "arrival").randint(_DAY, _LATEST_ARRIVAL)
        history = History((replace(order, updated_at=_after(order.created_at, arrives_after)),))
        earliest_deletion = arrives_after + _HOUR
    if _falls_on(settings, order.order_id, "deleted", settings.delete_share):
        rng = _rng(settings, order.order_id, "deletion")
        history = replace(
            history, deleted_at=_after(order.created_at, rng.randint(earliest_deletion, _LATEST_DELETION))
        )
    return history


def _after(moment: datetime, seconds: int) -> datetime:
    return moment + timedelta(seconds=seconds)


def _falls_on(settings: DemoShopSettings, order_id: str, what: str, share: float) -> bool:
    return share > 0 and happens(_rng(settings, order_id, what), share)


def _rng(settings: DemoShopSettings, order_id: str, what: str) -> Random:
    return Random(f"{settings.seed}:{order_id}:{what}")
