-- Strings and tables: the real functions, with what they build written down. Their errors read as those of C do.
local S = ...
local real = S.real
local type, pcall, error, tostring, select, unpack = real.type, real.pcall, real.error, real.tostring, real.select, S.unpack
local gsub, find = real.string.gsub, real.string.find
local built = S.built

local string_library = real._G.string -- the table itself, which is also what strings look their methods up in
local table_library = real._G.table

local function rethrow(name, why)
  if type(why) == "string" then
    why = gsub(why, "^%[C%]:%d+: ", "")
    why = gsub(why, "'%?'", "'" .. name .. "'")
    why = gsub(why, "'one'", "'" .. name .. "'")
    if why == "not enough memory" then error(why, 0) end
    error(why, 3)
  end
  error(why, 0)
end

-- The function with its first result kept, where it is text.
local function kept(name, one)
  local function settle(fine, first, ...)
    if not fine then
      if first == S.ending then error(first, 0) end
      return rethrow(name, first)
    end
    if type(first) == "string" then built(first) end
    return first, ...
  end
  return S.stub(name, function(...) return settle(pcall(one, ...)) end)
end

for _, name in real.ipairs({ "char", "gsub", "reverse", "format", "rep", "upper", "lower" }) do
  string_library[name] = kept(name, real.string[name])
end
table_library.concat = kept("concat", real.table.concat)

-- What data from outside are searched for says what the sample waits for, or is afraid of.
local carried, event = S.carried, S.event
local function searching(name, one)
  local function settle(fine, ...)
    if not fine then
      if (...) == S.ending then error((...), 0) end
      return rethrow(name, (...))
    end
    return ...
  end
  return S.stub(name, function(...)
    local text, pattern = ...
    if type(text) == "string" and type(pattern) == "string" and carried(text) then
      S.keep(pattern)
      event("string." .. name, "=data from outside", pattern)
    end
    return settle(pcall(one, ...))
  end)
end
for _, name in real.ipairs({ "find", "match" }) do string_library[name] = searching(name, real.string[name]) end

local dump = real.string.dump
string_library.dump = S.stub("dump", function(f, ...)
  S.event("string.dump", f)
  if type(f) ~= "function" then error("bad argument #1 to 'dump' (function expected, got " .. type(f) .. ")", 2) end
  if S.names[f] or S.is_ours(real.debug.getinfo(f, "S")) then error("unable to dump given function", 2) end
  local fine, text = pcall(dump, f, ...)
  if not fine then error("unable to dump given function", 2) end
  return text
end)

-- The type of stand-ins that are no tables where they come from.
S.type = S.stub("type", function(...)
  if select("#", ...) == 0 then error("bad argument #1 to 'type' (value expected)", 2) end
  local value = ...
  local kind = type(value)
  if kind == "table" then return S.disguise[value] or kind end
  return kind
end)

S.tostring = S.stub("tostring", function(...)
  if select("#", ...) == 0 then error("bad argument #1 to 'tostring' (value expected)", 2) end
  local value = ...
  local text = tostring(value)
  if type(value) == "function" and S.names[value] then
    return real.jit and gsub(text, "0x%x+", "builtin#" .. (#S.names[value] + 10)) or text
  end
  if type(value) == "table" and S.disguise[value] and not find(text, "^file") then
    return (gsub(text, "^table", S.disguise[value]))
  end
  return text
end)
