"""One file and the environment become one typed value; whoever needs a part is handed it.

``config.toml`` first, then the environment: ``HARKEN_SOURCES__X__BEARER_TOKEN`` sets ``sources.x.bearer_token``, and
``HARKEN_SOURCES__X__BEARER_TOKEN_FILE`` names a file that holds it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from yarl import URL

PREFIX = "HARKEN_"
NESTED = "__"
PLAIN = ("HARKEN_BRAND", "HARKEN_BRAND_FILE")
"""Keys that stand in no table; other names without two underscores are not ours to read."""

HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.?")


class ConfigError(Exception):
    """The configuration cannot be used; each line of the message names a key, its value and what is allowed."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Table):
    """``[store]``: where memory is."""

    url: SecretStr = Field(SecretStr("sqlite:///var/harken.db"), description="sqlite:///PATH or postgresql://...")
    backups: Path = Field(Path("var/backups"), description="folder for back-ups")


class LogSettings(_Table):
    """``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = Field("auto", description="auto: text on a terminal, json otherwise")


class WebSettings(_Table):
    """``[web]``: the pages and the API."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str | None = Field(None, description="how people reach it, with https when there is a proxy")
    secure_cookies: bool = Field(False, description="served over https; true by itself when public_url is https")
    behind_proxy: bool = Field(False, description="believe the last entry of X-Forwarded-For")
    session_hours: float = Field(12.0, gt=0, le=8784)
    idle_hours: float = Field(2.0, gt=0, le=8784)

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, value: str) -> str:
        if not _names_a_host(value):
            raise ValueError("must be an address of this machine, such as 127.0.0.1 or 0.0.0.0, or its name")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value and not _is_web(value):
            raise ValueError("must be what people type, such as https://care.example.com")
        return value

    @model_validator(mode="before")
    @classmethod
    def _https_means_secure(cls, data: Any) -> Any:
        if isinstance(data, dict) and str(data.get("public_url") or "").startswith("https://"):
            return {"secure_cookies": True, **data}
        return data


class KnowledgeSettings(_Table):
    """``[knowledge]``."""

    folder: Path | None = Field(None, description="Markdown articles, read at every start")
    by: str = Field("", description="owner of the folder's articles that name none")
    reviewed_by: str = Field("", description="reviewer of the folder's articles that name none")
    main_locale: str = Field("en", description="the locale that the others translate")
    topics: list[str] = Field(default_factory=list, description="the taxonomy; empty: any topic")
    slots: dict[str, Any] = Field(default_factory=dict, description="slots of wordings: name, {type, value}")


class WorkSettings(_Table):
    """``[work]``: how hard the daemon works."""

    batch: int = Field(128, ge=1, le=4096, description="posts judged and handed off together")
    replies_at_once: int = Field(4, ge=1, le=64)
    recheck_hours: float = Field(20.0, gt=0, le=8784, description="each kept post is looked up again within this")
    drain_s: float = Field(8.0, gt=0, le=60, description="at the end, sends in flight may take this long")


class TeachingSettings(_Table):
    """``[teaching]``: corrections that change the heads."""

    enabled: bool = Field(True, description="refit by itself; false: only when asked")
    every_minutes: float = Field(10.0, gt=0, le=44_640, description="how often to look for new corrections")
    min_corrections: int = Field(20, ge=1, le=10_000, description="refit from so many new ones on")
    mode: Literal["auto", "review"] = Field("auto", description="review: a lead takes what is better into service")


class BrakesSettings(_Table):
    """``[brakes]``: what stops the bot from speaking."""

    folder: Path | None = Field(
        None, description="where a file stops this machine; default: brakes beside the SQLite file"
    )


class LanguageModelSettings(_Table):
    """``[language_model]``: writes drafts for people, if the brand wants one. Off without url and model."""

    url: str | None = Field(None, description="base of an OpenAI-compatible API, such as https://host/v1")
    model: str = Field("", max_length=200, description="the model's name at that endpoint")
    key: SecretStr | None = Field(None, description="sent as a bearer token")
    timeout_s: float = Field(15.0, gt=0, le=20, description="a request gives up after this, seconds")
    calls_per_hour: int = Field(200, ge=0)
    calls_per_day: int = Field(1_000, ge=0)
    tokens_per_day: int = Field(1_000_000, ge=0)
    choose: bool = Field(True, description="it may put the likeliest articles in another order for people")
    write: bool = Field(True, description="it may write drafts")

    @property
    def is_on(self) -> bool:
        """Say whether there is anything to ask."""
        return bool(self.url and self.model and (self.choose or self.write))

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.url) != bool(self.model):
            raise ValueError("url and model belong together; set both, or neither")
        if self.url:
            _check_endpoint(self.url)
        return self


