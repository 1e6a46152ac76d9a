-- The machine that a sample believes to be on: its environment, clock, files and programs. Nothing of it is there.
local S = ...
local real = S.real
local type, select, error, tostring, setmetatable, tonumber = real.type, real.select, real.error, real.tostring, real.setmetatable, real.tonumber
local find, sub, gsub, match, lower, rep, format = real.string.find, real.string.sub, real.string.gsub, real.string.match, real.string.lower, real.string.rep, real.string.format
local concat, floor = real.table.concat, real.math.floor
local marks = S.marks
local stub, event = S.stub, S.event

local LINUX = {
  HOME = "/home/d.weber", USER = "d.weber", LOGNAME = "d.weber", SHELL = "/bin/bash", LANG = "en_US.UTF-8", PWD = "/home/d.weber",
  PATH = "/usr/local/bin:/usr/bin:/bin", TERM = "xterm-256color", HOSTNAME = "fin-ws-0417", TMPDIR = "/tmp", XDG_RUNTIME_DIR = "/run/user/1000",
  DISPLAY = ":0", XDG_CONFIG_HOME = "/home/d.weber/.config",
}
local WINDOWS = {
  USERNAME = "d.weber", USERPROFILE = "C:\\Users\\d.weber", APPDATA = "C:\\Users\\d.weber\\AppData\\Roaming",
  LOCALAPPDATA = "C:\\Users\\d.weber\\AppData\\Local", TEMP = "C:\\Users\\d.weber\\AppData\\Local\\Temp", TMP = "C:\\Users\\d.weber\\AppData\\Local\\Temp",
  COMPUTERNAME = "FIN-WS-0417", USERDOMAIN = "CORP", OS = "Windows_NT", SYSTEMROOT = "C:\\Windows", WINDIR = "C:\\Windows", SYSTEMDRIVE = "C:",
  PROGRAMDATA = "C:\\ProgramData", PROGRAMFILES = "C:\\Program Files", COMSPEC = "C:\\Windows\\system32\\cmd.exe", PUBLIC = "C:\\Users\\Public",
  PATH = "C:\\Windows\\system32;C:\\Windows", NUMBER_OF_PROCESSORS = "8", PROCESSOR_ARCHITECTURE = "AMD64", HOMEPATH = "\\Users\\d.weber", HOMEDRIVE = "C:",
}

local function is_windows() return S.persona == "windows" end

local function environment(name)
  local known
  if is_windows() then known = WINDOWS[real.string.upper(name)] else known = LINUX[name] end
  if known then return known end
  if find(name, "[Tt][Oo][Kk][Ee][Nn]") or find(name, "SECRET") or find(name, "PASS") or find(name, "API_?KEY") or find(name, "ACCESS_KEY") then
    return marks.environment .. "a81c0f"
  end
  return nil
end

local function text_argument(value, number, name)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  if S.objects[value] then return S.text_of(value) end
  error(format("bad argument #%d to '%s' (string expected, got %s)", number, name, kind == "nil" and "no value" or kind), 3)
end
S.text_argument = text_argument

-- What programs print, by the first word that is known.
local PRINTED = {
  { "whoami", "corp\\d.weber" }, { "^id%f[%W]", "uid=1000(d.weber) gid=1000(d.weber) groups=1000(d.weber),27(sudo)" },
  { "hostname", "fin-ws-0417" }, { "uname", "Linux fin-ws-0417 6.1.0-18-amd64 x86_64 GNU/Linux" },
  { "tasklist", "System 4 Services 0 144 K\r\nexplorer.exe 4412 Console 1 112,004 K\r\nOUTLOOK.EXE 7216 Console 1 201,788 K" },
  { "systeminfo", "Host Name: FIN-WS-0417\r\nOS Name: Microsoft Windows 11 Enterprise" }, { "ver%f[%W]", "Microsoft Windows [Version 10.0.22631.3296]" },
  { "ipconfig", "IPv4 Address. . . : 10.20.4.17" }, { "ifconfig", "inet 10.20.4.17 netmask 255.255.255.0" }, { "ip a", "inet 10.20.4.17/24" },
  { "disk0:", "client_bundle_install.zip" }, { "^ls", "notes.txt\nreport.docx" }, { "^dir", "report.docx" }, { "pwd", "/home/d.weber" },
  { "wmic", "UUID\r\n4C4C4544-0038-5410-8052-B7C04F4D3333" }, { "vol%f[%W]", "Volume Serial Number is 5C1F-8A02" },
  { "ps%f[%W]", "PID TTY TIME CMD\n1 ? 00:00:03 systemd" }, { "date", "2026-03-02" },
}

local function printed(command)
  for at = 1, #PRINTED do
    if find(command, PRINTED[at][1]) then return PRINTED[at][2] .. "\n" .. marks.process .. "\n" end
  end
  return marks.process .. "\n"
end

