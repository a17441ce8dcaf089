-- Revenue of each business day and currency, each event on the day on which it happened; every day has a row in the shop's currency.
-- grain: event_date, currency
with events as (
    select event_date, event_type, currency, order_id, customer_key, quantity, gross_sales, discounts, returns, net_sales, shipping, taxes, total_sales
    from clean.sales
    where event_date between :first_day and :last_day
),

days as (
    select cast(day as date) as event_date, cast(:shop_currency as text) as currency
    from generate_series(cast(:first_day as timestamp), cast(:last_day as timestamp), interval '1 day') as series(day)
    union
    select event_date, currency from events
),

first_orders as (
    select customer_key, min(order_date) as first_order_date
    from (
        select customer_key, order_date from clean.orders where gross_sales > 0
        union all
        select customer_id, first_order_date from clean.customers where first_order_date is not null
    ) as known
    where customer_key in (select customer_key from events where gross_sales > 0)
    group by customer_key
),

sums as (
    select
        events.event_date,
        events.currency,
        count(distinct events.order_id) filter (where events.gross_sales > 0) as orders,
        sum(events.quantity) filter (where events.gross_sales > 0) as units_sold,
        -sum(events.quantity) filter (where events.event_type = 'line_returned') as units_returned,
        sum(events.gross_sales) as gross_sales,
        sum(events.discounts) as discounts,
        sum(events.returns) as returns,
        sum(events.net_sales) as net_sales,
        sum(events.shipping) as shipping,
        sum(events.taxes) as taxes,
        sum(events.total_sales) as total_sales,
        count(distinct events.customer_key) filter (where events.gross_sales > 0) as customers,
        count(distinct events.customer_key) filter (
            where events.gross_sales > 0 and first_orders.first_order_date = events.event_date
        ) as new_customers
    from events
    left join first_orders on first_orders.customer_key = events.customer_key
    group by events.event_date, events.currency
)

select
    days.event_date, -- Business day of the events, in the shop's time zone.
    days.currency, -- ISO 4217 code of every amount in the row.
    coalesce(sums.orders, 0) as orders, -- Orders placed that day with gross sales above zero.
    coalesce(sums.units_sold, 0) as units_sold, -- Units of lines sold with gross sales above zero.
    coalesce(sums.units_returned, 0) as units_returned, -- Units taken back that day, whatever the day of their order.
    coalesce(sums.gross_sales, 0) as gross_sales, -- Price times quantity, before discounts, returns, shipping and taxes.
    coalesce(sums.discounts, 0) as discounts, -- Discounts of the orders placed that day; positive.
    coalesce(sums.returns, 0) as returns, -- Value of goods taken back that day, after discounts; positive.
    coalesce(sums.net_sales, 0) as net_sales, -- gross_sales - discounts - returns.
    coalesce(sums.shipping, 0) as shipping, -- Shipping charged less shipping refunded, tax excluded.
    coalesce(sums.taxes, 0) as taxes, -- Taxes charged less taxes given back.
    coalesce(sums.total_sales, 0) as total_sales, -- net_sales + shipping + taxes.
    case
        when sums.orders > 0 then (sums.gross_sales - sums.discounts) / sums.orders
    end as average_order_value, -- (gross_sales - discounts) / orders; null without orders.
    coalesce(sums.customers, 0) as customers, -- Known customers of those orders.
    coalesce(sums.new_customers, 0) as new_customers, -- Those of them whose first order ever in this shop is on that day.
    coalesce(sums.customers - sums.new_customers, 0) as returning_customers -- Those who had ordered on an earlier day.
from days
left join sums on sums.event_date = days.event_date and sums.currency = days.currency
