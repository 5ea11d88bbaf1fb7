"""PyTorch as a contender of wgslim's benchmarks, in a process of its own. Only `bench/` starts it; users never need it.

Takes one JSON object a line on stdin and answers each with one on stdout (`torchProcess.ts` is the other side):

    {"do": "open", ...}             makes a graph of ONNX operators ready: its tensors lie on the device   {"ok": true}
    {"do": "result", "file": path}  runs it, writes the result as raw float32                              {"ok": true}
    {"do": "sample", "repeats": n}  milliseconds of one of n runs               {"ok": true, "milliseconds": number}
    {"do": "close"}                 lets go of it                                                          {"ok": true}

What fails is answered with {"ok": false, "error": sentence}. The first line says which PyTorch on which device.
"""

import json
import os
import sys
import time

# Whatever a library prints must not come between the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**fields):
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


try:
    import torch  # first: where it is missing, that is what to say
    import torch.nn.functional as F
    import numpy
    from torch.nn import grad
except ModuleNotFoundError as error:
    answer(ok=False, missing=error.name, error=str(error))
    sys.exit(0)

IS_CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if IS_CUDA else "cpu")
# The other contenders compute in float32; TF32 keeps 10 bits of a factor's fraction.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
# Shapes never change here: cuDNN may try its algorithms on the first run, before anything is timed.
torch.backends.cudnn.benchmark = True


def synchronize():
    if IS_CUDA:
        torch.cuda.synchronize()


def on_host(shape):
    """Host memory that the device copies from and to directly."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=IS_CUDA)


# Operators: each makes, from a node, a function of the values by their names. What is constant is read beforehand, since
# reading a number from the device would wait for it in every run.


def conv_options(node, kernel, size):
    """Strides, padding, dilation and groups for PyTorch; padding that differs between the sides comes apart, for F.pad."""
    attributes = node["attributes"]
    strides = attributes.get("strides", [1, 1])
    dilations = attributes.get("dilations", [1, 1])
    top, left, bottom, right = pads_of(attributes, kernel, strides, dilations, size)
    options = {"stride": strides, "dilation": dilations, "groups": attributes.get("group", 1)}
    if (top, left) == (bottom, right):
        return {**options, "padding": (top, left)}, None
    return {**options, "padding": 0}, (left, right, top, bottom)


def pads_of(attributes, kernel, strides, dilations, size):
    auto = attributes.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return attributes.get("pads", [0, 0, 0, 0])
    if auto == "VALID":
        return [0, 0, 0, 0]
    begins, ends = [], []
    for length, taps, stride, dilation in zip(size, kernel, strides, dilations):
        needed = (-(-length // stride) - 1) * stride + dilation * (taps - 1) + 1
        missing = max(0, needed - length)
        begin = missing // 2 if auto == "SAME_UPPER" else missing - missing // 2
        begins.append(begin)
        ends.append(missing - begin)
    return begins + ends


def conv(node, state):
    x, w, *rest = node["inputs"]
    bias = rest[0] if rest and rest[0] else None
    kernel = state.values[w].shape[2:]
    made = {}

    def run(v):
        size = tuple(v[x].shape[2:])
        if size not in made:
            made[size] = conv_options(node, kernel, size)
        options, apart = made[size]
        return F.conv2d(v[x] if apart is None else F.pad(v[x], apart), v[w], v[bias] if bias else None, **options)

    return run


def conv_grad_input(node, state):
    dy, w = node["inputs"]
    shape = node["attributes"]["input_shape"]
    options, _ = conv_options(node, state.values[w].shape[2:], shape[2:])
    return lambda v: grad.conv2d_input(shape, v[w], v[dy], **options)


def conv_grad_weight(node, state):
    x, dy = node["inputs"]
    shape = node["attributes"]["weight_shape"]
    options, _ = conv_options(node, shape[2:], state.values[x].shape[2:])
    return lambda v: grad.conv2d_weight(v[x], shape, v[dy], **options)


def gemm(node, _):
    a, b, *rest = node["inputs"]
    attributes = node["attributes"]
    if attributes.get("alpha", 1) != 1 or attributes.get("beta", 1) != 1 or attributes.get("transA", 0):
        raise NotImplementedError("Gemm with alpha, beta or transA")
    bias = rest[0] if rest else None
    if attributes.get("transB", 0):
        return lambda v: F.linear(v[a], v[b], v[bias] if bias else None)
    return lambda v: v[a] @ v[b] + v[bias] if bias else v[a] @ v[b]


def clip(node, state):
    x, *limits = node["inputs"]
    low, high = [float(state.values[name]) if name else None for name in (limits + ["", ""])[:2]]
    return lambda v: torch.clamp(v[x], low, high)


def pool(node, work, **more):
    attributes = node["attributes"]
    (x,) = node["inputs"]
    kernel = attributes["kernel_shape"]
    strides = attributes.get("strides", [1, 1])
    top, left, bottom, right = pads_of(attributes, kernel, strides, [1, 1], None)
    if (top, left) != (bottom, right):
        raise NotImplementedError("pooling with padding that differs between the sides")
    ceil = bool(attributes.get("ceil_mode", 0))
    return lambda v: work(v[x], kernel, strides, (top, left), ceil_mode=ceil, **more)


def average_pool(node, _):
    return pool(node, F.avg_pool2d, count_include_pad=bool(node["attributes"].get("count_include_pad", 0)))


def batch_norm(node, state):
    x, scale, shift, mean, variance = node["inputs"]
    epsilon = node["attributes"].get("epsilon", 1e-5)
    # ONNX's momentum is the share that stays, PyTorch's the one that goes.
    momentum = 1 - node["attributes"].get("momentum", 0.9)
    training = state.training
    return lambda v: F.batch_norm(v[x], v[mean], v[variance], v[scale], v[shift], training, momentum, epsilon)


def batch_norm_of_batch(node, _):
    """Normalisation by the batch's own statistics, none of them kept."""
    x, scale, shift = node["inputs"]
    epsilon = node["attributes"]["epsilon"]
    return lambda v: F.batch_norm(v[x], None, None, v[scale], v[shift], True, 0.1, epsilon)


