-- The shop's own daily report beside daily_revenue, figure by figure: each difference is explained by a rule of the description's `report`, by what is held back here or by the age of the report, or it is unexplained. Figures that the report does not have are null and not compared.
-- grain: business_day, currency, metric
with rules as (
    select cast(:report_rules as jsonb) as doc
),

terms as (
    select
        doc,
        doc ->> 'returns_on' = 'order_day' as is_by_order_day,
        doc ->> 'by_currency' = 'true' as is_by_currency,
        cast(doc ->> 'tolerance' as decimal(19, 4)) as tolerance,
        cast(doc ->> 'first_day' as date) as first_day
    from rules
),

leaves_out as (
    select named.rule from rules cross join lateral jsonb_array_elements_text(rules.doc -> 'leaves_out') as named(rule)
),

counts as (
    select named.rule from rules cross join lateral jsonb_array_elements_text(rules.doc -> 'counts') as named(rule)
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
        ('total_sales', revenue.total_sales),
        ('charges', revenue.charges),
        ('tips', revenue.tips),
        ('fees', revenue.fees),
        ('duties', revenue.duties),
        ('gift_cards_sold', revenue.gift_cards_sold),
        ('gift_cards_redeemed', revenue.gift_cards_redeemed)
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
    select sales.*, not (sales.event_type = 'line_sold' or sales.event_type like '%charged') as is_given_back
    from (
        select * from clean.sales where event_date between :first_day and :last_day
        union all
        select * from clean.sales
        where order_date between :first_day and :last_day and not event_date between :first_day and :last_day
        and (select terms.is_by_order_day from terms)
    ) as sales
    where exists (select 1 from asked)
),

sums as (
    select
        order_id,
        order_date,
        event_date,
        currency,
        is_given_back,
        sum(gross_sales) > 0 as is_order,
        sum(quantity) filter (where gross_sales > 0) as units_sold,
        sum(quantity) filter (where event_type = 'line_sold' and gross_sales = 0) as free_units,
        -sum(quantity) filter (where event_type = 'line_returned') as units_returned,
        sum(gross_sales) as gross_sales,
        sum(discounts) as discounts,
        sum(returns) as returns,
        sum(net_sales) as net_sales,
        sum(shipping) as shipping,
        sum(taxes) as taxes,
        sum(total_sales) as total_sales,
        sum(charges) as charges,
        sum(charges) filter (where event_type like 'tip@_%' escape '@') as tips,
        sum(charges) filter (
            where event_type like 'fee@_%' escape '@' or event_type like 'handling@_%' escape '@'
            or event_type like 'surcharge@_%' escape '@'
        ) as fees,
        sum(charges) filter (where event_type like 'duty@_%' escape '@') as duties,
        sum(outside_sales) filter (where event_type like 'gift@_card@_sold@_%' escape '@') as gift_cards_sold,
        -sum(outside_sales) filter (where event_type like 'gift@_card@_redeemed@_%' escape '@')
        as gift_cards_redeemed
    from events
    group by order_id, order_date, event_date, currency, is_given_back
),

moves as (
    select sums.order_id, sums.order_date, sums.event_date, sums.currency, sums.is_given_back, numbers.metric,
        cast(numbers.value as decimal(19, 4)) as value
    from sums
    cross join lateral (
        values
        ('orders', case when sums.is_order then 1 else 0 end),
        ('units_sold', sums.units_sold),
        ('free_units', sums.free_units),
        ('units_returned', sums.units_returned),
        ('gross_sales', sums.gross_sales),
        ('discounts', sums.discounts),
        ('returns', sums.returns),
        ('net_sales', sums.net_sales),
        ('shipping', sums.shipping),
        ('taxes', sums.taxes),
        ('total_sales', sums.total_sales),
        ('charges', sums.charges),
        ('tips', sums.tips),
        ('fees', sums.fees),
        ('duties', sums.duties),
        ('gift_cards_sold', sums.gift_cards_sold),
        ('gift_cards_redeemed', sums.gift_cards_redeemed)
    ) as numbers(metric, value)
    where numbers.value <> 0
),

