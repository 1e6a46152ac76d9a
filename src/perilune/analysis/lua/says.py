"""A capability of Lua as the rest of a sentence that begins with “It”, with what was found in place."""

from __future__ import annotations

import re

from perilune.analysis.lua.apis import Apis
from perilune.model.analysis import Capability

_FIRST = re.compile(r"[^\s(]+\((\"[^\"]*\")")  # the first argument of a call, where it is a known text


def sentence(one: Capability, apis: Apis) -> str:
    definition = apis.definitions.get(one.id)
    if definition is None:  # found in a command line that it gives to a shell
        return f"runs a command: {one.title[:1].lower()}{one.title[1:]}"
    if "{0}" not in definition.says:
        return definition.says
    calls = [sign for sign in one.signs if sign.test != "string"]
    known = [found.group(1) for sign in calls if (found := _FIRST.match(sign.text))]
    if calls and not known:
        return definition.says.replace("{0}", "something that is computed or comes from outside")
    return definition.says.replace("{0}", known[0] if known else f'"{one.signs[0].text}"')
