"""From per-group sums to intervals, p, q and verdicts: numbers in, numbers and words out. It knows no corpus."""
