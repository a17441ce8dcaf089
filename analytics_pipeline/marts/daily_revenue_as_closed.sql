-- daily_revenue with closed days as they stood when they changed last before closing: a later change of a closed day counts on the day on which it was seen. The same as daily_revenue as long as no period was closed (closed_until).
-- grain: event_date, currency
with late as (
    select
        day,
        cast(restated_at at time zone :shop_timezone as date) as seen_on,
        key as currency,
        metric,
        difference
    from ops.restatements
    where mart = 'daily_revenue' and is_of_closed_day
),

moved as (
    select day as event_date, currency, metric, -difference as difference from late
    union all
    select seen_on as event_date, currency, metric, difference from late
),

adjustments as (
    select
        event_date,
        currency,
        sum(difference) filter (where metric = 'orders') as orders,
        sum(difference) filter (where metric = 'units_sold') as units_sold,
        sum(difference) filter (where metric = 'units_returned') as units_returned,
        sum(difference) filter (where metric = 'gross_sales') as gross_sales,
        sum(difference) filter (where metric = 'discounts') as discounts,
        sum(difference) filter (where metric = 'returns') as returns,
        sum(difference) filter (where metric = 'net_sales') as net_sales,
        sum(difference) filter (where metric = 'shipping') as shipping,
        sum(difference) filter (where metric = 'charges') as charges,
        sum(difference) filter (where metric = 'taxes') as taxes,
        sum(difference) filter (where metric = 'total_sales') as total_sales,
        sum(difference) filter (where metric = 'tips') as tips,
        sum(difference) filter (where metric = 'fees') as fees,
        sum(difference) filter (where metric = 'duties') as duties,
        sum(difference) filter (where metric = 'gift_cards_sold') as gift_cards_sold,
        sum(difference) filter (where metric = 'gift_cards_redeemed') as gift_cards_redeemed
    from moved
    group by event_date, currency
)

select
    coalesce(revenue.event_date, adjustments.event_date) as event_date, -- Business day of the events, or on which late changes of closed days were seen.
    coalesce(revenue.currency, adjustments.currency) as currency, -- ISO 4217 code of every amount in the row.
    case when :cannot_tell not like '% orders %' then cast(coalesce(revenue.orders, 0) + coalesce(adjustments.orders, 0) as bigint) end as orders, -- Orders with gross sales above zero.
    case when :cannot_tell not like '% units_sold %' then cast(coalesce(revenue.units_sold, 0) + coalesce(adjustments.units_sold, 0) as bigint) end as units_sold, -- Units of lines sold with gross sales above zero.
    case when :cannot_tell not like '% units_returned %' then cast(coalesce(revenue.units_returned, 0) + coalesce(adjustments.units_returned, 0) as bigint) end as units_returned, -- Units taken back.
    case when :cannot_tell not like '% gross_sales %' then coalesce(revenue.gross_sales, 0) + coalesce(adjustments.gross_sales, 0) end as gross_sales, -- Price times quantity, before discounts, returns, shipping and taxes.
    case when :cannot_tell not like '% discounts %' then coalesce(revenue.discounts, 0) + coalesce(adjustments.discounts, 0) end as discounts, -- Discounts; positive.
    case when :cannot_tell not like '% returns %' then coalesce(revenue.returns, 0) + coalesce(adjustments.returns, 0) end as returns, -- Value of goods taken back, after discounts; positive.
    case when :cannot_tell not like '% net_sales %' then coalesce(revenue.net_sales, 0) + coalesce(adjustments.net_sales, 0) end as net_sales, -- gross_sales - discounts - returns.
    case when :cannot_tell not like '% shipping %' then coalesce(revenue.shipping, 0) + coalesce(adjustments.shipping, 0) end as shipping, -- Shipping charged less shipping refunded, tax excluded.
    case when :cannot_tell not like '% charges %' then coalesce(revenue.charges, 0) + coalesce(adjustments.charges, 0) end as charges, -- Charges that count in total sales, less those given back.
    case when :cannot_tell not like '% taxes %' then coalesce(revenue.taxes, 0) + coalesce(adjustments.taxes, 0) end as taxes, -- Taxes charged less taxes given back.
    case when :cannot_tell not like '% total_sales %' then coalesce(revenue.total_sales, 0) + coalesce(adjustments.total_sales, 0) end as total_sales, -- net_sales + shipping + charges + taxes.
    case when :cannot_tell not like '% net_sales %' then coalesce(adjustments.net_sales, 0) end as late_net_sales, -- Part of net_sales that late changes of closed days moved: to this day when positive or negative here, away from a closed one there.
    case when :cannot_tell not like '% tips %' then coalesce(revenue.tips, 0) + coalesce(adjustments.tips, 0) end as tips, -- Part of charges: tips.
    case when :cannot_tell not like '% fees %' then coalesce(revenue.fees, 0) + coalesce(adjustments.fees, 0) end as fees, -- Part of charges: fees, handling and surcharges.
    case when :cannot_tell not like '% duties %' then coalesce(revenue.duties, 0) + coalesce(adjustments.duties, 0) end as duties, -- Part of charges: duties.
    case when :cannot_tell not like '% gift_cards_sold %' then coalesce(revenue.gift_cards_sold, 0) + coalesce(adjustments.gift_cards_sold, 0) end as gift_cards_sold, -- Gift cards sold less those taken back; in no sales figure.
    case when :cannot_tell not like '% gift_cards_redeemed %' then coalesce(revenue.gift_cards_redeemed, 0) + coalesce(adjustments.gift_cards_redeemed, 0) end as gift_cards_redeemed -- Paid with gift cards, less what went back onto them; in no sales figure.
from marts.daily_revenue as revenue
full join adjustments on adjustments.event_date = revenue.event_date and adjustments.currency = revenue.currency
