"""What must hold for the Keras layer on every back end; run as a script, one process a back end.

Prints a JSON object: the name of each check, and its traceback if it failed. Keras keeps its back end for the life of a
process, so that pytest itself runs none of this.
"""

import functools
import json
import pathlib
import sys
import tempfile
import traceback
import unittest.mock
from typing import Any

import numpy as np

import ketgrad as kg
from ketgrad import w, x

CIRCUIT = kg.Circuit([kg.rx(x[0], 0), kg.ry(w[0], 0), kg.cx(0, 1), kg.ry(w[1] * x[1], 1), kg.rx(w[2], 0)])
F = kg.expectation(CIRCUIT, [kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y1 - Z1")])
INPUTS = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
START = np.array([0.3, -0.2, 0.9], np.float32)


def layer_at_start(f: Any = F, **options: Any) -> Any:
    """A built layer whose weights are START."""
    import keras

    layer = kg.keras.Layer(f, initializer=keras.initializers.Constant(0.0), **options)
    layer.build((None, f.num_inputs))
    layer.set_weights([START.astype(layer.variable_dtype)])
    return layer


def array(tensor: Any) -> np.ndarray:
    """A tensor of any back end as an array."""
    import keras

    return keras.ops.convert_to_numpy(tensor)


def by_finite_difference(loss: Any, layer: Any, step: float = 1e-2) -> np.ndarray:
    """The derivative of loss() by the weights of the layer, by central differences."""
    slopes = []
    for unit in np.eye(len(START), dtype=np.float32):
        ends = []
        for sign in (1, -1):
            layer.set_weights([START + sign * step * unit])
            ends.append(float(array(loss())))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    layer.set_weights([START])
    return np.array(slopes)


def gradients(loss: Any, layer: Any, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of loss(layer(inputs)) by the weights and the inputs, by the back end's own means."""
    import keras

    match keras.backend.backend():
        case "torch":
            import torch

            data = torch.tensor(inputs, requires_grad=True)
            layer.zero_grad()
            loss(layer(data)).backward()
            return array(layer.trainable_variables[0].value.grad), array(data.grad)
        case "tensorflow":
            import tensorflow as tf

            data = tf.constant(inputs)
            with tf.GradientTape() as tape:
                tape.watch(data)
                value = loss(layer(data))
            found = tape.gradient(value, [layer.trainable_variables[0].value, data])
            return array(found[0]), array(found[1])
        case _:
            import jax

            def pure(variables: Any, data: Any) -> Any:
                return loss(layer.stateless_call(variables, [], data)[0])

            values = [variable.value for variable in layer.trainable_variables]
            found = jax.grad(pure, (0, 1))(values, inputs)
            return array(found[0][0]), array(found[1])


def check_values_are_those_of_the_function_for_any_leading_axes() -> None:
    layer = layer_at_start()
    for shape in ((6, 2), (2, 3, 2), (0, 2), (2,)):
        inputs = np.resize(INPUTS, shape)
        found = array(layer(inputs))
        assert found.dtype == np.float32 and found.shape == (*shape[:-1], 2)
        np.testing.assert_allclose(found, F(START, inputs), atol=1e-6)
        assert layer.compute_output_shape(shape) == found.shape


def check_gradients_are_those_of_the_function() -> None:
    import keras

    layer = layer_at_start()
    by_weights, by_inputs = gradients(lambda values: keras.ops.sum(values**2), layer, INPUTS)
    values = F(START, INPUTS)
    _, dweights, dinputs = F.vjp(START, INPUTS, 2 * values)
    np.testing.assert_allclose(by_weights, dweights, atol=1e-5)
    np.testing.assert_allclose(by_inputs, dinputs, atol=1e-5)


def check_second_derivatives_train_a_penalty_on_the_slope() -> None:
    import keras

    layer, backend = layer_at_start(), keras.backend.backend()

    def penalty() -> Any:
        return squared_slope(layer, INPUTS)

    def squared_slope(layer: Any, inputs: Any) -> Any:
        return (F.vjp(np.array(layer.get_weights()[0]), inputs, np.ones((6, 2), np.float32))[2] ** 2).sum()

    expected = by_finite_difference(penalty, layer)
    if backend == "torch":
        import torch

        data = torch.tensor(INPUTS, requires_grad=True)
        (slope,) = torch.autograd.grad(layer(data).sum(), data, create_graph=True)
        (slope**2).sum().backward()
        found = array(layer.trainable_variables[0].value.grad)
    elif backend == "tensorflow":
        import tensorflow as tf

        data, variable = tf.constant(INPUTS), layer.trainable_variables[0].value

        def trained(run: Any) -> Any:
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    inner.watch(data)
                    value = tf.reduce_sum(run(data))
                slope: Any = inner.gradient(value, data)
                loss = tf.reduce_sum(slope**2)
            return outer.gradient(loss, variable)

        found = array(trained(layer))
        in_graphs = trained(tf.function(lambda rows: layer(rows))), tf.function(lambda: trained(layer))()
        for one in in_graphs:
            np.testing.assert_allclose(array(one), found, rtol=1e-5)
    else:
        import jax

        def pure(variables: Any) -> Any:
            slope = jax.grad(lambda data: layer.stateless_call(variables, [], data)[0].sum())(INPUTS)
            return (slope**2).sum()

        found = array(jax.grad(pure)([layer.trainable_variables[0].value])[0])
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01)


def check_third_derivatives_are_refused_and_never_zero() -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        return  # torch and jax: in the tests of those bridges
    import tensorflow as tf

    layer, data = layer_at_start(), tf.constant(INPUTS)
    with tf.GradientTape() as outer:
        outer.watch(data)
        with tf.GradientTape() as middle:
            middle.watch(data)
            with tf.GradientTape() as inner:
                inner.watch(data)
                value = tf.reduce_sum(layer(data))
            slope = tf.reduce_sum(inner.gradient(value, data))
        curvature = tf.reduce_sum(middle.gradient(slope, data))
    refused(lambda: outer.gradient(curvature, data), "a third derivative of a circuit was asked for")


def data() -> tuple[np.ndarray, np.ndarray]:
    """Two classes that one layer tells apart."""
    random = np.random.default_rng(1)
    labels = np.arange(60) % 2
    rows = random.normal(0, 0.3, (60, 2)) + np.where(labels[:, None] == 1, 1.0, -1.0)
    return rows.astype(np.float32), labels.astype(np.float32)


@functools.cache
def trained() -> Any:
    """A sequential model after a few epochs on `data`."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2),
            kg.keras.Layer(F, seed=0, name="circuit"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.1), loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(*data(), epochs=8, batch_size=20, verbose=0)
    return model


def check_a_model_trains_with_fit() -> None:
    import keras

    before = kg.keras.Layer(F, seed=0)
    before.build((None, 2))
    model = trained()
    assert model.evaluate(*data(), verbose=0)[1] > 0.95
    weights = model.get_layer("circuit").get_weights()[0]
    assert weights.shape == (3,) and weights.dtype == np.float32
    assert np.abs(weights - before.get_weights()[0]).max() > 0.01
    assert model.jit_compile is (keras.backend.backend() == "jax")
    assert model.output_shape == (None, 1) and model.predict(data()[0], verbose=0).shape == (60, 1)


def check_keras_saves_and_loads_the_layer_in_its_own_format() -> None:
    import keras

    model, rows = trained(), data()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        model.save(path)
        same = keras.saving.load_model(path)
    np.testing.assert_array_equal(same.predict(rows, verbose=0), model.predict(rows, verbose=0))
    assert same.get_layer("circuit").function == F
    same.fit(*data(), epochs=1, verbose=0)
    config = keras.saving.serialize_keras_object(model.get_layer("circuit"))
    assert config["registered_name"] == "ketgrad>Layer"
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert copy.function == F and copy.seed == 0 and copy.name == "circuit"
    for f in (
        kg.probabilities(CIRCUIT, [1], dtype=np.complex64),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), shots=10, seed=4, gradient=kg.ParameterShift()),
    ):
        layer = kg.keras.Layer(f, initializer="zeros", trainable=False)
        other = kg.keras.Layer.from_config(layer.get_config())
        assert other.function == f and not other.trainable
        assert isinstance(other.initializer, keras.initializers.Zeros)


def check_float64_layers_compute_in_float64() -> None:
    import keras

    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    try:
        layer = layer_at_start(dtype="float64")
        found = array(layer(INPUTS.astype(np.float64)))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, F(START.astype(float), INPUTS.astype(float)), atol=1e-14)
    finally:
        if keras.backend.backend() == "jax":
            import jax

            jax.config.update("jax_enable_x64", False)


def check_with_shots_first_derivatives_are_shift_rules() -> None:
    import keras

    layer = layer_at_start(kg.expectation(CIRCUIT, kg.Pauli("Z0"), shots=20_000, seed=1))
    found = gradients(keras.ops.sum, layer, INPUTS)[0]
    exact = kg.expectation(CIRCUIT, kg.Pauli("Z0")).vjp(START, INPUTS, np.ones((6, 1), np.float32))[1]
    np.testing.assert_allclose(found, exact, atol=0.1)


def check_measured_values_are_fresh_at_every_step_and_the_same_in_every_run() -> None:
    import keras

    def run(**options: Any) -> list[Any]:
        layer = layer_at_start(kg.expectation(CIRCUIT, kg.Pauli("Z0"), shots=100, seed=1, **options))
        model = keras.Sequential([keras.Input((2,)), layer])
        called = [np.asarray(keras.ops.convert_to_numpy(layer(INPUTS))) for _ in range(2)]
        return [*called, *(model.predict(INPUTS, verbose=0) for _ in range(2))]

    fresh, again, frozen = run(), run(), run(common_random_numbers=True)
    assert len({one.tobytes() for one in fresh}) == 4
    assert [one.tobytes() for one in fresh] == [one.tobytes() for one in again]
    assert len({one.tobytes() for one in frozen}) == 1


def check_no_export_holds_a_circuit() -> None:
    import keras

    model = keras.Sequential([keras.Input((2,)), layer_at_start()])
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, "model"))
        reasons = {
            "tensorflow": "cannot be exported",
            "jax": "leading axes of known sizes",
            "torch": "inputs",
        }
        refused(lambda: model.export(path, verbose=False), reasons[keras.backend.backend()])
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            module = tf.Module()
            module.model = model
            module.run = tf.function(lambda rows: model(rows), input_signature=[tf.TensorSpec((None, 2))])
            for save in (lambda: tf.saved_model.save(model, path), lambda: tf.saved_model.save(module, path)):
                refused(save, "the layer 'layer")
            archive = keras.export.ExportArchive()
            archive.track(model)
            archive.add_endpoint("serve", model.__call__, input_signature=[tf.TensorSpec((None, 2))])
            refused(lambda: archive.write_out(path), "cannot be exported")
            tf.train.Checkpoint(model).save(path)
        model.save(path + ".keras")


def check_values_are_an_initializer() -> None:
    import keras

    for values in (START, START.tolist(), tuple(START.tolist())):
        layer = kg.keras.Layer(F, initializer=values)
        layer.build((None, 2))
        again = kg.keras.Layer.from_config(layer.get_config())
        again.build((None, 2))
        for one in (layer, again):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(one.circuit_weights), START)
    refused(lambda: kg.keras.Layer(F, initializer=[0.3]), "`initializer` must have shape (3,)")


def refused(call: Any, message: str) -> None:
    """The call raises an error with that text in it."""
    try:
        call()
    except Exception as error:  # Keras and TensorFlow wrap some
        assert message in str(error), f"{message!r} is not in {error!r}"
        return
    raise AssertionError(f"no error with {message!r}")


def check_what_cannot_be_computed_is_refused_by_name() -> None:
    import keras

    make = kg.keras.Layer
    refused(lambda: make(CIRCUIT), "must be made by kg.expectation or kg.probabilities, but is Circuit")
    refused(lambda: make(kg.state(CIRCUIT)), "must have real values and derivatives")
    refused(lambda: make(kg.samples(CIRCUIT, shots=2)), "must have real values and derivatives")
    refused(lambda: make(F, dtype="bfloat16"), "`dtype` must be float32 or float64")
    single = kg.expectation(CIRCUIT, kg.Pauli("Z0"), dtype=np.complex64)
    refused(
        lambda: make(single, dtype="float64"), "`dtype` must be float32 - the function computes in complex64"
    )
    no_inputs = kg.expectation(kg.Circuit([kg.ry(w[0], 0)]), kg.Pauli("Z0"))
    refused(lambda: make(no_inputs), "the circuit must read inputs")
    refused(lambda: make(F)(np.zeros((4, 3), np.float32)), "`inputs` must have shape (..., 2)")
    with unittest.mock.patch("keras.backend.backend", lambda: "numpy"):
        refused(lambda: make(F), "the back end of Keras must be one of torch, jax, tensorflow")
    if keras.backend.backend() != "jax":
        bad = INPUTS.copy()
        bad[4, 1] = np.nan
        refused(lambda: layer_at_start()(bad), "inputs[4, 1] is nan")


def check_a_circuit_without_weights_is_a_layer_without_weights() -> None:
    layer = kg.keras.Layer(kg.expectation(kg.Circuit([kg.ry(x[0], 0)]), kg.Pauli("Z0")))
    np.testing.assert_allclose(array(layer(INPUTS[:, :1])), np.cos(INPUTS[:, :1]), atol=1e-6)
    assert layer.weights == []


def main() -> None:
    """Run every check and print what came of it."""
    checks = {name: value for name, value in globals().items() if name.startswith("check_")}
    outcome = {}
    for name, check in checks.items():
        try:
            check()
            outcome[name] = ""
        except Exception:
            outcome[name] = traceback.format_exc()
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()
