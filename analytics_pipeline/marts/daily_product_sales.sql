-- Sales of each product by business day and currency, each event on the day on which it happened; goods given back without naming a product, and charges that count in net sales, stand under (none).
-- grain: event_date, product_id, currency
select
    event_date, -- Business day of the events, in the shop's time zone.
    coalesce(product_id, '(none)') as product_id, -- The product; (none) for money given back without naming one, and for charges that count in net sales.
    currency, -- ISO 4217 code of every amount in the row.
    case when :cannot_tell not like '% orders %' then count(distinct order_id) filter (where gross_sales > 0) end as orders, -- Orders placed that day with gross sales of the product above zero.
    case
        when :cannot_tell not like '% units_sold %' then coalesce(sum(quantity) filter (where gross_sales > 0), 0)
    end as units_sold, -- Units of lines sold with gross sales above zero.
    case
        when :cannot_tell not like '% units_returned %' then coalesce(-sum(quantity) filter (where event_type = 'line_returned'), 0)
    end as units_returned, -- Units taken back that day.
    case when :cannot_tell not like '% gross_sales %' then sum(gross_sales) end as gross_sales, -- Price times quantity, before discounts, returns, shipping and taxes.
    case when :cannot_tell not like '% discounts %' then sum(discounts) end as discounts, -- Discounts of the orders placed that day; positive.
    case when :cannot_tell not like '% returns %' then sum(returns) end as returns, -- Value of goods taken back that day, after discounts; positive.
    case when :cannot_tell not like '% net_sales %' then sum(net_sales) end as net_sales -- gross_sales - discounts - returns.
from clean.sales
where
    event_date between :first_day and :last_day
    and (
        event_type in ('line_sold', 'line_returned', 'adjustment')
        or (
            event_type not in ('shipping_charged', 'shipping_refunded')
            and (gross_sales <> 0 or discounts <> 0 or returns <> 0)
        )
    )
group by event_date, coalesce(product_id, '(none)'), currency
