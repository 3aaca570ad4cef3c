"""Texts of calls are stored once, in pieces known by their hash; the journal of an ended job can be let go of."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, insert

from aicd_core.journal.texts import Known, text_of

revision = "0008"
down_revision = "0007"

OLD = ("request", "reply")
NEW: dict[str, sa.types.TypeEngine[Any]] = {
    "request_sha256": sa.LargeBinary(),
    "reply_sha256": sa.LargeBinary(),
    "shared": sa.Integer(),
    "request_pieces": ARRAY(sa.LargeBinary()),
    "reply_pieces": ARRAY(sa.LargeBinary()),
}
CALLS = sa.table(
    "model_calls",
    *(sa.column(name) for name in ("id", "org_id", "job_id", "step", "model", "request_hash", "base", "created_at")),
    *(sa.column(name, sa.LargeBinary()) for name in OLD),
    *(sa.column(name, kind) for name, kind in NEW.items()),
)
CONTENTS = sa.table(
    "journal_contents", *(sa.column(name) for name in ("org_id", "job_id", "sha256", "packed", "created_at"))
)


def upgrade() -> None:
    op.create_table(
        "journal_contents",
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "job_id"], ["jobs.org_id", "jobs.id"], name=op.f("fk_journal_contents_org_id_job_id_jobs")
        ),
        sa.PrimaryKeyConstraint("org_id", "job_id", "sha256", name=op.f("pk_journal_contents")),
    )
    op.create_index("ix_journal_contents_created_at", "journal_contents", ["created_at"])
    op.create_index("ix_checkpoints_created_at", "checkpoints", ["created_at"])
    op.add_column("model_calls", sa.Column("base", sa.LargeBinary(), nullable=True))
    for name, kind in NEW.items():
        op.add_column("model_calls", sa.Column(name, kind, nullable=True))
    job_id, known = None, Known()
    for call in _calls(*(CALLS.c[name] for name in ("step", "model", "request_hash", "created_at", *OLD))):
        if call.job_id != job_id:
            job_id, known = call.job_id, Known()
        _cut_up(call, known)
    for name in NEW:
        op.alter_column("model_calls", name, nullable=False)
    for name in OLD:
        op.drop_column("model_calls", name)


def downgrade() -> None:
    for name in OLD:
        op.add_column("model_calls", sa.Column(name, sa.LargeBinary(), nullable=True))
    lists: dict[tuple[Any, bytes], tuple[bytes, ...]] = {}
    for call in _calls(CALLS.c.request_hash, CALLS.c.base, *(CALLS.c[name] for name in NEW)):
        key = (call.org_id, call.job_id)
        lists = {at: names for at, names in lists.items() if at[0] == key}
        own = lists[key, bytes(call.base)][: call.shared] if call.base else ()
        lists[key, bytes(call.request_hash)] = names = (*own, *call.request_pieces)
        request = _text(key, list(names), call.request_sha256)
        texts = {"request": request, "reply": _text(key, call.reply_pieces, call.reply_sha256)}
        if None in texts.values():
            # The older code cannot do without the texts, and would take a call without them for one that was answered.
            op.execute(CALLS.delete().where(CALLS.c.id == call.id))
        else:
            op.execute(CALLS.update().where(CALLS.c.id == call.id).values(**texts))
    for name in OLD:
        op.alter_column("model_calls", name, nullable=False)
    for column in ("base", *NEW):
        op.drop_column("model_calls", column)
    op.drop_index("ix_checkpoints_created_at", table_name="checkpoints")
    op.drop_table("journal_contents")


def _calls(*columns: sa.ColumnElement[Any]) -> Any:
    """All calls, job by job, in the order in which they were made; one in memory at a time."""
    connection = op.get_bind()
    ids = connection.execute(sa.select(CALLS.c.id).order_by(CALLS.c.org_id, CALLS.c.job_id, CALLS.c.id)).scalars().all()
    for key in ids:
        query = sa.select(CALLS.c.id, CALLS.c.org_id, CALLS.c.job_id, *columns)
        yield connection.execute(query.where(CALLS.c.id == key)).one()


def _cut_up(call: Any, known: Known) -> None:
    texts = known.texts(call.step, call.model, bytes(call.request), bytes(call.reply))
    rows = [
        dict(zip(CONTENTS.c.keys(), (call.org_id, call.job_id, sha256, packed, call.created_at), strict=True))
        for sha256, packed in texts.contents.items()
    ]
    if rows:
        op.execute(insert(CONTENTS).values(rows).on_conflict_do_nothing())
    values = {
        "request_sha256": texts.request_sha256,
        "reply_sha256": texts.reply_sha256,
        "base": texts.base,
        "shared": texts.shared,
        "request_pieces": list(texts.own),
        "reply_pieces": list(texts.reply_names),
    }
    op.execute(CALLS.update().where(CALLS.c.id == call.id).values(**values))
    known.learn(call.step, call.model, bytes(call.request_hash), texts)


def _text(key: tuple[Any, Any], names: list[bytes], sha256: bytes) -> bytes | None:
    """A text of its pieces; None when they are gone."""
    of_job = (CONTENTS.c.org_id == key[0], CONTENTS.c.job_id == key[1], CONTENTS.c.sha256.in_(names))
    found = op.get_bind().execute(sa.select(CONTENTS.c.sha256, CONTENTS.c.packed).where(*of_job))
    return text_of([*map(bytes, names)], {bytes(name): bytes(packed) for name, packed in found}, bytes(sha256))
