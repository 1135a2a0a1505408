"""Results in the forms that other programs take: CSV, JSON, a page (HTML), a picture (PNG)."""
