
-- What the scripts of packed calls end with: the first `size` of `written`, names and states in turn, and then `reply`.
if size > 0 then
    if not begun then
        -- As in check.lua.
        call('UNLINK', hash, KEYS[2 + (turn + 1) % 3])
        call('HSET', hash, field, ('.'):rep(100))
        call('PEXPIRE', hash, floor(span / 1000) * 3)
        call('HSET', KEYS[1], ARGV[3], turn)
    end
    call('HSET', hash, unpack(written, 1, size))
end
return {reply}
