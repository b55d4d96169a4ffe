-- Limits that instances share: what callers have used, the table of limits, denials. The first and the last are unlogged: a crash empties them,
-- which gives everybody a fresh allowance, and they do not exist on replicas. Keys are digests and name nobody.
create table ops.limit_table (
    only_row boolean primary key default true check (only_row),
    version  bigint not null check (version >= 0),
    content  text not null
);

create unlogged table ops.limit_state (
    key     bytea primary key,
    -- Burst: when all is back, in microseconds since 1970. Strict: the number of the newest slot.
    at      bigint not null,
    -- Strict: what was used in the newest slot and the 30 before it: slot * 65536 + count for each that has any, oldest first.
    counts  bigint[],
    expires bigint not null
) with (fillfactor = 50);

create unlogged table ops.limit_denial (
    key          bytea primary key,
    slots        bigint[] not null,
    counts       bigint[] not null,
    raised_until bigint not null,
    expires      bigint not null
) with (fillfactor = 50);

-- Decides on checks one after the other. `keys` are all keys, each once and in order, `parts` the parts (of 16) that they are in, in order: locks
-- are taken in one order, so calls never wait for each other in a circle. The other arrays have one place for each limit of each check, those of
-- one check together: `spot` is the number of its key, `same` is false where a check begins. Nothing is written for a check that is denied.
-- Gives one row: whether the limits of `version` hold, the version that does, the time, and for each place 1 (admitted), 0 (not now) or
-- 2 (never), what is left, and the microseconds until all is back and until it is admitted.
create function ops.check_limits(
    known bigint, starts bigint, ends bigint,
    keys bytea[], parts integer[], spot integer[], is_strict boolean[], limits bigint[], steps bigint[], costs bigint[], same boolean[],
    out holds boolean, out version bigint, out now_micros bigint,
    out verdicts integer[], out lefts bigint[], out resets bigint[], out retries bigint[]
) language plpgsql volatile as $$
declare
    places integer := coalesce(array_length(spot, 1), 0);
    part integer;
    ats bigint[];
    ring bigint[];
    rings_text text[];
    changed boolean[];
    expiries bigint[];
    used bigint[];
    first integer := 1;
    last integer;
    n integer;
    p integer;
    admitted boolean;
    whole bigint;
    total bigint;
    size integer;
    given bigint;
    wanted bigint;
    i integer;
