"""From a stream's raw rows to a data set: which texts are kept, in which split, and why the others are not."""
