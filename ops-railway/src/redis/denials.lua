-- Adds denials of callers and says which of them have just reached their threshold.
-- KEYS[1] the table of limits; KEYS[2..] callers. ARGV[1] for each caller u32 denials, u32 threshold, u64 microseconds of the window.
-- A state: u64 until when the alarm stays raised, then u64 slot and u32 denials of each slot that has any.
-- Reply: the version of the limits, and for each caller u32 total, u8 whether this raises the alarm.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local from_bytes, to_bytes, floor = struct.unpack, struct.pack, math.floor
local SLOTS, MOST = 60, 4294967295
local reply = {}
for n = 1, #KEYS - 1 do
    local denied, threshold, window = from_bytes('<I4I4I8', ARGV[1], (n - 1) * 16 + 1)
    local slot_micros = math.ceil(window / SLOTS)
    local newest = floor(now / slot_micros)
    local value = redis.call('GET', KEYS[n + 1])
    local raised_until, total, own, slots = 0, denied, denied, {}
    if value then
        local at
        raised_until, at = from_bytes('<I8', value)
        while at <= #value do
            local slot, count
            slot, count, at = from_bytes('<I8I4', value, at)
            if slot == newest then
                own, total = own + count, total + count
            elseif slot + SLOTS > newest then
                slots[#slots + 1] = to_bytes('<I8I4', slot, count)
                total = total + count
            end
        end
    end
    slots[#slots + 1] = to_bytes('<I8I4', newest, math.min(own, MOST))
    local raised = 0
    if total >= threshold and raised_until <= now then
        raised, raised_until = 1, now + window
    end
    redis.call('SET', KEYS[n + 1], to_bytes('<I8', raised_until) .. table.concat(slots), 'PX', floor(window / 1000) + 1000)
    reply[n] = to_bytes('<I4B', math.min(total, MOST), raised)
end
return {redis.call('HGET', KEYS[1], 'version') or '0', table.concat(reply)}
