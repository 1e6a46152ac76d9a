-- A VM that is taken over: every real library, and no stub. What it tries has to end at the lock.
local S = ...
local out = io.stdout
out:setvbuf("no")
function note(text) out:write('{"k":"note","s":"' .. tostring(text):gsub('[^%w %.:_-]', "?") .. '"}\n') end
S.run = function(code)
  local fine, why = pcall(assert((loadstring or load)(code)))
  note("ended " .. tostring(fine) .. " " .. tostring(why))
end
