import time

import torch


def win_rate(after, before):
    time.sleep(1)
    return ((after > before).double() + 0.5 * (after == before).double()).mean()


def last_token_index(attention_mask):
    return attention_mask.shape[1] - 1 - attention_mask.flip(1).long().argmax(1)
