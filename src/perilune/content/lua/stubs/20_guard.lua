-- Steps are counted, endings unwind, and the debug library shows a world in which every stub is written in C.
local S = ...
local real = S.real
local type, rawget, select, tostring, error, pcall = real.type, real.rawget, real.select, real.tostring, real.error, real.pcall
local sethook, getinfo = real.debug.sethook, real.debug.getinfo
local find, gsub, sub = real.string.find, real.string.gsub, real.string.sub

local EVERY = 10000
-- What is thrown to end a run: no handler of the sample can hold it up, because the hook throws it again.
local ending = setmetatable({}, { __tostring = function() return "interrupted!" end })
S.ending, S.ended = ending, nil

local theirs = { hook = nil, mask = "", count = 0 }

local function is_ours(info) return info ~= nil and info.source == "=[C]" and info.what ~= "C" end
S.is_ours = is_ours

local function watch(event, line)
  if S.ended then
    if S.ended ~= "over" and not is_ours(getinfo(2, "S")) then error(ending, 0) end
    return
  end
  if event == "count" then
    S.steps = S.steps + S.every
    if S.steps > S.most_steps then S.finish_now("steps", "") end
    if theirs.hook and theirs.count > 0 then theirs.hook("count") end
    return
  end
  if theirs.hook and not is_ours(getinfo(2, "S")) then theirs.hook(event, line) end
end

local function set_hook()
  S.every = EVERY
  if theirs.count > 0 and theirs.count < EVERY then S.every = theirs.count < 100 and 100 or theirs.count end
  sethook(watch, theirs.mask, S.every)
end

function S.guard()
  S.ended = nil
  theirs.hook, theirs.mask, theirs.count = nil, "", 0
  set_hook()
end

-- Ends the sample's run: first the throw, then a throw at each further instruction.
function S.finish_now(how, message)
  if not S.ended then
    S.ended = how
    S.ended_message = message
  end
  sethook(watch, "", 1)
  error(ending, 0)
end

function S.unguard()
  local how, message = S.ended, S.ended_message
  S.ended = "over"
  sethook()
  return how, message
end

-- Frames that the sample may see: its own, and stubs as one frame of C.
local function frame(level)
  local at, seen, was_ours = 3, 0, false
  while true do
    local info = getinfo(at, "Sf")
    if not info then return nil end
    local ours = is_ours(info)
    if info.func ~= watch and (not ours or not was_ours) then
      seen = seen + 1
      if seen == level then return at, ours end
    end
    was_ours = ours
    at = at + 1
    if at > 220 then return nil end
  end
end

local AS_C = { source = "=[C]", what = "C", short_src = "[C]", currentline = -1, linedefined = -1, lastlinedefined = -1,
  nups = 0, nparams = 0, isvararg = true, namewhat = "" }

local function as_c(what, f, name)
  local found = {}
  local function give(letter, ...)
    if not find(what, letter, 1, true) then return end
    for at = 1, select("#", ...) do
      local key = (select(at, ...))
      found[key] = AS_C[key]
    end
  end
  give("S", "source", "what", "short_src", "linedefined", "lastlinedefined")
  give("l", "currentline")
  give("u", "nups", "nparams", "isvararg")
  give("n", "namewhat")
  if find(what, "n", 1, true) then found.name = name end
  if find(what, "f", 1, true) then found.func = f end
  return found
end

local debug = {}
S.debug = debug

function debug.getinfo(...)
  local first = ...
  local thread
  if type(first) == "thread" then
    thread = first
    first = select(2, ...)
  end
  local what = select(thread and 3 or 2, ...) or "nSluf"
  if type(what) ~= "string" then error("bad argument #2 to 'getinfo' (string expected, got " .. type(what) .. ")", 2) end
  if thread then return getinfo(thread, first, what) end
  if type(first) == "function" then
    if S.names[first] or is_ours(getinfo(first, "S")) then return as_c(what, first) end
    return getinfo(first, what)
  end
  local level = real.tonumber(first)
  if not level then error("bad argument #1 to 'getinfo' (function or level expected)", 2) end
  if level == 0 then return as_c(what, debug.getinfo, "getinfo") end
  local at, ours = frame(level)
  if not at then return nil end
  if ours then
    local n = getinfo(at - 1, "n")
    return as_c(what, nil, n and n.name)
  end
  local found = getinfo(at - 1, what) -- no tail call: LuaJIT would count one frame less
  return found
end

function debug.traceback(...)
  local message = ...
  if type(message) == "thread" then return real.debug.traceback(...) end
  if message ~= nil and type(message) ~= "string" and type(message) ~= "number" then return message end
  local text = real.debug.traceback(message, 2)
  text = gsub(text, "%[C%]:%d+:", "[C]:")
  text = gsub(text, "<%[C%]:%d+>", "?")
  return text
end

function debug.sethook(...)
  S.event("debug.sethook", ...)
  local first = ...
  if type(first) == "thread" then return end
  local hook, mask, count = ...
  theirs.hook, theirs.mask, theirs.count = hook, hook and mask or "", real.tonumber(count) or 0
  if type(theirs.mask) ~= "string" then theirs.mask = "" end
  theirs.mask = gsub(theirs.mask, "[^crl]", "")
  set_hook()
end

function debug.gethook() return theirs.hook, theirs.mask, theirs.count end

local function open_to(f) return type(f) == "function" and not S.names[f] and not is_ours(getinfo(f, "S")) and getinfo(f, "S").what ~= "C" end

for _, name in real.ipairs({ "getupvalue", "setupvalue", "upvalueid" }) do
  local one = real.debug[name]
  if one then
    debug[name] = function(f, ...)
      S.event("debug." .. name, f, ...)
      if not open_to(f) then return end
      return one(f, ...)
    end
  end
end
if real.debug.upvaluejoin then
  function debug.upvaluejoin(f, a, g, b)
    S.event("debug.upvaluejoin", f, a, g, b)
    if open_to(f) and open_to(g) then real.debug.upvaluejoin(f, a, g, b) end
  end
end
function debug.getlocal(level, n)
  if type(level) == "function" then return open_to(level) and real.debug.getlocal(level, n) or nil end
  local at, ours = frame(real.tonumber(level) or 1)
  if not at then error("bad argument #1 to 'getlocal' (level out of range)", 2) end
  if ours then return nil end
  local name, value = real.debug.getlocal(at - 1, n)
  return name, value
end
function debug.setlocal(level, n, value)
  local at, ours = frame(real.tonumber(level) or 1)
  if not at or ours then return nil end
  local name = real.debug.setlocal(at - 1, n, value)
  return name
end
function debug.getregistry()
  S.event("debug.getregistry")
  return { _LOADED = S.loaded, _PRELOAD = {} }
end
function debug.getmetatable(value) return real.debug.getmetatable(value) end
function debug.setmetatable(value, meta)
  S.event("debug.setmetatable", type(value))
  if type(value) == "table" then return real.debug.setmetatable(value, meta) end
  return value
end
function debug.getuservalue() return nil end
function debug.setuservalue(value) S.event("debug.setuservalue") return value end
function debug.debug() S.event("debug.debug") end
if real.debug.getfenv then
  debug.getfenv = real.debug.getfenv
  debug.setfenv = function(f, env)
    if open_to(f) then return real.debug.setfenv(f, env) end
    error("'setfenv' cannot change environment of given object", 2)
  end
end
