"""The HTTP faces, one file a dialect or resource. Only `app.py` imports this package."""
