-- SLOW: halve the rate of an account after a "too fast", at most once a second and down to a sixteenth.
-- KEYS: rate. Answers the share of the rate left, in thousandths.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local kept = redis.call('HMGET', KEYS[1], 'slowed', 'slowed_at')
local share, at = tonumber(kept[1] or '1000'), tonumber(kept[2] or '0')
local since = (now - at) / 60000000
if since * 60 < 1 then
  return share
end
share = share + (1000 - share) * math.min(since, 1)
share = math.max(math.floor(share / 2), 62)
redis.call('HSET', KEYS[1], 'slowed', share, 'slowed_at', string.format('%.0f', now))
redis.call('EXPIRE', KEYS[1], 86400)
return share
