"""Amounts of money as whole minor units; knows how many digits a currency has."""

from decimal import Decimal

# ISO 4217: currencies that do not have two decimals.
_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
# The largest amount that a 64-bit column, and a sum of a million of them, can hold.
MAX_MINOR = 10**12
# Below MAX_MINOR a float times a power of ten is off by less than a thousandth: nearer than this to
# a whole number, it rounds as its decimal form does.
_SURE = 0.49


def digits(currency: str) -> int:
    """Decimals of a currency (ISO 4217 code); 2 for one that is not listed or empty."""
    return _DIGITS.get(currency, 2)


def to_minor(amount: object, currency: str) -> int | None:
    """Minor units of an amount in major units (`"12.99"`, `12.99`); None: not an amount.

    A float is read through its shortest decimal form, so 12.99 is 1299; half a cent rounds to even.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        return None
    if isinstance(amount, float):  # nearly all amounts of events, at a fifth of the price
        scaled: float = amount * 10 ** digits(currency)
        if not abs(scaled) <= MAX_MINOR:  # nan too
            return None
        whole = round(scaled)
        if abs(scaled - whole) < _SURE:
            return whole
    try:
        minor = (Decimal(str(amount).strip()).scaleb(digits(currency))).to_integral_value()
    except (ArithmeticError, ValueError):
        return None
    if not minor.is_finite() or abs(minor) > MAX_MINOR:
        return None
    return int(minor)


def text(minor: int, currency: str) -> str:
    """Return an amount for people: `text(129900, "EUR")` is "1,299.00 EUR"."""
    places = digits(currency)
    return f"{Decimal(minor).scaleb(-places):,.{places}f} {currency}"
