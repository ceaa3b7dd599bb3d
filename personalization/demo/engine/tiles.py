"""Product pictures drawn, not photographed: one small SVG a product, from its key and category."""

import hashlib
from collections.abc import Callable

_SIZE = 240


def tile(*, key: str, hue: int, accent: str, letter: str) -> str:
    """Return an SVG of 240 x 240: a ground in the category's hue and shapes that depend on the key.

    Parameters
    ----------
    hue
        Degrees of the colour circle.
    accent
        Colour of the foreground, `#rrggbb`.
    letter
        What stands on the tile: one character, XML-safe.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=12).digest()
    ground = f"hsl({hue + digest[0] % 17 - 8} 32% {82 + digest[1] % 7}%)"
    shade = f"hsl({hue} 26% {70 + digest[2] % 8}%)"
    motif = _MOTIFS[digest[3] % len(_MOTIFS)](digest, shade, accent)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" role="img">'
        f"{_rect(0, 0, _SIZE, _SIZE, ground)}{motif}"
        f'<text x="220" y="226" text-anchor="end" font-family="Georgia, serif" font-size="22" '
        f'fill="hsl({hue} 30% 32%)" fill-opacity=".55">{letter}</text></svg>'
    )


def _rect(x: int, y: int, width: int, height: int, fill: str, *, rx: int = 0) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{rx}" fill="{fill}"/>'


def _circle(x: int, y: int, radius: int, fill: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}"/>'


def _path(commands: str, fill: str) -> str:
    return f'<path d="{commands}" fill="{fill}"/>'


def _discs(digest: bytes, shade: str, accent: str) -> str:
    big = _circle(100 + digest[6] % 40, 108 + digest[7] % 30, 58 + digest[4] % 30, shade)
    small = _circle(70 + digest[8] % 100, 70 + digest[9] % 100, 18 + digest[5] % 22, accent)
    return big + small


def _vessel(digest: bytes, shade: str, accent: str) -> str:
    width, neck = 70 + digest[4] % 40, 26 + digest[5] % 26
    left = 120 - width // 2
    return (
        _rect(120 - neck // 2, 62, neck, 44, accent, rx=8)
        + _rect(left, 92, width, 104, accent, rx=12 + digest[6] % 30)
        + _rect(left, 120 + digest[7] % 40, width, 10, shade)
    )


def _stripes(digest: bytes, shade: str, accent: str) -> str:
    step = 22 + digest[4] % 7
    lines = (
        _rect(56, 58 + i * step, 128, 8 + digest[5 + i] % 8, accent if i % 2 else shade, rx=4)
        for i in range(5)
    )
    return _rect(44, 44, 152, 152, "hsl(0 0% 100% / 35%)", rx=18) + "".join(lines)


def _arch(digest: bytes, shade: str, accent: str) -> str:
    outer = 50 + digest[4] % 24
    inner = outer - 22
    gate = "M{x} 196V120a{r} {r} 0 0 1 {d} 0V196Z"
    return (
        _path(gate.format(x=120 - outer, r=outer, d=2 * outer), shade)
        + _path(gate.format(x=120 - inner, r=inner, d=2 * inner), accent)
        + _circle(106 + outer, 60, 8 + digest[5] % 10, accent)
    )


def _leaf(digest: bytes, shade: str, accent: str) -> str:
    blade = _path("M120 44C176 84 176 160 120 200C64 160 64 84 120 44Z", accent)
    rib = _rect(117, 60, 6, 136, shade)
    dot = _circle(60 + digest[5] % 30, 170 + digest[6] % 20, 14, shade)
    return f'<g transform="rotate({digest[4] % 60 - 30} 120 120)">{blade}{rib}</g>{dot}'


def _blocks(digest: bytes, shade: str, accent: str) -> str:
    side = 44 + digest[4] % 16
    return (
        _rect(60 + digest[5] % 16, 150 - side // 2, side, side, accent)
        + _rect(120 + digest[6] % 16, 140 - side // 2, side, side, shade, rx=side // 2)
        + _path(f"M{88 + digest[7] % 20} 112l34 -58l34 58Z", accent)
    )


_MOTIFS: tuple[Callable[[bytes, str, str], str], ...] = (
    _discs,
    _vessel,
    _stripes,
    _arch,
    _leaf,
    _blocks,
)
