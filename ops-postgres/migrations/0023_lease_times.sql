-- A time that never comes cannot be counted, and would keep a name for good. What a day cannot hold was promised by nobody.
update ops.lease
set since = case when isfinite(since) then since else clock_timestamp() end,
    until = case when isfinite(until) then until when until > clock_timestamp() then clock_timestamp() + interval '1 day' else clock_timestamp() end
where not (isfinite(since) and isfinite(until));
alter table ops.lease add constraint lease_times_are_finite check (isfinite(since) and isfinite(until));
