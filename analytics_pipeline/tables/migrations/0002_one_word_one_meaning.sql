-- Tables, columns and causes take the words of the documentation. Old names of tables stay as views (views/old_names),
-- those of columns as generated columns, both for one release, so that a query of before goes on. Only tables that are
-- there are renamed, and no view or column that keeps an old name: a database may be older than some tables, and may
-- have lost its version.
declare
    renamed record;
begin
    for renamed in
        select * from (values
            ('looks', 'polls'), ('vanished_orders', 'deleted_orders'), ('definitions', 'code_versions')
        ) as names (old, new)
        where exists (select from pg_class where oid = to_regclass('"@ops".' || old) and relkind = 'r')
    loop
        execute format('alter table "@ops".%I rename to %I', renamed.old, renamed.new);
        execute format('alter index if exists "@ops".%I rename to %I', renamed.old || '_pkey', renamed.new || '_pkey');
    end loop;
    for renamed in
        select * from (values
            ('polls', 'looked_at', 'polled_at', false), ('deleted_orders', 'vanished_at', 'deleted_at', false),
            ('materialised_days', 'read_at', 'as_of', true), ('materialised_days', 'definition', 'code_version', true),
            ('extractions', 'read_at', 'as_of', true), ('field_changes', 'told', 'message', true),
            ('incidents', 'over_told_at', 'over_sent_at', true)
        ) as names (of_table, old, new, stays)
        where exists (
            select from pg_attribute
            where attrelid = to_regclass('"@ops".' || of_table) and attname = old and not attisdropped and attgenerated = ''
        )
    loop
        execute format('alter table "@ops".%I rename column %I to %I', renamed.of_table, renamed.old, renamed.new);
        if renamed.stays then
            execute format(
                'alter table "@ops".%I add column %I %s generated always as (%I) stored',
                renamed.of_table, renamed.old,
                case renamed.old when 'definition' then 'text' when 'told' then 'text' else 'timestamptz' end,
                renamed.new
            );
        end if;
    end loop;
    if to_regclass('"@ops".order_changes') is not null then
        update "@ops".order_changes
        set cause = case cause when 'vanished' then 'deleted' else 'code_version_change' end
        where cause in ('vanished', 'definition_change');
    end if;
    if to_regclass('"@ops".restatements') is not null then
        -- Several causes stand in one text, in the order of their names.
        update "@ops".restatements
        set cause = (
            select string_agg(
                case name when 'vanished' then 'deleted' when 'definition_change' then 'code_version_change' else name end,
                ', '
                order by
                    case name when 'vanished' then 'deleted' when 'definition_change' then 'code_version_change' else name end
            )
            from unnest(string_to_array(cause, ', ')) as causes (name)
        )
        where cause like '%vanished%' or cause like '%definition_change%';
    end if;
    if to_regclass('"@ops".incidents') is not null then
        update "@ops".incidents set
            kind = case kind when 'day_not_landed' then 'day_late' else 'no_poll' end,
            key = replace(replace(key, 'day_not_landed', 'day_late'), 'no_look', 'no_poll')
        where kind in ('day_not_landed', 'no_look');
    end if;
end;
