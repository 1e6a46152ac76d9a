-- Strings and tables: the real functions, with what they build written down. Their errors read as those of C do.
local S = ...
local real = S.real
local type, pcall, error, tostring, select, unpack = real.type, real.pcall, real.error, real.tostring, real.select, S.unpack
local gsub, find = real.string.gsub, real.string.find
local built = S.built

local string_library = real._G.string -- the table itself, which is also what strings look their methods up in
local table_library = real._G.table

-- An error of the real function as it reads without the stub around it.
local function worded(name, why)
  if type(why) ~= "string" then return why, 0 end
  why = gsub(why, "^%[C%]:%d+: ", "")
  why = gsub(why, "'%?'", "'" .. name .. "'")
  why = gsub(why, "'one'", "'" .. name .. "'")
  return why, why == "not enough memory" and 0 or 2
end

-- A stand-in that is text is text here too.
local function as_text(value)
  if type(value) == "table" and S.objects[value] then return S.text_of(value) end
  return value
end

-- The function with its result kept, where it is text.
local function kept(name, one, second)
  return S.stub(name, function(first, ...)
    local fine, result, more
    if first == nil and select("#", ...) == 0 then
      fine, result, more = pcall(one)
    else
      fine, result, more = pcall(one, as_text(first), ...)
    end
    if not fine then
      local why, level = worded(name, result)
      error(why, level)
    end
    if type(result) == "string" then built(result) end
    if second then return result, more end
    return result
  end)
end

for _, name in real.ipairs({ "char", "reverse", "rep", "upper", "lower" }) do
  string_library[name] = kept(name, real.string[name])
end
string_library.gsub = kept("gsub", real.string.gsub, true)
-- Stand-ins among what is joined or put into a format are text.
local function all_text(list, from, to)
  local found = {}
  for at = from, to do found[at] = as_text(real.rawget(list, at)) end
  return found
end
string_library.format = kept("format", function(form, ...)
  for at = 1, select("#", ...) do
    if type((select(at, ...))) == "table" then
      local count = select("#", ...)
      return real.string.format(form, unpack(all_text({ ... }, 1, count), 1, count))
    end
  end
  return real.string.format(form, ...)
end)
local function holds_standin(list, to)
  if type(list) ~= "table" then return false end
  for at = 1, to do
    if S.objects[real.rawget(list, at)] then return true end
  end
  return false
end
local join = real.table.concat
table_library.concat = kept("concat", function(list, separator, first, last)
  local fine, text = pcall(join, list, separator, first or 1, last)
  if fine then return text end
  local size = type(list) == "table" and #list or 0
  if size > 0 and size < 10000 and holds_standin(list, size) then
    return join(all_text(list, 1, size), as_text(separator), first or 1, last or size)
  end
  if last then return join(list, separator, first or 1, last) end
  return join(list, separator, first or 1)
end)

-- What data from outside are searched for says what the sample waits for, or is afraid of.
local carried, event = S.carried, S.event
local function searching(name, one)
  return S.stub(name, function(text, pattern, ...)
    text, pattern = as_text(text), as_text(pattern)
    if type(text) == "string" and type(pattern) == "string" and carried(text) then
      S.keep(pattern)
      event("string." .. name, "=data from outside", pattern)
    end
    for at = 1, 2 do
      local value
      if at == 1 then value = text else value = pattern end
      local kind = type(value)
      if kind ~= "string" and kind ~= "number" then
        error("bad argument #" .. at .. " to '" .. name .. "' (string expected, got " .. (kind == "nil" and "no value" or kind) .. ")", 2)
      end
    end
    return one(text, pattern, ...)
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
