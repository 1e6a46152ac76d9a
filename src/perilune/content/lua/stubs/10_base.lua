-- What every stub uses: the real functions, kept before they are taken away, and the trace.
-- These files run before the sample, in its VM. They are called "[C]", use no global, and must read as Lua 5.1 to 5.5.
-- Nothing here keeps a sample in: that is the lock's work. Here it is shown a world, and what it does there is written down.
local S = ...

local real = {}
S.real = real
for name, value in pairs(_G) do
  if type(value) == "table" and name ~= "_G" then
    local copy = {}
    for key, one in pairs(value) do copy[key] = one end
    real[name] = copy
  else
    real[name] = value
  end
end

local find, sub, gsub, format, byte = real.string.find, real.string.sub, real.string.gsub, real.string.format, real.string.byte
local concat, tostring, type, rawget, select = real.table.concat, real.tostring, real.type, real.rawget, real.select
local clock, out = real.os.clock, real.io.stdout
local write = out.write
out:setvbuf("no")

S.version = real.jit and "LuaJIT" or real._VERSION
S.is51 = real._VERSION == "Lua 5.1"
S.unpack = real.unpack or real.table.unpack
S.load_text = real.loadstring or real.load

-- The marks that decoy data carry, by where such data come from. The same words stand in run/marks.py. All begin alike,
-- so that most texts are looked at once.
local ANY_MARK = "zQ7"
S.marks = {
  network = "zQ7k2mRxTb", file = "zQ7Jd3Lw0p", environment = "zQ7u5Hn1oB", request = "zQ7m4cG6sE", process = "zQ7a2Xv9rU",
  argument = "zQ7f8Wt3yD",
}
S.mark_names = { "network", "file", "environment", "request", "process", "argument" }

local MOST_TEXT, MOST_CODE, MOST_ARGUMENTS = 4000, 1000000, 12
S.budget = { events = 5000, event_bytes = 4000000, string_bytes = 1000000, strings = 500, code = 100, code_bytes = 6000000 }
S.began = clock()
S.counts, S.order = {}, {}

local escapes = {}
for n = 0, 255 do
  local char = real.string.char(n)
  if n < 32 or n > 126 then escapes[char] = format("\\u%04x", n) end
end
escapes['"'], escapes["\\"] = '\\"', "\\\\"

local function quoted(text)
  return '"' .. gsub(text, '[%c"\\\127-\255]', escapes) .. '"'
end
S.quoted = quoted

