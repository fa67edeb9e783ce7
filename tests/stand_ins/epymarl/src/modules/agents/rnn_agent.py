"""Two layers with a GRU cell, or (use_rnn=False) a plain layer, between them."""

from torch import nn


class RNNAgent(nn.Module):
    def __init__(self, input_shape, args):
        super().__init__()
        width = args.hidden_dim
        self.args = args
        self.fc1 = nn.Linear(input_shape, width)
        self.rnn = nn.GRUCell(width, width) if args.use_rnn else nn.Linear(width, width)
        self.fc2 = nn.Linear(width, args.n_actions)

    def init_hidden(self):
        return self.fc1.weight.new_zeros(1, self.args.hidden_dim)

    def forward(self, inputs, hidden_state):
        features = self.fc1(inputs).relu()
        hidden = hidden_state.reshape(-1, self.args.hidden_dim)
        hidden = self.rnn(features, hidden) if self.args.use_rnn else self.rnn(features).relu()
        return self.fc2(hidden), hidden
