"""Signed heads and tombstones, the context of decisions, indexes in the order of pages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_INDEXES = {
    "audit_by_action": "action",
    "audit_by_agent": "agent_id",
    "audit_by_agent_name": "agent_name",
    "audit_by_decision": "decision",
    "audit_by_kind": "kind",
    "audit_by_policy": "policy",
    "audit_by_trace": "trace_id",
}


def upgrade() -> None:
    """Apply this step."""
    op.add_column("audit_entries", sa.Column("context", sa.Text(), nullable=True))
    for name, column in _INDEXES.items():
        op.drop_index(name, "audit_entries")
        by_pattern = {"action": "text_pattern_ops"} if column == "action" else {}
        columns = [column, "timestamp", "row_id"]
        op.create_index(name, "audit_entries", columns, postgresql_ops=by_pattern)
    op.drop_index("audit_by_timestamp", "audit_entries")
    op.create_index("audit_by_timestamp", "audit_entries", ["timestamp", "row_id"])
    with op.batch_alter_table("audit_heads") as heads:
        heads.drop_column("pruned_count")
        heads.drop_column("pruned_hash")
        heads.add_column(sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"))
        heads.add_column(sa.Column("signature", sa.String(length=64), nullable=False, server_default=""))
    op.create_table(
        "audit_tombstones",
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("pruned_at", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("stream"),
    )
