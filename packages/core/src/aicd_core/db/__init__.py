"""The database: connection, transactions, the embedded server. Nothing here knows a table's meaning."""
