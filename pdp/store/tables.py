"""The schema, once for both dialects (contracts, section 4; research identity.md, section 2.4).

Times are fixed-width RFC 3339 text, so they compare as strings on every database. `source` names the feed that
owns a row; a feed never touches another's rows. Expiry is enforced when a row is read, never by a cleanup job.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

NEVER = "9999-12-31T23:59:59Z"  # the expiry of what does not expire: compares later than any real time


def _key(name: str = "id") -> Column[str]:
    return Column(name, String, primary_key=True)


def _source() -> Column[str]:
    return Column("source", String, nullable=False)


def _expiry() -> Column[str]:
    return Column("expires_at", String, nullable=False, default=NEVER)


principals = Table(
    "principals", metadata, _key(),
    Column("kind", String, nullable=False),  # person | agent | service
    Column("status", String, nullable=False, default="active"),  # active | suspended | disabled | deleted
    Column("display", String, nullable=False, default=""),
    _source(),
)

aliases = Table(
    "aliases", metadata,
    Column("issuer", String, primary_key=True), Column("subject", String, primary_key=True),
    Column("principal", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False, index=True),
    _source(),
)

agents = Table(
    "agents", metadata,
    Column("id", ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    Column("owners", JSON, nullable=False),  # [person id]
    Column("max_impact", String, nullable=False),  # read | write | external | destructive | privileged
    Column("ceiling", JSON, nullable=False),  # [tool pattern]
    _source(),
)

agent_links = Table(
    "agent_links", metadata,
    Column("parent", ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    Column("child", ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    Column("max_scope", JSON, nullable=False),  # [tool pattern]
    _expiry(), _source(),
)

groups = Table("groups", metadata, _key(), Column("display", String, nullable=False, default=""), _source())

memberships = Table(
    "memberships", metadata,
    Column("member_kind", String, primary_key=True),  # principal | group
    Column("member", String, primary_key=True),
    Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True),
    _expiry(), _source(),
)

roles = Table("roles", metadata, _key(), Column("display", String, nullable=False, default=""), _source())

role_assignments = Table(
    "role_assignments", metadata,
    Column("holder_kind", String, primary_key=True),  # principal | group
    Column("holder", String, primary_key=True),
    Column("role", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
    _expiry(), _source(),
)

entitlements = Table(
    "entitlements", metadata, _key(),
    Column("holder_kind", String, nullable=False), Column("holder", String, nullable=False, index=True),  # + role
    Column("permission", String, nullable=False),
    Column("server_pattern", String, nullable=False), Column("tool_pattern", String, nullable=False),
    Column("constraints", JSON, nullable=False),
    _expiry(), _source(),
)

delegations = Table(
    "delegations", metadata, _key(),
    Column("person", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("agent", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("scope", JSON, nullable=False), Column("max_impact", String, nullable=False),
    Column("revoked_at", String), _expiry(), _source(),
    UniqueConstraint("person", "agent", "source"),
)

sessions = Table(
    "sessions", metadata,
    Column("issuer", String, primary_key=True), Column("id", String, primary_key=True),
    Column("principal", String, index=True), Column("revoked_at", String), _source(),
)

revocations = Table(  # what an operator stopped; feeds never write here, so no import brings anything back
    "revocations", metadata,
    Column("kind", String, primary_key=True),  # person | agent | client | session | delegation
    Column("issuer", String, primary_key=True),  # of a client or session; else empty
    Column("id", String, primary_key=True),
    Column("at", String, nullable=False),
    Column("by", String, nullable=False), Column("reason", String, nullable=False),
)

signals = Table(
    "signals", metadata, _key(),
    Column("entity_kind", String, nullable=False),  # person | agent | session
    Column("entity", String, nullable=False, index=True),
    Column("code", String, nullable=False), Column("weight", Integer, nullable=False),  # per mille probability
    Column("observed_at", String, nullable=False), Column("half_life_s", Integer, nullable=False),
    _expiry(), _source(),
)

servers = Table(
    "servers", metadata, _key(),
    Column("audiences", JSON, nullable=False),  # {issuer: [audience]}
    Column("required_scopes", JSON, nullable=False),
    _source(),
)

tools = Table(
    "tools", metadata,
    Column("server", String, primary_key=True), Column("name", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("status", String, nullable=False),  # submitted | approved | superseded | quarantined | revoked
    Column("risk_class", String, nullable=False), Column("labels", JSON, nullable=False),
    Column("owner", String, nullable=False, default=""),
    Column("required_scopes", JSON, nullable=False), Column("argument_labels", JSON, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("submitted_at", String, nullable=False), Column("reviewed_at", String), Column("reviewed_by", String),
    _source(),
    Index(  # at most one definition of a tool is approved, whatever code or hand writes here
        "ix_tools_one_approved", "server", "name", unique=True,
        sqlite_where=text("status = 'approved'"), postgresql_where=text("status = 'approved'"),
    ),
)

pep_keys = Table(
    "pep_keys", metadata, _key(),
    Column("secret_digest", String, nullable=False),  # SHA-256 of the 32 random bytes, hex
    Column("servers", JSON, nullable=False), Column("scopes", JSON, nullable=False),
    Column("unsafe_assert_identity", Integer, nullable=False, default=0),
    Column("bound_tokens_only", Integer, nullable=False, default=0),
    Column("created_at", String, nullable=False), Column("revoked_at", String), _expiry(),
    Column("note", String, nullable=False, default=""),
)

newest_policy = Table(  # one row at most: the newest signed policy that was ever in force
    "newest_policy", metadata,
    Column("revision", String, primary_key=True),
    Column("issued_at", String, nullable=False), Column("content", String, nullable=False),
    Column("key_id", String, nullable=False),
)

decisions = Table(  # a projection of the log, filled behind it; the log is the truth
    "decisions", metadata, _key(),
    Column("origin", String, nullable=False), Column("position", BigInteger, nullable=False),
    Column("pep", String, nullable=False, index=True), Column("at", String, nullable=False, index=True),
    Column("entry", Text, nullable=False),  # the line of the log, byte for byte
    UniqueConstraint("origin", "position"),
)

log_heads = Table(  # how far each log had come, signed: a log that is shorter by now was cut
    "log_heads", metadata,
    Column("origin", String, primary_key=True),
    Column("entries", BigInteger, nullable=False), Column("digest", String, nullable=False),
    Column("at", String, nullable=False),
    Column("key", String, nullable=False), Column("signature", String, nullable=False),
)

outcomes = Table(  # a table of its own: another worker may log the outcome before this one projects the decision
    "outcomes", metadata,
    Column("decision", String, primary_key=True),
    Column("origin", String, nullable=False), Column("position", BigInteger, nullable=False),
    Column("pep", String, nullable=False), Column("at", String, nullable=False),
    Column("entry", Text, nullable=False),
    UniqueConstraint("origin", "position"),
)

approval_requests = Table(  # what people were asked: one exact call, and what became of the question
    "approval_requests", metadata, _key(),
    Column("state", String, nullable=False), Column("version", Integer, nullable=False),  # counts its transitions
    Column("action_digest", String, nullable=False, index=True),
    Column("person", String), Column("agent", String),
    Column("chain", JSON, nullable=False), Column("owners", JSON, nullable=False),  # of the agent
    Column("server", String, nullable=False), Column("tool", String, nullable=False),
    Column("definition_digest", String, nullable=False),
    Column("gates", JSON, nullable=False), Column("plan", JSON, nullable=False),
    Column("shown", JSON, nullable=False),  # the call as approvers see it, sensitive values masked
    Column("decision", String, nullable=False), Column("pep", String, nullable=False),  # who asked first, and when
    Column("opened_at", String, nullable=False), Column("expires_at", String, nullable=False),
    Column("decided_at", String), Column("feedback", Text, nullable=False, default=""),
    Index(  # identical calls share one question
        "ix_approval_requests_one_open", "action_digest", unique=True,
        sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'"),
    ),
)

approval_votes = Table(
    "approval_votes", metadata,
    Column("request", ForeignKey("approval_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("person", String, primary_key=True),  # one vote a person
    Column("vote", String, nullable=False),  # approve | deny
    Column("stage", String, nullable=False), Column("at", String, nullable=False),
    Column("reason", Text, nullable=False, default=""), Column("presented_digest", String, nullable=False),
)

approvals = Table(  # the right that a granted request gives: to that call, for a while, a number of times
    "approvals", metadata,
    Column("id", ForeignKey("approval_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String, nullable=False),
    Column("action_digest", String, nullable=False),
    Column("gates", JSON, nullable=False), Column("uses_left", Integer, nullable=False),
    Column("approved_at", String, nullable=False), Column("not_after", String, nullable=False),
    Index(
        "ix_approvals_one_active", "action_digest", unique=True,
        sqlite_where=text("state = 'active'"), postgresql_where=text("state = 'active'"),
    ),
)

approval_outbox = Table(  # what is still to be told: one row an event, and once it is addressed one a destination
    "approval_outbox", metadata, _key(),  # the id is the same however often, and wherever, it is sent
    Column("destination", String, primary_key=True),  # empty until it is addressed
    Column("event", String, nullable=False), Column("told", JSON, nullable=False),
    Column("request", ForeignKey("approval_requests.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String, nullable=False),  # waiting | dead: what was delivered is removed
    Column("attempts", Integer, nullable=False), Column("error", Text, nullable=False, default=""),
    Column("at", String, nullable=False),  # when it happened, or is to happen
    Column("due_at", String, nullable=False),  # when it is tried next; whoever claims it moves this on
    Index("ix_approval_outbox_due", "destination", "due_at"),
)

change_log = Table(  # what changed, in commit order: writers hold one lock while they append
    "change_log", metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("topic", String, nullable=False),  # identity | registry | keys
    Column("kind", String, nullable=False), Column("key", String, nullable=False),
    Column("at", String, nullable=False),
    Index("ix_change_log_topic_seq", "topic", "seq"),
    sqlite_autoincrement=True,  # a number is never used twice, even when old entries are removed
)
