"""What the reader sees: parameters, claims ledger, figures, explorer, notebook runner. Imports no other room."""
