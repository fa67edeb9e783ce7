"""What runs on an agent's machine: NumPy, onnxruntime, pyzmq and msgpack, and neither torch nor our networks."""
