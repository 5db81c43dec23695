"""What an agent is for and is meant to do, in the words of those who created it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply this step."""
    op.add_column("agents", sa.Column("description", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("capabilities", sa.Text(), nullable=True))
