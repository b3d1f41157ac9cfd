"""The book's public names with their parameters, as its readers and its programs use them."""

import ast
import importlib
import inspect

import numpy as np
import pytest

import dezero
import dezero.functions as F
import dezero.layers as L
from dezero import Parameter, Variable

CALLS = """
core: Variable(data, name=None)
core: using_config(name, value)
core: no_grad()
core: test_mode()
core: as_variable(obj)
core: as_array(x, array_module=np)
core: Variable.set_creator(func)
core: Variable.unchain()
core: Variable.unchain_backward()
core: Variable.cleargrad()
core: Variable.backward(retain_grad=False, create_graph=False)
core_simple: Variable.backward(retain_grad=False)
core_simple: as_array(x)
functions: sin(x)
functions: cos(x)
functions: tanh(x)
functions: exp(x)
functions: log(x)
functions: reshape(x, shape)
functions: transpose(x, axes=None)
functions: get_item(x, slices)
functions: expand_dims(x, axis)
functions: flatten(x)
functions: sum(x, axis=None, keepdims=False)
functions: sum_to(x, shape)
functions: broadcast_to(x, shape)
functions: average(x, axis=None, keepdims=False)
functions: mean(x, axis=None, keepdims=False)
functions: matmul(x, W)
functions: linear(x, W, b=None)
functions: linear_simple(x, W, b=None)
functions: sigmoid(x)
functions: sigmoid_simple(x)
functions: relu(x)
functions: leaky_relu(x, slope=0.2)
functions: softmax(x, axis=1)
functions: softmax_simple(x, axis=1)
functions: log_softmax(x, axis=1)
functions: mean_squared_error(x0, x1)
functions: mean_squared_error_simple(x0, x1)
functions: softmax_cross_entropy(x, t)
functions: softmax_cross_entropy_simple(x, t)
functions: sigmoid_cross_entropy(x, t)
functions: binary_cross_entropy(p, t)
functions: accuracy(y, t)
functions: dropout(x, dropout_ratio=0.5)
functions: batch_nrom(x, gamma, beta, mean, var, decay=0.9, eps=2e-5)
functions: embed_id(x, W)
functions: max(x, axis=None, keepdims=False)
functions: min(x, axis=None, keepdims=False)
functions: clip(x, x_min, x_max)
functions: conv2d(x, W, b=None, stride=1, pad=0)
functions: add(x0, x1)
functions: sub(x0, x1)
functions: rsub(x0, x1)
functions: mul(x0, x1)
functions: div(x0, x1)
functions: neg(x)
functions_conv: conv2d_simple(x, W, b=None, stride=1, pad=0)
functions_conv: conv2d(x, W, b=None, stride=1, pad=0)
functions_conv: deconv2d(x, W, b=None, stride=1, pad=0, outsize=None)
functions_conv: pooling_simple(x, kernel_size, stride=1, pad=0)
functions_conv: pooling(x, kernel_size, stride=1, pad=0)
functions_conv: average_pooling(x, kernel_size, stride=1, pad=0)
functions_conv: im2col(x, kernel_size, stride=1, pad=0, to_matrix=True)
functions_conv: col2im(x, input_shape, kernel_size, stride=1, pad=0, to_matrix=True)
functions_conv: im2col_array(img, kernel_size, stride, pad, to_matrix=True)
functions_conv: col2im_array(col, img_shape, kernel_size, stride, pad, to_matrix=True)
layers: Linear(out_size, nobias=False, dtype=np.float32, in_size=None)
layers: Conv2d(out_channels, kernel_size, stride=1, pad=0, nobias=False, dtype=np.float32)
layers: Deconv2d(out_channels, kernel_size, stride=1, pad=0, nobias=False, dtype=np.float32)
layers: RNN(hidden_size, in_size=None)
layers: LSTM(hidden_size, in_size=None)
layers: EmbedID(in_size, out_size)
layers: BatchNorm()
layers: Layer.params()
layers: Layer.cleargrads()
layers: Layer.to_cpu()
layers: Layer.to_gpu()
layers: Layer.save_weights(path)
layers: Layer.load_weights(path)
layers: Layer._flatten_params(params_dict, parent_key="")
models: Model()
models: Model.plot(*inputs, to_file="model.png")
models: Sequential(*layers)
models: MLP(fc_output_sizes, activation=F.sigmoid)
models: VGG16(pretrained=False)
models: VGG16.preprocess(image, size=(224, 224), dtype=np.float32)
models: ResNet(n_layers=152, pretrained=False)
models: ResNet50(pretrained=False)
models: ResNet101(pretrained=False)
models: ResNet152(pretrained=False)
models: SqueezeNet(pretrained=False)
optimizers: Optimizer()
optimizers: Optimizer.setup(target)
optimizers: Optimizer.update()
optimizers: Optimizer.update_one(param)
optimizers: Optimizer.add_hook(f)
optimizers: SGD(lr=0.01)
optimizers: MomentumSGD(lr=0.01, momentum=0.9)
optimizers: AdaGrad(lr=0.001, eps=1e-8)
optimizers: AdaDelta(rho=0.95, eps=1e-6)
optimizers: Adam(alpha=0.001, beta1=0.9, beta2=0.999, eps=1e-8)
optimizers: WeightDecay(rate)
optimizers: ClipGrad(max_norm)
optimizers: FreezeParam(*layers)
dataloaders: DataLoader(dataset, batch_size, shuffle=True, gpu=False)
dataloaders: SeqDataLoader(dataset, batch_size, gpu=False)
datasets: Dataset(train=True, transform=None, target_transform=None)
datasets: get_spiral(train=True)
datasets: load_cache_npz(filename, train=False)
datasets: save_cache_npz(data, label, filename, train=False)
transforms: Compose(transforms=[])
transforms: Convert(mode="RGB")
transforms: CenterCrop(size)
transforms: ToArray(dtype=np.float32)
transforms: ToPIL()
transforms: RandomHorizontalFlip()
transforms: Normalize(mean=0, std=1)
transforms: Flatten()
transforms: AsType(dtype=np.float32)
transforms: ToInt(dtype=int)
utils: get_dot_graph(output, verbose=True)
utils: plot_dot_graph(output, verbose=True, to_file="graph.png")
utils: sum_to(x, shape)
utils: reshape_sum_backward(gy, x_shape, axis, keepdims)
utils: logsumexp(x, axis=1)
utils: max_backward_shape(x, axis)
utils: gradient_check(f, x, *args, rtol=1e-4, atol=1e-5, **kwargs)
utils: numerical_grad(f, x, *args, **kwargs)
utils: array_equal(a, b)
utils: array_allclose(a, b, rtol=1e-4, atol=1e-5)
utils: get_file(url, file_name=None)
utils: show_progress(block_num, block_size, total_size)
utils: get_conv_outsize(input_size, kernel_size, stride, pad)
utils: get_deconv_outsize(size, k, s, p)
utils: pair(x)
cuda: get_array_module(x)
cuda: as_numpy(x)
cuda: as_cupy(x)
"""
# Names of operands and bounds that nobody gives by name: ours are the standard's.
FREE = {"x_min", "x_max", "x", "W", "func", "y", "target", "layers", "a", "b", "x0", "x1"}
EXACT = {"mean_squared_error"}  # but not of these

