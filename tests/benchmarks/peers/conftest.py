"""These scripts run in environments of their own: pytest, which imports every module for its doctests, leaves them."""

collect_ignore_glob = ["*.py"]
