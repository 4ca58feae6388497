"""Components that come with Burnish. Each module but the configs may import torch and its friends."""
