"""What other libraries do with Variables: lists of their functions, and how each is measured.

``SCIPY_ARRAY_API=1 python -m neighbours`` measures all of them, from the folder ``tests``.
"""
