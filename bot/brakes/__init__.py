"""The brakes: files that stop a machine with no database, and the keeper that brings files and store in step."""
