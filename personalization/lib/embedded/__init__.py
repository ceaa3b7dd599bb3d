"""The project's own PostgreSQL and Redis, for machines where nobody runs them."""