def batch_norm_grad_input(node, state):
    """The above and its gradient by the input."""
    x, dy, scale = node["inputs"]
    epsilon = node["attributes"]["epsilon"]
    shift = torch.zeros_like(state.values[scale])

    def run(v):
        with torch.enable_grad():
            leaf = v[x].detach().requires_grad_()
            y = F.batch_norm(leaf, None, None, v[scale], shift, True, 0.1, epsilon)
        return torch.autograd.grad(y, leaf, v[dy])[0]

    return run


def cut(node, state):
    x, starts, ends, *rest = node["inputs"]
    starts, ends = state.constants[starts], state.constants[ends]
    axes, steps = [state.constants[name] if name else None for name in (rest + ["", ""])[:2]]
    axes = axes or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    if min(steps) < 1:
        raise NotImplementedError("Slice backwards")
    last = max(axis % 8 for axis in axes)
    index = [slice(None)] * (last + 1)
    for axis, start, end, step in zip(axes, starts, ends, steps):
        index[axis] = slice(start, end, step)
    return lambda v: v[x][tuple(index)]


def pad(node, state):
    x, pads, *_ = node["inputs"]
    pads = state.constants[pads]
    axes = len(pads) // 2
    # PyTorch counts from the last axis.
    pairs = [amount for axis in reversed(range(axes)) for amount in (pads[axis], pads[axes + axis])]
    return lambda v: F.pad(v[x], pairs)


def concat(node, _):
    names, axis = node["inputs"], node["attributes"]["axis"]
    return lambda v: torch.cat([v[name] for name in names], axis)


def unary(work):
    return lambda node, _: (lambda v, x=node["inputs"][0]: work(v[x]))


def binary(work):
    return lambda node, _: (lambda v, a=node["inputs"][0], b=node["inputs"][1]: work(v[a], v[b]))


