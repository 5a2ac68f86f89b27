"""Every setting, once. `PDP_*` variables win over the TOML file named by `PDP_CONFIG`; both win over the defaults.

Only `app.py` and `cli/` build `Settings`; nothing reads the environment elsewhere.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from .approvals.states import EVENTS, Event
from .audit.shard import SEGMENT_BYTES
from .errors import Fault
from .identity.profiles import ProfileName
from .tls import Version

Seconds = Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)]


class IssuerSettings(BaseModel):
    """One token issuer whose access tokens are accepted, and how its tokens look."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(description="The exact `iss` of its tokens.")
    algorithms: tuple[str, ...] = Field(default=("RS256", "ES256", "EdDSA"), description="Asymmetric algorithms only.")
    jwks_file: Path | None = Field(default=None, description="A static key set, for issuers that cannot be reached.")
    jwks_uri: str | None = Field(default=None, description="Where its keys are; without it they are discovered.")
    profile: ProfileName = Field(default="rfc9068", description="Gives the defaults of the members that have none.")
    token_types: tuple[str, ...] | None = Field(default=None, description="Accepted `typ` values.")
    max_lifetime_s: int = Field(default=24 * 3600, description="Tokens that live longer are refused.")
    leeway_s: int = Field(default=30, ge=0, le=30, description="Clock difference forgiven.")
    person_claim: str | None = Field(default=None, description="The claim that names the person.")
    client_claim: str | None = Field(default=None, description="The claim that names the OAuth client.")
    scope_claim: str | None = Field(default=None, description="The claim with the scopes.")
    session_claim: str | None = Field(default=None, description="The claim that names the sign-in session.")
    sender_constraint: Literal["none", "required"] = Field(
        default="none", description="`required` refuses tokens that are not bound by DPoP or a client certificate."
    )
    direct_clients: tuple[str, ...] = Field(
        default=(), description="Clients that people use themselves; every other must be a registered agent."
    )
    unsafe_any_client: bool = Field(
        default=False,
        description="Any client speaks as the person: an agent nobody registered has all their rights.",
    )


