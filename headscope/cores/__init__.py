"""The processor's cores: how many may be used, and large pieces of work on them, each on one thread; work beside a program.

Nothing here waits for threads to meet: where another program computes too, each meeting would take a time slice.
"""