NAMES = {
    "": "is_simple_core Variable Parameter Function using_config no_grad test_mode as_array "
    "as_variable setup_variable Config Layer Model Dataset DataLoader SeqDataLoader datasets "
    "dataloaders optimizers functions functions_conv layers utils cuda transforms core models "
    "core_simple __version__",
    "core": "Config Variable Parameter Function array_types setup_variable Add Mul Neg Sub Div Pow "
    "add mul neg sub rsub div rdiv pow",
    "core_simple": "Config using_config no_grad Variable as_variable Function Add Mul Neg Sub Div "
    "Pow add mul neg sub rsub div rdiv pow setup_variable",
    "functions": "Sin Cos Tanh Exp Log Reshape Transpose GetItem GetItemGrad Sum SumTo BroadcastTo "
    "MatMul Linear Sigmoid ReLU Softmax LogSoftmax LeakyReLU MeanSquaredError SoftmaxCrossEntropy "
    "BatchNorm Max Min Clip conv2d deconv2d conv2d_simple im2col col2im pooling_simple pooling "
    "average_pooling batch_norm",
    "functions_conv": "Conv2d Deconv2d Conv2DGradW Pooling Pooling2DGrad Pooling2DWithIndexes "
    "AveragePooling Im2col Col2im",
    "models": "BuildingBlock BottleneckA BottleneckB SqueezeNet",
    "dataloaders": "pil_available",
    "datasets": "Spiral SinCurve MNIST CIFAR10 CIFAR100 ImageNet Shakespear",
    "transforms": "ToFloat Resize",
    "utils": "cache_dir",
    "cuda": "gpu_enable",
}


