"""Students: a pretrained encoder, fine-tuned on labelled rows, and what it predicts. torch is imported here only.

pretrained (encoder, tokenizer) -> encoding (rows as token ids) -> batches (order, padding) -> classifier (Lightning module; losses,
ensemble) with progress (callbacks: metrics, best weights, early stop, checkpoints), put together by student; prediction uses the result.
"""

import os

# Before torch loads OpenMP: waiting threads sleep instead of spinning. Where another process holds a core, spinning made a
# training two to eight times slower on two cores; on free cores sleeping costs a seventh (benchmarks/training.py).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
