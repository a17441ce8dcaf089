-- Net sales of each business day by the order's country.
-- grain: event_date, country, currency
-- check (warn): countries_are_known: select event_date from marts.daily_country_sales
--     where country = '(unknown)' and event_date between :first_day and :last_day
select
    sales.event_date, -- Business day of the events.
    coalesce(orders.country, '(unknown)') as country, -- Country of the order, as the shop gives it.
    sales.currency, -- ISO 4217 code of every amount in the row.
    sum(sales.net_sales) as net_sales -- gross_sales - discounts - returns.
from clean.sales
join clean.orders on orders.order_date = sales.order_date and orders.order_id = sales.order_id
where sales.event_date between :first_day and :last_day
group by sales.event_date, coalesce(orders.country, '(unknown)'), sales.currency