begin
    foreach part in array parts loop
        perform pg_advisory_xact_lock(1869640812, part);
    end loop;
    now_micros := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    -- A call with one key is the common one while there is little to do: it does with two statements.
    if array_length(keys, 1) = 1 then
        select t.version, array[coalesce(s.at, 0)], array[s.counts::text] into version, ats, rings_text
            from (select 1) one left join ops.limit_table t on true left join ops.limit_state s on s.key = keys[1];
    else
        select t.version into version from ops.limit_table t;
    end if;
    version := coalesce(version, 0);
    holds := version = known and starts <= now_micros and now_micros < ends;
    if not holds or places = 0 then
        return;
    end if;
    if ats is null then
        select array_agg(coalesce(s.at, 0) order by o), array_agg(s.counts::text order by o)
            into ats, rings_text
            from unnest(keys) with ordinality u(k, o) left join ops.limit_state s on s.key = u.k;
    end if;
    changed := array_fill(false, array[array_length(keys, 1)]);
    expiries := array_fill(0::bigint, array[array_length(keys, 1)]);
    verdicts := array_fill(1, array[places]);
    lefts := array_fill(0::bigint, array[places]);
    resets := lefts;
    retries := lefts;
    used := lefts;

    while first <= places loop
        last := first;
        while last < places and same[last + 1] loop
            last := last + 1;
        end loop;
        admitted := true;
        for n in first..last loop
            p := spot[n];
            if is_strict[n] then
                ats[p] := greatest(ats[p], now_micros / steps[n]);
                select array_agg(c order by c), sum(c & 65535) into ring, total
                    from unnest(rings_text[p]::bigint[]) c where (c >> 16) > ats[p] - 31;
                rings_text[p] := ring::text;
                used[n] := coalesce(total, 0);
                wanted := costs[n];
                whole := limits[n];
            else
                whole := steps[n] * limits[n];
                used[n] := least(greatest(ats[p] - now_micros, 0), whole);
                wanted := case when costs[n] <= limits[n] then steps[n] * costs[n] else whole + 1 end;
            end if;
            if costs[n] > limits[n] then
                verdicts[n] := 2;
                admitted := false;
            elsif used[n] > whole - wanted then
                verdicts[n] := 0;
                admitted := false;
                if not is_strict[n] then
                    retries[n] := wanted - (whole - used[n]);
                end if;
            end if;
        end loop;
        for n in first..last loop
            p := spot[n];
            if is_strict[n] then
                ring := coalesce(rings_text[p]::bigint[], '{}');
                size := cardinality(ring);
                if admitted and costs[n] > 0 then
                    if size > 0 and (ring[size] >> 16) = ats[p] then
                        ring[size] := ring[size] + costs[n];
                    else
                        size := size + 1;
                        ring[size] := (ats[p] << 16) + costs[n];
                    end if;
                    rings_text[p] := ring::text;
                    used[n] := used[n] + costs[n];
                    changed[p] := true;
                    expiries[p] := (ats[p] + 31) * steps[n];
                end if;
                lefts[n] := greatest(limits[n] - used[n], 0);
                if size > 0 then
                    resets[n] := ((ring[size] >> 16) + 31) * steps[n] - now_micros;
                end if;
                if verdicts[n] = 0 then
                    given := 0;
                    for i in 1..size loop
                        given := given + (ring[i] & 65535);
                        if given >= used[n] + costs[n] - limits[n] then
                            retries[n] := ((ring[i] >> 16) + 31) * steps[n] - now_micros;
                            exit;
                        end if;
                    end loop;
                end if;
            else
                if admitted and costs[n] > 0 then
                    used[n] := used[n] + steps[n] * costs[n];
                    ats[p] := now_micros + used[n];
                    changed[p] := true;
                    expiries[p] := ats[p];
                end if;
                lefts[n] := (steps[n] * limits[n] - used[n]) / steps[n];
                resets[n] := used[n];
            end if;
        end loop;
        first := last + 1;
    end loop;

    if array_length(keys, 1) = 1 then
        if changed[1] then
            insert into ops.limit_state as s (key, at, counts, expires)
                values (keys[1], ats[1], rings_text[1]::bigint[], expiries[1])
                on conflict (key) do update set at = excluded.at, counts = excluded.counts, expires = excluded.expires;
        end if;
        return;
    end if;
    insert into ops.limit_state as s (key, at, counts, expires)
        select k, a, r::bigint[], e
        from unnest(keys, ats, rings_text, expiries, changed) u(k, a, r, e, c)
        where c order by k
        on conflict (key) do update set at = excluded.at, counts = excluded.counts, expires = excluded.expires;
end $$;

-- Adds denials, and says for each caller the total of the window and whether this raises the alarm. Nobody is named twice.
create function ops.count_denials(
    keys bytea[], denied bigint[], thresholds bigint[], windows bigint[],
    out version bigint, out totals bigint[], out raised boolean[]
) language plpgsql volatile as $$
declare
    now_micros bigint;
    known record;
    slot_micros bigint;
    newest bigint;
    total bigint;
    fires boolean;
    new_slots bigint[];
    new_counts bigint[];
    n integer;
begin
    perform pg_advisory_xact_lock(1869640812, 16 + part)
        from (select distinct get_byte(k, 0) & 15 as part from unnest(keys) k order by 1) parts;
    now_micros := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
    select t.version into version from ops.limit_table t;
    version := coalesce(version, 0);
    totals := '{}';
    raised := '{}';
    for n in 1..coalesce(array_length(keys, 1), 0) loop
        slot_micros := (windows[n] + 59) / 60;
        newest := now_micros / slot_micros;
        select d.slots, d.counts, d.raised_until into known from ops.limit_denial d where d.key = keys[n];
        select array_agg(s), array_agg(c), coalesce(sum(c), 0) into new_slots, new_counts, total
            from (
                select s, sum(c)::bigint as c
                from (
                    select s, c from unnest(known.slots, known.counts) u(s, c) where s + 60 > newest
                    union all select newest, denied[n]
                ) both_of_them group by s
            ) kept;
        fires := total >= thresholds[n] and coalesce(known.raised_until, 0) <= now_micros;
        insert into ops.limit_denial as d (key, slots, counts, raised_until, expires)
            values (keys[n], new_slots, new_counts,
                case when fires then now_micros + windows[n] else coalesce(known.raised_until, 0) end,
                now_micros + windows[n])
            on conflict (key) do update set slots = excluded.slots, counts = excluded.counts,
                raised_until = excluded.raised_until, expires = excluded.expires;
        totals := totals || total;
        raised := raised || fires;
    end loop;
end $$;
