"""All settings, from the environment, with defaults safe for production (`docs/settings.md`).

Secrets are also read from the file named by `<NAME>_FILE`.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from kombu import Exchange, Queue

from personalization.lib.embedded import paths
from personalization.lib.environment import NotingEnv

BASE_DIR = Path(__file__).resolve().parent.parent

env = NotingEnv()
if (BASE_DIR / ".env").exists():
    env.read_env(str(BASE_DIR / ".env"))

# --- Where state lives ----------------------------------------------------------------------------
LOCAL_DIR = Path(env.str("LOCAL_DIR", default=str(BASE_DIR / ".local"))).absolute()


def _local_secret(name: str) -> str:
    """Read or make a random secret under LOCAL_DIR: a first start needs no configuration."""
    path = LOCAL_DIR / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_urlsafe(48))
        # A link, unlike a rename, never replaces what another process made in the meantime.
        with suppress(FileExistsError):
            path.hardlink_to(made)
        made.unlink()
    return path.read_text().strip()


# --- Django ---------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or _local_secret("secret_key")
# The shop's server signs user ids with it (docs/api.md, Keys); decision tokens use a key derived
# from SECRET_KEY.
IDENTITY_SECRET = env.str("IDENTITY_SECRET", default="") or _local_secret("identity_secret")
IDENTITY_PROOF = env.str("IDENTITY_PROOF", default="required")  # required | off
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
ROOT_URLCONF = "personalization.urls"
WSGI_APPLICATION = "personalization.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
SHOP_TIME_ZONE = env.str("SHOP_TIME_ZONE", default="UTC")
SHOP_CURRENCY = env.str("SHOP_CURRENCY", default="EUR")
USE_I18N = True
FORMAT_MODULE_PATH = "personalization.lib.formats"
USE_TZ = True

INSTALLED_APPS = [
    "personalization.monitoring",
    "personalization.demo",
    "personalization.decisions",
    "personalization.content",
    "recommender",
    "experiments",
    "segments",
    "personalization.events",
    "personalization.consent",
    "personalization.catalog",
    "personalization.customers",
    "personalization.access",
    "personalization.ops",
    "personalization.lib",
    "personalization.adminsite.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

# Calls of the wire without a session cookie pass by what is from lib.backoffice.
MIDDLEWARE = [
    "personalization.lib.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "personalization.lib.backoffice.StaticFiles",
    "personalization.lib.middleware.RequestContextMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "personalization.lib.backoffice.Sessions",
    "django.middleware.common.CommonMiddleware",
    "personalization.lib.backoffice.Csrf",
    "personalization.lib.backoffice.Authentication",
    "personalization.lib.backoffice.Messages",
    "personalization.lib.backoffice.Frames",
    "personalization.lib.backoffice.ContentPolicy",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- PostgreSQL: the truth ------------------------------------------------------------------------
# No DATABASE_URL: the project's own server on a Unix socket (lib/embedded).
DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database(DATABASE_URL, paths.database(LOCAL_DIR))
    | {"CONN_MAX_AGE": env.int("DATABASE_CONN_MAX_AGE_S", default=600), "CONN_HEALTH_CHECKS": True}
}
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 3

# --- Redis: a cache and a broker ------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
BROKER_URL = env.str("BROKER_URL", default="")
CACHE_REDIS_URL = REDIS_URL or paths.redis_url(LOCAL_DIR, "cache")
REDIS_TIMEOUT_MS = env.int("REDIS_TIMEOUT_MS", default=50)

CELERY_BROKER_URL = BROKER_URL or paths.broker_url(LOCAL_DIR)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 1800
CELERY_TASK_SOFT_TIME_LIMIT = 1740
# Longer than the longest task, or Redis delivers a running task twice.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 7200,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Learning takes minutes to an hour: it has a queue of its own, so that what somebody waits for (a
# segment that is published) is never behind it. A worker without --queues takes from both.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(name), routing_key=name) for name in ("celery", "learning")
]
CELERY_TASK_ROUTES = {
    name: {"queue": "learning"}
    for name in (
        "recommender.tasks.retrain",
        "recommender.tasks.refresh",
        "recommender.tasks.search",
        "segments.learning.tasks.fit",
        "segments.learning.tasks.learn",
        "segments.learning.tasks.lookalike",
        "segments.learning.tasks.score",
    )
}
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Beat keeps no file: each entry is short, and the task knows by its slot what was done already.
CELERY_BEAT_SCHEDULE = {
    "events.maintain_partitions": {
        "task": "personalization.events.tasks.maintain_partitions",
        "schedule": 1800,
    },
    "decisions.maintain_partitions": {
        "task": "personalization.decisions.tasks.maintain_partitions",
        "schedule": 3600,
    },
    "access.drop_stale": {
        "task": "personalization.access.tasks.drop_stale",
        "schedule": 24 * 3600,
    },
    "monitoring.drop_old_minutes": {
        "task": "personalization.monitoring.tasks.drop_old_minutes",
        "schedule": 3600,
    },
    "recommender.retrain": {"task": "recommender.tasks.retrain", "schedule": 900},
    "recommender.refresh": {"task": "recommender.tasks.refresh", "schedule": 900},
    "recommender.search": {"task": "recommender.tasks.search", "schedule": 900},
    "recommender.prune_models": {
        "task": "recommender.tasks.prune_models",
        "schedule": 24 * 3600,
    },
    "recommender.drop_outcomes": {
        "task": "recommender.tasks.drop_outcomes",
        "schedule": 6 * 3600,
    },
    # a run that was killed goes on at the next call
    "segments.backfill": {"task": "segments.tasks.backfill", "schedule": 15},
    "segments.measure": {"task": "segments.tasks.measure", "schedule": 900},
    "segments.resolve_lists": {"task": "segments.tasks.resolve_lists", "schedule": 300},
    "segments.prune": {"task": "segments.tasks.prune", "schedule": 24 * 3600},
    "segments.learn": {"task": "segments.learning.tasks.learn", "schedule": 900},
    "segments.score": {"task": "segments.learning.tasks.score", "schedule": 900},
}
# Tasks that are not in an app's own tasks.py, where Celery looks by itself.
CELERY_IMPORTS = ("segments.learning.tasks",)

# --- Training -------------------------------------------------------------------------------------
# A model whose own estimate is beyond these is not trained, and says so.
TRAIN_MODEL_SECONDS = env.float("TRAIN_MODEL_SECONDS", default=1200.0)
TRAIN_MODEL_GB = env.float("TRAIN_MODEL_GB", default=4.0)
# A week's search for better settings of recommender models, all together; 0 for none.
RECOMMENDER_SEARCH_MINUTES = env.float("RECOMMENDER_SEARCH_MINUTES", default=0.0)

# --- How much events count in recommendations -----------------------------------------------------
# KIND=WEIGHT and MODEL=DAYS, over the usual ones (recommender/engine/queries.py, algorithms.py).
RECOMMENDER_KIND_WEIGHTS = env.list("RECOMMENDER_KIND_WEIGHTS", default=[])
RECOMMENDER_HALF_LIFE_DAYS = env.list("RECOMMENDER_HALF_LIFE_DAYS", default=[])
# MODEL=NUMBER: the newest items of one customer that count, what one customer adds to one item, and
# the power of a customer's degree that rows are divided by (recommender/engine/matrix.py).
RECOMMENDER_CUSTOMER_ITEMS = env.list("RECOMMENDER_CUSTOMER_ITEMS", default=[])
RECOMMENDER_PAIR_CAP = env.list("RECOMMENDER_PAIR_CAP", default=[])
RECOMMENDER_USER_POWER = env.list("RECOMMENDER_USER_POWER", default=[])
# The pause that ends a visit, in what models learn from.
RECOMMENDER_VISIT_GAP_MINUTES = env.float("RECOMMENDER_VISIT_GAP_MINUTES", default=30.0)
# What the action before a visitor's action counts, against 1 of that.
RECOMMENDER_RECENT_DECAY = env.float("RECOMMENDER_RECENT_DECAY", default=0.8)

# --- Outcomes of recommendations ------------------------------------------------------------------
# A purchase counts for a click on the same product this many days before it.
OUTCOME_WINDOW_DAYS = env.int("OUTCOME_WINDOW_DAYS", default=7)
# Lists, clicks and order lines; longer than a token lives plus the window.
OUTCOME_DETAIL_DAYS = env.int("OUTCOME_DETAIL_DAYS", default=35)
# Daily figures of products, and of strategies, sources and positions.
OUTCOME_ITEM_DAYS = env.int("OUTCOME_ITEM_DAYS", default=100)
OUTCOME_DAYS = env.int("OUTCOME_DAYS", default=400)

# --- Events ---------------------------------------------------------------------------------------
EVENT_RETENTION_DAYS = env.int("EVENT_RETENTION_DAYS", default=400)
# Rejected events wait this long for a schema fix and a replay.
REJECTED_RETENTION_DAYS = env.int("REJECTED_RETENTION_DAYS", default=30)
BATCH_MAX_BYTES = 500 * 1024
BATCH_MAX_EVENTS = 500
GEO_COUNTRY_HEADER = env.str("GEO_COUNTRY_HEADER", default="CF-IPCountry")
GEO_REGION_HEADER = env.str("GEO_REGION_HEADER", default="CF-Region-Code")
GEO_MMDB = env.str("GEO_MMDB", default="")
# How many proxies of ours append to X-Forwarded-For; 0 trusts the peer address alone.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)

# --- Segments -------------------------------------------------------------------------------------
# Entries, exits and sizes: as long as events, so that both can be read side by side.
SEGMENT_CHANGE_RETENTION_DAYS = env.int("SEGMENT_CHANGE_RETENTION_DAYS", default=400)
# Customers up to which previews count everybody; above it they sample.
SEGMENT_PREVIEW_EXACT = env.int("SEGMENT_PREVIEW_EXACT", default=100_000)

# --- Processes of this machine (`manage.py up`) ---------------------------------------------------
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
WEB_WORKERS = env.int("WEB_WORKERS", default=2)
WEB_THREADS = env.int("WEB_THREADS", default=4)
PROCESSOR_LANES = env.int("PROCESSOR_LANES", default=min(2, os.cpu_count() or 1))
WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=2)

# --- Decisions ------------------------------------------------------------------------------------
DECISION_BUDGET_MS = env.int("DECISION_BUDGET_MS", default=50)
DECISION_LOG_RETENTION_DAYS = env.int("DECISION_LOG_RETENTION_DAYS", default=14)
DECISION_LOG_SHARE = env.float("DECISION_LOG_SHARE", default=1.0)
DECISION_TOKEN_TTL_S = 24 * 3600

# --- Rate limits (token buckets; per worker without Redis) ----------------------------------------
RATE_PUBLIC_KEY_PER_S = env.int("RATE_PUBLIC_KEY_PER_S", default=2000)
RATE_ADDRESS_PER_S = env.int("RATE_ADDRESS_PER_S", default=100)
RATE_SECRET_KEY_PER_S = env.int("RATE_SECRET_KEY_PER_S", default=5000)

# --- Files ----------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = LOCAL_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
MODEL_DIR = Path(env.str("MODEL_DIR", default=str(LOCAL_DIR / "models")))
LAST_GOOD_DIR = Path(env.str("LAST_GOOD_DIR", default=str(LOCAL_DIR / "last-good")))
# A configuration on disk that nobody confirmed for longer is not served: it may be out of date.
LAST_GOOD_MAX_AGE_H = env.int("LAST_GOOD_MAX_AGE_H", default=72)
MODEL_CACHE_DIR = Path(env.str("MODEL_CACHE_DIR", default=str(LOCAL_DIR / "model-cache")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "models": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(MODEL_DIR)},
    },
    "staticfiles": {"BACKEND": "personalization.lib.static.CollectedOrPlainStorage"},
}
WHITENOISE_USE_FINDERS = env.bool(
    "WHITENOISE_USE_FINDERS", default=not (LOCAL_DIR / "static").exists()
)

# --- HTTP security --------------------------------------------------------------------------------
# TLS ends at the proxy; HTTPS=true once the shop serves over it.
HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Django looks for two of its middleware by name; lib.backoffice has subclasses of them.
SILENCED_SYSTEM_CHECKS = ["security.W002", "security.W003"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "https:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

# Storefronts on other origins call the wire alone, without cookies; each public key names the
# origins it serves.
CORS_URLS_REGEX = r"^/(v1|ofrep)/"
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = (
    "authorization",
    "content-type",
    "content-encoding",
    "x-api-key",
    "x-request-id",
    "if-none-match",
)
CORS_EXPOSE_HEADERS = ("etag", "retry-after", "x-request-id")

# --- API ------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "personalization.access.authentication.KeyOrStaffAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["personalization.access.permissions.RolePermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["personalization.lib.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "personalization.lib.pagination.KeyCursorPagination",
    "EXCEPTION_HANDLER": "personalization.lib.http.drf_exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Personalization server",
    "DESCRIPTION": "Events in, a personalised answer out.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["personalization.openapi.complete"],
}

# --- Monitoring -----------------------------------------------------------------------------------
# Prometheus sends it as a bearer token; without one, /metrics answers this machine alone.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
MINUTE_STATS_RETENTION_DAYS = env.int("MINUTE_STATS_RETENTION_DAYS", default=35)
# Long-lived processes (their entry points set P13N_PROCESS) count in shared files, so that /metrics
# of any web worker tells of all; prometheus_client reads the variable when it is imported.
if "P13N_PROCESS" in os.environ:
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(LOCAL_DIR / "metrics"))
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)

# --- Logs -----------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING_CONFIG = "personalization.lib.logs.configure"
LOGGING = {"level": LOG_LEVEL}

# --- What could not be read -----------------------------------------------------------------------
# (variable, what it must be); the check ops.E017 stops the start.
UNREADABLE_VARIABLES = env.unreadable