local FILES = {
  ["/etc/passwd"] = "root:x:0:0:root:/root:/bin/bash\nd.weber:x:1000:1000::/home/d.weber:/bin/bash\n",
  ["/etc/hostname"] = "fin-ws-0417\n", ["/etc/os-release"] = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
  ["/proc/cpuinfo"] = "model name : Intel(R) Core(TM) i7-1185G7\n", ["/etc/hosts"] = "127.0.0.1 localhost\n",
  ["/proc/self/status"] = "Name:\tlua\nTracerPid:\t0\n", ["/proc/version"] = "Linux version 6.1.0-18-amd64\n",
}
local written = {}

local function content(path)
  if written[path] then return written[path] end
  if FILES[path] then return FILES[path] .. "# " .. marks.file .. "\n" end
  if find(path, "^/dev/") then return "" end
  if find(path, "^%a:[\\/]") or find(path, "^/home/") or find(path, "^/root/") or find(path, "^/etc/") or find(path, "^/var/") or find(path, "^%.?[\\/]?%.ssh")
    or find(path, "^/opt/") or find(path, "^/disk0") or find(path, "^/Users/") then
    if not find(path, "vmware") and not find(lower(path), "virtualbox") and not find(lower(path), "vbox") then return "content of " .. path .. " " .. marks.file .. "\n" end
  end
  return nil
end
S.content = content

-- Open files.
local file_meta = { __name = "FILE*" }
local methods = {}
file_meta.__index = methods
file_meta.__tostring = function(f) return S.files[f].open and "file (0x55d0c1a2b2a0)" or "file (closed)" end
S.files = setmetatable({}, { __mode = "k" })
S.file_meta = file_meta

local function new_file(name, path, text, writable)
  local f = setmetatable({}, file_meta)
  S.files[f] = { name = name, path = path, text = text or "", at = 1, open = true, writable = writable, reads = 0 }
  S.disguise[f] = "userdata"
  S.objects[f] = { name = name }
  return f
end
S.new_file = new_file

local function state(f, what)
  local info = S.files[f]
  if not info then error("bad argument #1 to '" .. what .. "' (FILE* expected, got " .. type(f) .. ")", 3) end
  if not info.open then error("attempt to use a closed file", 3) end
  return info
end

