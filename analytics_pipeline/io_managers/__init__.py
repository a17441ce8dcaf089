"""How assets reach their store. Statements and transactions stand in `database`."""
