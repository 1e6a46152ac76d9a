-- Stand-ins: objects that accept every field and call, write the calls down under their full name, and give more of themselves.
local S = ...
local real = S.real
local type, rawget, rawset, select, setmetatable, next = real.type, real.rawget, real.rawset, real.select, real.setmetatable, real.next
local find, sub = real.string.find, real.string.sub

S.results = {} -- full name -> function(arguments of the call) that gives what the call gives
S.values = {} -- full name -> function() that gives what a field is
S.callbacks = {} -- full name -> function() that gives the arguments for functions handed to it
S.queue = {}

local MOST_QUEUED, MOST_CALLS = 200, 100
local meta = {}
local called = {}

local function standin(name, parent)
  local object = {}
  S.objects[object] = { name = name, parent = parent }
  return setmetatable(object, meta)
end
S.standin = standin

-- A stand-in for text that comes from outside: it is joined and printed as marked text.
function S.marked(name, kind)
  local object = standin(name)
  S.objects[object].mark = S.marks[kind]
  S.objects[object].text = S.marks[kind] .. "." .. name
  return object
end

local queued = setmetatable({}, { __mode = "k" })
local function later(name, f)
  if queued[f] or S.names[f] or #S.queue >= MOST_QUEUED then return end
  queued[f] = true
  S.queue[#S.queue + 1] = { name = name, call = f }
end
S.later = later

local function keep_functions(name, ...)
  for at = 1, select("#", ...) do
    local one = (select(at, ...))
    local kind = type(one)
    if kind == "function" then
      later(name, one)
    elseif kind == "table" and not S.objects[one] then
      for key, value in next, one do
        if type(value) == "function" then later(name .. (type(key) == "string" and "." .. key or ""), value) end
      end
    end
  end
end
S.keep_functions = keep_functions

-- A call of a known name: written down, its functions kept for later, its result looked up.
local function invoke(name, marked, ...)
  S.event(name, ...)
  keep_functions(name, ...)
  local result = S.results[name]
  if result then return result(...) end
  local times = (called[name] or 0) + 1
  called[name] = times
  if times > MOST_CALLS then return nil end
  if marked then return marked .. "." .. name end
  return standin(name)
end
function S.invoke(name, ...) return invoke(name, nil, ...) end

function meta.__index(object, key)
  local info = S.objects[object]
  if not info then return nil end
  if type(key) ~= "string" then
    if type(key) == "number" and sub(info.name, 1, 4) == "ffi." then return 0 end
    return nil
  end
  local name = info.name .. "." .. key
  local value = S.values[name]
  if value then return (value()) end
  if info.text and S.text_methods[key] then return S.text_methods[key](info.text) end
  local child = standin(name, object)
  if info.mark then
    S.objects[child].mark = info.mark
    S.objects[child].text = info.mark .. "." .. name
  end
  if S.results[name] then
    S.disguise[child] = "function"
  end
  rawset(object, key, child)
  return child
end

function meta.__newindex(object, key, value)
  local info = S.objects[object]
  rawset(object, key, value)
  if info and type(value) == "function" then
    local name = info.name .. "." .. S.shown(key)
    S.event(name, value)
    later(name, value)
  end
end

function meta.__call(object, ...)
  local info = S.objects[object]
  local first = ...
  if info.parent ~= nil and first == info.parent then return invoke(info.name, info.mark, select(2, ...)) end
  return invoke(info.name, info.mark, ...)
end

local function text_of(value)
  local info = S.objects[value]
  if info then return info.text or info.name end
  return S.real.tostring(value)
end
S.text_of = text_of

function meta.__tostring(object) return text_of(object) end
function meta.__concat(a, b) return text_of(a) .. text_of(b) end
function meta.__len() return 0 end
local function one() return 1 end
for _, name in real.ipairs({ "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl", "shr", "bnot" }) do
  meta["__" .. name] = one
end
function meta.__lt() return false end
function meta.__le() return true end

-- Methods of text on a stand-in that is text.
S.text_methods = {}
for name, method in real.pairs(real.string) do
  S.text_methods[name] = function(text)
    return function(_, ...) return method(text, ...) end
  end
end

-- A table of stubs: each name becomes a function that is written down under the full name.
function S.library(prefix, names)
  local found = {}
  for name in real.string.gmatch(names, "%S+") do
    local full = prefix .. "." .. name
    found[name] = S.stub(full, function(...) return invoke(full, ...) end)
  end
  return found
end

-- A table that has its own functions, and stand-ins for whatever else is asked of it.
function S.open_library(name, own)
  local object = standin(name)
  for key, value in next, own or {} do rawset(object, key, value) end
  return object
end
