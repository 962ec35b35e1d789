"""Training over the service: what is asked for, with which samples, and how it is done."""
