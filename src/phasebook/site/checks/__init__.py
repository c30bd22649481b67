"""Checks that chapters share: types of parameters, models, memory."""
