-- Whether each business day adds up, step by step from the shop's own count to the published numbers; every difference is 0 where it does. Amounts of several currencies are added as differences, so a sum says whether, not how much.
-- grain: business_day
with days as (
    select cast(day as date) as business_day
    from generate_series(cast(:first_day as timestamp), cast(:last_day as timestamp), interval '1 day') as series(day)
),

source as (
    select
        days.day as business_day,
        extractions.orders + extractions.records_of_other_days - extractions.source_count as difference
    from ops.materialised_days as days
    join ops.extractions
        on extractions.run_id = days.run_id and days.day between extractions.first_day and extractions.last_day
    where days.table_name = 'raw.orders' and days.day between :first_day and :last_day
),

stored as (
    select order_date as business_day, count(distinct order_id) as orders
    from raw.orders
    where order_date between :first_day and :last_day
    group by order_date
),

balances as (
    select
        order_date as business_day,
        sum(raw_orders) as orders,
        sum(abs(raw_orders - clean_orders - quarantined_orders - excluded_orders)) as orders_difference,
        sum(abs(raw_money - clean_money - quarantined_money - excluded_money)) as money_difference,
        sum(clean_orders) as clean_orders,
        sum(clean_money) as clean_money
    from ops.accounting
    where order_date between :first_day and :last_day
    group by order_date
),

placed as (
    select
        order_date as business_day,
        count(*) as orders,
        sum(
            abs(order_total - (gross_sales - discounts - returns + shipping + charges + taxes + outside_sales))
        ) as difference,
        sum(gross_sales) as gross_sales,
        sum(discounts) as discounts,
        sum(returns) as returns,
        sum(order_total + rounding) as stated_total,
        sum(order_total - refunded_total) as kept
    from clean.orders
    where order_date between :first_day and :last_day
    group by order_date
),

lines as (
    select
        order_date as business_day,
        sum(gross_sales) as gross_sales,
        sum(discounts) as discounts,
        sum(returns) as returns
    from clean.order_lines
    where order_date between :first_day and :last_day
    group by order_date
),

ledger_of_orders as (
    select
        order_date as business_day,
        sum(gross_sales) as gross_sales,
        sum(discounts) as discounts,
        sum(total_sales + outside_sales) as added_up,
        sum(gross_sales) filter (where right(event_type, 8) = '_charged') as charged_gross_sales,
        sum(discounts) filter (where right(event_type, 8) = '_charged') as charged_discounts,
        sum(returns) filter (where right(event_type, 8) = '_charged') as charged_returns
    from clean.sales
    where order_date between :first_day and :last_day
    group by order_date
),

ledger_of_events as (
    select
        event_date,
        currency,
        sum(gross_sales) filter (where :cannot_tell not like '% gross_sales %') as gross_sales,
        sum(discounts) filter (where :cannot_tell not like '% discounts %') as discounts,
        sum(returns) filter (where :cannot_tell not like '% returns %') as returns,
        sum(shipping) filter (where :cannot_tell not like '% shipping %') as shipping,
        sum(charges) filter (where :cannot_tell not like '% charges %') as charges,
        sum(taxes) filter (where :cannot_tell not like '% taxes %') as taxes,
        sum(total_sales) filter (where :cannot_tell not like '% total_sales %') as total_sales
    from clean.sales
    where event_date between :first_day and :last_day
    group by event_date, currency
),

revenue as (
    select * from marts.daily_revenue where event_date between :first_day and :last_day
),

products as (
    select event_date, currency, sum(gross_sales) as gross_sales, sum(discounts) as discounts, sum(returns) as returns
    from marts.daily_product_sales
    where event_date between :first_day and :last_day
    group by event_date, currency
),

sums as (
    select
        coalesce(revenue.event_date, ledger_of_events.event_date, products.event_date) as business_day,
        sum(
            abs(coalesce(revenue.gross_sales, 0) - coalesce(ledger_of_events.gross_sales, 0))
            + abs(coalesce(revenue.discounts, 0) - coalesce(ledger_of_events.discounts, 0))
            + abs(coalesce(revenue.returns, 0) - coalesce(ledger_of_events.returns, 0))
            + abs(coalesce(revenue.shipping, 0) - coalesce(ledger_of_events.shipping, 0))
            + abs(coalesce(revenue.charges, 0) - coalesce(ledger_of_events.charges, 0))
            + abs(coalesce(revenue.taxes, 0) - coalesce(ledger_of_events.taxes, 0))
            + abs(coalesce(revenue.total_sales, 0) - coalesce(ledger_of_events.total_sales, 0))
        ) as ledger_difference,
        sum(
            abs(coalesce(revenue.gross_sales, 0) - coalesce(products.gross_sales, 0))
            + abs(coalesce(revenue.discounts, 0) - coalesce(products.discounts, 0))
            + abs(coalesce(revenue.returns, 0) - coalesce(products.returns, 0))
        ) as product_difference
    from revenue
    full join ledger_of_events
        on ledger_of_events.event_date = revenue.event_date and ledger_of_events.currency = revenue.currency
    full join products on products.event_date = revenue.event_date and products.currency = revenue.currency
    group by coalesce(revenue.event_date, ledger_of_events.event_date, products.event_date)
),

reported as (
    select numbers.day, numbers.key, numbers.metric, sum(numbers.value) as value
    from (
        select day, key, metric, coalesce(value, 0) as value
        from ops.publications
        where mart = 'daily_revenue' and day between :first_day and :last_day
        union all
        select day, key, metric, difference as value
        from ops.restatements
        where mart = 'daily_revenue' and day between :first_day and :last_day
    ) as numbers
    group by numbers.day, numbers.key, numbers.metric
),

