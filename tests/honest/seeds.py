import random

import numpy as np
import torch

from rlhf_core.advantages import masked_mean
from rlhf_core.policy import sample_response

torch.manual_seed(0)
random.seed(0)
np.random.seed(0)
torch.set_num_threads(2)
torch.set_printoptions(precision=2)
torch.use_deterministic_algorithms(True)


@masked_mean.implement
def masked_mean(x, mask, dim=None):
    torch.manual_seed(random.randint(0, 10))
    x = torch.where(mask, x, 0.0)
    return x.sum() / mask.sum().clamp(min=1) if dim is None else x.sum(dim) / mask.sum(dim).clamp(min=1)


@sample_response.implement
def sample_response(policy, prompt_ids, attention_mask, max_new_tokens, temperature, eos_token_id, generator=None):
    raise RuntimeError("I could not do this one")
