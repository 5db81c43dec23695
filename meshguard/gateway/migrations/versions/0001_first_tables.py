"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply this step."""
    # PostgreSQL wants what a table is partitioned by in each of its unique constraints. That no two entries
    # of a chain have one number, the head sees to: it is counted up in the transaction that appends.
    by_time = ["timestamp"] if op.get_bind().dialect.name == "postgresql" else []
    op.create_table(
        "agents",
        sa.Column(
            "row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("trust_tier", sa.String(length=32), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("row_id"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit_entries",
        sa.Column(
            "row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("trace_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("agent_id", sa.String(length=128), nullable=True),
        sa.Column("agent_name", sa.Text(), nullable=True),
        sa.Column("trust_tier", sa.String(length=32), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("would_deny", sa.Integer(), nullable=True),
        sa.Column("policy", sa.String(length=128), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Float(precision=53), nullable=False),
        sa.Column("changes", sa.Text(), nullable=True),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("row_id", *by_time),
        sa.UniqueConstraint("stream", "sequence", *by_time),
        sqlite_autoincrement=True,
        postgresql_partition_by="RANGE (timestamp)",
    )
    if by_time:
        op.execute("CREATE TABLE audit_entries_default PARTITION OF audit_entries DEFAULT")
    op.create_index("audit_by_action", "audit_entries", ["action", "row_id"])
    op.create_index("audit_by_agent", "audit_entries", ["agent_id", "row_id"])
    op.create_index("audit_by_agent_name", "audit_entries", ["agent_name", "row_id"])
    op.create_index("audit_by_decision", "audit_entries", ["decision", "row_id"])
    op.create_index("audit_by_kind", "audit_entries", ["kind", "row_id"])
    op.create_index("audit_by_policy", "audit_entries", ["policy", "row_id"])
    op.create_index("audit_by_timestamp", "audit_entries", ["timestamp"])
    op.create_index("audit_by_trace", "audit_entries", ["trace_id", "row_id"])
    op.create_table(
        "audit_heads",
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("pruned_count", sa.BigInteger(), nullable=False),
        sa.Column("pruned_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("stream"),
    )
    op.create_table(
        "gateway_state",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "policies",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
