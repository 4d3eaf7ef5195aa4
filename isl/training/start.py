"""What a run starts from: weights, optimizer, the compiled network."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from isl.network.losses import MaskedLoss, head_weights
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription
from isl.network.transfer import Transfer, restore_from
from isl.training.augmentation import with_changes
from isl.training.config import TrainConfig
from isl.training.crops import CropSampler, target_histograms
from isl.training.optimizer import TwoRateAdam, create_variables


def initialise_head_biases(
    model: keras.Model, histograms: Mapping[str, np.ndarray]
) -> None:
    """Starts each head at the distribution of its targets.

    A network with zero biases first spends steps on learning which
    intensities occur at all.

    Args:
        model: From `isl.network.model.build_model`.
        histograms: Head to counts, [bin]. One is added to each bin.
    """
    for head, counts in histograms.items():
        frequencies = (counts + 1) / (counts.sum() + counts.size)
        model.get_layer(head).bias.assign(
            np.log(frequencies).astype(np.float32)
        )


def start_weights(
    config: TrainConfig,
    model: keras.Model,
    description: ModelDescription,
    sampler: CropSampler,
) -> Transfer | None:
    """Sets the weights before the first step.

    Args:
        config: The run; `init_from`, `freeze_body` and
            `initialise_head_biases` decide.
        model: The new network.
        description: Of `model`.
        sampler: Draws patches of the training split.

    Returns:
        What was taken over from `config.init_from`; None without it.

    Raises:
        InputError: If the network to start from cannot be used.
    """
    transfer = None
    new_heads = set(model.output)
    if config.init_from is not None:
        transfer = restore_from(config.init_from, model, description)
        new_heads &= set(transfer.new)
        if config.freeze_body:
            for name in transfer.restored_body:
                model.get_layer(name).trainable = False
    if config.initialise_head_biases and new_heads:
        histograms = target_histograms(sampler, config.seed)
        initialise_head_biases(
            model, {head: histograms[head] for head in sorted(new_heads)}
        )
    return transfer


def build_optimizer(
    config: TrainConfig, model: keras.Model, transfer: Transfer | None
) -> keras.Optimizer:
    """Returns Adam; a restored body may have a learning rate of its own.

    With `config.averaging` it keeps averaged weights, see
    `isl.training.averaging`.

    Args:
        config: The run.
        model: The network.
        transfer: From `start_weights`.
    """
    averaging = (
        {"use_ema": True, "ema_momentum": config.averaging}
        if config.averaging
        else {}
    )
    if transfer is None or config.body_learning_rate is None:
        return keras.optimizers.Adam(config.learning_rate, **averaging)
    return TwoRateAdam(
        config.learning_rate,
        slow_paths=[
            variable.path
            for name in transfer.restored_body
            for variable in model.get_layer(name).trainable_variables
        ],
        slow_factor=config.body_learning_rate / config.learning_rate,
        **averaging,
    )


def compile_for_training(
    model: keras.Model,
    config: TrainConfig,
    labels: Sequence[str],
    optimizer: keras.Optimizer,
    training: bool | None = None,
) -> keras.Model:
    """Prepares a network for `train_on_batch`.

    Args:
        model: From `isl.network.model.build_model`.
        config: The run; `loss` and `intensity_changes` decide.
        labels: Which heads are labels; the others predict input planes.
        optimizer: Shared by all that is compiled from one network.
        training: See `isl.network.model.with_raw_input`.

    Returns:
        A model of the batches of `isl.training.crops`.
    """
    heads = tuple(model.output)
    others = [head for head in heads if head not in labels]
    trained = with_raw_input(model, heads, training)
    if config.intensity_changes:
        trained = with_changes(trained)
    trained.compile(
        optimizer=optimizer,
        loss={head: MaskedLoss(config.loss) for head in heads},
        loss_weights=head_weights(list(labels), others),
    )
    create_variables(trained)
    return trained
