"""What chapters share: parameters, claims, the ledger; and what each takes."""
