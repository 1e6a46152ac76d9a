-- The sample's globals, one run of it, and the calls of the functions that it handed over.
local S = ...
local real = S.real
local type, pairs, next, rawset, rawget, select, pcall, error, tostring, setmetatable = real.type, real.pairs, real.next, real.rawset, real.rawget, real.select, real.pcall, real.error, real.tostring, real.setmetatable
local gmatch, find, sub = real.string.gmatch, real.string.find, real.string.sub
local G = real._G
S.globals = G

local PLAIN = "assert error getmetatable setmetatable ipairs next pairs pcall xpcall rawequal rawget rawlen rawset select tonumber unpack newproxy getfenv setfenv warn"
local MOST_PUMPED = 100

-- The program ends with a throw that `pcall` of the sample must not hold up for long: the next instruction throws again.
local function fill()
  local keep = { coroutine = G.coroutine, math = G.math, string = G.string, table = G.table, utf8 = G.utf8, bit32 = G.bit32, bit = real.bit and G.bit }
  for key in pairs(real) do G[key] = nil end
  for key, one in pairs(keep) do G[key] = one end
  for name in gmatch(PLAIN, "%S+") do
    local one = real[name]
    if one then G[name] = one end
  end
  G._G, G._VERSION = G, real._VERSION
  G.type, G.tostring = S.type, S.tostring
  G.os, G.io, G.debug, G.package = S.os, S.io, S.debug, S.package
  G.require, G.load, G.loadfile, G.dofile = S.require, S.load, S.loadfile, S.dofile
  if S.is51 then G.loadstring = S.loadstring end
  G.print = S.stub("print", function(...) S.event("print", ...) end)
  G.collectgarbage = S.stub("collectgarbage", function(what, ...)
    if what ~= nil and what ~= "collect" then
      local fine, result = pcall(real.collectgarbage, what, ...)
      if not fine then error(result, 2) end
      return result
    end
    S.event("collectgarbage", what)
    return 0
  end)
  if real.jit then
    G.jit, G.bit = S.jit, real.bit
    S.jit.version = real.jit.version
  end
  for name, f in pairs(S.debug) do S.stub("debug." .. name, f) end
  for _, name in real.ipairs({ "string", "table", "math", "coroutine", "os", "io", "debug", "package", "bit32", "utf8" }) do S.loaded[name] = G[name] end
  if real.jit then S.loaded.bit, S.loaded.jit = real.bit, S.jit end
  S.loaded._G = G
end
fill()

-- Globals that are not there are nil, but their names are kept: one of them may be what the sample needs.
local known = {}
local function missing(_, name)
  if type(name) == "string" and not known[name] and #S.unknown < 200 then
    known[name] = true
    S.unknown[#S.unknown + 1] = name
  end
  if type(name) == "string" then S.last_unknown = name end
  return nil
end
local global_meta = { __index = missing }
setmetatable(G, global_meta)
local setmetatable_of = real.setmetatable
G.getmetatable = S.stub("getmetatable", function(value)
  if value == G then return S.global_meta end
  return real.getmetatable(value)
end)
G.setmetatable = S.stub("setmetatable", function(value, meta, ...)
  if value == G then
    S.global_meta = meta
    if type(meta) ~= "table" then meta = global_meta end
    setmetatable_of(G, meta)
    return G
  end
  if type(value) ~= "table" then error("bad argument #1 to 'setmetatable' (table expected, got " .. type(value) .. ")", 2) end
  if meta ~= nil and type(meta) ~= "table" then error("bad argument #2 to 'setmetatable' (nil or table expected)", 2) end
  local fine, why = pcall(setmetatable_of, value, meta)
  if not fine then error(why, 2) end
  return value
end)

-- Runs a function of the sample to one of its ends. Gives how it ended, and what it said.
local function attempt(f, ...)
  S.guard()
  local fine, why = pcall(f, ...)
  local how, message = S.unguard()
  if how then return how, message or "" end
  if fine then return "returned", "" end
  if why == S.ending then return "returned", "" end
  if type(why) == "string" then return "error", why end
  local info = type(why) == "table" and real.rawget(why, "message")
  return "error", type(info) == "string" and info or "(an error that is a " .. type(why) .. ")"
end

local function arguments_of(one)
  local given = S.callbacks[one.name]
  if given then return given() end
  local head = real.string.match(one.name, "^([%w_]+)")
  local function one_more() return S.marked(head .. ".argument", "argument") end
  return one_more(), one_more(), one_more()
end

-- Calls what was handed over, and what hosts call by name. An error here ends that call alone.
local function pump()
  local at = 1
  for _, entry in real.ipairs(S.entry_points) do
    local f = rawget(G, entry[1])
    if type(f) == "function" then S.queue[#S.queue + 1] = { name = entry[1], call = f, given = entry[2] } end
  end
  while S.queue[at] and at <= MOST_PUMPED do
    local one = S.queue[at]
    at = at + 1
    local how, message
    if one.given then
      how, message = attempt(function() return one.call(one.given()) end)
    else
      how, message = attempt(function() return one.call(arguments_of(one)) end)
    end
    if how == "steps" then return how, message end
    if how == "error" and not S.pump_error then S.pump_error = one.name .. ": " .. message end
  end
  if S.queue[at] then S.cut = S.cut or "functions handed over" end
end

-- The sample is called with marked arguments, as a program that is handed something.
local function given_arguments() return S.marked("argument", "argument"), S.marked("argument", "argument") end
S.given_arguments = given_arguments

S.flags = {}
S.run = function(code, name, steps, persona, started, roots, flags)
  for flag in gmatch(flags or "", "[^,]+") do S.flags[flag] = true end
  S.most_steps, S.persona, S.started = real.tonumber(steps), persona, real.tonumber(started)
  if persona == "windows" then
    S.package.config = "\\\n;\n?\n!\n-\n"
    S.package.path, S.package.cpath = ".\\?.lua", ".\\?.dll"
  else
    S.package.config = "/\n;\n?\n!\n-\n"
  end
  S.jit.os = persona == "windows" and "Windows" or "Linux"
  for root in gmatch(roots, "[^,]+") do
    if rawget(G, root) == nil then rawset(G, root, S.root(root)) end
  end
  rawset(G, "arg", { [0] = name })
  if real.math.randomseed then pcall(real.math.randomseed, 42) end
  S.began = real.os.clock()
  local f, why = S.load_text(code, "@" .. name)
  if not f then return S.finish("syntax", tostring(why)) end
  S.depths[real.debug.getinfo(f, "S").source] = 0
  local how, message = attempt(f, given_arguments())
  local last = S.last_unknown
  if how ~= "steps" then
    local pumped, more = pump()
    if pumped then how, message = pumped, more end
    if how == "returned" and S.pump_error then how, message = "callback", S.pump_error end
  end
  if how == "error" and last then S.note("last unknown " .. last) end
  S.finish(how, message)
end
