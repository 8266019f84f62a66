"""What headscope costs, as ratios measured in one run: `python -m benchmarks NAME --json FILE`."""