-- Which marks a text carries.
local function carried(text)
  if not find(text, ANY_MARK, 1, true) then return nil end
  local found
  for at = 1, #S.mark_names do
    local name = S.mark_names[at]
    if find(text, S.marks[name], 1, true) then
      found = found or {}
      found[#found + 1] = '"' .. name .. '"'
    end
  end
  return found
end

-- One write for one record, so that it is whole wherever the process ends.
local function tell(line) write(out, line .. "\n") end
S.tell = tell

local function now() return format("%.2f", (clock() - S.began) * 1000) end

S.carried = carried

-- A value as text for the trace, and what it carries.
local function shown(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  elseif kind == "table" then
    local info = S.objects[value]
    if info then return info.text or ("=" .. info.name) end
    return S.flat(value, 1)
  end
  return "=" .. (S.names[value] or kind)
end
S.shown = shown

-- A table of the sample as text: its first fields, two levels deep.
function S.flat(value, depth)
  local parts, count = {}, 0
  for key, one in real.next, value do
    count = count + 1
    if count > 24 then
      parts[count] = "..."
      break
    end
    local kind = type(one)
    local text
    if kind == "table" and not S.objects[one] then
      text = depth < 2 and S.flat(one, depth + 1) or "{...}"
    elseif kind == "string" then
      text = '"' .. (#one > MOST_TEXT and sub(one, 1, MOST_TEXT) or one) .. '"'
    else
      text = shown(one)
    end
    parts[count] = (type(key) == "string" and key .. " = " or "") .. text
  end
  real.table.sort(parts)
  return "{" .. concat(parts, ", ") .. "}"
end

S.objects = setmetatable({}, { __mode = "k" }) -- stand-ins: name, text
S.names = setmetatable({}, { __mode = "k" }) -- names of the stubs
S.disguise = setmetatable({}, { __mode = "k" }) -- tables that say they are userdata or functions

-- Writes down a call: at most three times the same one, the rest is counted.
function S.event(name, ...)
  local count = select("#", ...)
  if count > MOST_ARGUMENTS then count = MOST_ARGUMENTS end
  local parts, carries = {}, nil
  for at = 1, count do
    local text = shown((select(at, ...)))
    local found = carried(text)
    if found then carries = found end
    if #text > MOST_TEXT then text = sub(text, 1, MOST_TEXT) .. "..." end
    parts[at] = quoted(text)
  end
  local body = '"n":' .. quoted(name) .. ',"a":[' .. concat(parts, ",") .. "]"
  if carries then body = body .. ',"m":[' .. concat(carries, ",") .. "]" end
  local seen = S.counts[body]
  if seen then
    S.counts[body] = seen + 1
    return seen + 1
  end
  if S.budget.events <= 0 or S.budget.event_bytes <= 0 then
    S.cut = S.cut or "calls"
    return 1
  end
  S.budget.event_bytes = S.budget.event_bytes - #body
  S.budget.events = S.budget.events - 1
  S.counts[body] = 1
  S.order[#S.order + 1] = body
  tell('{"k":"call",' .. body .. ',"t":' .. now() .. "}")
  return 1
end

local kept_strings = {}
-- Keeps a string that the program built.
function S.built(text)
  local size = #text
  if size < 6 or size > 20000 or kept_strings[text] or S.budget.strings <= 0 or S.budget.string_bytes <= 0 then return end
  kept_strings[text] = true
  S.budget.strings = S.budget.strings - 1
  S.budget.string_bytes = S.budget.string_bytes - size
  if size > MOST_TEXT then text = sub(text, 1, MOST_TEXT) end
  tell('{"k":"string","s":' .. quoted(text) .. "}")
end

function S.keep(text) if #text > 2 then S.built(text) end end

-- Keeps code that the program loaded.
function S.code(how, name, depth, text, fine)
  S.counts[text] = (S.counts[text] or 0) + 1
  if S.counts[text] > 1 then return end
  if S.budget.code <= 0 or S.budget.code_bytes <= 0 then
    S.cut = S.cut or "loaded code"
    return
  end
  S.budget.code = S.budget.code - 1
  local cut = #text > MOST_CODE
  if cut then text = sub(text, 1, MOST_CODE) end
  S.budget.code_bytes = S.budget.code_bytes - #text
  local carries = carried(text)
  tell('{"k":"code","h":' .. quoted(how) .. ',"n":' .. quoted(sub(name, 1, 200)) .. ',"d":' .. depth .. ',"c":' .. quoted(text)
    .. (carries and (',"m":[' .. concat(carries, ",") .. "]") or "")
    .. ',"ok":' .. tostring(fine) .. ',"cut":' .. tostring(cut) .. ',"t":' .. now() .. "}")
end

function S.note(text) tell('{"k":"note","s":' .. quoted(sub(text, 1, 500)) .. "}") end

function S.finish(how, message)
  for at = 1, #S.order do
    local times = S.counts[S.order[at]]
    if times > 1 then tell('{"k":"more",' .. S.order[at] .. ',"x":' .. times .. "}") end
  end
  local unknown = {}
  for at = 1, #S.unknown do unknown[at] = quoted(sub(S.unknown[at], 1, 80)) end
  tell('{"k":"end","how":' .. quoted(how) .. ',"s":' .. quoted(sub(message, 1, 500)) .. ',"steps":' .. S.steps
    .. ',"u":[' .. concat(unknown, ",") .. "]" .. (S.cut and (',"cut":' .. quoted(S.cut)) or "") .. "}")
end

S.unknown, S.steps = {}, 0

-- A stub: a function with a name, which says of itself that it is written in C.
function S.stub(name, f)
  S.names[f] = name
  return f
end
