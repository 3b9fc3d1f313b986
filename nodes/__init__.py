"""The ComfyUI nodes: thin shells that validate, call the core and wrap the result."""
