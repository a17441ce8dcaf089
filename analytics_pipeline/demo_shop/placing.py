"""Orders that somebody places or edits by hand, now: sound ones, of customers whom the shop knows."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

from analytics_pipeline.demo_shop.buyers import earlier_customer
from analytics_pipeline.demo_shop.fates import edited
from analytics_pipeline.demo_shop.generator import place
from analytics_pipeline.demo_shop.model import History
from analytics_pipeline.demo_shop.settings import DemoShopSettings
from analytics_pipeline.demo_shop.silent import can_change

_ONE_SECOND = timedelta(seconds=1)
"""Stamps are whole seconds: a later version has to have a later one."""


def placed_now(settings: DemoShopSettings, day: date, moment: datetime, number: int) -> History:
    """A sound order of a business day; `number` sets it from others that were placed by hand."""
    sound = replace(settings, test_share=0, bad_share=0, free_share=0)
    rng = Random(f"{settings.seed}:{day}:{number}:placed")
    buyer = earlier_customer(settings, day, rng)
    order_id = f"D{day:%Y%m%d}-X{number:04d}"
    return History((place(sound, day, rng, order_id=order_id, moment=moment, buyer=buyer),))


def edited_now(history: History, moment: datetime) -> History:
    """The history with one quantity changed, a second after the last version at the earliest.

    Raises:
        ValueError: More becomes of the order by itself, so that the edit would not stay, or it has no goods.
    """
    moment = max(moment, history.versions[-1].updated_at + _ONE_SECOND)
    if not can_change(history, moment):
        raise ValueError(f"{history.order_id} is a test, broken, free, or changes by itself: edit another one")
    order = edited(history.versions[-1], moment, Random(f"{history.order_id}:{moment}:edited"))
    return replace(history, versions=(*history.versions, order))
