"""Training of the first stage, the diffusion model (with and without references) and the small face networks."""
