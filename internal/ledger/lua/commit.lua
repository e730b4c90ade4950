-- COMMIT: the one way from draft to launched, after every page is written.
-- KEYS: control, counts. ARGV: new state (running or scheduled), queued, invalid, skipped, generation of hints (1).
-- Answers the campaign's state; the second commit finds the first and changes nothing.
local clock = redis.call('TIME')
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'draft' then
  return state
end
redis.call('HSET', KEYS[2], 'queued', ARGV[2], 'invalid', ARGV[3], 'skipped', ARGV[4])
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'reason', '', 'since', clock[1], 'started', clock[1],
  'generation', ARGV[5], 'fed_pages', 0, 'fed_rows', 0)
return ARGV[1]
