-- The run of the Redis that this script runs in: another one after each restart and after each failover. '' where Redis
-- does not say (miniredis, which keeps nothing and so forgets nothing by restarting); a worker refuses a real Redis that
-- hides it.
local function this_run()
  local info = redis.pcall('INFO', 'server')
  if type(info) ~= 'string' then
    return ''
  end
  return string.match(info, 'run_id:(%w+)') or ''
end
