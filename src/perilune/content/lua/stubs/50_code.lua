-- Code that is loaded while the sample runs: kept, with what it carries, and loaded as the real function does.
local S = ...
local real = S.real
local type, select, error, pcall, tostring, rawget, setmetatable = real.type, real.select, real.error, real.pcall, real.tostring, real.rawget, real.setmetatable
local concat, sub, find, gsub = real.table.concat, real.string.sub, real.string.find, real.string.gsub
local stub, event = S.stub, S.event
local load_text, getinfo = S.load_text, real.debug.getinfo
local takes_env = real._VERSION ~= "Lua 5.1" or real.jit ~= nil

local depths = {} -- source -> how deep
S.depths = depths

local function depth_of(level)
  for at = level + 1, level + 12 do
    local info = getinfo(at, "S")
    if not info then break end
    if depths[info.source] then return depths[info.source] end
  end
  return 0
end

local function gathered(reader)
  local parts, size = {}, 0
  while true do
    local part = reader()
    if part == nil or part == "" then break end
    if type(part) ~= "string" then error("reader function must return a string", 3) end
    parts[#parts + 1] = part
    size = size + #part
    if size > 16000000 then error("not enough memory", 0) end
  end
  return concat(parts)
end

-- Loads text under the name of the function that was asked for it.
local function loading(how, text, name, ...)
  local depth = depth_of(2) + 1
  local chunk_name = type(name) == "string" and name or text
  local f, why
  if select("#", ...) > 0 and takes_env then
    f, why = load_text(text, chunk_name, ...)
  else
    f, why = load_text(text, chunk_name)
  end
  S.code(how, type(name) == "string" and name or "", depth, text, f ~= nil)
  if not f then return f, why end
  depths[getinfo(f, "S").source] = depth
  if S.flags["arguments"] then
    return function(...)
      if select("#", ...) > 0 then return f(...) end
      return f(S.given_arguments())
    end
  end
  return f
end
S.loading = loading

local function code_argument(text, name)
  local kind = type(text)
  if kind == "string" then return text end
  if kind == "number" then return tostring(text) end
  if S.objects[text] then return S.text_of(text) end
  error("bad argument #1 to '" .. name .. "' (string expected, got " .. (kind == "nil" and "no value" or kind) .. ")", 3)
end

S.load = stub("load", function(text, name, ...)
  if type(text) == "function" then text = gathered(text) end
  text = code_argument(text, "load")
  event("load", text, S.unpack({ name }))
  return loading("load", text, name == nil and "=(load)" or name, ...)
end)
S.loadstring = stub("loadstring", function(text, name, ...)
  text = code_argument(text, "loadstring")
  event("loadstring", text, S.unpack({ name }))
  return loading("loadstring", text, name, ...)
end)
S.loadfile = stub("loadfile", function(path, ...)
  event("loadfile", path)
  local text = type(path) == "string" and S.content(path)
  if not text then return nil, "cannot open " .. tostring(path) end
  return loading("loadfile", text, "@" .. path)
end)
S.dofile = stub("dofile", function(path)
  event("dofile", path)
  local text = type(path) == "string" and S.content(path)
  if not text then error("cannot open " .. tostring(path), 2) end
  local f, why = loading("dofile", text, "@" .. path)
  if not f then error(why, 0) end
  return f()
end)

-- Garry's Mod.
local function run_string(how)
  return stub(how, function(text, name, handles)
    text = code_argument(text, how)
    event(how, text, name)
    local f, why = loading(how, text, type(name) == "string" and name or how)
    if not f then
      if handles == false then return why end
      error(why, 0)
    end
    f()
  end)
end
S.RunString, S.RunStringEx = run_string("RunString"), run_string("RunStringEx")
S.CompileString = stub("CompileString", function(text, name)
  text = code_argument(text, "CompileString")
  event("CompileString", text, name)
  local f, why = loading("CompileString", text, type(name) == "string" and name or "CompileString")
  return f or why
end)

-- Modules: those that stand-ins are known for, those that the sample brought, and for others a stand-in of their name.
S.modules, S.loaded = {}, {}
S.missing = {}
local package = { loaded = S.loaded, preload = {}, path = "./?.lua;/usr/local/share/lua/5.1/?.lua", cpath = "./?.so;/usr/local/lib/lua/5.1/?.so" }
S.package = package
S.require = stub("require", function(name)
  if type(name) ~= "string" then
    if S.objects[name] then
      event("require", name)
      return S.standin(S.objects[name].name)
    end
    error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2)
  end
  local known = S.loaded[name]
  if known ~= nil then return known end
  event("require", name)
  local preload = rawget(package, "preload")
  local own = type(preload) == "table" and rawget(preload, name)
  if type(own) == "function" then
    known = own(name)
    if known == nil then known = true end
  elseif S.modules[name] then
    known = S.modules[name]()
  else
    S.missing[#S.missing + 1] = name
    if #S.missing <= 20 then S.note("module " .. name) end
    known = S.standin(name)
  end
  S.loaded[name] = known
  return known
end)
package.loadlib = stub("package.loadlib", function(path, name)
  event("package.loadlib", path, name)
  local library = type(name) == "string" and real.string.match(name, "^luaopen_(%w+)$")
  return function()
    local found = library and S.globals[library]
    return found or S.standin("package.loadlib." .. tostring(name))
  end
end)
package.searchpath = stub("package.searchpath", function(name) return nil, "no file '" .. tostring(name) .. "'" end)
package.seeall = stub("package.seeall", function(module) setmetatable(module, { __index = S.globals }) end)
package.searchers = { function() return nil end, function() return nil end }
package.loaders = package.searchers
