"""What a chapter takes: its parameters, checked before anything runs."""
