-- RESERVE: take the next time slots of one account. GCRA: slots lie 1/rate apart, whoever takes them.
-- KEYS: rate. ARGV: rate per second, burst, slots wanted, how far ahead in microseconds a slot may lie.
-- Answers how many slots were given, microseconds from now to the first, the interval in microseconds; with none given,
-- the second number is how long to wait before asking again.
--
-- Invariants: any two slots given by this key lie at least an interval apart, but for `burst` back-to-back ones after a
-- pause; no slot lies further ahead than asked, so that a process that dies loses little.
local rate, burst, want, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local kept = redis.call('HMGET', KEYS[1], 'next', 'slowed', 'slowed_at')

-- After a "too fast" the rate starts at a fraction and grows back to the whole within a minute.
local share = tonumber(kept[2] or '1000') / 1000
local since = (now - tonumber(kept[3] or '0')) / 60000000
if since < 1 then
  rate = rate * (share + (1 - share) * math.max(since, 0))
end
local interval = math.ceil(1000000 / rate) -- whole, so that no rounding brings slots nearer
local first = math.max(tonumber(kept[1] or '0'), now - (burst - 1) * interval)
if first > now + ahead then
  return { 0, math.floor(first - now - ahead) + 1, math.floor(interval) }
end
local given = math.min(want, math.floor((now + ahead - first) / interval) + 1)
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', first + given * interval))
redis.call('EXPIRE', KEYS[1], 86400)
return { given, math.floor(first - now), math.floor(interval) }
