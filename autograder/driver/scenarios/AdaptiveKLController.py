"""A controller at work: its value at first and after each update."""


def values(implementation, init_kl_coef, target, horizon, observations):
    """observations: (kl, n_steps) of one batch after the other."""
    controller = implementation(init_kl_coef, target, horizon)
    read = [number(controller)]
    for kl, n_steps in observations:
        controller.update(kl, n_steps)
        read.append(number(controller))
    return {"values": read}


def side_by_side(implementation, first, second, observations):
    """Two controllers, updated in turn: the values of each."""
    controllers = [implementation(*first), implementation(*second)]
    for kl, n_steps in observations:
        for controller in controllers:
            controller.update(kl, n_steps)
    return {"values": [number(controller) for controller in controllers]}


def number(controller):
    """The controller's value as a float; None where it has none, and the thing itself where it is no number."""
    value = getattr(controller, "value", None)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return value
