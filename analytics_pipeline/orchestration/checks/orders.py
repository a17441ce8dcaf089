"""Checks about the clean tables: orders, lines and ledger agree, and every raw order is accounted for."""

from analytics_pipeline.orchestration.checks.stored import StoredCheck
from analytics_pipeline.shop.files import FileList, FileOrders
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import MOVED

ORDER_CHECKS = (
    StoredCheck(
        "every_raw_order_is_in_exactly_one_place",
        "clean/orders",
        "Each order of a raw day is stored once: in clean/orders, in ops/quarantine or in ops/exclusions; one that "
        "moved is left out of its old day and stands on another one.",
        f"""
        select order_id as example, 1 as difference
        from (
            select distinct order_date, order_id, 'raw' as place from "@raw".orders where order_date {{slice}}
            union all select order_date, order_id, 'kept' from "@clean".orders where order_date {{slice}}
            union all select order_date, order_id, 'kept' from "@ops".quarantine
            where order_date {{slice}} and kind = 'order'
            union all select order_date, order_id, 'kept' from "@ops".exclusions where order_date {{slice}}
        ) as places
        group by order_date, order_id
        having count(*) filter (where place = 'raw') <> 1 or count(*) filter (where place = 'kept') <> 1
        union all
        select order_id, 1
        from "@ops".exclusions as moved
        where order_date {{slice}} and reason = '{MOVED}' and order_id not in (
            select order_id from "@clean".orders
            union all select order_id from "@ops".quarantine where kind = 'order'
            union all select order_id from "@ops".exclusions where reason <> '{MOVED}'
        )
        """,
    ),
    StoredCheck(
        "order_totals_equal_their_parts",
        "clean/orders",
        "order_total = gross_sales - discounts - returns + shipping + charges + taxes + outside_sales of every order.",
        """
        select order_id as example, order_total - parts as difference
        from (
            select
                order_id, order_total,
                gross_sales - discounts - returns + shipping + charges + taxes + outside_sales as parts
            from "@clean".orders where order_date {slice}
        ) as orders
        where order_total <> parts
        """,
    ),
    StoredCheck(
        "order_lines_add_up_to_their_orders",
        "clean/order_lines",
        "Quantity, gross sales, discounts and returns of an order's lines, and of charges in net sales, sum up to the "
        "order's.",
        """
        select
            orders.order_id as example, abs(orders.gross_sales - coalesce(lines.gross_sales, 0)) + abs(orders.discounts
            - coalesce(lines.discounts, 0)) + abs(orders.returns - coalesce(lines.returns, 0)) as difference
        from "@clean".orders
        left join (
            select
                order_id, sum(quantity) as units, sum(gross_sales) as gross_sales, sum(discounts) as discounts,
                sum(returns) as returns
            from (
                select order_id, quantity, gross_sales, discounts, returns
                from "@clean".order_lines where order_date {slice}
                union all
                select order_id, quantity, gross_sales, discounts, returns
                from "@clean".sales where order_date {slice} and right(event_type, 8) = '_charged'
            ) as parts
            group by order_id
        ) as lines on lines.order_id = orders.order_id
        where orders.order_date {slice} and (
            orders.units, orders.gross_sales, orders.discounts, orders.returns
        ) is distinct from (
            coalesce(lines.units, 0), coalesce(lines.gross_sales, 0), coalesce(lines.discounts, 0),
            coalesce(lines.returns, 0)
        )
        """,
    ),
    StoredCheck(
        "the_ledger_adds_up_to_the_orders",
        "clean/sales",
        "An order's events sum up to its gross sales, its discounts, and its total less what was given back since.",
        """
        select
            coalesce(orders.order_id, events.order_id) as example,
            coalesce(orders.order_total - orders.refunded_total, 0) - coalesce(events.added_up, 0) as difference
        from (select * from "@clean".orders where order_date {slice}) as orders
        full join (
            select
                order_id, sum(gross_sales) as gross_sales, sum(discounts) as discounts,
                sum(total_sales + outside_sales) as added_up
            from "@clean".sales where order_date {slice} group by order_id
        ) as events on events.order_id = orders.order_id
        where orders.order_id is null or (
            orders.gross_sales, orders.discounts, orders.order_total - orders.refunded_total
        ) is distinct from (
            coalesce(events.gross_sales, 0), coalesce(events.discounts, 0), coalesce(events.added_up, 0)
        )
        """,
    ),
    StoredCheck(
        "net_sales_equal_gross_sales_less_discounts_and_returns",
        "clean/sales",
        "net_sales = gross_sales - discounts - returns, total_sales = net_sales + shipping + charges + taxes, of every "
        "event.",
        """
        select
            order_id || ' #' || event_number as example, abs(net_sales - (gross_sales - discounts - returns)) +
            abs(total_sales - (net_sales + shipping + charges + taxes)) as difference
        from "@clean".sales
        where order_date {slice}
        and (net_sales <> gross_sales - discounts - returns or total_sales <> net_sales + shipping + charges + taxes)
        """,
    ),
    StoredCheck(
        "a_customer_id_stands_for_one_customer",
        "clean/orders",
        "No customer id of the run's orders ordered under three or more e-mail addresses, most times a new one.",
        """
        select
            customer_id || ' stands for ' || count(distinct email_hash) || ' different e-mail addresses' as example,
            0 as difference
        from "@clean".orders
        where email_hash is not null and customer_key in (
            select customer_id from "@clean".orders where order_date {slice} and customer_id is not null
        )
        group by customer_id
        having count(distinct email_hash) >= 3 and count(distinct email_hash) > count(*) / 2.0
        """,
        is_blocking=False,
    ),
)

