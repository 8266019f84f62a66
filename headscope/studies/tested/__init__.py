"""What a model's heads usually do, on sixty sentences that come with headscope: asked alike of every model."""
