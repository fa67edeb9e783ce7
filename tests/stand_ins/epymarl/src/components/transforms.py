"""What the buffer derives from a field as it is written."""

import torch as th


class OneHot:
    def __init__(self, out_dim):
        self.out_dim = out_dim

    def transform(self, tensor):
        return tensor.new_zeros(*tensor.shape[:-1], self.out_dim).scatter_(-1, tensor.long(), 1).float()

    def infer_output_info(self, vshape_in, dtype_in):
        return (self.out_dim,), th.float32
