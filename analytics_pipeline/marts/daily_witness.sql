-- The shop's own daily report beside daily_revenue, figure by figure: each difference is explained by a rule of the description's `report`, by what is held back here or by the age of the report, or it is unexplained. Figures that the report does not have are null and not compared.
-- grain: business_day, currency, metric
with rules as (
    select cast(:report_rules as jsonb) as doc
),

terms as (
    select
        doc,
        doc ->> 'returns_on' = 'order_day' as is_by_order_day,
        doc ->> 'leaves_out' like '%"cancelled_orders"%' as is_without_cancelled,
        doc ->> 'leaves_out' like '%"zero_orders"%' as is_without_zero,
        doc ->> 'counts' like '%"zero_orders"%' as is_with_zero,
        doc ->> 'counts' like '%"free_units"%' as is_with_free_units,
        doc ->> 'by_currency' = 'true' as is_by_currency,
        cast(doc ->> 'tolerance' as decimal(19, 4)) as tolerance
    from rules
),

said as (
    select day, currency, metric, value, as_of
    from ops.shop_reports
    where day between :first_day and :last_day
),

asked as (
    select day, metric, min(as_of) as as_of from said group by day, metric
),

revenue as (
    select event_date as day, revenue.currency, numbers.metric, numbers.value
    from marts.daily_revenue as revenue
    cross join lateral (
        values
        ('orders', cast(revenue.orders as decimal(19, 4))),
        ('units_sold', cast(revenue.units_sold as decimal(19, 4))),
        ('units_returned', cast(revenue.units_returned as decimal(19, 4))),
        ('gross_sales', revenue.gross_sales),
        ('discounts', revenue.discounts),
        ('returns', revenue.returns),
        ('net_sales', revenue.net_sales),
        ('shipping', revenue.shipping),
        ('taxes', revenue.taxes),
        ('total_sales', revenue.total_sales)
    ) as numbers(metric, value)
    where event_date between :first_day and :last_day and event_date in (select day from asked)
),

cells as (
    select day, currency, metric, value, as_of from said
    union all
    select revenue.day, revenue.currency, revenue.metric, cast(null as decimal(19, 4)) as value, asked.as_of
    from revenue
    join asked on asked.day = revenue.day and asked.metric = revenue.metric
    cross join terms
    where terms.is_by_currency
    and not exists (
        select 1 from said
        where said.day = revenue.day and said.currency = revenue.currency and said.metric = revenue.metric
    )
),

-- Where something held back may count: of unknown currency in any of the day's, so that none of them can be judged.
places as (
    select found.day, found.currency, found.is_only_currency, sure.is_certain, sure.factor
    from (
        select day, currency, count(*) over (partition by day) = 1 as is_only_currency
        from (select distinct day, currency from cells) as distinct_cells
    ) as found
    cross join (values (true, 1), (false, cast(null as bigint))) as sure(is_certain, factor)
),

events as (
    select
        sales.order_id,
        sales.order_date,
        sales.event_date,
        sales.currency,
        not (sales.event_type = 'line_sold' or sales.event_type like '%charged') as is_given_back,
        sales.event_type,
        sales.quantity,
        sales.gross_sales,
        sales.discounts,
        sales.returns,
        sales.net_sales,
        sales.shipping,
        sales.taxes,
        sales.total_sales
    from clean.sales as sales
    where sales.event_date between :first_day and :last_day and exists (select 1 from asked)
    union all
    select
        sales.order_id,
        sales.order_date,
        sales.event_date,
        sales.currency,
        not (sales.event_type = 'line_sold' or sales.event_type like '%charged') as is_given_back,
        sales.event_type,
        sales.quantity,
        sales.gross_sales,
        sales.discounts,
        sales.returns,
        sales.net_sales,
        sales.shipping,
        sales.taxes,
        sales.total_sales
    from clean.sales as sales
    cross join terms
    where terms.is_by_order_day
    and exists (select 1 from asked)
    and sales.order_date between :first_day and :last_day
    and not sales.event_date between :first_day and :last_day
),

