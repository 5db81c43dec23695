"""What changed since when: one number for all agents and policies, and each one's own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply this step."""
    number = op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(number, [{"id": 1, "number": 0}])
    # Counted up under a lock, which takes a row that is there.
    op.execute("INSERT INTO gateway_state (name, value) VALUES ('chains', '0') ON CONFLICT (name) DO NOTHING")
    for table in ("agents", "policies"):
        op.add_column(table, sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("agents_by_revision", "agents", ["revision"])
