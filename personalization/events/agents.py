"""What a user agent tells: a crawler or not, and the kind of device. Never stored itself."""

import re
from functools import lru_cache

import ua_parser
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

# Longer ones are abuse; the telling words stand in the first few hundred characters.
MAX_LENGTH = 512
# Distinct agents of a busy shop's hour; 4,096 take about 3 MB a process.
_CACHE = 4096

# The maintained list of crawler-user-agents, and what every tool and headless browser calls itself.
_BOT = re.compile(
    "|".join(
        [
            *(entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA),
            r"[Bb]ot\b",
            r"[Cc]rawler",
            r"[Ss]pider\b",
            r"HeadlessChrome",
            r"PhantomJS",
        ]
    )
)
_TABLETS = re.compile(r"iPad|Tablet|Kindle|PlayBook|Nexus (?:7|9|10)\b")
_TVS = re.compile(
    r"SMART-TV|SmartTV|Smart TV|AppleTV|GoogleTV|HbbTV|BRAVIA|CrKey|Roku|Tizen.*TV|Web0S"
)
_CONSOLES = re.compile(r"PlayStation|Xbox|Nintendo")
_PHONE_SYSTEMS = frozenset(
    {"iOS", "Android", "Windows Phone", "KaiOS", "BlackBerry OS", "Sailfish"}
)


@lru_cache(maxsize=_CACHE)
def classified(user_agent: str) -> tuple[bool, str]:
    """Return (whether it is a bot, device type: desktop, mobile, tablet, tv, console or "")."""
    if not user_agent:
        return False, ""
    if _BOT.search(user_agent):
        return True, ""
    return False, _device_type(user_agent)


def _device_type(user_agent: str) -> str:
    if _TVS.search(user_agent):
        return "tv"
    if _CONSOLES.search(user_agent):
        return "console"
    system = ua_parser.parse_os(user_agent)
    family = system.family if system is not None else ""
    # Android's own rule: a phone says "Mobile", a tablet does not.
    android_tablet = family == "Android" and "Mobile" not in user_agent
    if android_tablet or _TABLETS.search(user_agent):
        return "tablet"
    if family in _PHONE_SYSTEMS or "Mobile" in user_agent:
        return "mobile"
    return "desktop" if family else ""
