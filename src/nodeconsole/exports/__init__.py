"""Results in the forms that other programs take: tables of figures, pages, pictures."""

FORMS = ("csv", "json", "html", "png")
"""As the names of files end."""
