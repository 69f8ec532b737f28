"""The tests and their helpers, which are imported by one name: `from tests.sheets import book`."""
