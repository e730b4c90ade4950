-- What every script that changes a row shares: the clock, the row record and the one function that writes it.
--
-- A row's record is text, `state:fence:tries:at:due:code:ref:class:took:why`, short so that its bucket stays a listpack:
--   state  one letter (NAMES below); a row without a record is queued
--   fence  attempt number, only grows; tries  what counts against the limit
--   at     second of the last change; due  millisecond: deadline (s) or earliest next try (w)
--   code   why, in the provider's code or ours; ref  the packed message id once accepted, until then the claim's nonce
--   class  what the answer meant, empty for accepted; took  milliseconds from the claim to the answer
--   why    the provider's words, as a key of REASONS
-- It holds the last attempt. Attempts before it move to PAST, newest first: `fence,state,at,took,class,code,why;…`.
--
-- Invariants kept by write(): counts always add up to the file; codes counts the rows whose record bears a code;
-- sending, waiting and in_doubt hold exactly the rows in that state. In a cancelled campaign queued and waiting
-- rows count as cancelled: their records stay as they are and read as cancelled.
local NAMES = { q = 'queued', s = 'sending', w = 'waiting', a = 'accepted', f = 'failed', d = 'in_doubt' }
local CONTROL, ROWS, COUNTS, CODES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local QUEUES = { s = KEYS[5], w = KEYS[6], d = KEYS[7] }
local PAST, REASONS = KEYS[8], KEYS[9]
local MOST_PAST, MOST_REASONS = 640, 500 -- bytes per row, texts per campaign

-- TIME is read once: within a script it moves. Milliseconds: larger numbers lose digits when they become text.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local control = redis.call('HMGET', CONTROL, 'state', 'reason', 'epoch', 'allow')
local state, reason = control[1] or 'draft', control[2] or ''

local SHAPE = '^(%a):(%d+):(%d+):(%d*):(%d*):([^:]*):([^:]*):?([^:]*):?(%d*):?([^:]*)$'

local function read(row)
  local text = redis.call('HGET', ROWS, row)
  if not text then
    return { st = 'q', fence = 0, tries = 0, at = '', due = 0, code = '', ref = '', class = '', took = '', why = '' }
  end
  local st, fence, tries, at, due, code, ref, class, took, why = string.match(text, SHAPE)
  if not st or not NAMES[st] then
    return nil
  end
  return { st = st, fence = tonumber(fence), tries = tonumber(tries), at = at, due = tonumber(due) or 0, code = code,
    ref = ref, class = class, took = took, why = why }
end

local function counted(st)
  if state == 'cancelled' and (st == 'q' or st == 'w') then
    return 'cancelled'
  end
  return NAMES[st]
end

local function write(row, old, new)
  local from, to = counted(old.st), counted(new.st)
  if from ~= to then
    redis.call('HINCRBY', COUNTS, from, -1)
    redis.call('HINCRBY', COUNTS, to, 1)
  end
  if old.code ~= new.code then
    if old.code ~= '' and redis.call('HINCRBY', CODES, old.code, -1) <= 0 then
      redis.call('HDEL', CODES, old.code)
    end
    if new.code ~= '' then
      redis.call('HINCRBY', CODES, new.code, 1)
    end
  end
  if QUEUES[old.st] and old.st ~= new.st then
    redis.call('ZREM', QUEUES[old.st], row)
  end
  if QUEUES[new.st] then
    redis.call('ZADD', QUEUES[new.st], new.st == 'd' and now or new.due, row)
  end
  local due = ''
  if new.due > 0 then
    due = string.format('%.0f', new.due)
  end
  redis.call('HSET', ROWS, row, table.concat({ new.st, string.format('%.0f', new.fence), string.format('%.0f', new.tries),
    clock[1], due, new.code, new.ref, new.class, new.took, new.why }, ':'))
end

-- The record that follows another one: what the last attempt came to is not the next one's.
local function changed(rec, fields)
  local new = { st = rec.st, fence = rec.fence, tries = rec.tries, due = 0, code = '', ref = rec.ref, class = '', took = '',
    why = '' }
  for k, v in pairs(fields) do
    new[k] = v
  end
  return new
end

-- The record of a claim that nobody settled: it began when the record was written.
local function lost(rec)
  return changed(rec, { st = 'd', code = 'worker_lost', class = 'unknown',
    took = string.format('%.0f', math.max(now - (tonumber(rec.at) or 0) * 1000, 0)) })
end

-- Puts one line of a row's history aside; the oldest ones go when there are too many.
local function remember(row, line)
  local past = redis.call('HGET', PAST, row)
  if past then
    line = line .. ';' .. past
    while string.len(line) > MOST_PAST do
      line = string.match(line, '^(.*);[^;]*$') or string.sub(line, 1, MOST_PAST)
    end
  end
  redis.call('HSET', PAST, row, line)
end

-- Puts the last attempt aside before another one, or a person's decision, takes its place.
local function put_aside(row, rec)
  if rec.code ~= '' or rec.class ~= '' then
    remember(row, table.concat({ string.format('%.0f', rec.fence), rec.st, rec.at, rec.took, rec.class, rec.code, rec.why },
      ','))
  end
end

-- The key of a text in REASONS; '' when there are too many different ones, or another has its key.
local function intern(text)
  if text == '' then
    return ''
  end
  local key = string.sub(redis.sha1hex(text), 1, 6)
  local known = redis.call('HGET', REASONS, key)
  if not known and redis.call('HLEN', REASONS) < MOST_REASONS then
    redis.call('HSET', REASONS, key, text)
    known = text
  end
  return known == text and key or ''
end

-- A finished campaign with an open row runs again.
local function reopen()
  if state == 'finished' then
    redis.call('HSET', CONTROL, 'state', 'running', 'reason', '', 'by', 'machine', 'since', clock[1])
    redis.call('HDEL', CONTROL, 'finished')
  end
end
