"""The one table of learned features: names, units, what they mean, how they are said in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature matrix.

    `unit`: days, count, minor (money), share (0..1), bits, hours, ratio. `family`: columns of one
    family say nearly the same, a name takes one of them. `high` and `low`: words for a cluster that
    lies far above or below the others. `log`: skewed, so models see log(1 + x). `trait`: the
    computed trait of a profile that says the same live; rules use it instead of the score.
    `published`: written as score `feature:NAME`, so that rules may read it.
    """

    name: str
    unit: str
    meaning: str
    family: str
    high: str
    low: str
    log: bool = False
    trait: str = ""
    published: bool = False


def _f(name: str, unit: str, family: str, said: tuple[str, str, str], flags: str = "") -> Feature:
    """Make a row; `flags`: l = log, p = published; `said`: meaning, high, low."""
    meaning, high, low = said
    trait = {"orders": "orders", "revenue_minor": "revenue_minor"}.get(name, "")
    return Feature(name, unit, meaning, family, high, low, "l" in flags, trait, "p" in flags)


FEATURES: tuple[Feature, ...] = (
    _f(
        "days_since_event",
        "days",
        "recency",
        ("days since the latest event", "not seen for long", "seen lately"),
        "lp",
    ),
    _f(
        "days_since_order",
        "days",
        "order recency",
        (
            "days since the latest order; missing without one",
            "last order long ago",
            "ordered lately",
        ),
        "lp",
    ),
    _f(
        "days_since_view",
        "days",
        "recency",
        (
            "days since a product was viewed; missing without a view",
            "no look at products for long",
            "looked at products lately",
        ),
        "l",
    ),
    _f(
        "tenure_days",
        "days",
        "tenure",
        ("days since the first event", "known for long", "new"),
        "lp",
    ),
    _f("events", "count", "activity", ("events in the log", "very active", "hardly active"), "l"),
    _f(
        "sessions",
        "count",
        "activity",
        (
            "sessions; 30 minutes without an event end one",
            "many visits",
            "few visits",
        ),
        "lp",
    ),
    _f(
        "sessions_30d",
        "count",
        "recent activity",
        ("sessions that began in the last 30 days", "many visits of late", "no visits of late"),
        "lp",
    ),
    _f(
        "active_days_30d",
        "count",
        "recent activity",
        ("days with an event among the last 30", "active on many days", "active on few days"),
        "l",
    ),
    _f(
        "events_per_session",
        "ratio",
        "depth",
        ("events a session", "deep visits", "short visits"),
        "lp",
    ),
    _f("orders", "count", "orders", ("orders in the log", "many orders", "few orders"), "lp"),
    _f(
        "orders_90d",
        "count",
        "recent orders",
        ("orders in the last 90 days", "many orders of late", "no orders of late"),
        "l",
    ),
    _f(
        "revenue_minor",
        "minor",
        "spending",
        ("worth of all orders less refunds", "high spending", "low spending"),
        "lp",
    ),
    _f(
        "revenue_90d_minor",
        "minor",
        "recent spending",
        ("worth of orders of the last 90 days", "high spending of late", "no spending of late"),
        "l",
    ),
    _f(
        "order_value_minor",
        "minor",
        "basket",
        ("mean worth of an order; missing without one", "big baskets", "small baskets"),
        "lp",
    ),
    _f(
        "lines_per_order",
        "ratio",
        "basket",
        (
            "mean number of products in an order; missing without one",
            "many products an order",
            "few products an order",
        ),
        "l",
    ),
    _f(
        "days_between_orders",
        "days",
        "rhythm",
        (
            "mean days between orders; missing below two",
            "orders far apart",
            "orders close together",
        ),
        "lp",
    ),
    _f(
        "order_overdue",
        "ratio",
        "overdue",
        (
            "days since the last order over mean days between orders; missing below two orders",
            "overdue for an order",
            "on schedule",
        ),
        "lp",
    ),
    _f(
        "refund_share",
        "share",
        "refunds",
        ("refunds an order; missing without an order", "sends much back", "sends little back"),
    ),
    _f(
        "discount_share",
        "share",
        "discount",
        (
            "share of orders with a discount or coupon; missing without an order",
            "buys at a discount",
            "pays the full price",
        ),
        "p",
    ),
    _f(
        "views_7d",
        "count",
        "recent views",
        ("products viewed in the last 7 days", "looks around now", "does not look around now"),
        "l",
    ),
    _f(
        "views_30d",
        "count",
        "recent views",
        (
            "products viewed in the last 30 days",
            "looks around of late",
            "does not look around of late",
        ),
        "lp",
    ),
    _f(
        "views_90d",
        "count",
        "views",
        ("products viewed in the last 90 days", "looks at much", "looks at little"),
        "l",
    ),
    _f(
        "adds_7d",
        "count",
        "recent adds",
        (
            "products put in the cart in the last 7 days",
            "fills the cart now",
            "leaves the cart alone now",
        ),
        "l",
    ),
    _f(
        "adds_30d",
        "count",
        "recent adds",
        (
            "products put in the cart in the last 30 days",
            "fills the cart of late",
            "leaves the cart alone",
        ),
        "lp",
    ),
    _f(
        "adds_per_view",
        "ratio",
        "intent",
        (
            "products put in the cart a view, last 90 days; missing without a view",
            "adds what is viewed",
            "views and does not add",
        ),
        "l",
    ),
    _f(
        "searches_30d",
        "count",
        "search",
        ("searches in the last 30 days", "searches much", "searches little"),
        "l",
    ),
    _f(
        "items_viewed",
        "count",
        "views",
        ("different products viewed", "wide interest", "narrow interest"),
        "l",
    ),
    _f(
        "price_minor",
        "minor",
        "price",
        (
            "mean price of products viewed, added or bought; missing without a price",
            "expensive taste",
            "cheap taste",
        ),
        "lp",
    ),
    _f(
        "price_spread",
        "ratio",
        "price spread",
        ("standard deviation of those prices over their mean", "mixed prices", "one price band"),
        "",
    ),
    _f(
        "categories",
        "count",
        "variety",
        ("different categories met", "many categories", "one category"),
        "l",
    ),
    _f(
        "top_category_share",
        "share",
        "variety",
        ("share of the category met most", "loyal to one category", "no favourite category"),
        "p",
    ),
    _f(
        "category_bits",
        "bits",
        "variety",
        ("entropy of categories met", "many categories", "one category"),
    ),
    _f(
        "top_brand_share",
        "share",
        "brand",
        ("share of the brand met most", "loyal to one brand", "no favourite brand"),
        "p",
    ),
    _f("brand_bits", "bits", "brand", ("entropy of brands met", "many brands", "one brand")),
    _f(
        "mobile_share",
        "share",
        "device",
        (
            "share of events from a phone; missing where no device is known",
            "on the phone",
            "not on the phone",
        ),
        "p",
    ),
    _f(
        "night_share",
        "share",
        "hour",
        ("share of events from 0 to 6, local time", "at night", "not at night"),
    ),
    _f(
        "morning_share",
        "share",
        "hour",
        ("share of events from 6 to 12, local time", "in the morning", "not in the morning"),
    ),
    _f(
        "evening_share",
        "share",
        "hour",
        ("share of events from 18 to 24, local time", "in the evening", "not in the evening"),
        "p",
    ),
    _f(
        "weekend_share",
        "share",
        "weekend",
        ("share of events on Saturday or Sunday, local time", "at weekends", "on weekdays"),
        "p",
    ),
)
NAMES: tuple[str, ...] = tuple(one.name for one in FEATURES)
PLACE: dict[str, int] = {name: place for place, name in enumerate(NAMES)}
BY_NAME: dict[str, Feature] = {one.name: one for one in FEATURES}
# Score key of a published feature.
PREFIX = "feature:"
# What a rule can read, live or as a score: a surrogate tree may split on these alone.
READABLE: tuple[str, ...] = tuple(one.name for one in FEATURES if one.published or one.trait)


def table() -> str:
    """Return the features as the Markdown table of docs/algorithms/clusters.md."""
    lines = ["| Feature | Unit | What it is | In rules |", "|---|---|---|---|"]
    for one in FEATURES:
        rule = f"trait `{one.trait}`" if one.trait else ""
        if not rule and one.published:
            rule = f"score `{PREFIX}{one.name}`"
        lines.append(f"| `{one.name}` | {one.unit} | {one.meaning} | {rule} |")
    return "\n".join(lines) + "\n"
