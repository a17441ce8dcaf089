"""The shop's own count of the orders of some days, asked for without reading them."""

from datetime import date

from analytics_pipeline.shop.requests import EVERYTHING, Query
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.shop.windows import created_window_query
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.counting import requested_count
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.transforms.raw import order_reading


def can_count_orders(shop: Shop) -> bool:
    """Whether the shop counts the orders of exactly the business days that it is asked for."""
    window = shop.api_orders.created_window
    return shop.api_orders.is_counted and window is not None and window.format != "date" and window.to == "exclusive"


def count_orders(client: ShopClient, first_day: date, last_day: date) -> int | None:
    """Returns the shop's own number of orders of some business days, by one request for the shortest of pages.

    A count of 1 may be that of the page alone: it is asked for again with a page of the usual size. None where that
    gives another one.

    Raises:
        ShopUnavailableError, ShopRefusedError, SettingsError, AnswerError: As `extract_orders`.
    """
    shop, orders = client.shop, client.shop.api_orders
    if orders.count_request is not None:
        return requested_count(client, orders.count_request, _window_query(shop, first_day, last_day))
    paging = orders.pagination
    if getattr(paging, "size", None) in {None, 1}:
        return _counted_on_the_first_page(client, shop, first_day, last_day)
    short = orders.model_copy(update={"pagination": paging.model_copy(update={"size": 1})})
    counted = _counted_on_the_first_page(client, shop.model_copy(update={"orders": short}), first_day, last_day)
    if counted == 1 and _counted_on_the_first_page(client, shop, first_day, last_day) != counted:
        return None
    return counted


def _counted_on_the_first_page(client: ShopClient, shop: Shop, first_day: date, last_day: date) -> int | None:
    page = Extraction(client, order_reading(shop, lambda _: True), _window_query(shop, first_day, last_day))
    next(page, None)
    return page.source_count


def _window_query(shop: Shop, first_day: date, last_day: date) -> Query:
    window = shop.api_orders.created_window
    return created_window_query(window, first_day, last_day, shop.zone) if window else EVERYTHING
