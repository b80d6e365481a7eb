"""The main job: command line, configuration, run loop and provenance, over models, decoding and training."""
