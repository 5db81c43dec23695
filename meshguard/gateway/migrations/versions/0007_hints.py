"""What comes nearest to allowing a denied action, in the entry of its decision."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply this step."""
    op.add_column("audit_entries", sa.Column("hint", sa.Text(), nullable=True))
