with rel as (
    select c.oid, c.relkind, c.reltuples, n.nspname || '.' || c.relname as name
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
)
select json_build_object(
    'server', current_setting('server_version_num')::int / 10000,
    'time_zone', current_setting('TimeZone'),
    'search_path', (select coalesce(json_agg(s), '[]') from unnest(current_schemas(false)) s),
    'volatile_functions', (select coalesce(json_agg(distinct proname), '[]') from pg_proc where provolatile = 'v' and prorettype <> 'trigger'::regtype),
    'domains', (
        select coalesce(json_object_agg(n.nspname || '.' || t.typname, json_build_object(
            'base', format_type(t.typbasetype, t.typtypmod),
            'checked', t.typnotnull or exists (select from pg_constraint k where k.contypid = t.oid)
        )), '{}')
        from pg_type t
        join pg_namespace n on n.oid = t.typnamespace
        where t.typtype = 'd' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    ),
    'relations', (select coalesce(json_object_agg(name, json_build_object(
        'kind', case relkind when 'r' then 'table' when 'p' then 'partitioned' when 'v' then 'view' when 'm' then 'materialized_view' else 'foreign' end,
        'rows', case
            when relkind in ('r', 'm') and pg_relation_size(oid) = 0 then 0
            when reltuples > 0 then reltuples::bigint
        end,
        'bytes', case when relkind in ('r', 'm') then pg_total_relation_size(oid) else 0 end,
        'columns', (
            select coalesce(json_agg(json_build_object(
                'name', a.attname,
                'data_type', format_type(a.atttypid, a.atttypmod),
                'collation', (select l.collname from pg_collation l where l.oid = a.attcollation and a.attcollation <> t.typcollation),
                'not_null', a.attnotnull,
                'has_default', a.atthasdef or a.attidentity <> ''
            ) order by a.attnum), '[]')
            from pg_attribute a
            join pg_type t on t.oid = a.atttypid
            where a.attrelid = rel.oid and a.attnum > 0 and not a.attisdropped
        ),
        'constraints', (
            select coalesce(json_agg(json_build_object(
                'name', k.conname,
                'kind', case k.contype when 'c' then 'check' when 'n' then 'not_null' when 'u' then 'unique' when 'p' then 'primary_key'
                    when 'f' then 'foreign_key' else 'exclude' end,
                'columns', (
                    select coalesce(json_agg(a.attname order by u.place), '[]')
                    from unnest(k.conkey) with ordinality u(number, place)
                    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number
                ),
                'validated', k.convalidated,
                'definition', pg_get_constraintdef(k.oid),
                'references', (select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = k.confrelid)
            ) order by k.conname), '[]')
            from pg_constraint k
            where k.conrelid = rel.oid and k.contype in ('c', 'n', 'u', 'p', 'f', 'x')
        ),
        'indexes', (
            select coalesce(json_agg(json_build_object(
                'name', n.nspname || '.' || c.relname,
                'valid', i.indisvalid,
                'columns', (
                    select json_agg(coalesce(a.attname, '') order by u.place)
                    from unnest(i.indkey::int2[]) with ordinality u(number, place)
                    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.number and u.number > 0
                ),
                'computed', i.indexprs is not null or i.indpred is not null,
                'uses', (
                    select coalesce(json_agg(distinct a.attname), '[]')
                    from pg_attribute a
                    where a.attrelid = i.indrelid and a.attnum > 0 and (
                        a.attnum = any(i.indkey::int2[]) or exists (
                            select from pg_depend d
                            where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                                and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid = a.attnum
                        )
                    )
                ),
                'of_constraint', exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
            ) order by c.relname), '[]')
            from pg_index i
            join pg_class c on c.oid = i.indexrelid
            join pg_namespace n on n.oid = c.relnamespace
            where i.indrelid = rel.oid
        ),
        'parents', (
            select coalesce(json_agg(n.nspname || '.' || c.relname order by h.inhseqno), '[]')
            from pg_inherits h
            join pg_class c on c.oid = h.inhparent
            join pg_namespace n on n.oid = c.relnamespace
            where h.inhrelid = rel.oid
        ),
        'default_partition', (
            select n.nspname || '.' || c.relname
            from pg_partitioned_table p
            join pg_class c on c.oid = p.partdefid
            join pg_namespace n on n.oid = c.relnamespace
            where p.partrelid = rel.oid and p.partdefid <> 0
        ),
        'statistics', (
            select coalesce(json_agg(n.nspname || '.' || s.stxname), '[]')
            from pg_statistic_ext s
            join pg_namespace n on n.oid = s.stxnamespace
            where s.stxrelid = rel.oid
        ),
        'reads', (
            select coalesce(json_agg(distinct n.nspname || '.' || c.relname), '[]')
            from pg_rewrite w
            join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
            join pg_class c on c.oid = d.refobjid
            join pg_namespace n on n.oid = c.relnamespace
            where w.ev_class = rel.oid and w.rulename = '_RETURN' and c.oid <> rel.oid
        )
    )), '{}') from rel)
)
