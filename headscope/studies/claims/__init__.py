"""What the experiment that headscope began with concluded, claim by claim, with a verdict on any model."""
