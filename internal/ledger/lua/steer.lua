-- STEER: pause, resume, cancel and finish a launched campaign.
-- KEYS: control, counts, waiting. ARGV: verb, reason, detail, by (person or machine), claims allowed (resume; '' for all).
-- Answers the state afterwards and OK, or the state and NO when the verb does not apply.
--
-- Invariants: a person's pause is never lifted or renamed by the machine; the machine lifts only the pause of the reason
-- it names; a resume for a probe gives that many claims and no more; a person's resume answers for what the restarted
-- Redis may have forgotten whose workers were waited for, and for a list that looked wrong; cancelled is for good and moves the open rows to cancelled
-- in one step; finished needs that no row is open.
local verb, reason, detail, by, allow = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local clock = redis.call('TIME')
local control = redis.call('HMGET', KEYS[1], 'state', 'reason', 'by', 'barrier')
local state, why, who = control[1], control[2] or '', control[3] or ''
if not state or state == 'draft' then
  return { 'draft', 'NO' }
end

local function become(new)
  redis.call('HSET', KEYS[1], 'state', new, 'reason', reason, 'detail', detail, 'by', by, 'since', clock[1])
  redis.call('HDEL', KEYS[1], 'allow', 'probe')
  return { new, 'OK' }
end

if verb == 'pause' then
  if state == 'running' or (state == 'paused' and by == 'person') then
    return become('paused')
  end
elseif verb == 'resume' then
  if state == 'paused' and (by == 'person' or (who ~= 'person' and why == reason)) then
    if by == 'person' then
      redis.call('HDEL', KEYS[1], 'content')
      redis.call('HSET', KEYS[1], 'trusted', 1)
    end
    if by == 'person' and why == 'epoch' and control[4] == this_run() then
      redis.call('HSET', KEYS[1], 'epoch', control[4])
      redis.call('HDEL', KEYS[1], 'barrier', 'barrier_at')
    end
    reason, detail = '', ''
    local answer = become('running')
    if allow ~= '' then
      redis.call('HSET', KEYS[1], 'allow', allow)
    end
    return answer
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
