"""Evaluation: replay a log in time order, measure, compare, report. Knows no model and no torch."""
