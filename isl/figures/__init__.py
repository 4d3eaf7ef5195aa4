"""Arrays and tables to pictures and the report."""
