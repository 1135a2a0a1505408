"""A node to look at: a home full of a month's history, and the stand-ins for partners and components that do not exist.

`seed.fill` writes the history; `exhibit.Exhibit` takes the place of the world outside while a node serves it. All else
of that node is real: what an operator does to it goes through the same verbs, transactions and events as anywhere.
All names are made up, and the same moment always gives the same history.
"""
