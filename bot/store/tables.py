"""All tables. Rows never leave bot.store: functions there take and return values.

Times are aware UTC. Every upsert has a unique key. Text that may be personal sits in ``author``, ``post``, ``reply``,
``case_note``, ``case``, ``suggestion`` and ``label_example``; nowhere else.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps it as microseconds since 1970, so that order and equality are those of time."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must carry a time zone")
        gone = value.astimezone(UTC) - _EPOCH
        return (gone.days * 86_400 + gone.seconds) * 1_000_000 + gone.microseconds

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outcome(StrEnum):
    """The one recorded end of a post; OPEN until there is one."""

    OPEN = "open"
    IGNORED = "ignored"
    ANSWERED = "answered"
    DRAFTED = "drafted"
    ESCALATED = "escalated"
    GATHERED = "gathered"
    OWN = "own"
    DELETED = "deleted"


class ReplyState(StrEnum):
    """Where a reply stands (docs/reliability.md). Committed and synced as SENDING before the first byte leaves."""

    DRAFTED = "drafted"
    INTENDED = "intended"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    PERSON = "person"


class Origin(StrEnum):
    """Who decided that a reply is said. MODEL: a language model wrote a draft; it leaves only approved by a person."""

    BOT = "bot"
    DRAFT = "draft"
    AGENT = "agent"
    MODEL = "model"
    INCIDENT = "incident"
    FOLLOW_UP = "follow_up"

    @property
    def is_campaign(self) -> bool:
        """Say whether a person decided it for all of an incident at once."""
        return self in (Origin.INCIDENT, Origin.FOLLOW_UP)


class Review(StrEnum):
    """What a lead said of a correction."""

    APPROVED = "approved"
    REJECTED = "rejected"


class RevisionState(StrEnum):
    """Where a head revision stands. ASKED: a process with the model will fit it. PROPOSED: better; a lead decides."""

    ASKED = "asked"
    PROPOSED = "proposed"
    ACTIVE = "active"
    UNDONE = "undone"
    REFUSED = "refused"


class Retracted(StrEnum):
    """What became of deleting something we said. WANTED: asked for, not known yet."""

    WANTED = "wanted"
    RETRACTED = "retracted"
    NOT_FOUND = "not_found"
    IMPOSSIBLE = "impossible"
    REFUSED = "refused"
    FAILED = "failed"


class Stage(StrEnum):
    """The errands, in the order of a post's way."""

    TRIAGE = "triage"
    HAND_OFF = "hand_off"
    DELIVER = "deliver"
    OPEN_TICKET = "open_ticket"
    RETRACT = "retract"
    SUGGEST = "suggest"


def _time(*, null: bool = False, index: bool = False) -> Any:
    return Field(sa_column=sa.Column(UtcDateTime, nullable=null, index=index), default=None)


def _json(*, null: bool = False) -> Any:
    return Field(sa_column=sa.Column(sa.JSON, nullable=null), default=None)


def _text(*, null: bool = False) -> Any:
    return Field(sa_column=sa.Column(sa.Text, nullable=null), default=None if null else "")


class SourceRow(SQLModel, table=True):
    """Health of one configured source."""

    __tablename__ = "source"
    name: str = Field(primary_key=True)
    kind: str
    channel: str
    status: str = "new"
    last_success_at: datetime | None = _time(null=True)
    last_error: str | None = _text(null=True)
    failures: int = 0
    blocked_until: datetime | None = _time(null=True)
    account_id: str | None = None
    account_handle: str | None = None


class CursorRow(SQLModel, table=True):
    """How far one stream of one source has been read."""

    __tablename__ = "cursor"
    source: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    value: str = _text()
    updated_at: datetime = _time()


class LeaseRow(SQLModel, table=True):
    """Who may do something alone, until when. epoch grows with every new holder and fences the old one."""

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    holder: str
    epoch: int = 0
    expires_at: datetime = _time()


class AuthorRow(SQLModel, table=True):
    """An account on a network."""

    __tablename__ = "author"
    __table_args__ = (sa.UniqueConstraint("channel", "external_id"),)
    id: int | None = Field(default=None, primary_key=True)
    channel: str
    external_id: str
    handle: str = Field(index=True)
    display_name: str = ""
    url: str | None = None
    followers: int | None = None
    is_bot: bool = False


