"""Django settings, all read from the table in `cpo.env`."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from cpo import env, safety, storages
from cpo.databases import databases

BASE_DIR = Path(__file__).resolve().parent.parent
MODE = env.read("VOLTYARD_MODE")
PROCESS = env.read("VOLTYARD_PROCESS")
try:
    safety.refuse_unsafe(MODE)
except env.SettingError as error:
    raise ImproperlyConfigured(str(error)) from None

PRODUCTION = MODE == "production"
DATA_DIR = Path(env.read("VOLTYARD_DATA_DIR") or BASE_DIR / ".voltyard")
SECRET_KEY = env.read("SECRET_KEY") or safety.DEMO_SECRET
ENCRYPTION_KEYS = env.read("ENCRYPTION_KEYS")
DEBUG = env.read("DEBUG")
PUBLIC_URL = env.read("PUBLIC_URL").rstrip("/")
GATEWAY_URL = env.read("GATEWAY_URL").rstrip("/")
ALLOWED_HOSTS = env.read("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
TRUSTED_PROXIES = [ipaddress.ip_network(text) for text in env.read("TRUSTED_PROXIES")]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "cpo",
    "portal",
    "roaming",
    "energy",
    "stations",
    "billing",
    "fleets",
    "tenants",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cpo.observability.RequestLogMiddleware",
    "cpo.metrics.RequestMetricsMiddleware",
    "tenants.middleware.ProxyMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tenants.middleware.PlatformMiddleware",
    "tenants.middleware.TenantMiddleware",
]
ROOT_URLCONF = "cpo.urls"
ASGI_APPLICATION = "cpo.asgi.application"
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
                "django.template.context_processors.i18n",
                "portal.context.page",
            ],
        },
    }
]

DATABASES = databases(PROCESS)
DATABASE_ROUTERS = ["cpo.databases.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

REDIS_URL = env.read("REDIS_URL")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "prefix": "voltyard"},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}
CELERY_BROKER_URL = REDIS_URL or "memory://"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "portal.assets.PackageFinder",
]
STORAGES = {
    "default": storages.files(env.read("FILES_STORAGE_URL")),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = DATA_DIR / "media"
FILE_UPLOAD_PERMISSIONS = 0o600

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

MAP_TILE_URL = env.read("MAP_TILE_URL")
MAP_ATTRIBUTION = env.read("MAP_ATTRIBUTION")
_tile_parts = urlsplit(MAP_TILE_URL.replace("{s}.", "*."))
_tile_hosts = [f"{_tile_parts.scheme}://{_tile_parts.netloc}"] if MAP_TILE_URL else []
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", *_tile_hosts],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.authentication.IsKeyHolder"],
    "DEFAULT_PAGINATION_CLASS": "tenants.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tenants.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Voltyard",
    "DESCRIPTION": "Charge point management: stations, sessions, commands, tokens, tariffs.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "GridLine": "energy.grid.LINES",
        "PeakMode": "energy.policy.PEAK_MODES",
        "TemplateMode": "stations.models.template.TemplateMode",
        "CertificateStatus": "stations.models.CertificateStatus",
        "CertificateUse": "stations.models.CertificateUse",
        "EventSeverity": "stations.models.journal.Severity",
        "SigningUse": "stations.models.SigningUse",
        "VariableChangeState": "stations.models.VariableChangeState",
        "ChargeState": "billing.models.ChargeState",
        "CommandKind": "stations.models.CommandKind",
        "CommandState": "stations.models.CommandState",
        "CustomerQueryState": "stations.models.CustomerQueryState",
        "CampaignState": "stations.models.CampaignState",
        "FileProtocol": "stations.models.Protocol",
        "LogKind": "stations.models.LogKind",
        "LogState": "stations.models.LogState",
        "PublicationState": "stations.models.PublicationState",
        "UpdateState": "stations.models.UpdateState",
        "DerState": "stations.models.DerState",
        "DisplayState": "stations.models.DisplayState",
        "DerType": "stations.models.DerType",
        "DriftState": "stations.models.DriftState",
        "IssueSeverity": "stations.models.IssueSeverity",
        "IssueState": "stations.models.IssueState",
        "LimitSource": "stations.models.LimitSource",
        "MeterKind": "energy.models.MeterKind",
        "MeterSource": "energy.models.MeterSource",
        "MonitorBase": "stations.models.MonitorBase",
        "MonitorKind": "stations.models.MonitorKind",
        "MonitorState": "stations.models.MonitorState",
        "NetworkProfileState": "stations.models.customer.NetworkProfile.State",
        "ProfileKind": "stations.models.ProfileKind",
        "ProfileState": "stations.models.ProfileState",
        "ReportState": "stations.models.ReportState",
        "SessionState": "stations.models.SessionState",
        "StepKind": "stations.models.StepKind",
        "TokenKind": "fleets.models.TokenKind",
    },
    "APPEND_COMPONENTS": {
        "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "description": "Bearer vy_..."}}
    },
}

_email = urlsplit(env.read("EMAIL_URL"))
if _email.hostname:
    EMAIL_HOST, EMAIL_PORT = _email.hostname, _email.port or 587
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email.username or "", _email.password or ""
    EMAIL_USE_TLS = True
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

EMAIL_TIMEOUT = 10  # seconds a step: a server that hangs must not hold a worker for ever
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.read("EMAIL_FROM")
FRAME_RETENTION_DAYS = env.read("FRAME_RETENTION_DAYS")
OCPP_MAX_FRAME_BYTES = env.read("OCPP_MAX_FRAME_BYTES")
OCPP_MAX_DEPTH = env.read("OCPP_MAX_DEPTH")
OCPP_FRAMES_PER_SECOND = env.read("OCPP_FRAMES_PER_SECOND")
OCPP_FRAME_BURST = env.read("OCPP_FRAME_BURST")
OCPP_PING_SECONDS = env.read("OCPP_PING_SECONDS")
OCPP_CALL_TIMEOUT_SECONDS = env.read("OCPP_CALL_TIMEOUT_SECONDS")
OCPP_ERRAND_SECONDS = env.read("OCPP_ERRAND_SECONDS")
OCPP_HEARTBEAT_SECONDS = env.read("OCPP_HEARTBEAT_SECONDS")
FILES_URL = env.read("FILES_URL").rstrip("/")
FILES_PLAIN_URL = env.read("FILES_PLAIN_URL").rstrip("/")
FILES_ALLOW_HTTP = not PRODUCTION or bool(FILES_PLAIN_URL)
FILES_TICKET_HOURS = env.read("FILES_TICKET_HOURS")
FILES_TRANSFERS = env.read("FILES_TRANSFERS")
LOG_MAX_MB = env.read("LOG_MAX_MB")
LOG_TENANT_MB = env.read("LOG_TENANT_MB")
LOG_PATIENCE_MINUTES = env.read("LOG_PATIENCE_MINUTES")
LOG_RETENTION_DAYS = env.read("LOG_RETENTION_DAYS")
METER_SAMPLE_DAYS = env.read("METER_SAMPLE_DAYS")
METER_NETWORKS = [ipaddress.ip_network(text) for text in env.read("METER_NETWORKS")]
FIRMWARE_MAX_MB = env.read("FIRMWARE_MAX_MB")
FIRMWARE_PATIENCE_MINUTES = env.read("FIRMWARE_PATIENCE_MINUTES")
FTP_URL, FTPS_URL = env.read("FTP_URL").rstrip("/"), env.read("FTPS_URL").rstrip("/")
FTP_PASSIVE_PORTS = env.read("FTP_PASSIVE_PORTS")
FTP_PASSIVE_ADDRESS = env.read("FTP_PASSIVE_ADDRESS")
FTPS_CERTIFICATE = env.read("FTPS_CERTIFICATE")
COST_UPDATE_SECONDS = env.read("COST_UPDATE_SECONDS")
WEB_PAYMENT_PROVIDER = env.read("WEB_PAYMENT_PROVIDER")
OCPP_TLS_PORT = env.read("OCPP_TLS_PORT")
OCPP_TLS_CERTIFICATE = env.read("OCPP_TLS_CERTIFICATE")
OCPP_TLS_KEY = env.read("OCPP_TLS_KEY")
API_REQUESTS_PER_MINUTE = env.read("API_REQUESTS_PER_MINUTE")
METRICS_TOKEN = env.read("METRICS_TOKEN")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "cpo.observability.JsonFormatter"},
        "text": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": env.read("LOG_FORMAT") or "json"}},
    "root": {"handlers": ["stderr"], "level": env.read("LOG_LEVEL")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "daphne": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},  # sweeps run every second: only their troubles are news
        "celery.worker.strategy": {"level": "WARNING"},
        "uvicorn": {"level": "WARNING"},  # three lines a socket
        "httpx": {"level": "WARNING"},  # a line a request
    },
}
