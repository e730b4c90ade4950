-- STEER: pause, resume, cancel and finish a launched campaign.
-- KEYS: control, counts, waiting. ARGV: verb, reason, detail, by (person or machine).
-- Answers the state afterwards and OK, or the state and NO when the verb does not apply.
--
-- Invariants: a person's pause is never lifted or renamed by the machine; the machine lifts only the pause of the reason
-- it names; cancelled is for good and moves the open rows to cancelled in one step; finished needs that no row is open.
local verb, reason, detail, by = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local control = redis.call('HMGET', KEYS[1], 'state', 'reason', 'by')
local state, why, who = control[1], control[2] or '', control[3] or ''
if not state or state == 'draft' then
  return { 'draft', 'NO' }
end

local function become(new)
  redis.call('HSET', KEYS[1], 'state', new, 'reason', reason, 'detail', detail, 'by', by, 'since', clock[1])
  return { new, 'OK' }
end

if verb == 'pause' then
  if state == 'running' or (state == 'paused' and by == 'person') then
    return become('paused')
  end
elseif verb == 'resume' then
  if state == 'paused' and (by == 'person' or (who ~= 'person' and why == reason)) then
    reason, detail = '', ''
    return become('running')
  end
elseif verb == 'start' then
  if state == 'scheduled' then
    return become('running')
  end
elseif verb == 'cancel' then
  if state == 'running' or state == 'paused' or state == 'scheduled' then
    local counts = redis.call('HMGET', KEYS[2], 'queued', 'waiting')
    local open = (tonumber(counts[1]) or 0) + (tonumber(counts[2]) or 0)
    redis.call('HSET', KEYS[2], 'queued', 0, 'waiting', 0)
    redis.call('HINCRBY', KEYS[2], 'cancelled', open)
    redis.call('DEL', KEYS[3])
    redis.call('HSET', KEYS[1], 'finished', clock[1])
    return become('cancelled')
  end
elseif verb == 'finish' then
  local counts = redis.call('HMGET', KEYS[2], 'queued', 'waiting', 'sending')
  local open = (tonumber(counts[1]) or 0) + (tonumber(counts[2]) or 0) + (tonumber(counts[3]) or 0)
  if (state == 'running' or state == 'paused') and open == 0 then
    redis.call('HSET', KEYS[1], 'finished', clock[1])
    return become('finished')
  end
end
return { state, 'NO' }
