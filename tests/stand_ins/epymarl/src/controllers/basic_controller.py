"""The host's own controller: agents that share one network and act independently."""

import torch as th
from components.action_selectors import REGISTRY as action_REGISTRY
from modules.agents import REGISTRY as agent_REGISTRY


class BasicMAC:
    def __init__(self, scheme, groups, args):
        self.args, self.n_agents = args, args.n_agents
        width = scheme["obs"]["vshape"]
        width += scheme["actions_onehot"]["vshape"][0] if args.obs_last_action else 0
        width += args.n_agents if args.obs_agent_id else 0
        self.agent = agent_REGISTRY[args.agent](width, args)
        self.action_selector = action_REGISTRY[args.action_selector](args)
        self.hidden_states = None

    def select_actions(self, ep_batch, t_ep, t_env, bs=slice(None), test_mode=False):
        probs = self.forward(ep_batch, t_ep, test_mode=test_mode)[bs]  # [len(bs), N, A]
        avail = ep_batch["avail_actions"][:, t_ep][bs]
        actions = self.action_selector.select_action(probs, avail, t_env, test_mode=test_mode)  # [len(bs), N]
        return (actions, probs) if getattr(self.args, "save_probs", False) else actions

    def forward(self, ep_batch, t, test_mode=False):
        logits, self.hidden_states = self.agent(self._inputs(ep_batch, t), self.hidden_states)
        avail = ep_batch["avail_actions"][:, t].reshape(logits.shape)
        if getattr(self.args, "mask_before_softmax", True):
            logits = logits.masked_fill(avail == 0, -1e10)
        return logits.softmax(-1).view(ep_batch.batch_size, self.n_agents, -1)  # [B, N, A]

    def init_hidden(self, batch_size):
        self.hidden_states = self.agent.init_hidden().unsqueeze(0).expand(batch_size, self.n_agents, -1)

    def _inputs(self, batch, t):
        parts = [batch["obs"][:, t]]
        if self.args.obs_last_action:
            before = batch["actions_onehot"][:, max(t - 1, 0)]
            parts.append(before if t else th.zeros_like(before))
        if self.args.obs_agent_id:
            parts.append(th.eye(self.n_agents, device=batch.device).expand(batch.batch_size, -1, -1))
        return th.cat(parts, dim=-1).flatten(0, 1)  # [B * N, .]

    def parameters(self):
        return self.agent.parameters()

    def load_state(self, other_mac):
        self.agent.load_state_dict(other_mac.agent.state_dict())

    def cuda(self):
        self.agent.cuda()

    def save_models(self, path):
        th.save(self.agent.state_dict(), f"{path}/agent.th")

    def load_models(self, path):
        self.agent.load_state_dict(th.load(f"{path}/agent.th", map_location="cpu"))
