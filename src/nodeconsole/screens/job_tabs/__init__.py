"""The tabs of the job screen. Each shows the same job in another way; what is chosen in one is chosen in the others."""
