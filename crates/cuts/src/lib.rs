//! Cuts: what changes a model's weights once, before the run.
