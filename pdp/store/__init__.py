"""The store: people, rights, tools and keys, on SQLite or PostgreSQL. SQL is written in this package only."""
