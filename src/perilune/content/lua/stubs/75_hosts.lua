-- The APIs of programs that carry Lua. A root is there only where the sample's text, or a run before, asks for it.
local S = ...
local real = S.real
local type, setmetatable, rawset = real.type, real.setmetatable, real.rawset
local results, values, callbacks, standin, marked, stub = S.results, S.values, S.callbacks, S.standin, S.marked, S.stub
local request, network = S.marks.request, S.marks.network

-- What comes from outside reads as a command and as Lua.
local function text(kind)
  if kind == "request" and S.flags["no request"] then return nil end
  return S.marks[kind] .. "=id"
end

-- Tables of what a web request brings: every name is there, and its value is marked.
local function everything(kind)
  return setmetatable({}, { __index = function(_, key)
    if type(key) ~= "string" then return nil end
    return text(kind)
  end })
end

-- nginx.
for _, name in real.ipairs({ "get_uri_args", "get_post_args", "get_headers", "get_query_args" }) do
  results["ngx.req." .. name] = function() return everything("request") end
end
results["ngx.req.get_body_data"] = function() return text("request") end
results["ngx.req.get_method"] = function() return "POST" end
results["ngx.req.raw_header"] = function() return text("request") end
results["ngx.req.read_body"] = function() return nil end
results["ngx.req.get_body_file"] = function() return nil end
values["ngx.var"] = function() return everything("request") end
values["ngx.ctx"] = function() return {} end
values["ngx.header"] = function() return {} end
values["ngx.null"] = function() return nil end
values["ngx.HTTP_OK"] = function() return 200 end
results["ngx.sleep"] = S.sleep
results["ngx.now"], results["ngx.time"] = S.time, S.time
results["ngx.exit"] = function() S.finish_now("exit", "") end
results["ngx.unescape_uri"] = function(value) return value end
results["ngx.escape_uri"] = function(value) return value end
results["ngx.get_phase"] = function() return "content" end
for _, name in real.ipairs({ "kong.request.get_query_arg", "kong.request.get_header", "kong.request.get_raw_body", "request_parameter", "luci.http.formvalue", "http.formvalue",
  "uhttpd.recv", "webserver.getparam" }) do
  results[name] = function() return text("request") end
end

-- Redis.
values["KEYS"] = function() return { "key:1", "key:2" } end
values["ARGV"] = function() return { text("request"), "1" } end
for _, name in real.ipairs({ "redis.call", "redis.pcall" }) do
  results[name] = function(command)
    if type(command) == "string" and real.string.upper(command) == "KEYS" then return { "key:1" } end
    return "1"
  end
end
results["redis.sha1hex"] = function() return "da39a3ee5e6b4b0d3255bfef95601890afd80709" end
results["redis.error_reply"] = function(why) return { err = why } end
results["redis.status_reply"] = function(why) return { ok = why } end
results["cjson.decode"] = function() return {} end
results["cmsgpack.unpack"], results["cmsgpack.pack"] = results["cjson.decode"], function(value) return S.shown(value) end

-- FiveM: what comes back, and what the functions handed over are called with.
callbacks["PerformHttpRequest"] = function(_) return 200, S.body(""), {}, "" end
callbacks["PerformHttpRequestInternalEx"] = callbacks["PerformHttpRequest"]
for _, name in real.ipairs({ "RegisterNetEvent", "RegisterServerEvent", "AddEventHandler" }) do
  callbacks[name] = function() return text("request"), text("request"), 1 end
end
callbacks["RegisterCommand"] = function() return 1, { text("request") }, text("request") end
callbacks["SetHttpHandler"] = function() return marked("request", "request"), marked("response", "request") end
results["GetCurrentResourceName"] = function() return "basic-gamemode" end
results["GetConvar"] = function(_, default) return default or "" end
results["LoadResourceFile"] = function() return S.marks.file .. "\n" end
results["GetPlayerIdentifiers"] = function() return { "license:" .. S.marks.environment } end
results["Citizen.Wait"], results["Wait"] = S.sleep, S.sleep
for _, name in real.ipairs({ "HttpService.JSONEncode", "cjson.encode", "json.encode", "util.TableToJSON", "dkjson.encode", "vim.json.encode", "vim.fn.json_encode", "core.write_json" }) do
  results[name] = function(value) return S.shown(value) end
end
results["json.decode"] = results["cjson.decode"]
results["IsDuplicityVersion"] = function() return true end
results["GetNumPlayerIndices"] = function() return 1 end

