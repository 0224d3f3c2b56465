"""Experiments of the chapters: each returns plain data, none draws or prints."""
