-- HOLD: keep a closed account from being tried out before a moment; an open one stays open.
-- KEYS: account. ARGV: unix millisecond.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'until', ARGV[1])
end
return 1
