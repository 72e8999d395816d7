"""Figures: what hubagent costs and how quick it is, next to an alternative measured in the same run."""