-- Garry's Mod.
callbacks["http.Fetch"] = function() return S.body(""), 64, {}, 200 end
callbacks["http.Post"] = callbacks["http.Fetch"]
callbacks["HTTP.success"] = function() return 200, S.body(""), {} end
callbacks["net.Receive"] = function() return 64, marked("player", "request") end
callbacks["concommand.Add"] = function() return marked("player", "request"), "command", { text("request") }, text("request") end
callbacks["hook.Add"] = function() return marked("player", "request"), text("request"), false end
for _, name in real.ipairs({ "ReadString", "ReadData" }) do results["net." .. name] = function() return text("request") end end
results["net.ReadUInt"], results["net.ReadInt"] = function() return 1 end, function() return 1 end
results["net.ReadBool"] = function() return true end
results["file.Read"] = function() return S.marks.file .. "\n" end
results["file.Exists"] = function() return true end
results["GetConVar"] = function() return standin("ConVar") end
results["util.JSONToTable"] = results["cjson.decode"]
results["player.GetAll"] = function() return { marked("player", "request") } end
results["engine.ActiveGamemode"] = function() return "sandbox" end
results["game.GetIPAddress"] = function() return "198.51.100.7:27015" end
results["GetHostName"] = function() return "server" end

-- Roblox, and what cheat engines add to it.
results["game.GetService"] = function(name) return standin(type(name) == "string" and name or "game.GetService") end
results["task.wait"], results["wait"] = function() S.sleep(1) return 1 end, function() S.sleep(1) return 1 end
results["getgenv"], results["getrenv"] = function() return S.globals end, function() return S.globals end
results["readfile"] = function() return S.marks.file end
results["hookfunction"] = function(f) return f end
results["identifyexecutor"] = function() return "executor", "1.0" end
results["typeof"] = function(value) return S.type(value) end

-- The rest: what scripts of these programs are called with.
callbacks["core.register_service"] = function() return marked("applet", "request") end
callbacks["core.register_action"] = function() return marked("txn", "request") end
callbacks["core.register_fetches"] = callbacks["core.register_action"]
callbacks["core.register_converters"] = function() return text("request") end
callbacks["module.hook"] = function() return marked("event", "request") end
callbacks["vim.api.nvim_create_autocmd.callback"] = function() return { file = "notes.txt", buf = 1, match = "*" } end
results["vim.fn.system"] = function() return S.marks.process .. "\n" end
results["vim.fn.systemlist"] = function() return { S.marks.process } end
results["vim.fn.expand"] = function() return "/home/d.weber/.config/nvim/init.lua" end
results["vim.fn.stdpath"] = function() return "/home/d.weber/.config/nvim" end
results["vim.fn.readfile"] = function() return { S.marks.file } end
results["vim.fn.has"] = function() return 1 end
results["vim.tbl_extend"] = function(_, a) return a end
results["w.exec2str"], results["w.exec"] = function() return S.marks.process .. "\n" end, function() return 0 end
results["LibStub"] = function(name) return standin("LibStub") end
results["UnitName"] = function() return "Player" end
results["GetTime"] = S.time
results["stdnse.get_script_args"] = function() return nil end
results["shortport.port_or_service"] = function() return function() return true end end
for _, name in real.ipairs({ "shortport.http", "shortport.portnumber", "shortport.version_port_or_service" }) do results[name] = results["shortport.port_or_service"] end

-- Globals that hosts call by their name, with what.
S.entry_points = {
  { "action", function() return S.open_library("host", { ip = "198.51.100.9", name = "host" }), S.open_library("port", { number = 80, protocol = "tcp", service = "http" }) end },
  { "handle_request", function() return everything("request") end },
  { "handle", function() return marked("request", "request") end },
  { "main", function() return text("argument") end },
  { "init", function() return nil end },
  { "on_message", function() return text("request") end },
  { "process_attachment", function() return marked("attachment", "argument") end },
  { "request_handler", function() return everything("request") end },
}

-- What other versions have.
S.own = { RunString = S.RunString, RunStringEx = S.RunStringEx, CompileString = S.CompileString, loadstring = S.loadstring,
  unpack = S.unpack, bit = S.bit, bit32 = S.bit32, jit = S.jit }
S.own.getfenv = real.getfenv or stub("getfenv", function() return S.globals end)
S.own.setfenv = real.setfenv or stub("setfenv", function(f, env)
  if type(f) == "function" and not S.names[f] and not S.is_ours(real.debug.getinfo(f, "S")) then
    for at = 1, 60 do
      local name = real.debug.getupvalue(f, at)
      if name == nil then break end
      if name == "_ENV" or (name == "" or name == "(no name)") and at == 1 then
        real.debug.upvaluejoin(f, at, function() return env end, 1)
        break
      end
    end
  end
  return f
end)

-- A root that is asked for: a stand-in, or a function where it can only be one.
function S.root(name)
  if S.own[name] then return S.own[name] end
  local value = values[name]
  if value then return (value()) end
  if results[name] or callbacks[name] then
    return stub(name, function(...) return S.invoke(name, ...) end)
  end
  return standin(name)
end
