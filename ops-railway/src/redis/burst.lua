-- Decides on callers who ask once each, at the same cost, under the same burst.
-- ARGV[2] adds what the cost takes, and what may be used before it.
-- Reply, after the time: each state as it was before, u64, or 0.
local takes, room = from_bytes('<I8I8', ARGV[2], more)
local latest = now + room
for at = 2, many + 1 do
    if not found[at] then
        found[at] = '\0\0\0\0\0\0\0\0'
    end
end
found[1] = to_bytes('<I8', now)
local reply = table.concat(found)
local states, written, size = {from_bytes('<' .. ('I8'):rep(many), reply, 9)}, found, 0
for at = 1, many do
    local state = states[at]
    if state < now then
        state = now
    end
    if state <= latest then
        written[size + 1], written[size + 2] = names[at], to_bytes('<I8', state + takes)
        size = size + 2
    end
end
