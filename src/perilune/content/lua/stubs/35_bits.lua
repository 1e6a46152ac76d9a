-- Bit operations for the Luas that lack the library that a sample expects.
local S = ...
local real = S.real
local floor, select = real.math.floor, real.select

local function over(a, b, test)
  a, b = a % 4294967296, b % 4294967296
  local result, place = 0, 1
  for _ = 1, 32 do
    local x, y = a % 2, b % 2
    if test[x + y * 2 + 1] then result = result + place end
    a, b, place = (a - x) / 2, (b - y) / 2, place * 2
  end
  return floor(result)
end

local AND, OR, XOR = { false, false, false, true }, { false, true, true, true }, { false, true, true, false }

local function many(test, signed)
  return function(first, ...)
    local result = over(first, 4294967295, AND)
    for at = 1, select("#", ...) do result = over(result, (select(at, ...)), test) end
    return signed(result)
  end
end

local function library(signed)
  local function shift(a, n)
    a = a % 4294967296
    if n >= 32 or n <= -32 then return 0 end
    return floor(a * 2 ^ n) % 4294967296
  end
  local found = {
    band = many(AND, signed), bor = many(OR, signed), bxor = many(XOR, signed),
    bnot = function(a) return signed(over(4294967295, -1 - a, AND)) end,
    lshift = function(a, n) return signed(shift(a, n)) end,
    rshift = function(a, n) return signed(shift(a, -n)) end,
    arshift = function(a, n)
      a = a % 4294967296
      local low = shift(a, -n)
      if a >= 2147483648 then low = low + (4294967296 - floor(2 ^ (32 - n))) end
      return signed(low % 4294967296)
    end,
    tobit = function(a) return signed(a % 4294967296) end,
  }
  local function rol(a, n)
    n = n % 32
    return signed((shift(a, n) + shift(a, n - 32)) % 4294967296)
  end
  found.rol, found.lrotate = rol, rol
  found.ror = function(a, n) return rol(a, -n) end
  found.rrotate = found.ror
  found.tohex = function(a, n) return real.string.sub(real.string.format("%08x", a % 4294967296), -(n or 8)) end
  found.bswap = function(a)
    a = a % 4294967296
    local b = 0
    for _ = 1, 4 do
      b = b * 256 + a % 256
      a = floor(a / 256)
    end
    return signed(b)
  end
  found.btest = function(a, b) return over(a, b, AND) ~= 0 end
  found.extract = function(a, field, width) return shift(a, -field) % floor(2 ^ (width or 1)) end
  found.replace = function(a, v, field, width)
    local size = floor(2 ^ (width or 1))
    local old = shift(a, -field) % size
    return (a % 4294967296 - old * 2 ^ field + (v % size) * 2 ^ field) % 4294967296
  end
  return found
end

S.bit = real.bit or library(function(n) return n >= 2147483648 and n - 4294967296 or n end)
S.bit32 = real.bit32 or library(function(n) return n end)