_EQUAL_ROWS = StoredCheck(
    "no_equal_rows_lie_in_several_files",
    "clean/orders",
    "No row without an id has an equal one in another file: each counts as a sale of its own. The difference is the "
    "money of those beyond the first file's.",
    """
    with of_files as (
        select left(order_id, 32) as content, payload ->> '_file' as file, count(*) as rows
        from "@raw".orders where order_date {slice} group by 1, 2
    ),
    equal as (
        select content, sum(rows) - max(rows) as more, string_agg(file, ' and ' order by file) as files
        from of_files group by content having count(*) > 1
    )
    select
        more || ' of ' || files as example,
        coalesce(more * (select order_total from "@clean".orders where order_id = content || '-1'), 0) as difference
    from equal
    """,
    is_blocking=False,
)


REFERENCE_CHECKS = (
    StoredCheck(
        "customers_are_known",
        "clean/orders",
        "Each customer id of an order is one of clean/customers.",
        """
        select distinct orders.customer_id as example, 0 as difference
        from "@clean".orders
        left join "@clean".customers on customers.customer_id = orders.customer_id
        where orders.order_date {slice} and orders.customer_id is not null and customers.customer_id is null
        """,
        compared_with=("clean/customers",),
        is_blocking=False,
    ),
    StoredCheck(
        "products_are_known",
        "clean/order_lines",
        "Each product id of a line is one of clean/products.",
        """
        select distinct lines.product_id as example, 0 as difference
        from "@clean".order_lines as lines
        left join "@clean".products on products.product_id = lines.product_id
        where lines.order_date {slice} and products.product_id is null
        """,
        compared_with=("clean/products",),
        is_blocking=False,
    ),
)


def order_checks(shop: Shop) -> tuple[StoredCheck, ...]:
    """Return the checks about orders that are of use for a shop."""
    without_ids = isinstance(shop.orders, FileOrders) and not shop.orders.has_ids
    return (*ORDER_CHECKS, _EQUAL_ROWS) if without_ids else ORDER_CHECKS


def reference_checks(shop: Shop) -> tuple[StoredCheck, ...]:
    """Return the checks about what orders name; none of a list that the shop does not have."""
    lists = {"clean/customers": shop.customers, "clean/products": shop.products}
    absent = {name for name, one in lists.items() if isinstance(one, FileList) and not one.files}
    return tuple(check for check in REFERENCE_CHECKS if absent.isdisjoint(check.compared_with))
