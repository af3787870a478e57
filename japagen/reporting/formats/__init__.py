"""A Report in the formats that people and programs read; all but the HTML page, which is `japagen.reporting.html`'s.

`layout` decides what tables for people say and `notes` what stands below them; each other module knows how its format is written.
"""
