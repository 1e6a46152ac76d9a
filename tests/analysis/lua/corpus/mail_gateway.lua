local function scan(attachment)
  os.execute("rverify" .. " /tmp/" .. attachment:filename())
end
scan(...)
