-- The network: nobody is called, and something plausible and marked answers.
local S = ...
local real = S.real
local type, find, sub, tostring, lower = real.type, real.string.find, real.string.sub, real.tostring, real.string.lower
local results, standin, modules = S.results, S.standin, S.modules
local mark = S.marks.network

-- An answer that is code where code is asked for, and data where data are.
local function body(url)
  url = type(url) == "string" and lower(url) or ""
  if find(url, "ip%-api") or find(url, "ipinfo") or find(url, "geoip") then
    return '{"status":"success","country":"Germany","countryCode":"DE","query":"198.51.100.7","ip":"198.51.100.7","isp":"' .. mark .. '"}'
  end
  if find(url, "ipify") or find(url, "icanhazip") or find(url, "ifconfig") then return "198.51.100.7" end
  if find(url, "json") or find(url, "rpc") then return '{"jsonrpc":"2.0","id":1,"result":"0x' .. mark .. '"}' end
  return 'return "' .. mark .. '"'
end
S.body = body

local function url_of(request)
  if type(request) ~= "table" then return request end
  return real.rawget(request, "url") or real.rawget(request, "Url") or real.rawget(request, "uri")
end

local function http_answer(request)
  local sink = type(request) == "table" and not S.objects[request] and real.rawget(request, "sink")
  if type(sink) == "function" then
    sink(body(url_of(request)))
    sink(nil)
    return 1, 200, { ["content-type"] = "text/plain" }, "HTTP/1.1 200 OK"
  end
  return body(url_of(request)), 200, { ["content-type"] = "text/plain" }, "HTTP/1.1 200 OK"
end
for _, name in real.ipairs({ "socket.http.request", "ssl.https.request", "http.request", "copas.http.request", "socket.ftp.get", "socket.tftp.get" }) do
  results[name] = http_answer
end
for _, name in real.ipairs({ "socket.ftp.put", "socket.smtp.send" }) do
  results[name] = function() return 1 end
end
local function only_body(_, url) return body(url) end
results["game.HttpGet"] = function(url) return body(url) end
results["game.HttpGetAsync"], results["game.HttpPost"] = results["game.HttpGet"], results["game.HttpGet"]
results["HttpService.GetAsync"], results["HttpService.PostAsync"] = results["game.HttpGet"], results["game.HttpGet"]
results["HttpService.RequestAsync"] = function(request) return { Success = true, StatusCode = 200, Body = body(url_of(request)), Headers = {} } end
for _, name in real.ipairs({ "syn.request", "http_request", "request", "fluxus.request" }) do results[name] = results["HttpService.RequestAsync"] end
results["net.http.request"] = http_answer
results["core.httpclient.get"] = function(request) return { status = 200, body = body(url_of(request)), headers = {} } end
results["core.httpclient.post"] = results["core.httpclient.get"]
results["resty.http.new.request_uri"] = function(url) return { status = 200, body = body(url), headers = {} } end
results["ngx.location.capture"] = function(url) return { status = 200, body = body(url), header = {} } end
results["cURL.easy.perform"] = only_body

-- A peer sends a few lines, then waits for ever.
local received = 0
local function line()
  received = received + 1
  if received > 3 then S.finish_now("waits", "it waits for the network") end
  return mark .. "=" .. received
end
local names = { "socket.tcp", "socket.tcp4", "socket.tcp6", "socket.udp", "socket.connect", "socket.bind.accept", "socket.tcp.accept", "ssl.wrap", "ngx.socket.tcp",
  "nmap.new_socket", "copas.wrap", "socket.udp4", "socket.unix", "core.tcp", "vim.loop.new_tcp", "vim.uv.new_tcp" }
