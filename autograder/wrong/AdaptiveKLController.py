"""Mistakes in AdaptiveKLController."""

import math

from ..bank import wrong


def clip(x, low=-0.2, high=0.2):
    return min(max(x, low), high)


class Controller:
    """The right controller: each mistake replaces the error, or the step that is made of it."""

    def __init__(self, init_kl_coef, target, horizon):
        self.value = self.began = float(init_kl_coef)
        self.target, self.horizon = target, horizon

    def update(self, kl, n_steps):
        self.value = self.step(self.error(kl), n_steps)

    def error(self, kl):
        return clip(kl / self.target - 1)

    def step(self, error, n_steps):
        return self.value * (1 + error * n_steps / self.horizon)


@wrong(about="sign", read="controller", hint="The KL is above its target: should the penalty get stronger or weaker?")
class sign_swapped(Controller):
    """The coefficient falls when the KL is too high and rises when it is too low, so the KL runs away from its target."""

    def error(self, kl):
        return clip(1 - kl / self.target)


@sign_swapped.also
class _(Controller):
    def error(self, kl):
        return clip(self.target / kl - 1) if kl > 0 else 0.2


@wrong(about="clip", read="controller", hint="One batch measures ten times the target: how far may the coefficient jump?")
class no_clip(Controller):
    """The error is not clipped, so a single batch with a very large KL throws the coefficient far off."""

    def error(self, kl):
        return kl / self.target - 1


@wrong(
    about="clip",
    read="controller",
    hint="Which errors does your clip let through, those far above the target or those far below?",
)
class clip_on_one_side(Controller):
    """The error is clipped on one side only: at 0.2 or at -0.2, not at both."""

    def error(self, kl):
        return min(kl / self.target - 1, 0.2)


@clip_on_one_side.also
class _(Controller):
    def error(self, kl):
        return max(kl / self.target - 1, -0.2)


@wrong(about="clip", read="controller", hint="Between which numbers does the docstring clip the error?")
class clip_of_another_size(Controller):
    """The error is clipped at another number than 0.2."""

    def error(self, kl):
        return clip(kl / self.target - 1, -0.1, 0.1)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, -0.5, 0.5)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, -1, 1)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, -0.02, 0.02)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, -2, 2)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, 0, 0.2)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, -0.2, 0)


@clip_of_another_size.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target - 1, -0.8, 1.2)


@wrong(about="clip", read="controller", hint="What exactly stands inside the clip of the docstring?")
class clips_something_else(Controller):
    """Not the error is clipped but something made of it: the step, the measured KL's distance, or the coefficient."""

    def error(self, kl):
        return kl / self.target - 1

    def step(self, error, n_steps):
        return self.value * (1 + clip(error * n_steps / self.horizon))


@clips_something_else.also
class _(Controller):
    def error(self, kl):
        return clip(kl - self.target) / self.target


@clips_something_else.also
class _(Controller):
    def error(self, kl):
        return kl / self.target - 1

    def step(self, error, n_steps):
        return clip(self.value * (1 + error * n_steps / self.horizon))


@clips_something_else.also
class _(Controller):
    def step(self, error, n_steps):
        return clip(self.value * (1 + error * n_steps / self.horizon))


@clips_something_else.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value * (1 + clip(error * n_steps / self.horizon))


@clips_something_else.also
class _(Controller):
    def step(self, error, n_steps):
        return clip(self.value * (1 + error * n_steps / self.horizon), 0, 1)


@clips_something_else.also
class _(Controller):
    def error(self, kl):
        return kl / self.target - 1

    def step(self, error, n_steps):
        return self.value + clip(self.value * error * n_steps / self.horizon)


@wrong(about="formula", read="controller", hint="What is the error when the KL is just on its target?")
class minus_one_missing(Controller):
    """The error is the quotient of KL and target itself: without the minus one it is not 0 on target."""

    def error(self, kl):
        return clip(kl / self.target)


@minus_one_missing.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.target, 0.8, 1.2)


@minus_one_missing.also
class _(Controller):
    def error(self, kl):
        return kl / self.target


@wrong(about="formula", read="controller", hint="What should the coefficient do when the error is 0?")
class one_missing_in_the_step(Controller):
    """The coefficient is multiplied by the step alone; without the 1 it vanishes, or changes its sign."""

    def step(self, error, n_steps):
        return self.value * error * n_steps / self.horizon


@one_missing_in_the_step.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value * (1 + error) * n_steps / self.horizon


@wrong(about="scale", read="controller", hint="How many sequences should it take to act on an error in full?")
class horizon_ignored(Controller):
    """The horizon is not used, so every sequence acts as much as a whole horizon of them."""

    def step(self, error, n_steps):
        return self.value * (1 + error * n_steps)


