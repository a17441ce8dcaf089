-- Every published number as it stood at a time; null where a row had been withdrawn by then.
create or replace function "@ops".as_reported(reported_at timestamptz)
returns table (mart text, day date, key text, metric text, value numeric(19, 4))
language sql stable as $$
    select distinct on (mart, day, key, metric) mart, day, key, metric, value
    from (
        select mart, day, key, metric, value, published_at as since from "@ops".publications
        union all
        select mart, day, key, metric, new_value, restated_at from "@ops".restatements
    ) as numbers
    where since <= reported_at
    order by mart, day, key, metric, since desc
$$;
