-- Revenue of each business day and currency, each event on the day on which it happened; every day has a row in the shop's currency. A figure that the shop's records do not tell is null (cannot_tell), never 0.
-- grain: event_date, currency
-- restatements: all numbers
with order_days as (
    select
        event_date,
        currency,
        order_id,
        customer_key,
        sum(quantity) filter (where gross_sales > 0) as units_sold,
        -sum(quantity) filter (where event_type = 'line_returned') as units_returned,
        sum(gross_sales) as gross_sales,
        sum(discounts) as discounts,
        sum(returns) as returns,
        sum(net_sales) as net_sales,
        sum(shipping) as shipping,
        sum(charges) as charges,
        sum(charges) filter (where event_type in ('tip_charged', 'tip_refunded')) as tips,
        sum(charges) filter (
            where event_type in (
                'fee_charged', 'fee_refunded', 'handling_charged', 'handling_refunded', 'surcharge_charged',
                'surcharge_refunded'
            )
        ) as fees,
        sum(charges) filter (where event_type in ('duty_charged', 'duty_refunded')) as duties,
        sum(outside_sales) filter (
            where event_type in ('gift_card_sold_charged', 'gift_card_sold_refunded')
        ) as gift_cards_sold,
        -sum(outside_sales) filter (
            where event_type in ('gift_card_redeemed_charged', 'gift_card_redeemed_refunded')
        ) as gift_cards_redeemed,
        sum(taxes) as taxes,
        sum(total_sales) as total_sales
    from clean.sales
    where event_date between :first_day and :last_day
    group by event_date, currency, order_id, customer_key
),

days as (
    select cast(day as date) as event_date, cast(:shop_currency as text) as currency
    from generate_series(cast(:first_day as timestamp), cast(:last_day as timestamp), interval '1 day') as series(day)
    union
    select event_date, currency from order_days
),

first_orders as (
    select customer_key, min(order_date) as first_order_date
    from (
        select customer_key, order_date from clean.sales where gross_sales > 0
        union all
        select customer_id, first_order_date from clean.customers where first_order_date is not null
    ) as known
    where customer_key in (select customer_key from order_days where gross_sales > 0)
    group by customer_key
),

sums as (
    select
        order_days.event_date,
        order_days.currency,
        count(*) filter (where order_days.gross_sales > 0) as orders,
        sum(order_days.units_sold) as units_sold,
        sum(order_days.units_returned) as units_returned,
        sum(order_days.gross_sales) as gross_sales,
        sum(order_days.discounts) as discounts,
        sum(order_days.returns) as returns,
        sum(order_days.net_sales) as net_sales,
        sum(order_days.shipping) as shipping,
        sum(order_days.charges) as charges,
        sum(order_days.tips) as tips,
        sum(order_days.fees) as fees,
        sum(order_days.duties) as duties,
        sum(order_days.gift_cards_sold) as gift_cards_sold,
        sum(order_days.gift_cards_redeemed) as gift_cards_redeemed,
        sum(order_days.taxes) as taxes,
        sum(order_days.total_sales) as total_sales,
        count(distinct order_days.customer_key) filter (where order_days.gross_sales > 0) as customers,
        count(distinct order_days.customer_key) filter (
            where order_days.gross_sales > 0 and first_orders.first_order_date = order_days.event_date
        ) as new_customers
    from order_days
    left join first_orders on first_orders.customer_key = order_days.customer_key
    group by order_days.event_date, order_days.currency
)

select
    days.event_date, -- Business day of the events, in the shop's time zone.
    days.currency, -- ISO 4217 code of every amount in the row.
    case when :cannot_tell not like '% orders %' then coalesce(sums.orders, 0) end as orders, -- Orders placed that day with gross sales above zero.
    case when :cannot_tell not like '% units_sold %' then coalesce(sums.units_sold, 0) end as units_sold, -- Units of lines sold with gross sales above zero.
    case when :cannot_tell not like '% units_returned %' then coalesce(sums.units_returned, 0) end as units_returned, -- Units taken back that day, whatever the day of their order.
    case when :cannot_tell not like '% gross_sales %' then coalesce(sums.gross_sales, 0) end as gross_sales, -- Price times quantity, and charges that count in net sales, before discounts, returns, shipping and taxes.
    case when :cannot_tell not like '% discounts %' then coalesce(sums.discounts, 0) end as discounts, -- Discounts of the orders placed that day; positive.
    case when :cannot_tell not like '% returns %' then coalesce(sums.returns, 0) end as returns, -- Value of goods taken back that day, after discounts; positive.
    case when :cannot_tell not like '% net_sales %' then coalesce(sums.net_sales, 0) end as net_sales, -- gross_sales - discounts - returns.
    case when :cannot_tell not like '% shipping %' then coalesce(sums.shipping, 0) end as shipping, -- Shipping charged less shipping refunded, tax excluded.
    case when :cannot_tell not like '% charges %' then coalesce(sums.charges, 0) end as charges, -- Charges that count in total sales, tips, fees, duties and others, less those given back; without tax.
    case when :cannot_tell not like '% taxes %' then coalesce(sums.taxes, 0) end as taxes, -- Taxes charged less taxes given back.
    case when :cannot_tell not like '% total_sales %' then coalesce(sums.total_sales, 0) end as total_sales, -- net_sales + shipping + charges + taxes.
    case
        when sums.orders > 0 and :cannot_tell not like '% orders %' and :cannot_tell not like '% gross_sales %' and :cannot_tell not like '% discounts %'
        then cast((sums.gross_sales - sums.discounts) / sums.orders as numeric(19, 4))
    end as average_order_value, -- (gross_sales - discounts) / orders; null without orders.
    case when :cannot_tell not like '% customers %' then coalesce(sums.customers, 0) end as customers, -- Known customers of those orders.
    case when :cannot_tell not like '% customers %' then coalesce(sums.new_customers, 0) end as new_customers, -- Those of them whose first order ever in this shop is on that day.
    case
        when :cannot_tell not like '% customers %' then coalesce(sums.customers - sums.new_customers, 0)
    end as returning_customers, -- Those who had ordered on an earlier day.
    case when :cannot_tell not like '% tips %' then coalesce(sums.tips, 0) end as tips, -- Part of charges: tips. 0 where the description maps none; null where it says that they cannot be told.
    case when :cannot_tell not like '% fees %' then coalesce(sums.fees, 0) end as fees, -- Part of charges: fees, handling and surcharges that count in total sales.
    case when :cannot_tell not like '% duties %' then coalesce(sums.duties, 0) end as duties, -- Part of charges: duties.
    case when :cannot_tell not like '% gift_cards_sold %' then coalesce(sums.gift_cards_sold, 0) end as gift_cards_sold, -- Gift cards sold less those taken back; in no sales figure.
    case when :cannot_tell not like '% gift_cards_redeemed %' then coalesce(sums.gift_cards_redeemed, 0) end as gift_cards_redeemed -- Paid with gift cards, less what went back onto them; in no sales figure.
from days
left join sums on sums.event_date = days.event_date and sums.currency = days.currency
