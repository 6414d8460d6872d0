"""What crosses between the grader and a worker: JSON and plain tensors, in frames of a known length.

    | 4 bytes: length of the JSON | 4 bytes: length of the tensors | JSON, UTF-8 | tensors, safetensors |

Neither part can carry code.  A tensor in the JSON is its number among the tensors, a generator the seed that it starts from.
"""

import json
import math
import struct

import safetensors.torch
import torch
from safetensors import SafetensorError

HEAD = struct.Struct(">II")
LARGEST = 64 * 2**20  # bytes of a frame
DEEPEST = 40  # containers within containers
WIDEST = 2**63  # integers
DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool,
          torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}  # fmt: skip


class BrokenFrame(Exception):
    """Bytes that are no frame, or a value that no frame can hold."""


def pack(value) -> bytes:
    """A frame of None, bool, int, float, str, bytes, tensors, generators, and lists, tuples and dicts of these.

    Raises BrokenFrame for anything else, and for what is too large.
    """
    tensors = {}
    head = json.dumps(encoded(value, tensors, 0)).encode()
    body = safetensors.torch.save(tensors) if tensors else b""
    if HEAD.size + len(head) + len(body) > LARGEST:
        raise BrokenFrame(f"it takes {len(head) + len(body):,} bytes, and {LARGEST:,} is the most that is handed on")
    return HEAD.pack(len(head), len(body)) + head + body


def encoded(value, tensors, depth):
    if depth > DEEPEST:
        raise BrokenFrame(f"it is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        if not -WIDEST <= value < WIDEST:
            raise BrokenFrame("it holds an integer of more than 64 bits")
        return int(value)
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES or value.layout != torch.strided or value.device.type == "meta":
            raise BrokenFrame(f"it holds a tensor of {value.dtype}, {value.layout}")
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, torch.Generator):
        return {"generator": value.initial_seed()}
    if isinstance(value, bytes):
        return {"bytes": encoded(torch.frombuffer(bytearray(value or b"\0"), dtype=torch.uint8)[: len(value)], tensors, depth)}
    if isinstance(value, tuple | list):
        items = [encoded(item, tensors, depth + 1) for item in value]
        return {"tuple" if type(value) is tuple else "list": items}
    if isinstance(value, dict):
        return {"dict": [[encoded(k, tensors, depth + 1), encoded(v, tensors, depth + 1)] for k, v in value.items()]}
    raise BrokenFrame(f"it holds a {type(value).__name__}")


def lengths(head: bytes, largest=LARGEST) -> tuple[int, int]:
    """The lengths of the two parts, from the first bytes of a frame. Raises BrokenFrame where they are beyond `largest`."""
    parts = HEAD.unpack(head)
    if HEAD.size + sum(parts) > largest:
        raise BrokenFrame(f"a frame of {sum(parts):,} bytes was announced, and {largest:,} is the most that is taken")
    return parts


def unpack(head: bytes, body: bytes, listed=list):
    """The value in the two parts of a frame. listed: what to make of a list. Raises BrokenFrame for anything but a frame."""
    try:
        tensors = safetensors.torch.load(body) if body else {}
        value = decoded(json.loads(head), tensors, listed, 0)
    except BrokenFrame:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, SafetensorError, OverflowError, RuntimeError) as error:
        raise BrokenFrame(f"{type(error).__name__} while it was read") from None
    return value


def decoded(value, tensors, listed, depth):
    if depth > 2 * DEEPEST:
        raise BrokenFrame("it is nested too deep")
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -WIDEST <= value < WIDEST else math.copysign(math.inf, value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # half of a surrogate pair could not be written to a file
    (kind, content), *more = value.items()
    if more:
        raise BrokenFrame("an object of several keys")
    if kind == "tensor":
        tensor = tensors[content]
        if tensor.dtype not in DTYPES:
            raise BrokenFrame(f"a tensor of {tensor.dtype}")
        return tensor.clone()
    if kind == "generator":
        return torch.Generator().manual_seed(content)
    if kind == "bytes":
        return decoded(content, tensors, listed, depth).numpy().tobytes()
    if not isinstance(content, list):
        raise BrokenFrame(f"a {kind!r} of no items")
    if kind in ("tuple", "list"):
        return {"tuple": tuple, "list": listed}[kind](decoded(item, tensors, listed, depth + 1) for item in content)
    if kind == "dict":
        return {decoded(k, tensors, listed, depth + 1): decoded(v, tensors, listed, depth + 1) for k, v in content}
    raise BrokenFrame(f"a value of the kind {kind!r}")
