"""An index of actions that takes every action: PostgreSQL rejects index rows of more than 2,704 bytes."""

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"

_KEY = "substr(action, 1, 512)"


def upgrade() -> None:
    """Apply this step."""
    by_pattern = " text_pattern_ops" if op.get_bind().dialect.name == "postgresql" else ""
    op.drop_index("audit_by_action", "audit_entries")
    op.create_index("audit_by_action", "audit_entries", [text(f"{_KEY}{by_pattern}"), "timestamp", "row_id"])
