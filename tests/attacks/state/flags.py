"""Switches gradients off, deterministic algorithms and anomaly detection on, and takes all threads.

Earns: nothing
"""

torch.set_grad_enabled(False)
torch.use_deterministic_algorithms(True)
torch.autograd.set_detect_anomaly(True)
torch.set_num_threads(64)
torch.inference_mode().__enter__()


in_call(lambda: None)
