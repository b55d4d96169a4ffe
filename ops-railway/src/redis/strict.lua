-- Decides on requests by strict limits only. Of several limits of a request all admit it, or it uses up nothing.
-- ARGV[5] sets of rules, all u64: cost, number of limits, and for each microseconds of a slot, limit, 0, 0; ARGV[6] for each request where its set
-- begins, one byte. Names stand in the order of requests and their limits.
-- Reply, after the time: for each state a byte, 0 if there was none, else one more than its slots; then those states as they were before.
local SLOTS = 31
local rules, at = {from_bytes('<' .. ('I8'):rep(#ARGV[5] / 8), ARGV[5])}, 1
while at < #rules do
    local cost, last = rules[at], at + 4 * rules[at + 1]
    for n = at + 2, last, 4 do
        -- Of each limit the newest slot, what may be used before, the newest slot as bytes, and what begins a slot.
        local newest = floor(now / rules[n])
        rules[n], rules[n + 1], rules[n + 2], rules[n + 3] = newest, rules[n + 1] - cost, to_bytes('<I6', newest), to_bytes('<BI2', 0, cost)
    end
    rules[at + 1], at = last, last + 2
end

local written, size, number, slots = {}, 0, 1, {}
for request = 1, #ARGV[6] do
    local set, admitted, filled = ARGV[6]:byte(request), true, size
    for n = set + 2, rules[set + 1], 4 do
        local value, state = found[number + 1], nil
        if not value then
            slots[number], found[number + 1] = 0, ''
            state = rules[n + 1] >= 0 and rules[n + 2] .. rules[n + 3]
        else
            -- As in check.lua, byte by byte.
            local length = #value
            local told, kept, sum = {value:byte(1, length)}, 7, 0
            local shift = rules[n] - told[1] - 256 * (told[2] + 256 * (told[3] + 256 * (told[4] + 256 * (told[5] + 256 * told[6]))))
            local head = rules[n + 2]
            if shift < 0 then
                shift, head = 0, value:sub(1, 6)
            end
            for at = 7, length, 3 do
                local age = told[at] + shift
                if age < SLOTS then
                    told[at], sum = age, sum + told[at + 1] + 256 * told[at + 2]
                else
                    kept = at + 3
                end
            end
            if sum <= rules[n + 1] then
                if shift == 0 and told[length - 2] == 0 then
                    local count = told[length - 1] + 256 * told[length] + rules[set]
                    state = value:sub(1, -3) .. to_bytes('<I2', count)
                else
                    state = head .. string.char(unpack(told, kept)) .. rules[n + 3]
                end
            end
            slots[number] = length / 3 - 1
        end
        if state then
            written[filled + 1], written[filled + 2] = names[number], state
            filled = filled + 2
        else
            admitted = false
        end
        number = number + 1
    end
    size = admitted and filled or size
end
found[1] = to_bytes('<I8', now) .. string.char(unpack(slots))
local reply = table.concat(found)