def found(module, path):
    value = dezero
    for part in [module, *path.split(".")] if module else path.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(
    ("module", "name"), [(m, n) for m, names in NAMES.items() for n in names.split()]
)
def test_names(module, name):
    found(module, name)


@pytest.mark.parametrize("line", CALLS.strip().splitlines())
def test_parameters(line):
    module, _, call = line.partition(": ")
    path = call.partition("(")[0]
    wanted = ast.parse(f"def f{call[len(path) :]}: pass").body[0].args
    function = found(module, path)
    have = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    given = [p for p in have if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    several = any(p.kind is p.VAR_POSITIONAL for p in have)
    assert several or len(given) >= len(wanted.args)
    defaults = [None] * (len(wanted.args) - len(wanted.defaults)) + wanted.defaults
    for want, default, p in zip(wanted.args, defaults, given, strict=False):
        assert p.name == want.arg or (want.arg in FREE and path not in EXACT)
        if default is None:
            assert p.default in (inspect.Parameter.empty, None)
        else:
            value = eval(compile(ast.Expression(default), line, "eval"), {"np": np, "F": F})
            same = p.default == value
            assert same or (value == [] and p.default == ()), f"{p.name} is {p.default!r}"
    for p in given[len(wanted.args) :]:
        assert p.default is not inspect.Parameter.empty, f"{p.name} is asked for"
    for want in wanted.kwonlyargs:
        assert want.arg in [p.name for p in have]


def test_shape_of_gradients_in_the_book_is_kept():
    """Losses that were silently wrong: a column against a row, labels in a column."""
    with pytest.raises(ValueError, match=r"\(3, 1\) and \(3,\)"):
        F.mean_squared_error(np.ones((3, 1)), np.ones(3))
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(3, 1\)"):
        F.softmax_cross_entropy(np.ones((3, 2)), np.zeros((3, 1), int))


def test_gradients_are_no_aliases():
    p, q = Parameter(np.array(1.0)), Parameter(np.array(1.0))
    model = L.Layer()
    model.p, model.q = p, q
    optimizer = dezero.optimizers.SGD(1.0).setup(model)
    optimizer.add_hook(dezero.optimizers.WeightDecay(0.5))
    (p + q).backward()
    optimizer.update()
    assert p.data == q.data == -0.5


def test_read_only_and_shared_gradients_in_hooks():
    model = L.Layer()
    model.p = Parameter(np.ones(3))
    optimizer = dezero.optimizers.SGD(1.0).setup(model)
    optimizer.add_hook(dezero.optimizers.ClipGrad(0.1))
    F.sum(model.p).backward()
    optimizer.update()
    np.testing.assert_allclose(model.p.data, 1 - 0.1 / np.sqrt(3), rtol=1e-5)


def test_tied_weights_are_updated_once():
    model = L.Layer()
    model.a = Parameter(np.array(1.0))
    model.b = model.a
    optimizer = dezero.optimizers.SGD(1.0).setup(model)
    (model.a * 2.0).backward()
    optimizer.update()
    assert model.a.data == -1.0


def test_the_same_function_twice():
    f = F.Sin()
    x = Variable(np.array(0.5))
    f(f(x)).backward()
    np.testing.assert_allclose(x.grad.data, np.cos(np.sin(0.5)) * np.cos(0.5))


def test_expand_dims_of_negative_axes():
    assert F.expand_dims(np.ones((2, 3)), -1).shape == (2, 3, 1)


@pytest.mark.parametrize("axis", [-1, np.int64(1), (0, -1), None])
def test_axes_of_maxima(axis):
    x = Variable(np.arange(6.0).reshape(2, 3))
    F.sum(F.max(x, axis=axis)).backward()
    assert x.grad.data.sum() == np.asarray(x.data.max(axis=axis)).size


def test_matmul_and_linear_of_other_ranks():
    x, v = Variable(np.ones((2, 3))), Variable(np.ones(3))
    F.sum(F.matmul(x, v)).backward()
    np.testing.assert_array_equal(v.grad.data, [2.0, 2.0, 2.0])
    assert F.matmul(np.ones((5, 2, 3)), np.ones((5, 3, 4))).shape == (5, 2, 4)
    w = Variable(np.ones((3, 4)))
    F.sum(F.linear(np.ones((2, 5, 3)), w)).backward()
    np.testing.assert_array_equal(w.grad.data, np.full((3, 4), 10.0))


def test_average_pooling_of_windows_that_are_not_square():
    x = Variable(np.arange(24.0).reshape(1, 1, 4, 6))
    y = F.average_pooling(x, (2, 3), (2, 3))
    F.sum(y).backward()
    np.testing.assert_allclose(x.grad.data, np.full((1, 1, 4, 6), 1 / 6))


def test_third_derivative_through_pooling_and_convolution():
    rng = np.random.default_rng(0)
    x, w = Variable(rng.normal(size=(1, 2, 5, 5))), Variable(rng.normal(size=(3, 2, 3, 3)))

    def f(x, w):
        return F.sum(F.pooling(F.conv2d(x, w, pad=1), 2, 2) ** 4)

    dezero.testing.check_gradients(f, x, w, order=3, rtol=1e-4)


def test_integers_and_ranks_that_crashed():
    assert F.linear(np.ones((2, 3), int), np.ones((3, 2)), np.ones(2)).shape == (2, 2)
    assert F.leaky_relu(np.array([-2, 2])).data[1] == 2
    assert F.softmax(np.array([1.0, 2.0]), axis=0).shape == (2,)
    np.testing.assert_array_equal(F.dropout(np.ones(3), 1.0).data, np.zeros(3))
    assert dezero.optimizers.Adam().lr > 0
    layer = L.Linear(2)
    layer.b = None
    assert [name for name, _ in layer.namedparams()] == ["W"]


def test_rnn_with_a_size_given_takes_a_second_step():
    rnn = L.RNN(5, in_size=3)
    rnn(np.ones((1, 3), np.float32))
    assert rnn(np.ones((1, 3), np.float32)).shape == (1, 5)


def test_batch_norm_in_use_is_differentiable():
    layer = L.BatchNorm()
    x = np.random.default_rng(0).normal(size=(4, 3))
    layer(x)
    with dezero.test_mode():
        dezero.testing.check_gradients(layer, x)


def test_channels_of_convolutions_may_be_given():
    assert L.Conv2d(3, 2, in_channels=4).W.shape == (3, 4, 2, 2)
    assert L.Deconv2d(3, 2, 1, 0, False, np.float32, 4).W.shape == (4, 3, 2, 2)


def test_functions_that_take_functions():
    """The adjoints that the book has as classes of their own."""
    conv, pool = F.Conv2d(1, 1), F.Pooling(2, 2)
    rng = np.random.default_rng(0)
    x, w = Variable(rng.normal(size=(2, 3, 4, 4))), Variable(rng.normal(size=(5, 3, 3, 3)))
    y = conv(x, w)
    gy = rng.normal(size=y.shape)
    y.grad = Variable(gy)
    y.backward()
    conv_module = importlib.import_module("dezero.functions_conv")
    got = conv_module.Conv2DGradW(conv)(x, Variable(gy))
    np.testing.assert_allclose(got.data, w.grad.data)
    p = Variable(rng.normal(size=(2, 3, 4, 4)))
    z = pool(p)
    gz = rng.normal(size=z.shape)
    z.grad = Variable(gz)
    z.backward()
    got = conv_module.Pooling2DGrad(pool)(Variable(gz))
    np.testing.assert_allclose(got.data, p.grad.data)
    np.testing.assert_allclose(conv_module.Pooling2DWithIndexes(pool)(p).data, z.data)
    with pytest.raises(TypeError, match="a Pooling that was called is expected"):
        conv_module.Pooling2DGrad(F.Pooling(2))


@pytest.mark.parametrize("pad", [0, 1])
def test_second_derivative_of_the_books_pooling(pad):
    pool = F.Pooling(3, 2, pad)
    x = Variable(np.random.default_rng(0).normal(size=(1, 2, 5, 6)))
    y = pool(x)
    g = np.random.default_rng(1).normal(size=y.shape)
    y.grad = Variable(g)
    y.backward()
    got = F.Pooling2DGrad(pool)(Variable(g))
    np.testing.assert_allclose(got.data, x.grad.data)
    v = Variable(np.random.default_rng(2).normal(size=x.shape))
    inner = F.sum(got * v)
    np.testing.assert_allclose(inner.data, (F.Pooling2DWithIndexes(pool)(v) * g).data.sum())
