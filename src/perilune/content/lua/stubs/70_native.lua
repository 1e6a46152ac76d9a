-- Native code: nothing is loaded or called, but every call is written down by the name of its function.
local S = ...
local real = S.real
local type, select, tostring, rawset = real.type, real.select, real.tostring, real.rawset
local results, values, standin, modules, stub, event = S.results, S.values, S.standin, S.modules, S.stub, S.event

local function text_of(value) return S.shown(value) end

modules["ffi"] = function()
  local ffi
  local function made(what)
    return stub("ffi." .. what, function(kind, ...)
      event("ffi." .. what, kind, ...)
      S.keep_functions("ffi." .. what, ...)
      return standin("ffi." .. what .. "." .. text_of(kind))
    end)
  end
  local types = {}
  for _, what in real.ipairs({ "new", "cast", "typeof", "metatype", "gc", "fill", "addressof" }) do types[what] = made(what) end
  local own = {
    os = S.persona == "windows" and "Windows" or "Linux", arch = "x64", abi = stub("ffi.abi", function() return true end),
    C = standin("ffi.C"),
    cdef = stub("ffi.cdef", function(text) event("ffi.cdef", text) end),
    load = stub("ffi.load", function(name)
      event("ffi.load", name)
      return standin("ffi.load")
    end),
    typeof = stub("ffi.typeof", function(kind)
      return setmetatable({}, { __call = function(_, ...) return types.new(kind, ...) end, __index = function() return standin("ffi.typeof") end })
    end),
    copy = stub("ffi.copy", function(to, from, size)
      event("ffi.copy", to, from, size)
      return to
    end),
    string = stub("ffi.string", function(from, size)
      event("ffi.string", from, size)
      if type(from) == "string" then return from end
      return S.marks.process .. "\0"
    end),
    sizeof = stub("ffi.sizeof", function() return 8 end),
    istype = stub("ffi.istype", function() return false end),
    errno = stub("ffi.errno", function() return 0 end),
    offsetof = stub("ffi.offsetof", function() return 0 end),
  }
  ffi = S.open_library("ffi", {})
  for name, one in real.pairs(types) do rawset(ffi, name, one) end
  for name, one in real.pairs(own) do rawset(ffi, name, one) end
  return ffi
end
results["ffi.C.system"] = function() return 0 end
results["ffi.C.getpid"] = function() return 4242 end
results["ffi.C.IsDebuggerPresent"], results["ffi.load.IsDebuggerPresent"] = function() return 0 end, function() return 0 end
results["ffi.C.GetLastError"], results["ffi.load.GetLastError"] = function() return 0 end, function() return 0 end
results["ffi.C.Sleep"], results["ffi.load.Sleep"], results["ffi.C.usleep"] = function() S.sleep(1) end, function() S.sleep(1) end, function() S.sleep(1) end
results["ffi.C.sleep"] = results["ffi.C.Sleep"]

modules["bit"] = function() return S.bit end
modules["bit32"] = function() return S.bit32 end
modules["table.new"] = function() return function() return {} end end
modules["table.clear"] = function()
  return function(t)
    for key in real.next, t do t[key] = nil end
  end
end
modules["jit"] = function() return S.jit end
S.jit = {
  version = "LuaJIT 2.1.1774896198", version_num = 20199, arch = "x64",
  status = stub("jit.status", function() return true, "SSE3", "SSE4.1", "BMI2", "fold", "cse", "dce", "fwd", "dse", "narrow", "loop", "abc", "sink", "fuse" end),
  on = stub("jit.on", function() end), off = stub("jit.off", function() end), flush = stub("jit.flush", function() end),
  opt = { start = stub("jit.opt.start", function() end) },
}

-- The registry of Windows, through the libraries that reach it.
results["winapi.open_reg_key"] = function(path) return standin("winapi.open_reg_key") end
results["winapi.open_reg_key.get_value"] = function() return S.marks.file end
results["alien.load"] = function() return standin("alien.load") end
