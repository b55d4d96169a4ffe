-- What a verb of the tool could change in the catalogue of the database $1, a line each.
select x from (
    select 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') as x from pg_namespace where nspname !~ '^pg_(toast_)?temp'
    union all
    select 'relation ' || c.oid::regclass || ' ' || relkind::text || ' ' || pg_get_userbyid(relowner) || ' ' || coalesce(relacl::text, '')
           || ' ' || relrowsecurity::text
    from pg_class c where relnamespace in (select oid from pg_namespace where nspname in ('ops', 'public'))
    union all
    select 'column ' || attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull::text
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace in (select oid from pg_namespace where nspname in ('ops', 'public')) and attnum > 0
    union all
    select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid > 0
    union all
    select 'function ' || oid::regprocedure || ' ' || coalesce(proacl::text, '') || ' ' || md5(prosrc) from pg_proc
    where pronamespace in (select oid from pg_namespace where nspname in ('ops', 'public'))
    union all
    select 'role ' || rolname || ' ' || rolcanlogin::text || ' ' || rolcreaterole::text from pg_roles where starts_with(rolname, $1)
    union all
    select 'member ' || pg_get_userbyid(roleid) || ' ' || pg_get_userbyid(member) from pg_auth_members
    where starts_with(pg_get_userbyid(roleid), $1) or starts_with(pg_get_userbyid(member), $1)
    union all
    select 'setting ' || setrole::text || ' ' || setconfig::text from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
    where d.datname = $1
    union all
    select 'default ' || defaclobjtype::text || ' ' || coalesce(defaclacl::text, '') from pg_default_acl
) things order by x
