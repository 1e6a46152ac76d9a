"""Ways to hide Lua in Lua, written for these tests: a base64 decoder, string.char, and a table under XOR."""

from __future__ import annotations

import base64
from collections.abc import Callable

_BASE64 = r"""
local alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local function undo(text)
  local bits, out = {}, {}
  for i = 1, #text do
    local place = alphabet:find(text:sub(i, i), 1, true)
    if place then
      local n = place - 1
      for b = 5, 0, -1 do bits[#bits + 1] = math.floor(n / 2 ^ b) % 2 end
    end
  end
  for i = 1, #bits - 7, 8 do
    local n = 0
    for b = 0, 7 do n = n * 2 + bits[i + b] end
    out[#out + 1] = string.char(n)
  end
  return table.concat(out)
end
(loadstring or load)(undo("@"))()
"""

_XOR = r"""
local function both(a, b)
  local r, p = 0, 1
  while a > 0 or b > 0 do
    if a % 2 ~= b % 2 then r = r + p end
    a, b, p = math.floor(a / 2), math.floor(b / 2), p * 2
  end
  return r
end
local packed, out = {@}, {}
for i, n in ipairs(packed) do out[i] = string.char(both(n, #)) end
local f = (loadstring or load)(table.concat(out))
f()
"""


def base64_load(source: bytes) -> bytes:
    return _BASE64.replace("@", base64.b64encode(source).decode()).encode()


def char_load(source: bytes) -> bytes:
    parts = [", ".join(map(str, source[at : at + 100])) for at in range(0, len(source), 100)]
    joined = " .. ".join(f"string.char({part})" for part in parts)
    return f"local l = loadstring or load\nl({joined})()\n".encode()


def xor_load(source: bytes, key: int = 0x5B) -> bytes:
    return _XOR.replace("@", ", ".join(str(byte ^ key) for byte in source)).replace("#)", f"{key})").encode()


def name_load(source: bytes) -> bytes:
    """The loader's own name is computed, and the code is reversed."""
    escaped = "".join(f"\\{byte:03d}" for byte in reversed(source))
    return f'local g = _G or _ENV\ng[("gnirtsdaol"):reverse()](("{escaped}"):reverse())()\n'.encode()


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64_load, "string.char": char_load, "xor table": xor_load, "names": name_load,
}  # fmt: skip
