-- What every script of the ledger shares: the clock, the row record and the one function that writes it.
--
-- A row's record is text, `state:fence:tries:at:due:code:ref`, short so that its bucket stays a listpack:
--   state  one letter (NAMES below); a row without a record is queued
--   fence  attempt number, only grows; tries  what counts against the limit
--   at     second of the last change; due  millisecond: deadline (s) or earliest next try (w)
--   code   why, in the provider's code or ours; ref  nonce while sending, then the packed message id
--
-- Invariants kept by write(): counts always add up to the file; codes counts the rows whose record bears a code;
-- sending, waiting and in_doubt hold exactly the rows in that state. In a cancelled campaign queued and waiting
-- rows count as cancelled: their records stay as they are and read as cancelled.
local NAMES = { q = 'queued', s = 'sending', w = 'waiting', a = 'accepted', f = 'failed', d = 'in_doubt' }
local CONTROL, ROWS, COUNTS, CODES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local QUEUES = { s = KEYS[5], w = KEYS[6], d = KEYS[7] }

-- TIME is read once: within a script it moves. Milliseconds: larger numbers lose digits when they become text.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local control = redis.call('HMGET', CONTROL, 'state', 'reason')
local state, reason = control[1] or 'draft', control[2] or ''

local function read(row)
  local text = redis.call('HGET', ROWS, row)
  if not text then
    return { st = 'q', fence = 0, tries = 0, due = 0, code = '', ref = '' }
  end
  local st, fence, tries, due, code, ref = string.match(text, '^(%a):(%d+):(%d+):%d*:(%d*):([^:]*):(.*)$')
  if not st or not NAMES[st] then
    return nil
  end
  return { st = st, fence = tonumber(fence), tries = tonumber(tries), due = tonumber(due) or 0, code = code, ref = ref }
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
  redis.call('HSET', ROWS, row, new.st .. ':' .. string.format('%.0f', new.fence) .. ':'
    .. string.format('%.0f', new.tries) .. ':' .. clock[1] .. ':' .. due .. ':' .. new.code .. ':' .. new.ref)
end

local function changed(rec, fields)
  local new = { st = rec.st, fence = rec.fence, tries = rec.tries, due = 0, code = '', ref = rec.ref }
  for k, v in pairs(fields) do
    new[k] = v
  end
  return new
end
