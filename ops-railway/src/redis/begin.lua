-- What the scripts of packed calls begin with: each state is asked once, and states are kept for one span. As check.lua, at a part of its price.
-- KEYS[1] the table of limits, and which turns were written last; KEYS[2..4] hashes that hold states in turn.
-- ARGV[1] the version that the numbers were made of; ARGV[2] u64 each: from when and until when they hold, the span, and what the script adds, in
-- microseconds; ARGV[3] the field of KEYS[1] that has the turn; ARGV[4] names of states, 16 bytes each.
-- Reply: 'version time', if other limits hold; else a list of one string, which begins with the time, u64.
local from_bytes, to_bytes, floor, call = struct.unpack, struct.pack, math.floor, redis.call
local from, till, span, more = from_bytes('<I8I8I8', ARGV[2])
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
local field, blob = string.format('%d', turn), ARGV[4]
local many = #blob / 16
local names = many == 1 and {blob} or {from_bytes(('c16'):rep(many), blob)}
-- The state of number n is found[n + 1].
local found = call('HMGET', hash, field, unpack(names, 1, many))
local begun, others, places, missing = found[1], nil, nil, 0
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
    local counts = late[1]
    for at = 1, missing do
        found[places[at]] = counts and late[at + 1]
    end
end

