"""Gold data: labelled rows written by people, read from a publisher, from the user's own files or from the smoke sample.

In: a task and `config.Data`. Out: a `Split` of checked `Example`s with a checksum of its content, or None where the task
has no gold data there. Every fault of a file is a DataError with file:line; nothing is dropped, replaced or taken
from elsewhere in silence. `formats` turns a file into rows, `published` finds or downloads a publisher's file, `livedoor`
reads one corpus's archive by a split of ours (which `livedoor_split` made), `splits` turns rows into examples, `overlap`
keeps scored rows out of the train split, `draws` takes exemplars and subsets by seed.
"""

from japagen.gold.draws import draw_exemplars, draw_per_label, draw_texts, hold_out
from japagen.gold.overlap import check_texts_left, part_from_scored
from japagen.gold.splits import Split, clusters_checksum, files_read, read_also_scored, read_eval, read_train, read_unlabelled

__all__ = [
    "Split",
    "check_texts_left",
    "clusters_checksum",
    "draw_exemplars",
    "draw_per_label",
    "draw_texts",
    "files_read",
    "hold_out",
    "part_from_scored",
    "read_also_scored",
    "read_eval",
    "read_train",
    "read_unlabelled",
]
