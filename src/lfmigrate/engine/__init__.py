"""How a run works: the state before it, one transaction, its outcome."""
