-- Decides on many requests, one after the other, each by several limits: all of them admit it, or it uses up nothing. Tells what had been used
-- before: from that, and the time, whoever asked tells the same decisions.
-- KEYS[1] the table of limits, and which turns were written last; then, for each span of time, three hashes that hold states in turn.
-- ARGV[1] the version that the numbers were made of; ARGV[2] and ARGV[3] from when and until when they hold, in microseconds;
-- ARGV[4] spans: u64 microseconds, u32 number of states that are kept so long; ARGV[5] rules: u32 kind (0 burst, 1 strict), u32 limit,
-- u64 microseconds of an interval or a slot; ARGV[6] requests, all u32: a cost, if each state is asked once by the first rule at that cost;
-- else for each request number of limits, cost, and for each limit the numbers of its state and of its rule; ARGV[7..] names of states, those of
-- one span after the other. At most 1000 states.
-- Reply: 'version time', if other limits hold; else a list of the time, u64, and each state as it was before, if there was one.
local from_bytes, to_bytes, floor = struct.unpack, struct.pack, math.floor
local NAMES, SLOTS = 6, 31

-- Numbers of one form after the other. One call for all of them is a fraction of the price of many.
local function numbers(form, bytes, size)
    local many = #bytes / size
    return {from_bytes('<' .. form:rep(many), bytes)}, many
end

local spans, count = numbers('I8I4', ARGV[4], 12)
local asked = {'version'}
for n = 1, count do
    asked[n + 1] = 'turn:' .. spans[2 * n - 1]
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', KEYS[1], unpack(asked))
local version = known[1] or '0'
if version ~= ARGV[1] or now < tonumber(ARGV[2]) or now >= tonumber(ARGV[3]) then
    return string.format('%s %.0f', version, now)
end

-- A state is written to the hash of the span that now is in, and read there or in that of the span before. It was written not longer ago than
-- one span, or counts no more. The state of number n is stored[n + 1].
local stored, hashes, before = nil, {}, 0
for n = 1, count do
    local span, many, key = spans[2 * n - 1], spans[2 * n], 3 * n - 1
    local turn = floor(now / span)
    if known[n + 1] and tonumber(known[n + 1]) == turn + 1 then
        -- The clock was put back over the turn: nothing is forgotten.
        turn = turn + 1
    end
    local hash, older, spent = KEYS[key + turn % 3], KEYS[key + (turn - 1) % 3], KEYS[key + (turn + 1) % 3]
    -- The field that is named by the turn says whose the hash is: what was written three spans ago has another one.
    local found = redis.call('HMGET', hash, turn, unpack(ARGV, NAMES + before + 1, NAMES + before + many))
    local begun = found[1]
    local names, places, missing = {}, {}, 0
    for at = 2, many + 1 do
        if not begun or not found[at] then
            missing = missing + 1
            names[missing], places[missing] = ARGV[NAMES + before + at - 1], at
        end
    end
    if missing > 0 then
        local late = redis.call('HMGET', older, turn - 1, unpack(names))
        local counts = late[1]
        for at = 1, missing do
            found[places[at]] = counts and late[at + 1]
        end
    end
    if n == 1 then
        stored = found
    else
        for at = 2, many + 1 do
            stored[before + at] = found[at]
        end
    end
    hashes[n] = {hash, turn, begun, spent, span, before + many, asked[n + 1]}
    before = before + many
end

