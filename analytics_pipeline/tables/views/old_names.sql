-- What tables and columns were called before; these views go with the next release. Who may read a table may read its
-- view: a new view has no rights of its own.
declare
    renamed record;
    reader record;
begin
    create or replace view "@ops".looks as
    select
        polled_at as looked_at, asked_since, newest_change, orders_seen, orders_changed, days_marked, as_of, requests,
        requests_again, days_held
    from "@ops".polls;
    create or replace view "@ops".vanished_orders as
    select order_id, order_date, deleted_at as vanished_at, run_id, extracted_at, payload, reappeared_at
    from "@ops".deleted_orders;
    create or replace view "@ops".definitions as
    select hash, timezone, currency, cut, mapping, rules, first_seen_at
    from "@ops".code_versions;
    for renamed in
        select * from (values
            ('looks', 'polls'), ('vanished_orders', 'deleted_orders'), ('definitions', 'code_versions')
        ) as names (old, new)
    loop
        for reader in
            select case when rights.grantee = 0 then 'public' else rights.grantee::regrole::text end as name
            from pg_class as relation
            cross join aclexplode(relation.relacl) as rights
            where relation.oid = ('"@ops".' || renamed.new)::regclass and rights.privilege_type = 'SELECT'
        loop
            execute format('grant select on "@ops".%I to %s', renamed.old, reader.name);
        end loop;
    end loop;
end;
