"""The processor's cores: how many may be used, large pieces of work, each on one thread, and work beside a program.

Nothing here waits for threads to meet: where another program computes too, each meeting would take a time slice.
"""