-- A strict state: how much is used, then the number of its newest slot, and for each slot with a count, oldest first, its number and the count.
-- As bytes: the newest slot, and for each slot how many slots ago it was, and the count.
local function ring_of(value, newest)
    if not value then
        return {0, newest}
    end
    local form = '<I6' .. ('BI2'):rep((#value - 6) / 3)
    local told = {from_bytes(form, value)}
    local ring, slot, used, size = {0, newest}, told[1], 0, 2
    if slot > newest then
        ring[2] = slot
        newest = slot
    end
    for n = 2, #told - 2, 2 do
        local own = slot - told[n]
        if newest - own < SLOTS then
            ring[size + 1], ring[size + 2] = own, told[n + 1]
            size, used = size + 2, used + told[n + 1]
        end
    end
    ring[1] = used
    return ring
end

local function use(ring, cost)
    local size = #ring
    ring[1] = ring[1] + cost
    if size > 2 and ring[size - 1] == ring[2] then
        ring[size] = ring[size] + cost
    else
        ring[size + 1], ring[size + 2] = ring[2], cost
    end
end

local function ring_bytes(ring)
    local values, newest = {ring[2]}, ring[2]
    for n = 3, #ring, 2 do
        values[n - 1], values[n] = newest - ring[n], ring[n + 1]
    end
    return to_bytes('<I6' .. ('BI2'):rep((#ring - 2) / 2), unpack(values))
end

-- New states, as bytes.
local after, any = {}, false

local function alike(kind, limit, micros, cost)
    local wanted, latest, newest = micros * cost, now + micros * limit - micros * cost, floor(now / micros)
    for n = 1, before do
        local value = stored[n + 1]
        if kind == 0 then
            local state = value and from_bytes('<I8', value) or now
            if state < now then
                state = now
            end
            if state <= latest then
                after[n], any = to_bytes('<I8', state + wanted), true
            end
        else
            local ring = ring_of(value, newest)
            if ring[1] <= limit - cost then
                use(ring, cost)
                after[n], any = ring_bytes(ring), true
            end
        end
    end
end

local function different(rules, requests, length)
    local states, changed = {}, {}
    local at = 1
    while at <= length do
        local cost, first = requests[at + 1], at + 2
        local last = at + 2 * requests[at]
        local admitted = cost > 0
        at = last + 2
        for n = first, last + 1, 2 do
            local number, rule = requests[n], 3 * requests[n + 1]
            local limit, micros, state = rules[rule - 1], rules[rule], states[number]
            if rules[rule - 2] == 0 then
                if not state then
                    state = stored[number + 1]
                    state = state and from_bytes('<I8', state) or 0
                    if state < now then
                        state = now
                    end
                    states[number] = state
                end
                admitted = admitted and cost <= limit and state + micros * cost <= now + micros * limit
            else
                if not state then
                    state = ring_of(stored[number + 1], floor(now / micros))
                    states[number] = state
                end
                admitted = admitted and cost <= limit and state[1] <= limit - cost
            end
        end
        if admitted then
            for n = first, last + 1, 2 do
                local number, rule = requests[n], 3 * requests[n + 1]
                changed[number] = true
                if rules[rule - 2] == 0 then
                    states[number] = states[number] + rules[rule] * cost
                else
                    use(states[number], cost)
                end
            end
        end
    end
    for number in pairs(changed) do
        local state = states[number]
        after[number], any = type(state) == 'number' and to_bytes('<I8', state) or ring_bytes(state), true
    end
end

local rules = numbers('I4I4I8', ARGV[5], 16)
local requests, length = numbers('I4', ARGV[6], 4)
if length == 1 then
    alike(rules[1], rules[2], rules[3], requests[1])
else
    different(rules, requests, length)
end

if any then
    local number = 0
    for _, hash in ipairs(hashes) do
        local key, turn, begun, spent, span, last, name = unpack(hash)
        local written, size = {}, 0
        while number < last do
            number = number + 1
            if after[number] then
                written[size + 1], written[size + 2] = ARGV[NAMES + number], after[number]
                size = size + 2
            end
        end
        if size > 0 then
            if not begun then
                -- Unlinked, not deleted: nobody waits until a hash of many states is gone. A long value keeps the hash from being a list,
                -- which is searched from its beginning.
                redis.call('UNLINK', key, spent)
                redis.call('HSET', key, turn, ('.'):rep(100))
                redis.call('PEXPIRE', key, floor(span / 1000) * 3)
                redis.call('HSET', KEYS[1], name, turn)
            end
            redis.call('HSET', key, unpack(written))
        end
    end
end
stored = stored or {}
stored[1] = to_bytes('<I8', now)
return stored