-- Orders that the report leaves out altogether: each by the first rule that names it.
absent as (
    select order_id, min(rule) as rule
    from (
        select order_id, 'cancelled_orders' as rule
        from clean.orders
        where 'cancelled_orders' in (select rule from leaves_out)
        and cancelled_at is not null
        and order_id in (select order_id from sums)
        union all
        select order_id, 'zero_orders' as rule
        from clean.orders
        where 'zero_orders' in (select rule from leaves_out)
        and order_total = 0
        and order_id in (select order_id from sums)
        union all
        select records.order_id, statuses.rule ->> 'reason' as rule
        from rules
        cross join lateral jsonb_array_elements(rules.doc -> 'where') as statuses(rule)
        join raw.orders as records on records.order_id in (select order_id from sums)
        where coalesce(
            statuses.rule -> 'values' @> jsonb_build_array(
                cast(records.payload as json)
                #>> cast(array(select jsonb_array_elements_text(statuses.rule -> 'path')) as text[])
            ), false
        ) = cast(statuses.rule ->> 'is_listed' as boolean)
    ) as named
    group by order_id
),

-- What the report counts of our ledger, each on the report's day.
counted as (
    select
        case when terms.is_by_order_day and moves.is_given_back then moves.order_date else moves.event_date end as day,
        moves.event_date,
        moves.currency,
        moves.is_given_back,
        moves.metric,
        moves.value
    from moves
    cross join terms
    where moves.order_id not in (select order_id from absent)
),

effects as (
    select moves.event_date as day, moves.currency, absent.rule, moves.metric, -moves.value as value
    from moves
    join absent on absent.order_id = moves.order_id
    union all
    select counted.day, counted.currency, 'dating' as rule, counted.metric, counted.value
    from counted
    where counted.day <> counted.event_date
    union all
    select counted.event_date as day, counted.currency, 'dating' as rule, counted.metric, -counted.value as value
    from counted
    where counted.day <> counted.event_date
    union all
    select order_date as day, currency, 'zero_orders' as rule, 'orders' as metric, 1 as value
    from clean.orders
    where 'zero_orders' in (select rule from counts)
    and order_date between :first_day and :last_day
    and gross_sales = 0
    and not is_credit_note
    and order_id not in (select order_id from absent)
    union all
    select counted.day, counted.currency, 'free_units' as rule, 'units_sold' as metric, counted.value
    from counted
    where counted.metric = 'free_units' and 'free_units' in (select rule from counts)
    union all
    select counted.day, counted.currency, 'gift_cards' as rule, parts.metric, parts.value
    from counted
    cross join lateral (
        values
        (
            case when counted.is_given_back then 'returns' else 'gross_sales' end,
            case when counted.is_given_back then -counted.value else counted.value end
        ),
        ('net_sales', counted.value),
        ('total_sales', counted.value)
    ) as parts(metric, value)
    where counted.metric = 'gift_cards_sold' and 'gift_cards' in (select rule from counts)
    union all
    select counted.day, counted.currency, counted.metric as rule, parts.metric, -counted.value as value
    from counted
    cross join (values ('charges'), ('total_sales')) as parts(metric)
    where counted.metric in ('tips', 'fees', 'duties') and counted.metric in (select rule from leaves_out)
    union all
    select counted.day, counted.currency, counted.metric as rule, parts.metric, parts.value
    from counted
    cross join lateral (
        values
        (
            case when counted.is_given_back then 'returns' else 'gross_sales' end,
            case when counted.is_given_back then -counted.value else counted.value end
        ),
        ('net_sales', counted.value),
        ('charges', -counted.value)
    ) as parts(metric, value)
    where counted.metric in ('tips', 'fees', 'duties') and counted.metric in (select rule from counts)
    union all
    select
        places.day,
        places.currency,
        held.rule,
        case held.metric when 'zero_orders' then 'orders' when 'free_units' then 'units_sold' else held.metric end
        as metric,
        places.factor * held.value as value
    from ops.held_back_sales as held
    cross join terms
    join places
        on places.day = case when terms.is_by_order_day then held.order_date else held.event_date end
        and places.currency = coalesce(held.currency, places.currency)
        and places.is_certain = (held.currency is not null or places.is_only_currency)
    where (held.rule = 'quarantine' or held.rule in (select rule from counts))
    and not (held.is_cancelled and 'cancelled_orders' in (select rule from leaves_out))
    and (held.metric not in ('zero_orders', 'free_units') or held.metric in (select rule from counts))
),

