"""A Report in the formats that people and programs read; all but the HTML page, which is `japagen.reporting.html`'s.

`layout` decides the content of tables for people and `notes` the lines below them; each other module knows how its format is written.
"""
