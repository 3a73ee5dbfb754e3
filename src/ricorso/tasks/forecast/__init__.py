"""Forecast: what comes next in series, with its uncertainty."""
