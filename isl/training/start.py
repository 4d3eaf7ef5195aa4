"""What a run starts from: weights, optimizer, the compiled network."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from isl.network.intensity_bins import NUM_BINS
from isl.network.losses import MaskedLoss, head_weights
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription
from isl.network.transfer import Transfer, restore_from
from isl.network.unet_body import for_training
from isl.training.augmentation import with_changes
from isl.training.config import TrainConfig
from isl.training.crops import CropSampler, target_histograms
from isl.training.dropout import with_dropout
from isl.training.optimizer import TrainingAdam, create_variables
from isl.training.recomputation import with_recomputed_blocks
from isl.training.supervision import with_sparse_heads


def initialise_head_biases(
    model: keras.Model, histograms: Mapping[str, np.ndarray]
) -> None:
    """Starts each head at the distribution of its targets.

    A network with zero biases first spends steps on learning which
    intensities occur at all.

    Args:
        model: From `isl.network.model.build_model`.
        histograms: Head to counts, [bin]. One is added to each bin. A
            regression head starts at their mean, and its first predictions
            are spread about as much as they are, as if labels had been
            standardised.
    """
    for head, counts in histograms.items():
        frequencies = (counts + 1) / (counts.sum() + counts.size)
        layer = model.get_layer(head)
        if layer.bias.shape[0] > 1:
            layer.bias.assign(np.log(frequencies).astype(np.float32))
            continue
        values = np.arange(NUM_BINS) / (NUM_BINS - 1)
        mean = frequencies @ values
        deviation = np.sqrt(frequencies @ (values - mean) ** 2)
        layer.bias.assign([mean])
        layer.kernel.assign(layer.kernel * deviation)


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
    options = {}
    if config.averaging:
        options.update(use_ema=True, ema_momentum=config.averaging)
    if config.accumulation_steps > 1:
        options["gradient_accumulation_steps"] = config.accumulation_steps
    if transfer is not None and config.body_learning_rate is not None:
        options["slow_factor"] = (
            config.body_learning_rate / config.learning_rate
        )
        options["slow_paths"] = [
            variable.path
            for name in transfer.restored_body
            for variable in model.get_layer(name).trainable_variables
        ]
    if config.weight_decay:
        options["weight_decay"] = config.weight_decay
    optimizer = TrainingAdam(config.learning_rate, **options)
    # TensorFlow matches the path of a variable, with the name of its layer.
    optimizer.exclude_from_weight_decay(
        var_names=[r"(^|/)(beta|bias|gamma)(:\d+)?$"]
    )
    return optimizer


def compile_for_training(
    model: keras.Model,
    config: TrainConfig,
    labels: Sequence[str],
    optimizer: keras.Optimizer,
    training: bool | None = None,
    dropout: keras.Layer | None = None,
) -> keras.Model:
    """Prepares a network for `train_on_batch`.

    Args:
        model: From `isl.network.model.build_model`.
        config: The run; `loss`, `intensity_changes` and `remat` decide.
        labels: Which heads are labels; the others predict input planes.
        optimizer: Shared by all that is compiled from one network.
        training: See `isl.network.model.with_raw_input`.
        dropout: From `isl.training.dropout.build_dropout`.

    Returns:
        A model of the batches of `isl.training.crops`.
    """
    heads = tuple(model.output)
    others = [head for head in heads if head not in labels]
    network = for_training(model)
    if config.label_stride > 1:
        network = with_sparse_heads(
            network,
            config.architecture,
            config.output_size,
            config.label_stride,
        )
    if config.remat:
        network = with_recomputed_blocks(network, config.architecture)
    if dropout is not None:
        network = with_dropout(network, dropout)
    trained = with_raw_input(network, heads, training)
    if config.intensity_changes:
        trained = with_changes(trained)
    trained.compile(
        optimizer=optimizer,
        loss={head: MaskedLoss(config.loss) for head in heads},
        loss_weights=head_weights(list(labels), others),
    )
    create_variables(trained)
    return trained
