"""The optimizer of a run."""

from collections.abc import Collection, Sequence

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="isl")
class TrainingAdam(keras.optimizers.Adam):
    """Adam with a lower rate for some variables, and averages of updates.

    Gradients scaled by a factor would not do for the former: Adam divides it
    out again. The average of the weights (`use_ema`) counts each update once;
    that of Keras counts the weights as often as gradients are accumulated.
    """

    def __init__(
        self,
        learning_rate: float,
        slow_paths: Collection[str] = (),
        slow_factor: float = 1.0,
        **kwargs,
    ):
        """Slows down some variables.

        Args:
            learning_rate: Of the other variables.
            slow_paths: Paths of the variables to slow down.
            slow_factor: Their learning rate, relative to `learning_rate`.
            **kwargs: See `keras.optimizers.Adam`.
        """
        super().__init__(learning_rate, **kwargs)
        self.slow_paths = frozenset(slow_paths)
        self.slow_factor = slow_factor
        self._factors: list[float] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the moments of the variables."""
        super().build(variables)
        self._factors = [
            self.slow_factor if variable.path in self.slow_paths else 1.0
            for variable in variables
        ]

    def update_step(self, gradient, variable, learning_rate) -> None:
        """Updates one variable."""
        factor = self._factors[self._get_variable_index(variable)]
        if factor != 1.0:
            learning_rate = learning_rate * factor
        super().update_step(gradient, variable, learning_rate)

    def _update_model_variables_moving_average(
        self, trainable_variables
    ) -> None:
        if not self.gradient_accumulation_steps:
            super()._update_model_variables_moving_average(trainable_variables)
            return
        is_update = (
            self._iterations + 1
        ) % self.gradient_accumulation_steps == 0
        # The first weights are taken as they are, and nothing between updates.
        momentum = ops.where(self.iterations == 0, 0.0, self.ema_momentum)
        momentum = ops.where(is_update, momentum, 1.0)
        for variable, average in zip(
            trainable_variables,
            self._model_variables_moving_average,
            strict=True,
        ):
            average.assign(momentum * average + (1.0 - momentum) * variable)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "slow_paths": sorted(self.slow_paths),
            "slow_factor": self.slow_factor,
        }


def create_variables(trained: keras.Model) -> None:
    """Creates the variables of the optimizer and of the running losses.

    Those made inside the first step would make TensorFlow trace it twice,
    which takes a minute for the released network.

    Args:
        trained: A compiled model from `isl.network.model.with_raw_input`.
    """
    if not trained.optimizer.built:
        trained.optimizer.build(trained.trainable_variables)
    nothing = {name: np.zeros((1, 1, 1)) for name in trained.output}
    trained.compute_loss(
        y=nothing,
        y_pred={
            name: keras.ops.zeros((1, 1, 1, logits.shape[-1]))
            for name, logits in trained.output.items()
        },
        sample_weight=nothing,
    )
    trained.reset_metrics()
