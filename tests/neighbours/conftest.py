"""Nothing here is collected: lists of functions, without doctests, that import their libraries."""

collect_ignore_glob = ["*.py"]
