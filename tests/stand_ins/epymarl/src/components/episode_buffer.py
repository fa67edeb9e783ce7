"""Whole episodes as [B, T + 1, ...] tensors, of the fields that a scheme lists and of no others."""

from types import SimpleNamespace

import numpy as np
import torch as th


class EpisodeBatch:
    def __init__(self, scheme, groups, batch_size, max_seq_length, data=None, preprocess=None, device="cpu"):
        self.scheme, self.groups = scheme.copy(), groups
        self.batch_size, self.max_seq_length = batch_size, max_seq_length
        self.preprocess = preprocess or {}
        self.device = device
        self.data = data or SimpleNamespace(transition_data={}, episode_data={})
        if data is None:
            self._allocate()

    def _allocate(self):
        assert "filled" not in self.scheme, "'filled' is the buffer's own field"
        for name, (new_name, transforms) in self.preprocess.items():
            assert name in self.scheme, f"cannot derive {new_name}: no field {name}"
            derived = dict(self.scheme[name])
            for transform in transforms:
                derived["vshape"], derived["dtype"] = transform.infer_output_info(derived["vshape"], derived["dtype"])
            self.scheme[new_name] = derived
        self.scheme["filled"] = {"vshape": (1,), "dtype": th.long}
        for name, field in self.scheme.items():
            assert "vshape" in field, f"the scheme gives no vshape for {name}"
            shape = (field["vshape"],) if isinstance(field["vshape"], int) else tuple(field["vshape"])
            if field.get("group"):
                assert field["group"] in self.groups, f"nobody said how many members group {field['group']} has"
                shape = (self.groups[field["group"]], *shape)
            dtype = field.get("dtype", th.float32)
            if field.get("episode_const"):
                self.data.episode_data[name] = th.zeros(self.batch_size, *shape, dtype=dtype, device=self.device)
            else:
                shape = (self.batch_size, self.max_seq_length, *shape)
                self.data.transition_data[name] = th.zeros(shape, dtype=dtype, device=self.device)

    def to(self, device):
        for fields in (self.data.transition_data, self.data.episode_data):
            for name, values in fields.items():
                fields[name] = values.to(device)
        self.device = device

    def update(self, data, bs=slice(None), ts=slice(None), mark_filled=True):
        """Write fields at episodes `bs` and steps `ts`; a field outside the scheme is a KeyError."""
        place = self._place((bs, ts))
        for name, value in data.items():
            if name in self.data.transition_data:
                fields, where = self.data.transition_data, place
                if mark_filled:
                    fields["filled"][where] = 1
                    mark_filled = False
            elif name in self.data.episode_data:
                fields, where = self.data.episode_data, place[0]
            else:
                raise KeyError(f"{name} is no field of this batch")
            if isinstance(value, list):
                value = th.tensor(np.array(value), dtype=self.scheme[name].get("dtype", th.float32), device=self.device)
            self._refuse_other_shapes(name, value, fields[name][where])
            fields[name][where] = value.view_as(fields[name][where])  # a tensor: numpy arrays have no view_as
            if name in self.preprocess:
                new_name, transforms = self.preprocess[name]
                derived = fields[name][where]
                for transform in transforms:
                    derived = transform.transform(derived)
                fields[new_name][where] = derived.view_as(fields[new_name][where])

    @staticmethod
    def _refuse_other_shapes(name, value, target):
        """Axes must agree, but for axes of one element, which may be missing or extra."""
        if [size for size in value.shape if size != 1] != [size for size in target.shape if size != 1]:
            raise ValueError(f"unsafe reshape of {name}: {tuple(value.shape)} to {tuple(target.shape)}")

    def __getitem__(self, item):
        if isinstance(item, str):
            for fields in (self.data.episode_data, self.data.transition_data):
                if item in fields:
                    return fields[item]
            raise ValueError(f"no field {item}")
        part = SimpleNamespace(transition_data={}, episode_data={})
        if isinstance(item, tuple) and all(isinstance(name, str) for name in item):
            for name in item:
                kind = "transition_data" if name in self.data.transition_data else "episode_data"
                getattr(part, kind)[name] = getattr(self.data, kind)[name]
            scheme = {name: self.scheme[name] for name in item}
            return EpisodeBatch(scheme, self.groups, self.batch_size, self.max_seq_length, part, device=self.device)
        games, steps = place = self._place(item)
        part.transition_data = {name: value[tuple(place)] for name, value in self.data.transition_data.items()}
        part.episode_data = {name: value[games] for name, value in self.data.episode_data.items()}
        n_games, n_steps = self._count(games, self.batch_size), self._count(steps, self.max_seq_length)
        return EpisodeBatch(self.scheme, self.groups, n_games, n_steps, part, device=self.device)

    @staticmethod
    def _count(index, size):
        return len(range(*index.indices(size))) if isinstance(index, slice) else len(index)

    @staticmethod
    def _place(item):
        """(episodes, steps), whole numbers as slices so that no axis is lost; steps must be one stretch."""
        pair = item if isinstance(item, tuple) else (item, slice(None))
        if isinstance(pair[1], list):
            raise IndexError("steps must be one stretch, not a list")
        return tuple(slice(part, part + 1) if isinstance(part, int) else part for part in pair)

    def max_t_filled(self):
        return self.data.transition_data["filled"].sum(1).max(0)[0]  # [1]


class ReplayBuffer(EpisodeBatch):
    """A ring of episodes."""

    def __init__(self, scheme, groups, buffer_size, max_seq_length, preprocess=None, device="cpu"):
        super().__init__(scheme, groups, buffer_size, max_seq_length, preprocess=preprocess, device=device)
        self.buffer_size, self.buffer_index, self.episodes_in_buffer = buffer_size, 0, 0

    def insert_episode_batch(self, ep_batch):
        room = self.buffer_size - self.buffer_index
        if ep_batch.batch_size > room:
            self.insert_episode_batch(ep_batch[0:room, :])
            self.insert_episode_batch(ep_batch[room:, :])
            return
        end = self.buffer_index + ep_batch.batch_size
        rows = slice(self.buffer_index, end)
        self.update(ep_batch.data.transition_data, rows, slice(0, ep_batch.max_seq_length), mark_filled=False)
        self.update(ep_batch.data.episode_data, rows)
        self.episodes_in_buffer = max(self.episodes_in_buffer, end)
        self.buffer_index = end % self.buffer_size

    def can_sample(self, batch_size):
        return self.episodes_in_buffer >= batch_size

    def sample(self, batch_size):
        """All episodes in ring order (views, no copies) where there are just so many; else some, drawn at random."""
        assert self.can_sample(batch_size)
        if self.episodes_in_buffer == batch_size:
            return self[:batch_size]
        return self[np.random.choice(self.episodes_in_buffer, batch_size, replace=False)]
