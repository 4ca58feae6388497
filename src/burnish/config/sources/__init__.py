"""Readers of config: each turns what someone wrote into a layer with origins."""