OPERATORS = {
    "MatMul": binary(torch.matmul),
    "Add": binary(torch.add),
    "Relu": unary(torch.relu),
    "GlobalAveragePool": unary(lambda x: x.mean((2, 3), keepdim=True)),
    "Flatten": unary(lambda x: torch.flatten(x, 1)),
    "Softmax": unary(lambda x: torch.softmax(x, -1)),
    "Conv": conv,
    "ConvGradInput": conv_grad_input,
    "ConvGradWeight": conv_grad_weight,
    "Gemm": gemm,
    "Clip": clip,
    "MaxPool": lambda node, _: pool(node, F.max_pool2d),
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "BatchNormOfBatch": batch_norm_of_batch,
    "BatchNormGradInput": batch_norm_grad_input,
    "Slice": cut,
    "Pad": pad,
    "Concat": concat,
}


class Case:
    """A graph with its tensors. `kernel` and `inference` have a run that ends in `host`, `train` a step."""

    def __init__(self, request):
        self.kind = request["kind"]
        self.training = self.kind == "train"
        self.constants = request["constants"]
        data = numpy.fromfile(request["file"], dtype="<f4")
        self.values = {}
        for tensor in request["tensors"]:
            shape = tensor["shape"]
            count = int(numpy.prod(shape))
            part = data[tensor["at"] : tensor["at"] + count].reshape(shape).copy()
            self.values[tensor["name"]] = torch.from_numpy(part).to(DEVICE)
        self.steps = []
        for node in request["nodes"]:
            operator = OPERATORS.get(node["op"])
            if operator is None:
                raise NotImplementedError(f"no {node['op']} here")
            self.steps.append((operator(node, self), node["outputs"][0]))
        self.input = request.get("input")
        self.output = request["output"]
        self.host = None
        if self.kind == "inference":
            self.source = on_host(self.values[self.input].shape)
            self.source.copy_(self.values[self.input])
        if self.training:
            self.labels = torch.tensor(request["labels"], device=DEVICE)
            self.block = request["block"]
            self.checked = request["checked"]
            kept = {name for node in request["nodes"] if node["op"] == "BatchNormalization" for name in node["inputs"][3:]}
            weights = [value for name, value in self.values.items() if name != self.input and name not in kept]
            for weight in weights:
                weight.requires_grad_()
            self.optimizer = torch.optim.SGD(weights, lr=request["rate"], momentum=request["momentum"])

    def forward(self):
        values = dict(self.values)
        for work, name in self.steps:
            values[name] = work(values)
        return values[self.output]

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.forward(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self):
        """What is timed, its result on the host."""
        if self.training:
            for _ in range(self.block - 1):
                self.step()
            return self.step().item()
        with torch.no_grad():
            if self.kind == "inference":
                self.values[self.input] = self.source.to(DEVICE, non_blocking=True)
            result = self.forward()
            if not IS_CUDA:
                return result
            if self.host is None:
                self.host = on_host(result.shape)
            self.host.copy_(result, non_blocking=True)
            synchronize()
            return self.host

    def result(self):
        if self.training:
            return numpy.array([self.step().item() for _ in range(self.checked)])
        return self.run().contiguous().numpy()

    def sample(self, repeats):
        synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            self.run()
        return 1000 * (time.perf_counter() - start) / repeats


def serve():
    case = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            task = request["do"]
            if task == "open":
                case = None
                case = Case(request)
                answer(ok=True)
            elif task == "result":
                case.result().astype("<f4").tofile(request["file"])
                answer(ok=True)
            elif task == "sample":
                answer(ok=True, milliseconds=case.sample(request["repeats"]))
            elif task == "close":
                case = None
                if IS_CUDA:
                    torch.cuda.empty_cache()
                answer(ok=True)
            else:
                raise ValueError(f"no task {task}")
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            answer(ok=False, error=f"{type(error).__name__}: {first}")


name = torch.cuda.get_device_name() if IS_CUDA else f"threads: {torch.get_num_threads()}"
answer(ok=True, version=torch.__version__, device=DEVICE.type, name=name)
serve()