moves as (
    select
        order_id,
        order_date,
        event_date,
        currency,
        is_given_back,
        cast(case when sum(gross_sales) > 0 then 1 else 0 end as decimal(19, 4)) as orders,
        cast(coalesce(sum(quantity) filter (where gross_sales > 0), 0) as decimal(19, 4)) as units_sold,
        cast(coalesce(sum(quantity) filter (where event_type = 'line_sold' and gross_sales = 0), 0) as decimal(19, 4))
        as free_units,
        cast(coalesce(-sum(quantity) filter (where event_type = 'line_returned'), 0) as decimal(19, 4))
        as units_returned,
        cast(sum(gross_sales) as decimal(19, 4)) as gross_sales,
        cast(sum(discounts) as decimal(19, 4)) as discounts,
        cast(sum(returns) as decimal(19, 4)) as returns,
        cast(sum(net_sales) as decimal(19, 4)) as net_sales,
        cast(sum(shipping) as decimal(19, 4)) as shipping,
        cast(sum(taxes) as decimal(19, 4)) as taxes,
        cast(sum(total_sales) as decimal(19, 4)) as total_sales
    from events
    group by order_id, order_date, event_date, currency, is_given_back
),

-- Orders that the report leaves out altogether: each by the first rule that names it.
absent as (
    select order_id, min(rule) as rule
    from (
        select orders.order_id, 'cancelled_orders' as rule
        from clean.orders as orders
        cross join terms
        where terms.is_without_cancelled
        and orders.cancelled_at is not null
        and orders.order_id in (select order_id from moves)
        union all
        select orders.order_id, 'zero_orders' as rule
        from clean.orders as orders
        cross join terms
        where terms.is_without_zero and orders.order_total = 0 and orders.order_id in (select order_id from moves)
        union all
        select records.order_id, statuses.rule ->> 'reason' as rule
        from rules
        cross join lateral jsonb_array_elements(rules.doc -> 'where') as statuses(rule)
        join raw.orders as records on records.order_id in (select order_id from moves)
        where (
            coalesce(
                statuses.rule -> 'values' @> jsonb_build_array(
                    cast(records.payload as json)
                    #>> cast(array(select jsonb_array_elements_text(statuses.rule -> 'path')) as text[])
                ), false
            )
        ) = cast(statuses.rule ->> 'is_listed' as boolean)
    ) as named
    group by order_id
),

counted as (
    select moves.*
    from moves
    where moves.order_id not in (select order_id from absent)
),

effects as (
    select
        moves.event_date as day,
        moves.currency,
        absent.rule,
        -moves.orders as orders,
        -moves.units_sold as units_sold,
        -moves.units_returned as units_returned,
        -moves.gross_sales as gross_sales,
        -moves.discounts as discounts,
        -moves.returns as returns,
        -moves.net_sales as net_sales,
        -moves.shipping as shipping,
        -moves.taxes as taxes,
        -moves.total_sales as total_sales
    from moves
    join absent on absent.order_id = moves.order_id
    union all
    select
        case when sides.side = 1 then counted.order_date else counted.event_date end as day,
        counted.currency,
        'dating' as rule,
        sides.side * counted.orders as orders,
        sides.side * counted.units_sold as units_sold,
        sides.side * counted.units_returned as units_returned,
        sides.side * counted.gross_sales as gross_sales,
        sides.side * counted.discounts as discounts,
        sides.side * counted.returns as returns,
        sides.side * counted.net_sales as net_sales,
        sides.side * counted.shipping as shipping,
        sides.side * counted.taxes as taxes,
        sides.side * counted.total_sales as total_sales
    from counted
    cross join terms
    cross join (values (1), (-1)) as sides(side)
    where terms.is_by_order_day and counted.is_given_back and counted.order_date <> counted.event_date
    union all
    select
        orders.order_date as day,
        orders.currency,
        'zero_orders' as rule,
        cast(1 as decimal(19, 4)) as orders,
        0 as units_sold, 0 as units_returned, 0 as gross_sales, 0 as discounts, 0 as returns, 0 as net_sales,
        0 as shipping, 0 as taxes, 0 as total_sales
    from clean.orders as orders
    cross join terms
    where terms.is_with_zero
    and orders.order_date between :first_day and :last_day
    and orders.gross_sales = 0
    and not orders.is_credit_note
    and orders.order_id not in (select order_id from absent)
    union all
    select
        counted.event_date as day,
        counted.currency,
        'free_units' as rule,
        0 as orders, counted.free_units as units_sold, 0 as units_returned, 0 as gross_sales, 0 as discounts,
        0 as returns, 0 as net_sales, 0 as shipping, 0 as taxes, 0 as total_sales
    from counted
    cross join terms
    where terms.is_with_free_units and counted.free_units <> 0
    union all
    select
        places.day,
        places.currency,
        held.rule,
        places.factor * (held.orders + case when terms.is_with_zero then held.zero_orders else 0 end) as orders,
        places.factor * (held.units_sold + case when terms.is_with_free_units then held.free_units else 0 end)
        as units_sold,
        places.factor * held.units_returned as units_returned,
        places.factor * held.gross_sales as gross_sales,
        places.factor * held.discounts as discounts,
        places.factor * held.returns as returns,
        places.factor * held.net_sales as net_sales,
        places.factor * held.shipping as shipping,
        places.factor * held.taxes as taxes,
        places.factor * held.total_sales as total_sales
    from ops.held_back_sales as held
    cross join terms
    join places
        on places.day = case when terms.is_by_order_day then held.order_date else held.event_date end
        and places.currency = coalesce(held.currency, places.currency)
        and places.is_certain = (held.currency is not null or places.is_only_currency)
    where (held.rule = 'quarantine' or terms.doc -> 'counts' @> jsonb_build_array(held.rule))
    and not (terms.is_without_cancelled and held.is_cancelled)
),