def _check_endpoint(address: str) -> None:
    try:
        url = URL(address)
    except ValueError as error:
        raise ValueError("url is no address; write https://host/v1") from error
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise ValueError("url is the base of the API, such as https://host/v1")
    if url.user is not None or url.password is not None:
        raise ValueError("url holds credentials; the key comes from HARKEN_LANGUAGE_MODEL__KEY")
    if url.scheme == "http" and not _is_near(url.host):
        raise ValueError("url must be https, or posts cross networks in the clear; http is for private addresses only")


def _names_a_host(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return bool(HOST_NAME.fullmatch(value))
    return True


def _is_web(address: str) -> bool:
    try:
        url = URL(address)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and not url.query_string and not url.fragment


def _is_near(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_private
    except ValueError:
        return False


class Settings(BaseSettings):
    """All of it. ``sources``, ``desks`` and ``classifier`` stay raw here: each plug-in's own model checks them."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter=NESTED)

    brand: str = Field("Our brand", description="how the pages call you")
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    web: WebSettings = WebSettings()
    work: WorkSettings = WorkSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    teaching: TeachingSettings = TeachingSettings()
    brakes: BrakesSettings = BrakesSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    classifier: dict[str, Any] = Field(default_factory=lambda: {"engine": "transformer"})
    labels: dict[str, dict[str, list[str]]] = Field(
        default_factory=dict, description="labels of your own: set, label, example texts"
    )
    handoff: dict[str, Any] = Field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = Field(default_factory=dict)
    desks: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def brakes_folder(self) -> Path:
        """Return where the files of the brakes are; told without the store, which may be gone."""
        if self.brakes.folder is not None:
            return self.brakes.folder
        backend, _, path = self.store.url.get_secret_value().partition(":///")
        beside = Path(path.partition("?")[0]).parent if backend.startswith("sqlite") and path else Path("var")
        return beside / "brakes"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_EnvironmentAndFiles(settings_cls), init_settings)


class _EnvironmentAndFiles(EnvSettingsSource):
    def _load_env_vars(self) -> Mapping[str, str | None]:
        return with_files(os.environ)


def with_files(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return our part of *environ*, names in lower case, each ``NAME_FILE`` replaced by what its file holds."""
    found: dict[str, str | None] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or (NESTED not in name and name not in PLAIN):
            continue
        table = name.removeprefix(PREFIX).removesuffix("_FILE").split(NESTED)[0].lower()
        if table not in Settings.model_fields:
            raise ConfigError(f"{name} sets no known table; there are: {', '.join(sorted(Settings.model_fields))}")
        if name.endswith("_FILE"):
            try:
                value = Path(value).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{name} names {value!r}, which cannot be read: {error.strerror}") from error
            except ValueError as error:
                raise ConfigError(f"{name} names {value!r}, which is not UTF-8 text") from error
            name = name.removesuffix("_FILE")
        found[name.lower()] = value
    return found


def load(path: Path | None) -> Settings:
    """Return the settings of *path* (None: ``config.toml`` if there is one) and the environment. Raises ConfigError."""
    raw: dict[str, Any] = {}
    chosen = path or Path("config.toml")
    if path is not None or chosen.exists():
        try:
            raw = tomllib.loads(chosen.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError(f"{chosen} cannot be read: {error.strerror}; name another file with --config") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{chosen} is not UTF-8 text: byte {error.start}") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{chosen} is not TOML: {error}") from error
    try:
        return Settings(**raw)
    except ValidationError as error:
        raise ConfigError("\n".join(sentences(error, ()))) from error


def sentences(error: ValidationError, where: Iterable[str]) -> list[str]:
    """Return one line for each fault: key, value (secrets masked), what is allowed."""
    prefix = list(where)
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        key = ".".join([*prefix, *(str(part) for part in fault["loc"])]) or "config"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{key}: no such key; look for a typo, or take it out")
        elif fault["type"] == "missing":
            lines.append(f"{key}: is missing; set it in the config or as {environment_name(key)}")
        else:
            lines.append(f"{key} = {shown(key, fault.get('input'))}: {said(fault['msg'])}")
    return lines


def environment_name(key: str) -> str:
    """Return the environment variable that sets *key*."""
    return PREFIX + key.upper().replace(".", NESTED)


def said(message: str) -> str:
    """Return what is wrong with a value, without what pydantic puts before a sentence of our own."""
    return message.removeprefix("Value error, ")


SECRET_WORDS = ("token", "secret", "password", "key", "url")


def shown(key: str, value: object) -> str:
    """Return *value* for a message or a listing, masked when its key sounds like a secret."""
    last = key.rsplit(".", 1)[-1]
    if isinstance(value, SecretStr) or (
        isinstance(value, str) and value and any(word in last for word in SECRET_WORDS[:4])
    ):
        return "'********'"
    text = repr(str(value) if isinstance(value, Path) else value)
    return text if len(text) <= 80 else text[:77] + "..."
