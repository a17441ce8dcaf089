"""Changes of an order that leave its change stamp as it is: refunds and edits that no list of changes reports."""

from dataclasses import replace
from datetime import datetime
from random import Random

from analytics_pipeline.demo_shop.fates import edited, goods_value, partly_refunded
from analytics_pipeline.demo_shop.model import History, Order


def can_change(history: History, moment: datetime) -> bool:
    """Whether nothing more becomes of an order that has goods to refund or to edit, so that the change stays.

    A second edit could undo the first.
    """
    order = history.versions[-1]
    is_sound = not (order.is_test or order.defect or order.cancelled_at or history.deleted_at)
    return (
        is_sound
        and order.updated_at < moment
        and not order.refunds
        and order.shown_stamp is None
        and goods_value(order) > 0
    )


def changed_silently(history: History, moment: datetime, rng: Random) -> History:
    """The history with a refund or an edit at a moment, which shows the stamp of the version before."""
    order = history.versions[-1]
    change = partly_refunded if rng.random() < 0.5 else edited  # noqa: PLR2004 - one in two
    changed: Order = change(order, moment, rng)
    return replace(history, versions=(*history.versions, replace(changed, shown_stamp=order.stamp)))
