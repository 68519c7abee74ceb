"""The report: one self-contained page made from stored runs alone.

RunSummary, ... -> gather.groups() -> Group, ... -> page.drawings(), page.render() -> report.html
"""
