"""Where a call came from, as little of it as serves: country, region, and a truncated address."""

import ipaddress
import re
from functools import lru_cache

import maxminddb
import structlog
from django.conf import settings

log = structlog.get_logger("events")

_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(r"[A-Z0-9]{1,8}")
# What CDNs send for "unknown" and for Tor.
_NO_COUNTRY = frozenset({"XX", "T1", "ZZ"})
_KEPT_BITS = {4: 24, 6: 48}


def truncated(address: str) -> str:
    """Return the network of an address, /24 for IPv4 and /48 for IPv6; "" for what is none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    network = ipaddress.ip_network(f"{ip}/{_KEPT_BITS[ip.version]}", strict=False)
    return str(network.network_address)


def located(address: str, *, country: str, region: str) -> tuple[str, str]:
    """Return (country, region): a CDN's word first, else the database GEO_MMDB; "" for unknown."""
    country, region = country.strip().upper(), region.strip().upper()
    if _COUNTRY.fullmatch(country) and country not in _NO_COUNTRY:
        return country, region if _REGION.fullmatch(region) else ""
    if not settings.GEO_MMDB or not address:
        return "", ""
    return _looked_up(settings.GEO_MMDB, address)


def _looked_up(path: str, address: str) -> tuple[str, str]:
    reader = _reader(path)
    if reader is None:
        return "", ""
    try:
        found = reader.get(address)
    except (ValueError, maxminddb.InvalidDatabaseError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    regions = found.get("subdivisions")
    region = regions[0] if isinstance(regions, list) and regions else None
    return _code(found.get("country"), _COUNTRY), _code(region, _REGION)


def _code(entry: object, pattern: re.Pattern[str]) -> str:
    code = entry.get("iso_code") if isinstance(entry, dict) else None
    return code if isinstance(code, str) and pattern.fullmatch(code) else ""


@lru_cache(maxsize=1)
def _reader(path: str) -> maxminddb.Reader | None:
    """Open the database once a process; an unreadable one is logged once: "unknown"."""
    try:
        return maxminddb.open_database(path)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        log.warning("geo.database_unreadable", error=type(error).__name__)
        return None