class WebhookSettings(BaseModel):
    """One receiver of signed messages about approvals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Where messages are posted to: https, at a public address.")
    secret_file: Path = Field(
        description="What they are signed with: `whsec_...`, one a line, two while one replaces the other (0600)."
    )
    events: tuple[Event, ...] = Field(default=EVENTS, min_length=1, description="What it is told of.")


class Settings(BaseSettings):
    """The settings of `pdp serve` and of the commands that work on its data directory."""

    model_config = SettingsConfigDict(env_prefix="PDP_", extra="forbid", frozen=True)

    data_dir: Path = Field(default=Path("var/pdp"), description="Holds pdp.db, log/, keys/ and run/.")
    database_url: str | None = Field(default=None, description="SQLAlchemy URL; default: SQLite in the data directory.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8180, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: Path | None = Field(
        default=None, description="Serve TLS with this certificate and its chain (PEM); read again when it is renewed."
    )
    tls_key: Path | None = Field(default=None, description="Its private key (PEM, 0600, no passphrase).")
    tls_client_ca: Path | None = Field(
        default=None, description="CAs (PEM): whoever connects must show a certificate that one of them signed."
    )
    tls_minimum: Version = Field(default="1.3", description="The oldest TLS that is taken: 1.2 or 1.3.")
    unsafe_plain_http: bool = Field(
        default=False,
        description="Listen beyond this machine without TLS: who is on the way reads keys and tokens, unless a proxy "
        "in front of it ends TLS.",
    )
    ca_file: Path | None = Field(
        default=None, description="CAs (PEM) that commands which call a running PDP trust; default: the usual ones."
    )
    client_certificate: Path | None = Field(
        default=None, description="The certificate (PEM) those commands show, where PDP_TLS_CLIENT_CA asks for one."
    )
    client_key: Path | None = Field(default=None, description="Its private key (PEM, 0600, no passphrase).")
    worker: int = Field(
        default=0, ge=0, le=63, description="Which worker this is, by its log shard; `pdp serve --workers` says it."
    )
    public_url: str | None = Field(default=None, description="How people reach this service, for links.")
    policy_dir: Path | None = Field(default=None, description="The policy pack; default: the one in the package.")
    org_dir: Path | None = Field(default=None, description="Your own permits, guards, gates, duties and config.")
    policy_bundle: Path | None = Field(
        default=None, description="A bundle of `pdp policy build` to serve, instead of the two folders above."
    )
    policy_keys: Path | None = Field(
        default=None,
        description="Public keys (a folder of PEM files, or one): only a bundle that one of them signed is served.",
    )
    engine: Literal["opa", "wasm"] = Field(
        default="opa", description="What evaluates the policy: OPA, or the policy compiled to WebAssembly, without OPA."
    )
    opa_url: str | None = Field(default=None, description="A sidecar OPA (http:// or unix://); no child is started.")
    opa_binary: Path | None = Field(default=None, description="The OPA to run; default: the one `pdp opa path` prints.")
    opa_connections: int = Field(default=2 * (os.cpu_count() or 1), ge=1, le=256, description="Connections to OPA.")
    issuers: tuple[IssuerSettings, ...] = Field(default=(), description="Whose access tokens are accepted (JSON).")
    zone: str = Field(default="UTC", description="The time zone of `clock` in the policy input.")
    decide_within_s: Seconds = Field(default=0.2, description="Deadline from identify to decide.")
    record_within_s: Seconds = Field(default=0.3, description="Deadline for writing the record.")
    log_segment_bytes: int = Field(
        default=SEGMENT_BYTES, ge=4096, description="Size at which the log goes on in another file."
    )
    record_prompt: Literal["full", "commitment", "none"] = Field(
        default="full", description="How `context.intent.prompt` is recorded."
    )
    max_body_bytes: int = Field(default=256 * 1024, gt=0, description="Largest request body.")
    max_depth: int = Field(default=32, gt=0, le=128, description="Deepest JSON nesting.")
    rate_per_second: float = Field(default=2000, gt=0, description="Decisions a second one adapter key may ask for.")
    max_underway: int = Field(
        default=256, ge=2, description="Requests decided at the same time; one adapter gets half of them at most."
    )  # 0.2 s, which is the deadline, of 1,300 decisions a second
    console_issuer: str | None = Field(
        default=None, description="The issuer people sign in at for `/console`; there is no console without it."
    )
    console_client_id: str | None = Field(default=None, description="The console's OAuth client there.")
    console_client_secret_file: Path | None = Field(
        default=None, description="Its secret (0600), unless it is a public client."
    )
    console_resource: str | None = Field(
        default=None, description="The resource (RFC 8707) its tokens are for: an audience of `pdp.approvals`."
    )
    console_scope: str = Field(default="openid", description="The scopes it asks for; `openid` is one of them.")
    webhooks: tuple[WebhookSettings, ...] = Field(default=(), description="Who is told of approvals (JSON).")
    unsafe_webhook_private_addresses: bool = Field(
        default=False, description="Webhooks may lead into private networks, and over open lines."
    )
    notify_urls_file: Path | None = Field(
        default=None, description="Apprise URLs (0600), one a line: chats and mailboxes that are told of approvals."
    )
    traces: bool = Field(
        default=False,
        description="Send an OpenTelemetry trace of decisions (`mcp-pdp[otel]`); where to, and how many: `OTEL_*`.",
    )
    unsafe_plain_traces: bool = Field(
        default=False,
        description="Send traces to another machine over plain HTTP: who is on the way reads them, and the headers "
        "that `OTEL_*` gives them.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Of the service's own log."
    )

    @field_validator("data_dir", "policy_dir", "org_dir", "policy_bundle", "policy_keys")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path and path.absolute()  # what we start may have another working directory

    @field_validator("opa_url")
    @classmethod
    def _one_engine(cls, url: str | None, known: ValidationInfo) -> str | None:
        if url and known.data.get("engine") == "wasm":
            raise ValueError("with PDP_ENGINE=wasm no OPA is asked: unset one of the two")
        return url

    @property
    def store_url(self) -> str:
        """Return the SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'pdp.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the TOML file."""
        _ = dotenv_settings, file_secret_settings
        toml = TomlConfigSettingsSource(settings_cls, toml_file=os.environ.get("PDP_CONFIG"))
        return init_settings, env_settings, toml


def load(**overrides: object) -> Settings:
    """Read the settings. Raises `Fault` naming each setting that is wrong and why, without its value."""
    named = os.environ.get("PDP_CONFIG")
    if named and not Path(named).is_file():
        raise Fault(f"PDP_CONFIG names {named}, which is not a file: correct the path or unset PDP_CONFIG.")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks what mypy cannot
    except ValidationError as error:
        lines = [f"PDP_{'.'.join(map(str, e['loc'])).upper()}: {_what(e)}" for e in error.errors()]
        raise Fault("These settings are wrong; correct them and start again:\n  " + "\n  ".join(lines)) from None
    except SettingsError as error:
        raise Fault(f"A PDP_ variable cannot be read ({str(error).partition(' from')[0]}): write it as JSON.") from None
    except tomllib.TOMLDecodeError as error:
        raise Fault(f"{named} is not TOML: {error}.") from None


def _what(error: Mapping[str, Any]) -> str:
    unknown = error["type"] == "extra_forbidden"
    return "There is no such setting: see docs/reference/settings.md." if unknown else str(error["msg"])