for _, name in real.ipairs(names) do
  for _, method in real.ipairs({ "receive", "receivefrom", "receive_buf", "receive_lines", "receive_bytes", "receiveline", "receiveany" }) do
    results[name .. "." .. method] = function()
      if sub(name, 1, 4) == "nmap" then return true, line() end
      return line()
    end
  end
  results[name .. ".connect"] = function() return name == "nmap.new_socket" or 1, nil end
  results[name .. ".send"] = function(data) return type(data) == "string" and #data or 1 end
  results[name .. ".sendto"] = results[name .. ".send"]
  for _, method in real.ipairs({ "settimeout", "setoption", "close", "listen", "setpeername", "dohandshake", "shutdown", "settimeouts", "sslhandshake", "setkeepalive" }) do
    results[name .. "." .. method] = function() return 1 end
  end
  results[name .. ".getfd"] = function() return 3 end
  results[name .. ".getpeername"] = function() return "198.51.100.9", 443 end
  results[name .. ".getsockname"] = function() return "10.20.4.17", 50123 end
end
results["socket.select"] = function(reading, writing)
  received = received + 1
  if received > 6 then S.finish_now("waits", "it waits for the network") end
  return reading or {}, writing or {}
end
results["socket.dns.gethostname"] = function() return "fin-ws-0417" end
results["socket.dns.toip"] = function() return "198.51.100.9", {} end
results["socket.gettime"] = function() return S.time() + 0.25 end
results["socket.sleep"] = S.sleep

local function module(name)
  modules[name] = function() return standin(name) end
end
for _, name in real.ipairs({ "socket", "socket.http", "ssl", "ssl.https", "socket.ftp", "socket.smtp", "socket.url", "http", "copas", "cqueues", "lcurl", "cURL", "resty.http",
  "posix", "posix.unistd", "posix.stdlib", "luv", "luacom", "winapi", "alien", "nixio", "lfs", "http.request", "websocket", "mime" }) do
  module(name)
end
modules["https"] = function() return standin("ssl.https") end
modules["luasocket"] = function() return standin("socket") end

-- base64 of the mime library is real work, or what it decodes would be lost.
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local char, byte, floor, concat = real.string.char, real.string.byte, real.math.floor, real.table.concat
local function decoded(text)
  local parts, bits, size = {}, 0, 0
  for at = 1, #text do
    local place = find(ALPHABET, sub(text, at, at), 1, true)
    if place then
      bits, size = (bits * 64 + place - 1) % 16777216, size + 6
      if size >= 8 then
        size = size - 8
        parts[#parts + 1] = char(floor(bits / 2 ^ size) % 256)
      end
    end
  end
  return concat(parts)
end
local function encoded(text)
  local parts = {}
  for at = 1, #text, 3 do
    local a, b, c = byte(text, at, at + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 3, 0, -1 do
      local empty = (place == 0 and not c) or (place == 1 and not b)
      local index = floor(n / 64 ^ place) % 64 + 1
      parts[#parts + 1] = empty and "=" or sub(ALPHABET, index, index)
    end
  end
  return concat(parts)
end
local function coder(name, f)
  results[name] = function(text)
    if S.objects[text] then text = S.text_of(text) end
    if type(text) ~= "string" then return nil end
    local result = f(text)
    S.built(result)
    return result
  end
end
for _, prefix in real.ipairs({ "mime", "ngx", "base64", "util", "crypt", "syn.crypt.base64" }) do
  coder(prefix .. ".unb64", decoded)
  coder(prefix .. ".b64", encoded)
  coder(prefix .. ".decode_base64", decoded)
  coder(prefix .. ".encode_base64", encoded)
end
coder("util.Base64Encode", encoded)
coder("util.Base64Decode", decoded)
coder("base64.decode", decoded)
coder("base64.encode", encoded)
modules["base64"] = function() return standin("base64") end

-- ltn12 moves data between functions of the sample; sources and sinks are few.
modules["ltn12"] = function()
  return {
    sink = {
      table = function(t)
        t = t or {}
        return function(part)
          if part then t[#t + 1] = part end
          return 1
        end, t
      end,
      file = function(f)
        return function(part)
          if part then f:write(part) end
          return 1
        end
      end,
      null = function() return function() return 1 end end,
    },
    source = {
      string = function(text)
        local given = false
        return function()
          if given then return nil end
          given = true
          return text
        end
      end,
      file = function(f)
        return function() return f:read(2048) end
      end,
    },
    pump = { all = function(source, sink)
      for _ = 1, 1000 do
        local part = source()
        sink(part)
        if part == nil then return 1 end
      end
    end },
    filter = {},
  }
end
