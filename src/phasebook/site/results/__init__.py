"""Claims, the rule of verdicts, the ledger that records them, and the list of the last run."""
