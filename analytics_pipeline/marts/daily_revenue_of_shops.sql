-- Revenue of each shop, business day and currency, each day as the shop's own zone has it; currencies are never added. A day that a shop lacks is a row without figures whose gap says so, never 0.
-- grain: event_date, shop, currency
-- shops: all
select
    days.day as event_date, -- Business day, in the shop's own zone.
    days.shop, -- The shop.
    coalesce(revenue.currency, days.currency) as currency, -- Currency of the amounts.
    revenue.orders, -- Orders placed on the day.
    revenue.customers, -- Different customers who ordered.
    revenue.gross_sales, -- As in daily_revenue.
    revenue.discounts, -- As in daily_revenue.
    revenue.returns, -- As in daily_revenue.
    revenue.net_sales, -- As in daily_revenue.
    revenue.shipping, -- As in daily_revenue.
    revenue.taxes, -- As in daily_revenue.
    revenue.total_sales, -- As in daily_revenue.
    days.as_of, -- The figures are as the shop knew them then; null where the day is not loaded.
    days.gap -- Why there are no figures: `not loaded`; null where there are.
from ops.shop_days as days
left join marts.daily_revenue as revenue
    on revenue.shop = days.shop and revenue.event_date = days.day and days.gap is null
where days.day between :first_day and :last_day