@wrong(about="scale", read="controller", hint="Should a batch of 64 sequences count as much as one of 8?")
class steps_ignored(Controller):
    """The number of sequences is not used, so a small batch moves the coefficient as much as a large one."""

    def step(self, error, n_steps):
        return self.value * (1 + error / self.horizon)


@wrong(about="scale", read="controller", hint="Which of the two numbers, n_steps and horizon, does your step use?")
class steps_and_horizon_ignored(Controller):
    """The full error is acted on at every update: neither n_steps nor horizon is used."""

    def step(self, error, n_steps):
        return self.value * (1 + error)


@wrong(about="scale", read="controller", hint="With a longer horizon, should one batch change more or less?")
class horizon_over_steps(Controller):
    """The fraction is upside down: a longer horizon makes the steps larger, and more sequences make them smaller."""

    def step(self, error, n_steps):
        return self.value * (1 + error * self.horizon / n_steps)


@horizon_over_steps.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value * (1 + error * n_steps * self.horizon)


@wrong(about="scale", read="controller", hint="What is 40 // 100?")
class whole_number_division(Controller):
    """n_steps is divided by the horizon in whole numbers, so a batch that is smaller than the horizon does nothing."""

    def step(self, error, n_steps):
        return self.value * (1 + error * (n_steps // self.horizon))


@whole_number_division.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value * (1 + error * n_steps // self.horizon)


@whole_number_division.also
class _(Controller):
    def error(self, kl):
        return clip(kl // self.target - 1)


@wrong(about="formula", read="controller", hint="Is the coefficient changed by an amount, or by a factor?")
class additive(Controller):
    """The step is added to the coefficient, the same amount at 0.01 and at 10, and may make it negative; it is a factor."""

    def step(self, error, n_steps):
        return self.value + error * n_steps / self.horizon


@additive.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value - error * n_steps / self.horizon


@additive.also
class _(Controller):
    def error(self, kl):
        return kl / self.target - 1

    def step(self, error, n_steps):
        return self.value + error * n_steps / self.horizon


@additive.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value + error


@additive.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value + (1 + error * n_steps / self.horizon)


@wrong(about="formula", read="controller", hint="Where does the target come into your error?")
class target_ignored(Controller):
    """The target is not used, so the KL is steered towards 1 or 0, whatever was asked for."""

    def error(self, kl):
        return clip(kl - 1)


@target_ignored.also
class _(Controller):
    def error(self, kl):
        return clip(kl)


@target_ignored.also
class _(Controller):
    def error(self, kl):
        return kl - 1


@target_ignored.also
class _(Controller):
    def error(self, kl):
        return clip(kl / self.began - 1)


@wrong(about="scale", read="controller", hint="A KL of 0.5 too much: is that as bad at a target of 0.1 as at one of 50?")
class absolute_error(Controller):
    """The error is the difference of KL and target in nats; it has to be a share of the target."""

    def error(self, kl):
        return clip(kl - self.target)


@absolute_error.also
class _(Controller):
    def error(self, kl):
        return kl - self.target


@wrong(about="scale", read="controller", hint="Of which of the two is the error a share, of the target or of the measured KL?")
class share_of_the_measured_kl(Controller):
    """The difference is divided by the measured KL; the error is a share of the target."""

    def error(self, kl):
        return clip(1 - self.target / kl)


@share_of_the_measured_kl.also
class _(Controller):
    def error(self, kl):
        return clip(1 - self.target / kl) if kl > 0 else -0.2


@share_of_the_measured_kl.also
class _(Controller):
    def error(self, kl):
        return clip(self.target / kl - 1)


@share_of_the_measured_kl.also
class _(Controller):
    def error(self, kl):
        return clip(1 - self.target / max(kl, 1e-8))


@wrong(about="formula", read="controller", hint="The estimate came out negative: is the KL above or below its target?")
class absolute_kl(Controller):
    """The measured KL is made positive: an estimate below 0 is far below the target, not above it."""

    def error(self, kl):
        return clip(abs(kl) / self.target - 1)


@absolute_kl.also
class _(Controller):
    def error(self, kl):
        return clip(abs(kl / self.target - 1))


@absolute_kl.also
class _(Controller):
    def error(self, kl):
        return clip(abs(kl - self.target) / self.target)


@wrong(about="state", read="controller", hint="What is in `value` after update has returned?")
class not_stored(Controller):
    """The new coefficient is computed or returned, but `value` stays what it was."""

    def update(self, kl, n_steps):
        return self.step(self.error(kl), n_steps)


@wrong(about="state", read="controller", hint="From which number does the second update start?")
class from_the_start_each_time(Controller):
    """Each update starts from init_kl_coef again; it has to start from the coefficient as it is now."""

    def step(self, error, n_steps):
        return self.began * (1 + error * n_steps / self.horizon)


@wrong(about="state", read="controller", hint="How many sequences are in the batch of this update alone?")
class steps_added_up(Controller):
    """The sequences of all updates so far are counted; n_steps are those of this batch."""

    def update(self, kl, n_steps):
        self.steps = getattr(self, "steps", 0) + n_steps
        self.value = self.step(self.error(kl), self.steps)


@wrong(about="formula", read="controller", hint="Is the step applied once a batch, or once a sequence?")
class applied_sequence_by_sequence(Controller):
    """The step is compounded, once for each sequence or by an exponential; the docstring makes one step a batch."""

    def step(self, error, n_steps):
        return self.value * math.exp(error * n_steps / self.horizon)


@applied_sequence_by_sequence.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value * (1 + error / self.horizon) ** n_steps


@applied_sequence_by_sequence.also
class _(Controller):
    def step(self, error, n_steps):
        return self.value * (1 + error) ** (n_steps / self.horizon)


@wrong(about="clip", read="controller", hint="Is a KL that is 5 percent off already too far off?")
class error_of_fixed_size(Controller):
    """Only the side counts, not the distance: the error is always 0.2 or -0.2; small errors have to give small steps."""

    def error(self, kl):
        return 0.2 if kl > self.target else -0.2


@error_of_fixed_size.also
class _(Controller):
    def error(self, kl):
        error = kl / self.target - 1
        return 0.0 if abs(error) > 0.2 else error


@error_of_fixed_size.also
class _(Controller):
    def error(self, kl):
        return 0.2 if kl > self.target else -0.2 if kl < self.target else 0.0


@wrong(about="state", read="controller", hint="What is the coefficient of the very first batch?")
class first_value_wrong(Controller):
    """`value` does not begin as init_kl_coef."""

    def __init__(self, init_kl_coef, target, horizon):
        super().__init__(init_kl_coef, target, horizon)
        self.value = self.began = 0.0


@first_value_wrong.also
class _(Controller):
    def __init__(self, init_kl_coef, target, horizon):
        super().__init__(init_kl_coef, target, horizon)
        self.value = self.began = 1.0


@first_value_wrong.also
class _(Controller):
    def __init__(self, init_kl_coef, target, horizon):
        super().__init__(init_kl_coef, target, horizon)
        self.value = self.began = int(init_kl_coef)


@first_value_wrong.also
class _(Controller):
    def __init__(self, init_kl_coef, target, horizon):
        super().__init__(init_kl_coef, target, horizon)
        self.value = None


def kept_outside(name):
    """A property whose value all objects of its class have in common."""
    kept = {}
    return property(lambda self: kept[name], lambda self, value: kept.update({name: value}))


@wrong(about="state", read="controller", hint="Does your number belong to the class, or to this one controller?")
class shared_by_all_controllers(Controller):
    """The coefficient is kept in the class or in a global variable, so that a second controller overwrites the first one's."""

    value = kept_outside("value")


@shared_by_all_controllers.also
class _(Controller):
    value, target, horizon = kept_outside("value"), kept_outside("target"), kept_outside("horizon")


@wrong(about="shape", read="controller", hint="By which name will the training loop read the coefficient?")
class other_attribute(Controller):
    """The coefficient is kept under another name than `value`."""

    def __init__(self, init_kl_coef, target, horizon):
        super().__init__(init_kl_coef, target, horizon)
        del self.value
        self.coefficient = init_kl_coef

    def update(self, kl, n_steps):
        self.coefficient *= 1 + self.error(kl) * n_steps / self.horizon


@sign_swapped.also
class _:
    def __init__(self, init_kl_coef, target, horizon):
        self.value, self.target, self.horizon = float(init_kl_coef), target, horizon

    def update(self, kl, n_steps):
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.value /= 1 + error * n_steps / self.horizon


@additive.also
class _:
    def __init__(self, init_kl_coef, target, horizon):
        self.value = self.first = float(init_kl_coef)
        self.target, self.horizon = target, horizon

    def update(self, kl, n_steps):
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.value += self.first * error * n_steps / self.horizon


@wrong(
    about="formula", read="controller", hint="With a KL of twice the target, what is the error before the clip, by the formula?"
)
class ratio_inverted:
    """The error is 1 - target / kl instead of kl / target - 1: the two agree only near the target."""

    def __init__(self, init_kl_coef, target, horizon):
        self.value, self.target, self.horizon = float(init_kl_coef), target, horizon

    def update(self, kl, n_steps):
        error = min(max(1 - self.target / kl if kl else -0.2, -0.2), 0.2)
        self.value *= 1 + error * n_steps / self.horizon


@ratio_inverted.also
class _:
    def __init__(self, init_kl_coef, target, horizon):
        self.value, self.target, self.horizon = float(init_kl_coef), target, horizon

    def update(self, kl, n_steps):
        error = min(max(self.target / kl - 1 if kl else 0.2, -0.2), 0.2)
        self.value *= 1 + error * n_steps / self.horizon
