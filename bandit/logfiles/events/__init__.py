"""Files with a row an event: decisions and what came of them stand in rows of their own, and are joined."""