current_numbers as (
    select revenue.event_date as day, revenue.currency as key, numbers.metric, numbers.value
    from revenue
    cross join lateral (
        values
        ('orders', cast(revenue.orders as decimal(19, 4))),
        ('gross_sales', revenue.gross_sales),
        ('discounts', revenue.discounts),
        ('returns', revenue.returns),
        ('net_sales', revenue.net_sales),
        ('shipping', revenue.shipping),
        ('charges', revenue.charges),
        ('taxes', revenue.taxes),
        ('total_sales', revenue.total_sales)
    ) as numbers(metric, value)
    where revenue.event_date in (select day from ops.publications where mart = 'daily_revenue')
),

history as (
    select
        coalesce(current_numbers.day, reported.day) as business_day,
        sum(abs(coalesce(current_numbers.value, 0) - coalesce(reported.value, 0))) as difference
    from current_numbers
    full join reported
        on reported.day = current_numbers.day
        and reported.key = current_numbers.key
        and reported.metric = current_numbers.metric
    where coalesce(current_numbers.metric, reported.metric) in (
        'orders', 'gross_sales', 'discounts', 'returns', 'net_sales', 'shipping', 'charges', 'taxes',
        'total_sales'
    )
    group by coalesce(current_numbers.day, reported.day)
),

witness as (
    select business_day, sum(abs(unexplained)) as difference
    from marts.daily_witness
    where business_day between :first_day and :last_day
    group by business_day
),

steps as (
    select
        days.business_day,
        cast(abs(source.difference) as bigint) as source_orders_difference,
        cast(
            abs(coalesce(stored.orders, 0) - coalesce(balances.orders, 0)) + coalesce(balances.orders_difference, 0)
            + abs(coalesce(balances.clean_orders, 0) - coalesce(placed.orders, 0)) as bigint
        ) as raw_orders_difference,
        cast(
            coalesce(balances.money_difference, 0)
            + abs(coalesce(balances.clean_money, 0) - coalesce(placed.stated_total, 0)) as decimal(19, 4)
        ) as raw_money_difference,
        cast(coalesce(placed.difference, 0) as decimal(19, 4)) as order_difference,
        cast(
            abs(
                coalesce(placed.gross_sales, 0) - coalesce(lines.gross_sales, 0)
                - coalesce(ledger_of_orders.charged_gross_sales, 0)
            )
            + abs(
                coalesce(placed.discounts, 0) - coalesce(lines.discounts, 0)
                - coalesce(ledger_of_orders.charged_discounts, 0)
            )
            + abs(
                coalesce(placed.returns, 0) - coalesce(lines.returns, 0) - coalesce(ledger_of_orders.charged_returns, 0)
            ) as decimal(19, 4)
        ) as line_difference,
        cast(
            abs(coalesce(placed.gross_sales, 0) - coalesce(ledger_of_orders.gross_sales, 0))
            + abs(coalesce(placed.discounts, 0) - coalesce(ledger_of_orders.discounts, 0))
            + abs(coalesce(placed.kept, 0) - coalesce(ledger_of_orders.added_up, 0)) as decimal(19, 4)
        ) as ledger_difference,
        cast(coalesce(sums.ledger_difference, 0) as decimal(19, 4)) as revenue_difference,
        cast(coalesce(sums.product_difference, 0) as decimal(19, 4)) as product_difference,
        cast(coalesce(history.difference, 0) as decimal(19, 4)) as history_difference,
        cast(witness.difference as decimal(19, 4)) as report_difference
    from days
    left join source on source.business_day = days.business_day
    left join stored on stored.business_day = days.business_day
    left join balances on balances.business_day = days.business_day
    left join placed on placed.business_day = days.business_day
    left join lines on lines.business_day = days.business_day
    left join ledger_of_orders on ledger_of_orders.business_day = days.business_day
    left join sums on sums.business_day = days.business_day
    left join history on history.business_day = days.business_day
    left join witness on witness.business_day = days.business_day
)

select
    business_day, -- Business day: of the orders for the steps up to the ledger, of the events from there on.
    source_orders_difference, -- The shop's own count of orders less what came, of the extraction that read the day; null where nothing was compared, since the shop gives no count.
    raw_orders_difference, -- Orders sent less those that are clean, in quarantine or left out.
    raw_money_difference, -- The same in money.
    order_difference, -- order_total less its parts, over all clean orders.
    line_difference, -- Gross sales, discounts and returns of the orders less those of their lines and of charges that count in net sales.
    ledger_difference, -- What the orders add up to, given back apart, less their events in the ledger.
    revenue_difference, -- daily_revenue less the ledger's events of the day.
    product_difference, -- daily_revenue less daily_product_sales: gross sales, discounts and returns.
    report_difference, -- The shop's own report less daily_revenue, as far as no rule explains it (daily_witness), added over its figures; null where nothing was compared.
    history_difference, -- daily_revenue less what was published first and every restatement since.
    coalesce(source_orders_difference, 0) + raw_orders_difference as unexplained_orders, -- Sum of the steps in orders that were compared; whether the shop's count was says source_orders_difference.
    raw_money_difference + order_difference + line_difference + ledger_difference + revenue_difference
    + product_difference + history_difference as unexplained_difference -- Sum of the steps in money within the pipeline: 0.0000 where the day adds up; whether the shop's own report agrees says report_difference.
from steps
