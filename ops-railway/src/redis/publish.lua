-- Makes a table of limits hold if its version is greater than that of the one that does.
-- KEYS[1] the table of limits. ARGV[1] the version, ARGV[2] the table. Reply: the version that holds, and 1 if it is this table.
local version = redis.call('HGET', KEYS[1], 'version')
if version and (#version > #ARGV[1] or #version == #ARGV[1] and version >= ARGV[1]) then
    local same = version == ARGV[1] and redis.call('HGET', KEYS[1], 'table') == ARGV[2]
    return {version, same and 1 or 0}
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'table', ARGV[2])
return {ARGV[1], 1}