local function read_one(info, how)
  if type(how) == "string" then how = gsub(how, "^%*", "") end
  local text, at = info.text, info.at
  if type(how) == "number" then
    if at > #text then return how == 0 and nil or nil end
    info.at = at + how
    return sub(text, at, at + how - 1)
  end
  local kind = sub(how or "l", 1, 1)
  if kind == "a" then
    info.at = #text + 1
    return sub(text, at)
  end
  if at > #text then return nil end
  if kind == "n" then
    local first, last = find(text, "^%s*[%+%-]?[%d%.]+", at)
    if not first then return nil end
    info.at = last + 1
    return tonumber(sub(text, first, last))
  end
  local stop = find(text, "\n", at, true)
  info.at = (stop or #text) + 1
  return sub(text, at, stop and (kind == "L" and stop or stop - 1) or #text)
end

local function read(info, ...)
  info.reads = info.reads + 1
  if info.reads > 20000 then S.finish_now("waits", "it reads a file for ever") end
  local count = select("#", ...)
  if count == 0 then return read_one(info, "l") end
  local found = {}
  for at = 1, count do
    found[at] = read_one(info, (select(at, ...)))
    if found[at] == nil then break end
  end
  return S.unpack(found, 1, count)
end

function methods.read(f, ...) return read(state(f, "read"), ...) end
function methods.write(f, ...)
  local info = state(f, "write")
  local parts = {}
  for at = 1, select("#", ...) do parts[at] = text_argument((select(at, ...)), at, "write") end
  local text = concat(parts)
  event(info.name .. ".write", info.path or "", text)
  if info.path and #text + #(written[info.path] or "") < 4000000 then written[info.path] = (written[info.path] or "") .. text end
  if S.is51 and not real.jit then return true end
  return f
end
function methods.lines(f, ...)
  local info = state(f, "lines")
  local how = { ... }
  return function() return read(info, S.unpack(how)) end
end
function methods.seek(f, whence, offset)
  local info = state(f, "seek")
  whence, offset = whence or "cur", offset or 0
  local base = whence == "set" and 0 or whence == "end" and #info.text or info.at - 1
  info.at = base + offset + 1
  return info.at - 1
end
function methods.close(f)
  local info = state(f, "close")
  info.open = false
  if info.process and not S.is51 then return true, "exit", 0 end
  return true
end
function methods.flush(f) return f end
function methods.setvbuf() return true end
for name, one in real.pairs(methods) do stub(name, one) end

local io = {}
S.io = io
io.open = stub("io.open", function(...)
  local path, mode = ...
  path = text_argument(path, 1, "open")
  mode = mode == nil and "r" or text_argument(mode, 2, "open")
  if select("#", ...) > 1 then event("io.open", path, mode) else event("io.open", path) end
  if not find(mode, "^[rwa]%+?b?$") then error("bad argument #2 to 'open' (invalid mode)", 2) end
  local text = content(path)
  if sub(mode, 1, 1) == "r" and text == nil then return nil, path .. ": No such file or directory", 2 end
  if sub(mode, 1, 1) == "w" then
    written[path] = ""
    text = ""
  end
  return new_file("io.open", path, text, mode ~= "r")
end)
io.popen = stub("io.popen", function(...)
  local command, mode = ...
  command = text_argument(command, 1, "popen")
  if select("#", ...) > 1 then event("io.popen", command, mode) else event("io.popen", command) end
  local f = new_file("io.popen", nil, printed(command), true)
  S.files[f].process = true
  return f
end)
io.stdin, io.stdout, io.stderr = new_file("io.stdin", nil, ""), new_file("io.stdout"), new_file("io.stderr")
local input, output = io.stdin, io.stdout
io.read = stub("io.read", function(...)
  local info = S.files[input]
  event("io.read", ...)
  if input == io.stdin and info.reads == 0 then info.text = marks.request .. "\n" end
  return read(info, ...)
end)
io.write = stub("io.write", function(...)
  if output == io.stdout then
    event("io.write", ...)
    return output
  end
  return methods.write(output, ...)
end)
io.lines = stub("io.lines", function(path, ...)
  if path == nil then return methods.lines(input, ...) end
  path = text_argument(path, 1, "lines")
  event("io.lines", path)
  local text = content(path)
  if text == nil then error(path .. ": No such file or directory", 2) end
  return methods.lines(new_file("io.lines", path, text), ...)
end)
io.input = stub("io.input", function(f)
  if type(f) == "string" then
    event("io.input", f)
    input = new_file("io.input", f, content(f) or "")
  elseif f ~= nil then
    input = f
  end
  return input
end)
io.output = stub("io.output", function(f)
  if type(f) == "string" then
    event("io.output", f)
    output = new_file("io.output", f, "")
  elseif f ~= nil then
    output = f
  end
  return output
end)
io.close = stub("io.close", function(f) return methods.close(f or output) end)
io.type = stub("io.type", function(f)
  local info = S.files[f]
  return info and (info.open and "file" or "closed file") or nil
end)
io.tmpfile = stub("io.tmpfile", function()
  event("io.tmpfile")
  return new_file("io.tmpfile", "/tmp/tmpfile", "")
end)

-- The clock goes on by itself, so that whoever waits for it does not wait long.
local elapsed, asked = 0, 0
local function pass(seconds) elapsed = elapsed + (seconds or 0) end
local function tick()
  asked = asked + 1
  pass(asked > 50 and 0.5 or 0.001)
end
local MOST_SLEEPS, sleeps = 300, 0
function S.sleep(seconds)
  pass(tonumber(seconds) or 0.05)
  sleeps = sleeps + 1
  if sleeps > MOST_SLEEPS then S.finish_now("waits", "it waits again and again") end
end
function S.time() return S.started + floor(elapsed) end

local os = {}
S.os = os
os.clock = stub("os.clock", function()
  tick()
  return 0.01 + elapsed
end)
os.time = stub("os.time", function(when)
  tick()
  if type(when) == "table" then return real.os.time(when) end
  return S.time()
end)
os.date = stub("os.date", function(how, when)
  tick()
  return real.os.date(how or "%c", when or S.time())
end)
os.difftime = stub("os.difftime", function(a, b) return a - (b or 0) end)
os.getenv = stub("os.getenv", function(name)
  name = text_argument(name, 1, "getenv")
  event("os.getenv", name)
  return environment(name)
end)
os.execute = stub("os.execute", function(...)
  local command = ...
  if command == nil then
    event("os.execute")
    if S.is51 then return 1 end
    return true
  end
  command = text_argument(command, 1, "execute")
  event("os.execute", command)
  local seconds = match(command, "^%s*sleep%s+(%d+)") or match(command, "^%s*timeout%s.-(%d+)") or match(command, "^%s*ping%s+%-[nc]%s+(%d+)")
  if seconds then S.sleep(tonumber(seconds)) end
  if S.is51 then return 0 end
  return true, "exit", 0
end)
os.exit = stub("os.exit", function(...)
  event("os.exit", ...)
  S.finish_now("exit", "")
end)
os.remove = stub("os.remove", function(path)
  path = text_argument(path, 1, "remove")
  event("os.remove", path)
  if content(path) == nil then return nil, path .. ": No such file or directory", 2 end
  written[path] = nil
  return true
end)
os.rename = stub("os.rename", function(from, to)
  from, to = text_argument(from, 1, "rename"), text_argument(to, 2, "rename")
  event("os.rename", from, to)
  written[to], written[from] = content(from) or "", nil
  return true
end)
os.tmpname = stub("os.tmpname", function()
  event("os.tmpname")
  return is_windows() and "C:\\Users\\d.weber\\AppData\\Local\\Temp\\s3k4." or "/tmp/lua_x8Kq2T"
end)
os.setlocale = stub("os.setlocale", function() return "C" end)
