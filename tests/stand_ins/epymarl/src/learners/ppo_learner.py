"""The host's own mappo, of the plainest kind: n-step returns from a slow critic, clipped policy gradient."""

import copy

import torch as th
from modules.critics import REGISTRY as critic_REGISTRY


class PPOLearner:
    def __init__(self, mac, scheme, logger, args):
        self.args, self.mac, self.logger = args, mac, logger
        self.critic = critic_REGISTRY[args.critic_type](scheme, args)
        self.target_critic = copy.deepcopy(self.critic)
        self.agent_params, self.critic_params = list(mac.parameters()), list(self.critic.parameters())
        self.agent_optimiser = th.optim.Adam(self.agent_params, lr=args.lr)
        self.critic_optimiser = th.optim.Adam(self.critic_params, lr=args.lr)
        self.log_stats_t = -args.learner_log_interval - 1

    def train(self, batch, t_env, episode_num):
        args, steps = self.args, batch.max_seq_length - 1
        rewards = batch["reward"][:, :-1].expand(-1, -1, args.n_agents)  # [B, T, N]
        actions = batch["actions"][:, :-1]  # [B, T, N, 1]
        terminated = batch["terminated"][:, :-1].float()  # [B, T, 1]
        mask = batch["filled"][:, :-1].float()  # [B, T, 1], a copy; an episode's step after its last one is filled too
        mask[:, 1:] *= 1 - terminated[:, :-1]
        mask = mask.expand_as(rewards)
        with th.no_grad():
            old = self._log_probs(batch, actions, steps)[0]
            returns = self._returns(rewards, terminated, self.target_critic(batch).squeeze(-1))
        for _ in range(args.epochs):
            values = self.critic(batch)[:, :-1].squeeze(-1)
            error = (returns - values) * mask
            critic_loss = error.square().sum() / mask.sum()
            self._step(self.critic_optimiser, self.critic_params, critic_loss)
            log_probs, entropy = self._log_probs(batch, actions, steps)
            ratio = (log_probs - old).exp()
            clipped = ratio.clamp(1 - args.eps_clip, 1 + args.eps_clip)
            gain = th.minimum(ratio * error.detach(), clipped * error.detach()) + args.entropy_coef * entropy
            pg_loss = -(gain * mask).sum() / mask.sum()
            norm = self._step(self.agent_optimiser, self.agent_params, pg_loss)
        with th.no_grad():
            for slow, fast in zip(self.target_critic.parameters(), self.critic.parameters(), strict=True):
                slow.lerp_(fast, args.target_update_interval_or_tau)
        if t_env - self.log_stats_t >= args.learner_log_interval:
            stats = {"critic_loss": critic_loss, "pg_loss": pg_loss, "agent_grad_norm": norm}
            for name, value in stats.items():
                self.logger.log_stat(name, value.item(), t_env)
            self.log_stats_t = t_env

    def _log_probs(self, batch, actions, steps):
        self.mac.init_hidden(batch.batch_size)
        probs = th.stack([self.mac.forward(batch, t=t) for t in range(steps)], dim=1) + 1e-10  # [B, T, N, A]
        return probs.gather(-1, actions).squeeze(-1).log(), -(probs * probs.log()).sum(-1)

    def _returns(self, rewards, terminated, values):
        """n-step returns [B, T, N], bootstrapped where the episode has not terminated."""
        result, gamma, n_steps = th.zeros_like(rewards), self.args.gamma, rewards.shape[1]
        for start in range(n_steps):
            end = min(start + self.args.q_nstep, n_steps)
            total, alive = values[:, end], 1 - terminated
            for t in reversed(range(start, end)):
                total = rewards[:, t] + gamma * alive[:, t] * total
            result[:, start] = total
        return result

    def _step(self, optimiser, parameters, loss):
        optimiser.zero_grad()
        loss.backward()
        norm = th.nn.utils.clip_grad_norm_(parameters, self.args.grad_norm_clip)
        optimiser.step()
        return norm

    def cuda(self):
        self.mac.cuda()
        self.critic.cuda()
        self.target_critic.cuda()

    def save_models(self, path):
        self.mac.save_models(path)
        th.save(self.critic.state_dict(), f"{path}/critic.th")
        th.save(self.agent_optimiser.state_dict(), f"{path}/agent_opt.th")
        th.save(self.critic_optimiser.state_dict(), f"{path}/critic_opt.th")

    def load_models(self, path):
        self.mac.load_models(path)
        self.critic.load_state_dict(th.load(f"{path}/critic.th", map_location="cpu"))
        self.target_critic.load_state_dict(self.critic.state_dict())
        self.agent_optimiser.load_state_dict(th.load(f"{path}/agent_opt.th", map_location="cpu"))
        self.critic_optimiser.load_state_dict(th.load(f"{path}/critic_opt.th", map_location="cpu"))
