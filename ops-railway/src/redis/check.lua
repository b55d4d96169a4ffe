-- Decides on many requests, one after the other, each by several limits: all of them admit it, or it uses up nothing.
-- KEYS[1] the table of limits; KEYS[2..] states.
-- ARGV[1] the version that the numbers were made of; ARGV[2] and ARGV[3] from when and until when they hold, in microseconds;
-- ARGV[4] requests: u8 number of limits, u32 cost; for each limit u16 number of its state, u8 kind (0 burst, 1 strict), u32 limit,
-- u64 microseconds of an interval or a slot.
-- Reply: version and time, and 'superseded', if other limits hold; else the time, and for each limit u8 (1 admitted, 0 not now, 2 never),
-- u32 what is left, u64 until all is back, u64 until it is admitted.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] or now < tonumber(ARGV[2]) or now >= tonumber(ARGV[3]) then
    return {version, string.format('%.0f', now), 'superseded'}
end

local from_bytes, to_bytes, floor = struct.unpack, struct.pack, math.floor
-- A ring: the number of the newest slot, then 31 counts, oldest first.
local RING = '<I6I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2I2'
local LAST = 32
local stored = #KEYS > 1 and redis.call('MGET', unpack(KEYS, 2)) or {}
local states, changed, reply, replies = {}, {}, {}, 0
local numbers, kinds, limits, micros_of, used_of = {}, {}, {}, {}, {}

local function ring_at(number, slot)
    local ring = states[number]
    if not ring then
        local value = stored[number]
        if value then
            ring = {from_bytes(RING, value)}
        else
            ring = {slot, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
        end
        states[number] = ring
    end
    local passed = slot - ring[1]
    if passed > 0 then
        for at = 2, LAST do
            ring[at] = at + passed <= LAST and ring[at + passed] or 0
        end
        ring[1] = slot
    end
    return ring
end

local function wait(ring, micros, wanted)
    if wanted <= 0 then
        return 0
    end
    local given, last = 0, LAST
    for at = 2, LAST do
        given = given + ring[at]
        if given >= wanted then
            last = at
            break
        end
    end
    return (ring[1] + last - 1) * micros - now
end

local requests, at = ARGV[4], 1
local length = #requests
while at <= length do
    local count, cost
    count, cost, at = from_bytes('<BI4', requests, at)
    local admitted = true
    for n = 1, count do
        local number, kind, limit, micros
        number, kind, limit, micros, at = from_bytes('<I2BI4I8', requests, at)
        local used = 0
        if kind == 0 then
            local whole, full_at = micros * limit, states[number]
            if not full_at then
                full_at = stored[number] and from_bytes('<d', stored[number]) or 0
                states[number] = full_at
            end
            used = full_at - now
            if used < 0 then
                used = 0
            elseif used > whole then
                used = whole
            end
            admitted = admitted and cost <= limit and micros * cost <= whole - used
        else
            local ring = ring_at(number, floor(now / micros))
            for slot = 2, LAST do
                used = used + ring[slot]
            end
            admitted = admitted and cost <= limit and used <= limit - cost
        end
        numbers[n], kinds[n], limits[n], micros_of[n], used_of[n] = number, kind, limit, micros, used
    end
    for n = 1, count do
        local number, limit, micros, used = numbers[n], limits[n], micros_of[n], used_of[n]
        local verdict, left, reset, retry = 1, 0, 0, 0
        if kinds[n] == 0 then
            local whole, wanted = micros * limit, micros * cost
            if cost > limit then
                verdict = 2
            elseif wanted > whole - used then
                verdict, retry = 0, wanted - (whole - used)
            end
            if admitted and cost > 0 then
                used = used + wanted
                states[number] = now + used
                changed[number] = micros
            end
            left, reset = floor((whole - used) / micros), used
        else
            local ring = states[number]
            if cost > limit then
                verdict = 2
            elseif used > limit - cost then
                verdict, retry = 0, wait(ring, micros, used + cost - limit)
            end
            if admitted and cost > 0 then
                used = used + cost
                ring[LAST] = ring[LAST] + cost
                changed[number] = micros
            end
            if limit > used then
                left = limit - used
            end
            reset = wait(ring, micros, used)
        end
        replies = replies + 1
        reply[replies] = to_bytes('<BI4I8I8', verdict, left, reset, retry)
    end
end

for number, micros in pairs(changed) do
    local state = states[number]
    local value, until_all = state, state
    if type(state) == 'number' then
        value = to_bytes('<d', state)
    else
        value, until_all = to_bytes(RING, unpack(state, 1, LAST)), (state[1] + LAST - 1) * micros
    end
    redis.call('SET', KEYS[number + 1], value, 'PX', floor((until_all - now) / 1000) + 1)
end
return {to_bytes('<I8', now), table.concat(reply)}