explained as (
    select
        effects.day,
        effects.currency,
        effects.rule,
        numbers.metric,
        case when bool_or(numbers.value is null) then null else sum(numbers.value) end as value
    from effects
    cross join lateral (
        values
        ('orders', effects.orders),
        ('units_sold', effects.units_sold),
        ('units_returned', effects.units_returned),
        ('gross_sales', effects.gross_sales),
        ('discounts', effects.discounts),
        ('returns', effects.returns),
        ('net_sales', effects.net_sales),
        ('shipping', effects.shipping),
        ('taxes', effects.taxes),
        ('total_sales', effects.total_sales)
    ) as numbers(metric, value)
    where effects.day between :first_day and :last_day
    group by effects.day, effects.currency, effects.rule, numbers.metric
),

explanations as (
    select
        day,
        currency,
        metric,
        jsonb_object_agg(rule, value) as named,
        bool_or(value is null) as is_unknown,
        sum(value) as value
    from explained
    where value is null or value <> 0
    group by day, currency, metric
),

changed as (
    select day, max(changed_at) as changed_at
    from (
        select event_date as day, changed_at
        from ops.order_changes
        where event_date between :first_day and :last_day and not is_first_order
        union all
        select order_date as day, changed_at
        from ops.order_changes
        cross join terms
        where terms.is_by_order_day and order_date between :first_day and :last_day and not is_first_order
    ) as changes
    group by day
),

compared as (
    select
        cells.day,
        cells.currency,
        cells.metric,
        cells.value as shop_says,
        coalesce(revenue.value, 0) as ours,
        cells.as_of,
        explanations.named,
        coalesce(explanations.is_unknown, false) as is_unknown,
        coalesce(revenue.value, 0) + coalesce(explanations.value, 0) as by_its_rules,
        cells.value - coalesce(revenue.value, 0) - coalesce(explanations.value, 0) as rest,
        coalesce(changed.changed_at > cells.as_of, false) as is_late,
        terms.tolerance
    from cells
    cross join terms
    left join changed on changed.day = cells.day
    left join revenue
        on revenue.day = cells.day and revenue.currency = cells.currency and revenue.metric = cells.metric
    left join explanations
        on explanations.day = cells.day
        and explanations.currency = cells.currency
        and explanations.metric = cells.metric
),

judged as (
    select
        compared.*,
        case
            when rest = 0 or is_unknown then null
            when is_late then 'late'
            when abs(rest) <= tolerance then 'rounding'
        end as last_rule
    from compared
)

select
    day as business_day, -- Business day, in the shop's time zone.
    currency, -- ISO 4217 code of the amount, and of the orders that are counted.
    cast(metric as text) as metric, -- The figure, a column of daily_revenue.
    cast(shop_says as decimal(19, 4)) as shop_says, -- What the shop's own report says; null where it does not mention the figure: absent, not 0.
    cast(ours as decimal(19, 4)) as ours, -- The same in daily_revenue.
    cast(case when not is_unknown then by_its_rules end as decimal(19, 4)) as by_its_rules, -- What the report should say: ours with what its rules add and take; null where what is held back cannot be read.
    cast(shop_says - ours as decimal(19, 4)) as difference, -- shop_says - ours; null where the report has no such figure.
    cast(
        case
            when shop_says is null then null
            when last_rule is null then coalesce(named, cast('{}' as jsonb))
            else coalesce(named, cast('{}' as jsonb)) || jsonb_build_object(last_rule, rest)
        end as text
    ) as explained_by, -- The rules that explain the difference, each with its amount, as JSON; null for an amount that cannot be read, since what is held back lacks it.
    cast(
        case
            when is_unknown then null
            when last_rule is null then rest
            else 0
        end as decimal(19, 4)
    ) as unexplained, -- What no rule explains: 0 where the shop's report and daily_revenue agree; null where nothing could be compared.
    is_late -- Whether the day has changed here since: it is compared again at the next reading.
from judged
