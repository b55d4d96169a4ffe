-- Decides on callers who ask once each, at the same cost, under the same burst. As check.lua does, on the same states, at a part of its price.
-- KEYS[1] the table of limits, and which turns were written last; KEYS[2..4] hashes that hold states in turn.
-- ARGV[1] the version that the numbers were made of; ARGV[2] u64 each: from when and until when they hold, the span, what the cost takes, and
-- what may be used before it, in microseconds; ARGV[3] the field of KEYS[1] that has the turn; ARGV[4] names of states, 16 bytes each.
-- Reply: 'version time', if other limits hold; else a list of one string, u64 each: the time, and each state as it was before, or 0.
local from_bytes, to_bytes, floor, call = struct.unpack, struct.pack, math.floor, redis.call
local from, till, span, takes, room = from_bytes('<I8I8I8I8I8', ARGV[2])
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local known = call('HMGET', KEYS[1], 'version', ARGV[3])
local version = known[1] or '0'
if version ~= ARGV[1] or now < from or now >= till then
    return string.format('%s %.0f', version, now)
end
local turn = floor(now / span)
if known[2] and tonumber(known[2]) == turn + 1 then
    -- The clock was put back over the turn: nothing is forgotten.
    turn = turn + 1
end
local hash, older = KEYS[2 + turn % 3], KEYS[2 + (turn - 1) % 3]
local field, latest, blob = string.format('%d', turn), now + room, ARGV[4]
local many, begun, used, written = #blob / 16, nil, nil, nil

if many == 1 then
    local found = call('HMGET', hash, field, blob)
    begun = found[1]
    local value = begun and found[2]
    if not value then
        found = call('HMGET', older, turn - 1, blob)
        value = found[1] and found[2]
    end
    local state = value and from_bytes('<I8', value) or 0
    used = to_bytes('<I8I8', now, state)
    if state < now then
        state = now
    end
    if state <= latest then
        written = {blob, to_bytes('<I8', state + takes)}
    end
else
    local names = {from_bytes(('c16'):rep(many), blob)}
    local found = call('HMGET', hash, field, unpack(names, 1, many))
    begun = found[1]
    local others, places, missing = nil, nil, 0
    for at = 2, many + 1 do
        if not begun or not found[at] then
            if missing == 0 then
                others, places = {}, {}
            end
            missing = missing + 1
            others[missing], places[missing] = names[at - 1], at
        end
    end
    if missing > 0 then
        local late = call('HMGET', older, turn - 1, unpack(others))
        for at = 1, missing do
            found[places[at]] = late[1] and late[at + 1] or '\0\0\0\0\0\0\0\0'
        end
    end
    found[1] = to_bytes('<I8', now)
    used = table.concat(found)
    local states, size = {from_bytes('<' .. ('I8'):rep(many), used, 9)}, 0
    for at = 1, many do
        local state = states[at]
        if state < now then
            state = now
        end
        if state <= latest then
            if size == 0 then
                written = found
            end
            written[size + 1], written[size + 2] = names[at], to_bytes('<I8', state + takes)
            size = size + 2
        end
    end
    for at = size + 1, many + 1 do
        found[at] = nil
    end
end

if written then
    if not begun then
        -- As in check.lua.
        call('UNLINK', hash, KEYS[2 + (turn + 1) % 3])
        call('HSET', hash, field, ('.'):rep(100))
        call('PEXPIRE', hash, floor(span / 1000) * 3)
        call('HSET', KEYS[1], ARGV[3], turn)
    end
    call('HSET', hash, unpack(written))
end
return {used}
