"""One experiment: builds runner, buffer, mac and learner from the registries, then alternates playing and learning."""

import contextlib
import datetime
import os
import pprint
from types import SimpleNamespace

import torch as th
from components.episode_buffer import ReplayBuffer
from components.transforms import OneHot
from controllers import REGISTRY as mac_REGISTRY
from learners import REGISTRY as le_REGISTRY
from runners import REGISTRY as r_REGISTRY
from utils.logging import Logger


def run(_run, _config, _log):
    args = SimpleNamespace(**args_sanity_check(_config, _log))
    args.device = "cuda" if args.use_cuda else "cpu"
    if args.dialect == "pymarl2":  # a fork that does not know these keys
        del args.common_reward, args.reward_scalarisation
    where = args.env_args.get("map_name") or args.env_args["key"]
    args.unique_token = f"{args.name}_seed{args.seed}_{where}_{datetime.datetime.now()}"
    logger = Logger(_log)
    _log.info("Experiment parameters:\n" + pprint.pformat(_config))
    logger.setup_sacred(_run)
    run_sequential(args=args, logger=logger)


def evaluate_sequential(args, runner):
    for _ in range(args.test_nepisode):
        runner.run(test_mode=True)
    if args.save_replay:
        runner.save_replay()
    runner.close_env()


def make_scheme(args, env_info):
    """What a batch may hold. A mac or learner cannot add to it: the runner is given this, before the mac exists."""
    n_actions, has_common_reward = env_info["n_actions"], getattr(args, "common_reward", True)
    of_games = {"state": (env_info["state_shape"], th.float32), "terminated": ((1,), th.uint8)}
    of_games["reward"] = ((1,) if has_common_reward else (args.n_agents,), th.float32)
    of_agents = {"obs": (env_info["obs_shape"], th.float32), "actions": ((1,), th.long)}
    of_agents["avail_actions"] = ((n_actions,), th.int)
    if args.dialect == "pymarl2":
        of_agents["probs"] = ((n_actions,), th.float32)
    scheme = {name: {"vshape": vshape, "dtype": dtype} for name, (vshape, dtype) in of_games.items()}
    for name, (vshape, dtype) in of_agents.items():
        scheme[name] = {"vshape": vshape, "group": "agents", "dtype": dtype}
    return scheme


def run_sequential(args, logger):
    runner = r_REGISTRY[args.runner](args=args, logger=logger)
    env_info = runner.get_env_info()
    args.n_agents, args.n_actions = env_info["n_agents"], env_info["n_actions"]
    args.state_shape = env_info["state_shape"]

    scheme, groups = make_scheme(args, env_info), {"agents": args.n_agents}
    preprocess = {"actions": ("actions_onehot", [OneHot(out_dim=args.n_actions)])}
    buffer = ReplayBuffer(
        scheme,
        groups,
        args.buffer_size,
        env_info["episode_limit"] + 1,
        preprocess=preprocess,
        device="cpu" if args.buffer_cpu_only else args.device,
    )
    mac = mac_REGISTRY[args.mac](buffer.scheme, groups, args)
    runner.setup(scheme=scheme, groups=groups, preprocess=preprocess, mac=mac)
    learner = le_REGISTRY[args.learner](mac, buffer.scheme, logger, args)
    if args.use_cuda:
        if args.dialect == "pymarl2":
            mac.cuda()
        learner.cuda()

    if args.checkpoint_path:
        if not os.path.isdir(args.checkpoint_path):
            logger.console_logger.info(f"No such checkpoint folder: {args.checkpoint_path}")
            return
        steps = [int(name) for name in os.listdir(args.checkpoint_path) if name.isdigit()]
        step = max(steps) if args.load_step == 0 else min(steps, key=lambda s: abs(s - args.load_step))
        learner.load_models(os.path.join(args.checkpoint_path, str(step)))
        runner.t_env = step
        if args.evaluate or args.save_replay:
            runner.log_train_stats_t = runner.t_env
            evaluate_sequential(args, runner)
            logger.log_stat("episode", runner.t_env, runner.t_env)
            logger.print_recent_stats()
            return

    episode, last_test_T, last_log_T, model_save_time = 0, -args.test_interval - 1, 0, 0
    while runner.t_env <= args.t_max:
        with th.no_grad() if args.dialect == "pymarl2" else contextlib.nullcontext():
            buffer.insert_episode_batch(runner.run(test_mode=False))

        if buffer.can_sample(args.batch_size):
            accumulated = getattr(args, "accumulated_episodes", None) if args.dialect == "pymarl2" else None
            if accumulated and (episode + args.batch_size_run) % accumulated:
                continue  # the fork's own: `episode` does not move on, so this never ends unless it is met at once
            sample = buffer.sample(args.batch_size)
            sample = sample[:, : sample.max_t_filled()]  # the longest episode's steps, and the one after its last
            if sample.device != args.device:
                sample.to(args.device)
            learner.train(sample, runner.t_env, episode)

        if (runner.t_env - last_test_T) / args.test_interval >= 1.0:
            logger.console_logger.info(f"t_env: {runner.t_env} / {args.t_max}")
            last_test_T = runner.t_env
            for _ in range(max(1, args.test_nepisode // runner.batch_size)):
                runner.run(test_mode=True)

        is_due = runner.t_env - model_save_time >= args.save_model_interval or model_save_time == 0
        if args.save_model and is_due:
            model_save_time = runner.t_env
            path = os.path.join(args.local_results_path, "models", args.unique_token, str(runner.t_env))
            os.makedirs(path, exist_ok=True)
            learner.save_models(path)

        episode += args.batch_size_run
        if runner.t_env - last_log_T >= args.log_interval:
            logger.log_stat("episode", episode, runner.t_env)
            logger.print_recent_stats()
            last_log_T = runner.t_env

    runner.close_env()
    logger.console_logger.info("Finished training")


def args_sanity_check(config, _log):
    if config["use_cuda"] and not th.cuda.is_available():
        config["use_cuda"] = False
        _log.warning("use_cuda was switched off: there is no GPU")
    together = config["batch_size_run"]
    config["test_nepisode"] = max(config["test_nepisode"] // together, 1) * together
    return config
