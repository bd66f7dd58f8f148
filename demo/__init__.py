"""The main job, end to end, on real mail: `make demo`."""
