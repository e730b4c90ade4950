-- STRAIN: count how sends through an account ended, and say when it is better to stop for a while: a circuit breaker
-- shared by the fleet.
-- KEYS: breaker. ARGV: how many ended well since the last call, 1 if one ended badly after them (its message may have been
-- sent, or provably never left), 1 if that one was to try the account out, ms of the shortest and of the longest stop.
-- Answers OK, or TRIP ms with how long to stop.
--
-- Invariants: five bad ends in a row, or more than ten in the last fifty, trip it; so does a bad trial. Each trip within
-- twenty minutes of the one before stops twice as long, up to the longest.
local good, bad, trial = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3] == '1'
local shortest, longest = tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local kept = redis.call('HMGET', KEYS[1], 'recent', 'level', 'until')
local recent, level, stop = kept[1] or '', tonumber(kept[2] or '0'), tonumber(kept[3] or '0')

recent = recent .. string.rep('.', math.min(good, 50))
if bad then
  recent = recent .. 'x'
end
recent = string.sub(recent, -50)
local _, many = string.gsub(recent, 'x', '')
local trip = bad and (trial or string.sub(recent, -5) == 'xxxxx' or many > 10)
local answer = { 'OK' }
if trip and now < stop and not trial then
  recent = '' -- sends that were under way when it stopped: they must not trip it again when it goes on
  answer = { 'TRIP', stop - now }
elseif trip then
  if now - stop > 1200000 then
    level = 0
  end
  local ms = math.min(shortest * 2 ^ level, longest)
  redis.call('HSET', KEYS[1], 'level', level + 1, 'until', string.format('%.0f', now + ms))
  recent = ''
  answer = { 'TRIP', ms }
end
redis.call('HSET', KEYS[1], 'recent', recent)
redis.call('EXPIRE', KEYS[1], 86400)
return answer