class PostRow(SQLModel, table=True):
    """A post as it stands now; ``outcome`` is where its way ended."""

    __tablename__ = "post"
    __table_args__ = (
        sa.UniqueConstraint("channel", "external_id"),
        sa.Index("post_author_created", "author_id", "created_at"),
        # The feed's filters, newest first: without the time in the index every match is read and sorted.
        sa.Index("post_channel_created", "channel", "created_at"),
        sa.Index("post_outcome_created", "outcome", "created_at"),
        sa.Index("post_source_created", "source", "created_at"),
        sa.Index("post_root", "channel", "root_id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    channel: str
    external_id: str
    source: str
    stream: str
    author_id: int = Field(foreign_key="author.id")
    kind: str
    title: str = _text()
    text: str = _text()
    revision: str
    edits: int = 0
    url: str | None = None
    language: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    place: str = ""
    addressed: bool = False
    is_own: bool = False
    is_private: bool = False
    facts: dict[str, str] = _json()
    created_at: datetime = _time(index=True)
    ingested_at: datetime = _time()
    edited_at: datetime | None = _time(null=True)
    deleted_at: datetime | None = _time(null=True)
    checked_at: datetime = _time(index=True)
    outcome: str = Field(default=Outcome.OPEN)
    reasons: list[str] | None = _json(null=True)


class TriageRow(SQLModel, table=True):
    """The labels of one post. A person's correction overwrites the label, and stays in ``correction``."""

    __tablename__ = "triage"
    post_id: int = Field(primary_key=True, foreign_key="post.id")
    revision: str
    sentiment: str = Field(index=True)
    sentiment_confidence: float
    intent: str = Field(index=True)
    intent_confidence: float
    urgency: str = Field(index=True)
    urgency_confidence: float
    toxicity: str
    toxicity_confidence: float
    spam: str
    spam_confidence: float
    language: str
    language_confidence: float
    model: str
    embedding: bytes = Field(default=b"", sa_column=sa.Column(sa.LargeBinary, nullable=False))
    judged_at: datetime = _time()


class CorrectionRow(SQLModel, table=True):
    """A person said that a label is wrong. review: what a lead said of that, None until one did."""

    __tablename__ = "correction"
    id: int | None = Field(default=None, primary_key=True)
    post_id: int = Field(foreign_key="post.id", index=True)
    head: str
    old: str
    new: str
    model: str
    user_id: int = Field(foreign_key="user.id")
    at: datetime = _time()
    review: str | None = None
    reviewed_by: int | None = Field(default=None, foreign_key="user.id")
    reviewed_at: datetime | None = _time(null=True)


class HeadRevisionRow(SQLModel, table=True):
    """What corrections taught the heads of one model. The active one with the highest id is in service.

    user_id: who asked; None: the schedule, or the command line. last_correction: the highest id there was then.
    change: safetensors, empty where nothing became better. figures: before and after.
    """

    __tablename__ = "head_revision"
    id: int | None = Field(default=None, primary_key=True)
    made_at: datetime = _time()
    origin: str
    user_id: int | None = Field(default=None, foreign_key="user.id")
    model: str = Field(index=True)
    state: str = Field(index=True)
    reason: str = _text()
    change: bytes = Field(default=b"", sa_column=sa.Column(sa.LargeBinary, nullable=False))
    figures: dict[str, Any] = _json()
    last_correction: int = 0
    decided_by: int | None = Field(default=None, foreign_key="user.id")
    decided_at: datetime | None = _time(null=True)


class JobRow(SQLModel, table=True):
    """Outbox, queue entry and idempotency record in one: (stage, key) exists once."""

    __tablename__ = "job"
    __table_args__ = (
        sa.UniqueConstraint("stage", "key"),
        sa.Index(
            "job_due",
            "stage",
            "priority",
            "due_at",
            sqlite_where=sa.text("done_at IS NULL AND parked_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL AND parked_at IS NULL"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    stage: str
    key: str
    priority: int = 3
    due_at: datetime = _time()
    claimed_until: datetime | None = _time(null=True)
    claimed_by: str | None = None
    attempts: int = 0
    done_at: datetime | None = _time(null=True)
    parked_at: datetime | None = _time(null=True)
    reason: str | None = None
    created_at: datetime = _time()


class EventRow(SQLModel, table=True):
    """What happened, for live pages and the record; ids and labels only, never text."""

    __tablename__ = "event"
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    post_id: int | None = Field(default=None, index=True)
    case_id: int | None = Field(default=None, index=True)
    reply_id: int | None = None
    facts: dict[str, Any] | None = _json(null=True)
    at: datetime = _time(index=True)


class CaseRow(SQLModel, table=True):
    """A customer's matter. key: key of the post that opened it. context: the situation then, as shown to people."""

    __tablename__ = "case"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    post_id: int = Field(foreign_key="post.id", index=True)
    author_id: int = Field(foreign_key="author.id", index=True)
    channel: str
    source: str
    root_id: str | None = Field(default=None, index=True)
    title: str = _text()
    state: str = Field(default="open", index=True)
    queue: str = Field(index=True)
    priority: int
    reasons: list[str] = _json()
    context: dict[str, Any] = _json()
    assignee_id: int | None = Field(default=None, foreign_key="user.id", index=True)
    opened_at: datetime = _time(index=True)
    due_at: datetime = _time(index=True)
    answered_at: datetime | None = _time(null=True)
    resolved_at: datetime | None = _time(null=True)


class CasePostRow(SQLModel, table=True):
    """Which posts belong to a case; the first one opened it."""

    __tablename__ = "case_post"
    case_id: int = Field(primary_key=True, foreign_key="case.id")
    post_id: int = Field(primary_key=True, foreign_key="post.id", index=True)


class CaseNoteRow(SQLModel, table=True):
    """What people tell each other about a case; never public."""

    __tablename__ = "case_note"
    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="case.id", index=True)
    user_id: int | None = Field(default=None, foreign_key="user.id")
    text: str = _text()
    at: datetime = _time()


class AuthorWishRow(SQLModel, table=True):
    """Whom the bot leaves alone. opted_out_at: since when, by their own word (asked_at: when they last gave it) or a
    person's. muted_at: a person silenced the bot for them. Kept for good."""

    __tablename__ = "author_wish"
    author_id: int = Field(primary_key=True, foreign_key="author.id")
    opted_out_at: datetime | None = _time(null=True)
    opted_out_by: int | None = Field(default=None, foreign_key="user.id")
    asked_at: datetime | None = _time(null=True)
    muted_at: datetime | None = _time(null=True)
    muted_by: int | None = Field(default=None, foreign_key="user.id")


class ArticleBrakeRow(SQLModel, table=True):
    """An article that was said in a burst and waits for a person; released when released_at is set."""

    __tablename__ = "article_brake"
    slug: str = Field(primary_key=True)
    pulled_at: datetime = _time()
    said: int = 0
    released_at: datetime | None = _time(null=True)
    released_by: int | None = Field(default=None, foreign_key="user.id")


class ReplyRow(SQLModel, table=True):
    """Something to be said in public, at most once. key: unique, the network's idempotency key is made of it.

    intent: of the post as it was judged when this was decided. is_edited: a person changed the prepared words, which
    stay in prepared.
    """

    __tablename__ = "reply"
    __table_args__ = (
        sa.Index("reply_judged", "source", "intent", "created_at"),
        sa.Index("reply_left", "first_sent_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    post_id: int = Field(foreign_key="post.id", index=True)
    case_id: int | None = Field(default=None, foreign_key="case.id", index=True)
    source: str
    channel: str
    state: str = Field(index=True)
    origin: str
    text: str = _text()
    article_id: int | None = Field(default=None, foreign_key="article.id")
    confidence: float | None = None
    intent: str | None = None
    is_edited: bool = False
    prepared: str | None = _text(null=True)
    target_revision: str
    approved_by: int | None = Field(default=None, foreign_key="user.id")
    attempts: int = 0
    created_at: datetime = _time(index=True)
    expires_at: datetime = _time()
    first_sent_at: datetime | None = _time(null=True)
    last_sent_at: datetime | None = _time(null=True)
    looked_at: datetime | None = _time(null=True)
    sent_at: datetime | None = _time(null=True)
    remote_id: str | None = Field(default=None, index=True)
    remote_url: str | None = None
    reason: str | None = None


class TicketRow(SQLModel, table=True):
    """A case at somebody else's desk."""

    __tablename__ = "ticket"
    __table_args__ = (sa.UniqueConstraint("case_id", "desk"),)
    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="case.id")
    desk: str
    state: str = "wanted"
    remote_id: str | None = None
    url: str | None = None
    reason: str | None = None
    updated_at: datetime = _time()


class ArticleRow(SQLModel, table=True):
    """Knowledge. wordings: network or "default" -> public text. vectors: float16 rows, one a question.

    It holds what is in force, or was until it retired; before the first publishing, what is being worked on. version:
    number of what is in force, 0 for none. newest: of the newest version. open_state: of that version while it is a
    draft or in review. folder_imprint: of the file it was last taken from. reminded_for: the review_by already told.
    """

    __tablename__ = "article"
    __table_args__ = (sa.UniqueConstraint("slug", "locale"),)
    id: int | None = Field(default=None, primary_key=True)
    slug: str
    locale: str
    title: str = _text()
    body: str = _text()
    tags: list[str] = _json()
    questions: list[str] = _json()
    owner: str = ""
    wordings: dict[str, str] = _json()
    revision: str
    vectors: bytes = Field(default=b"", sa_column=sa.Column(sa.LargeBinary, nullable=False))
    vectors_model: str = ""
    retired_at: datetime | None = _time(null=True)
    updated_at: datetime = _time()
    state: str = Field(default="published", index=True)
    reviewer: str = ""
    audience: str = "public"
    brand: str = ""
    topics: list[str] | None = _json(null=True)
    valid_from: datetime | None = _time(null=True)
    valid_until: datetime | None = _time(null=True)
    review_by: date | None = Field(default=None, index=True)
    translation_of: str = ""
    version: int = 0
    newest: int = 0
    open_state: str | None = None
    folder_imprint: str = ""
    reminded_for: date | None = None


class ArticleVersionRow(SQLModel, table=True):
    """A version of an article, never changed but in its state. text: as a file, without state and reviewer.

    editors: keys of all who wrote what no second person has published yet ("user:7", "name:billing team"). author: who
    made this version. published_at: when a second person did.
    """

    __tablename__ = "article_version"
    __table_args__ = (sa.UniqueConstraint("article_id", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    article_id: int = Field(foreign_key="article.id")
    number: int
    state: str
    text: str = _text()
    revision: str
    editors: list[str] = _json()
    author: str = ""
    restored_from: int | None = None
    made_at: datetime = _time()
    published_at: datetime | None = _time(null=True)


class ArticleStepRow(SQLModel, table=True):
    """Who moved which version of an article from where to where, and when. name: as they were called then."""

    __tablename__ = "article_step"
    id: int | None = Field(default=None, primary_key=True)
    article_id: int = Field(foreign_key="article.id", index=True)
    version: int
    step: str
    user_id: int | None = Field(default=None, foreign_key="user.id")
    name: str = ""
    note: str = _text()
    at: datetime = _time()


class UserRow(SQLModel, table=True):
    """A person who signs in. role: viewer, agent, lead or admin."""

    __tablename__ = "user"
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    name: str
    role: str
    password_hash: str | None = None
    disabled_at: datetime | None = _time(null=True)
    created_at: datetime = _time()


class SessionRow(SQLModel, table=True):
    """A signed-in browser; only the SHA-256 of its token is kept."""

    __tablename__ = "session"
    token_hash: str = Field(primary_key=True)
    user_id: int = Field(foreign_key="user.id", index=True)
    csrf: str
    created_at: datetime = _time()
    seen_at: datetime = _time()
    expires_at: datetime = _time(index=True)


class SignInLinkRow(SQLModel, table=True):
    """A one-time sign-in link; only the SHA-256 of its token is kept."""

    __tablename__ = "sign_in_link"
    token_hash: str = Field(primary_key=True)
    user_id: int = Field(foreign_key="user.id")
    expires_at: datetime = _time()
    used_at: datetime | None = _time(null=True)


class SignInFailureRow(SQLModel, table=True):
    """Failed sign-ins of one address or account, to slow guessing down."""

    __tablename__ = "sign_in_failure"
    subject: str = Field(primary_key=True)
    count: int = 0
    last_at: datetime = _time()


class ApiKeyRow(SQLModel, table=True):
    """A key for the API: ``harken_<id>_<secret>``; only the SHA-256 of the secret is kept."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    name: str
    secret_hash: str
    role: str
    created_at: datetime = _time()
    expires_at: datetime | None = _time(null=True)
    used_at: datetime | None = _time(null=True)
    revoked_at: datetime | None = _time(null=True)


class DeliveryRow(SQLModel, table=True):
    """A webhook delivery already taken: the same id again has no second effect."""

    __tablename__ = "delivery"
    source: str = Field(primary_key=True)
    delivery_id: str = Field(primary_key=True)
    body_hash: str
    at: datetime = _time(index=True)


class QuarantineRow(SQLModel, table=True):
    """An item nobody could read, raw and bounded, so that a person can."""

    __tablename__ = "quarantine"
    id: int | None = Field(default=None, primary_key=True)
    source: str
    stream: str
    digest: str = Field(unique=True)
    reason: str = _text()
    raw: str = _text()
    at: datetime = _time()


class LabelSetRow(SQLModel, table=True):
    """A set of labels of the brand's own. revision: changes with its examples. report: how well it was learnt."""

    __tablename__ = "label_set"
    name: str = Field(primary_key=True)
    revision: str = ""
    learnt_revision: str = ""
    learnt_model: str = ""
    report: dict[str, Any] | None = _json(null=True)
    updated_at: datetime = _time()


class LabelExampleRow(SQLModel, table=True):
    """A text that shows what a label means. digest: of the text, letter case and blanks aside. post_id: copied from."""

    __tablename__ = "label_example"
    __table_args__ = (sa.UniqueConstraint("set_name", "digest"),)
    id: int | None = Field(default=None, primary_key=True)
    set_name: str = Field(foreign_key="label_set.name")
    label: str
    text: str = _text()
    digest: str
    is_configured: bool = False
    post_id: int | None = Field(default=None, foreign_key="post.id", index=True)
    added_by: int | None = Field(default=None, foreign_key="user.id")
    added_at: datetime = _time()
    embedding: bytes = Field(default=b"", sa_column=sa.Column(sa.LargeBinary, nullable=False))
    embedding_model: str = ""


class OwnLabelRow(SQLModel, table=True):
    """The likeliest label of one set for one post. model: of the embedding, and the set's revision."""

    __tablename__ = "own_label"
    __table_args__ = (sa.Index("own_label_found", "set_name", "label"),)
    post_id: int = Field(primary_key=True, foreign_key="post.id")
    set_name: str = Field(primary_key=True)
    label: str
    confidence: float
    model: str


class BrakeRow(SQLModel, table=True):
    """A brake that was pulled; it stands until a person releases it. Rows stay: they are the record of who and why.

    token: its identity, also in the files. set_who, released_who: names in words, since a command has no account.
    """

    __tablename__ = "brake"
    id: int | None = Field(default=None, primary_key=True)
    token: str = Field(unique=True)
    scope: str
    name: str = ""
    set_at: datetime = _time(index=True)
    set_by: int | None = Field(default=None, foreign_key="user.id")
    set_who: str
    set_why: str = _text()
    released_at: datetime | None = _time(null=True, index=True)
    released_by: int | None = Field(default=None, foreign_key="user.id")
    released_who: str = ""
    released_why: str = _text()


class RetractionRow(SQLModel, table=True):
    """Somebody wants one reply deleted where it was said. outcome: see Retracted; detail: why, in words."""

    __tablename__ = "retraction"
    id: int | None = Field(default=None, primary_key=True)
    reply_id: int = Field(foreign_key="reply.id", unique=True)
    asked_at: datetime = _time(index=True)
    asked_by: int | None = Field(default=None, foreign_key="user.id")
    asked_who: str
    asked_why: str = _text()
    outcome: str = Field(default=Retracted.WANTED, index=True)
    detail: str = _text()
    done_at: datetime | None = _time(null=True)


class PostTopicRow(SQLModel, table=True):
    """A topic under which a post counts, so that a burst of it is seen (handoff/burst.py). at: when it was written."""

    __tablename__ = "post_topic"
    __table_args__ = (
        sa.Index("post_topic_counted", "topic", "at", "author_id"),
        sa.Index("post_topic_at", "at"),
    )
    post_id: int = Field(primary_key=True, foreign_key="post.id")
    topic: str = Field(primary_key=True)
    author_id: int
    at: datetime = _time()


class IncidentRow(SQLModel, table=True):
    """Many customers, one cause; one incident gathers a topic, however many workers look.

    observed of expected authors within minutes: why it was opened. name, why, opened_by, opened_who: of one that a
    person opened; empty of a measured one. merged_into: the incident that has its posts now. is_gathering: its topic
    is held, by itself or by the one it was merged into, until that is closed. first_at: of its first post. centre,
    reach: where its posts lie in meaning, empty where no model says. answer, follow_up: slugs of approved articles, ""
    until chosen. sending: the part that is being sent, "" for none. read_as: what the article said when a person
    started. round: grows with each start. halted: why it stopped by itself. quiet_at: since when no post came, so that
    closing is proposed.
    """

    __tablename__ = "incident"
    __table_args__ = (
        sa.Index(
            "incident_open",
            "topic",
            unique=True,
            sqlite_where=sa.text("is_gathering"),
            postgresql_where=sa.text("is_gathering"),
        ),
        sa.Index("incident_merged", "merged_into"),
    )
    id: int | None = Field(default=None, primary_key=True)
    topic: str
    name: str = ""
    why: str = _text()
    opened_at: datetime = _time()
    opened_by: int | None = Field(default=None, foreign_key="user.id")
    opened_who: str = ""
    first_at: datetime = _time()
    minutes: float
    observed: int
    expected: float
    centre: bytes = Field(default=b"", sa_column=sa.Column(sa.LargeBinary, nullable=False))
    reach: float = 0.0
    case_id: int | None = Field(default=None, foreign_key="case.id")
    answer: str = ""
    follow_up: str = ""
    sending: str = ""
    read_as: str = ""
    pace: int = 0
    round: int = 0
    started_at: datetime | None = _time(null=True)
    started_by: int | None = Field(default=None, foreign_key="user.id")
    started_who: str = ""
    halted: str = _text()
    quiet_at: datetime | None = _time(null=True)
    closed_at: datetime | None = _time(null=True)
    closed_by: int | None = Field(default=None, foreign_key="user.id")
    closed_who: str = ""
    merged_into: int | None = Field(default=None, foreign_key="incident.id")
    is_gathering: bool = True


class IncidentPostRow(SQLModel, table=True):
    """A post of an incident; of one at most, ever. taken_out_at: a person said that it is none of it."""

    __tablename__ = "incident_post"
    __table_args__ = (sa.Index("incident_post_at", "incident_id", "at"),)
    post_id: int = Field(primary_key=True, foreign_key="post.id")
    incident_id: int = Field(foreign_key="incident.id")
    author_id: int
    at: datetime = _time()
    linked_at: datetime = _time()
    taken_out_at: datetime | None = _time(null=True)
    taken_out_who: str = ""


class IncidentReplyRow(SQLModel, table=True):
    """What an author got of an incident: one answer and one follow-up at most, for there is one row for each.

    reply_id: None where nothing may be said, and then reason says why.
    """

    __tablename__ = "incident_reply"
    __table_args__ = (sa.Index("incident_reply_said", "reply_id"),)
    incident_id: int = Field(primary_key=True, foreign_key="incident.id")
    part: str = Field(primary_key=True)
    author_id: int = Field(primary_key=True)
    post_id: int = Field(foreign_key="post.id")
    reply_id: int | None = Field(default=None, foreign_key="reply.id")
    reason: str = _text()
    at: datetime = _time()


class ArticleRatingRow(SQLModel, table=True):
    """A person said whether an article was useful. key: article, person, and case; the latest word counts.

    case_id: where it was put before them, None: in general.
    """

    __tablename__ = "article_rating"
    __table_args__ = (sa.Index("article_rating_at", "at"),)
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    article_id: int = Field(foreign_key="article.id", index=True)
    case_id: int | None = Field(default=None, foreign_key="case.id", index=True)
    user_id: int = Field(foreign_key="user.id")
    is_useful: bool
    at: datetime = _time()


class SuggestionRow(SQLModel, table=True):
    """What a language model made of one post as it stood after so many edits; people read it.

    article_id: what it is about. is_chosen: the model named that article among several. reply_id: its draft. sentences:
    of the draft, each with text, is_supported, why. model: its name.
    """

    __tablename__ = "suggestion"
    __table_args__ = (sa.UniqueConstraint("post_id", "edits"),)
    id: int | None = Field(default=None, primary_key=True)
    post_id: int = Field(foreign_key="post.id", index=True)
    edits: int
    case_id: int = Field(foreign_key="case.id", index=True)
    article_id: int = Field(foreign_key="article.id")
    is_chosen: bool
    reply_id: int | None = Field(default=None, foreign_key="reply.id", unique=True)
    sentences: Any = _json()
    model: str
    made_at: datetime = _time()


class ModelCallRow(SQLModel, table=True):
    """One request to the language model, for its budgets; kept for two days. tokens: reserved, then what it cost."""

    __tablename__ = "model_call"
    id: int | None = Field(default=None, primary_key=True)
    begun_at: datetime = _time(index=True)
    tokens: int
