"""A capability of Lua as the rest of a sentence that begins with “It”, with what was found in place."""

from __future__ import annotations

import re

from perilune.analysis.lua.apis import Apis
from perilune.model.analysis import Capability

_QUOTED = re.compile(r'"[^"]*"')


def sentence(one: Capability, apis: Apis) -> str:
    definition = apis.definitions.get(one.id)
    if definition is None:  # found in a command line that it gives to a shell
        return f"runs a command: {one.title[:1].lower()}{one.title[1:]}"
    if "{0}" not in definition.says:
        return definition.says
    known = [quoted[0] for sign in one.signs if (quoted := _QUOTED.findall(sign.text))]
    if not known and all(sign.test != "string" for sign in one.signs):
        return definition.says.replace("{0}", "something that is computed or comes from outside")
    return definition.says.replace("{0}", known[0] if known else f'"{one.signs[0].text}"')
