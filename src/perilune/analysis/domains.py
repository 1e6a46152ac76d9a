"""Which names are domains: the Public Suffix List that the `publicsuffixlist` package carries; nothing is fetched."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from perilune.model.analysis import Scope

_RESERVED = frozenset("example test invalid example.com example.net example.org".split())
_PRIVATE = frozenset("local internal lan home corp intranet private localdomain home.arpa workgroup".split())
# Suffixes that are also file names' or members of code: `install.sh`, `os.name`, `socket.io`, `this.app`.
_AMBIGUOUS = frozenset(
    "sh py pl rs so md ps cc app zip mov name call run system download host zone id is in it do to st am pm mm pub tf ml mk "
    "js ts cs vb tar gz py la as at be by co page top link click new exec data map cat ls cd ad ac al ai ar br bz cf ch ci cl "
    "cr cx dj fm ga gg gl gs gt hm ht im io je ke kg km la lc li lk lt lu lv ly mc mg mn mo mp ms mt mu mv mw my na nc ne nf "
    "ng ni np nr nu om pa pe pf pg ph pk pn pr pt pw py qa re ro rw sa sb sc sd se sg si sj sk sl sm sn sr st su sv sx sy sz "
    "tc td tg th tj tk tl tm tn tr tt tv tw tz ua ug uz va vc ve vg vi vn vu wf ws ye yt za zm zw java office bar diy gdn how "
    "prod build exposed final build foo gle goo here hot int ink lol make man mil mobi moe news now one open play plus post "
    "save search security select show site skin sky spot store stream style support sucks surf swatch tab tech test text time "
    "tips today tools toys trust tube video view vip watch web win wtf xin you".split()
)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


def is_domain(name: str) -> bool:
    """Whether a name ends in a public suffix and has a label before it."""
    return _registered(name.lower().rstrip(".")) is not None


@lru_cache(maxsize=4096)
def _registered(name: str) -> str | None:
    found = _suffixes().privatesuffix(name)
    return found if isinstance(found, str) else None


def registered(name: str) -> str:
    """The domain that somebody registered: `b.co.uk` of `a.b.co.uk`; the name itself where there is none."""
    return _registered(name.lower().rstrip(".")) or name.lower()


_CODE_LIKE = re.compile(r"[a-z][A-Z]|^[A-Z][a-z]+\.[A-Z]|_")


def is_bare_domain(name: str) -> bool:
    """The same for a name that stands alone, where `install.sh` and `System.Net` are likelier than a domain."""
    if _CODE_LIKE.search(name):
        return False
    labels = name.lower().rstrip(".").split(".")
    if labels[-1] in _AMBIGUOUS and len(labels) < 3:
        return False
    if labels[-1] in ("sh", "py", "pl", "rs", "so", "md", "js", "zip") or all(len(label) < 2 for label in labels[:-1]):
        return False
    return is_domain(name) or labels[-1] in _PRIVATE or scope_of(name) is Scope.RESERVED


def scope_of(name: str) -> Scope:
    """Whether a name can be reached from outside."""
    labels = name.lower().rstrip(".").split(".")
    if labels[-1] == "localhost" or labels == ["localhost", "localdomain"]:
        return Scope.LOOPBACK
    if labels[-1] in _RESERVED or ".".join(labels[-2:]) in _RESERVED:
        return Scope.RESERVED
    if len(labels) == 1 or labels[-1] in _PRIVATE or ".".join(labels[-2:]) in _PRIVATE:
        return Scope.PRIVATE
    return Scope.PUBLIC