explained as (
    select day, currency, rule, metric, case when bool_or(value is null) then null else sum(value) end as value
    from effects
    where day between :first_day and :last_day
    group by day, currency, rule, metric
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

-- A refund of an order that was never loaded is in the report and not here. Whole are days before which none is missing.
loaded as (
    select
        days.day,
        days.day - cast(row_number() over (order by days.day) as integer) = terms.first_day - 1 as is_whole
    from ops.materialised_days as days
    cross join terms
    where days.table_name = 'clean.sales' and days.day >= terms.first_day
),

compared as (
    select
        cells.day,
        cells.currency,
        cells.metric,
        cells.value as shop_says,
        case when cells.is_told then coalesce(revenue.value, 0) end as ours,
        cells.as_of,
        explanations.named,
        not cells.is_told or coalesce(explanations.is_unknown, false) as is_unknown,
        coalesce(revenue.value, 0) + coalesce(explanations.value, 0) as by_its_rules,
        cells.value - coalesce(revenue.value, 0) - coalesce(explanations.value, 0) as rest,
        coalesce(changed.changed_at > cells.as_of, false) as is_late,
        not coalesce(loaded.is_whole, true) and not terms.is_by_order_day as is_partial,
        terms.tolerance
    from (select cells.*, :cannot_tell not like concat('% ', metric, ' %') as is_told from cells) as cells
    cross join terms
    left join loaded on loaded.day = cells.day
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
            when is_partial and metric in ('returns', 'units_returned') and rest > 0 then 'not_loaded'
            when
                is_partial and rest < 0
                and metric not in ('orders', 'units_sold', 'gross_sales', 'discounts', 'returns', 'units_returned')
                then 'not_loaded'
        end as last_rule
    from compared
)

select
    day as business_day, -- Business day, in the shop's time zone.
    currency, -- ISO 4217 code of the amount, and of the orders that are counted.
    cast(metric as text) as metric, -- The figure, a column of daily_revenue.
    cast(shop_says as decimal(19, 4)) as shop_says, -- What the shop's own report says; null where it does not mention the figure: absent, not 0.
    cast(ours as decimal(19, 4)) as ours, -- The same in daily_revenue; null where the shop's records do not tell it (cannot_tell).
    cast(case when not is_unknown then by_its_rules end as decimal(19, 4)) as by_its_rules, -- What the report should say: ours with what its rules add and take; null where what is held back cannot be read.
    cast(shop_says - ours as decimal(19, 4)) as difference, -- shop_says - ours; null where the report has no such figure.
    cast(
        case
            when shop_says is null then null
            when last_rule is null then coalesce(named, cast('{}' as jsonb))
            else
                coalesce(named, cast('{}' as jsonb))
                || jsonb_build_object(last_rule, case when last_rule <> 'not_loaded' then rest end)
        end as text
    ) as explained_by, -- The rules that explain the difference, each with its amount, as JSON; null for an amount that cannot be known: what is held back lacks it, or the order's day is not loaded.
    cast(
        case
            when is_unknown or last_rule = 'not_loaded' then null
            when last_rule is null then rest
            else 0
        end as decimal(19, 4)
    ) as unexplained, -- What no rule explains: 0 where the shop's report and daily_revenue agree; null where nothing could be compared.
    is_late -- Whether the day has changed here since: it is compared again at the next reading.
from judged
