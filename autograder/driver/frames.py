"""What crosses between the grader and a worker: JSON and plain tensors, in frames of a known length.

    | 4 bytes: length of the JSON | 4 bytes: length of the numbers | JSON, UTF-8 | the numbers of all tensors |

Neither part can carry code.  In the JSON a tensor is its dtype, its shape and the place of its numbers, a generator the seed
that it starts from.
"""

import json
import math
import struct

import torch

HEAD = struct.Struct(">II")
LARGEST = 64 * 2**20  # bytes of a frame
DEEPEST = 40  # containers within containers
MOST_DIMENSIONS = 16
WIDEST = 2**63  # integers, and what the sizes of an empty tensor may multiply to
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool,
                  torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
}  # fmt: skip


class BrokenFrame(Exception):
    """Bytes that are no frame, or a value that no frame can hold."""


def pack(value) -> bytes:
    """A frame of None, bool, int, float, str, bytes, tensors, generators, and lists, tuples and dicts of these.

    Raises BrokenFrame for anything else, and for what is too large.
    """
    numbers = bytearray()
    head = json.dumps(encoded(value, numbers, 0)).encode()
    if HEAD.size + len(head) + len(numbers) > LARGEST:
        raise BrokenFrame(f"it takes {len(head) + len(numbers):,} bytes, and {LARGEST:,} is the most that is handed on")
    return HEAD.pack(len(head), len(numbers)) + head + numbers


def encoded(value, numbers, depth):
    if depth > DEEPEST:
        raise BrokenFrame(f"it is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        if not -WIDEST <= value < WIDEST:
            raise BrokenFrame("it holds an integer of more than 64 bits")
        return int(value)
    if isinstance(value, torch.Tensor):
        return {"tensor": placed(value, numbers)}
    if isinstance(value, torch.Generator):
        return {"generator": value.initial_seed()}
    if isinstance(value, bytes):
        return {"bytes": added(value, numbers)}
    if isinstance(value, tuple | list):
        items = [encoded(item, numbers, depth + 1) for item in value]
        return {"tuple" if type(value) is tuple else "list": items}
    if isinstance(value, dict):
        return {"dict": [[encoded(k, numbers, depth + 1), encoded(v, numbers, depth + 1)] for k, v in value.items()]}
    raise BrokenFrame(f"it holds a {type(value).__name__}")


def placed(tensor, numbers) -> list:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES or tensor.layout != torch.strided or tensor.device.type == "meta":
        raise BrokenFrame(f"it holds a tensor of {name}, {tensor.layout}")
    if tensor.numel() * tensor.element_size() > LARGEST:
        raise BrokenFrame(f"it holds a tensor of {tensor.numel():,} elements")
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().reshape(-1).clone(memory_format=torch.contiguous_format)
    return [name, list(tensor.shape), *added(flat.view(torch.uint8).numpy().tobytes(), numbers)]


def added(content: bytes, numbers: bytearray) -> list[int]:
    """Where the content now lies: first byte and length."""
    numbers.extend(bytes(-len(numbers) % 8))
    start = len(numbers)
    numbers.extend(content)
    return [start, len(content)]


def lengths(head: bytes, largest=LARGEST) -> tuple[int, int]:
    """The lengths of the two parts, from the first bytes of a frame. Raises BrokenFrame where they are beyond `largest`."""
    parts = HEAD.unpack(head)
    if HEAD.size + sum(parts) > largest:
        raise BrokenFrame(f"a frame of {sum(parts):,} bytes was announced, and {largest:,} is the most that is taken")
    return parts


def unpack(head: bytes, numbers: bytes, listed=list):
    """The value in the two parts of a frame. listed: what to make of a list. Raises BrokenFrame for anything but a frame."""
    try:
        return decoded(json.loads(head), Numbers(numbers), listed, 0)
    except BrokenFrame:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, RuntimeError) as error:
        raise BrokenFrame(f"{type(error).__name__} while it was read") from None


def decoded(value, numbers, listed, depth):
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
    if kind == "generator":
        return torch.Generator().manual_seed(content)
    if not isinstance(content, list):
        raise BrokenFrame(f"a {kind[:40]!r} of no items")
    if kind == "tensor":
        return tensor_at(numbers, *content)
    if kind == "bytes":
        return bytes(numbers.part(*content))
    if kind in ("tuple", "list"):
        return {"tuple": tuple, "list": listed}[kind](decoded(item, numbers, listed, depth + 1) for item in content)
    if kind == "dict":
        return {decoded(k, numbers, listed, depth + 1): decoded(v, numbers, listed, depth + 1) for k, v in content}
    raise BrokenFrame(f"a value of the kind {kind[:40]!r}")


def tensor_at(numbers, name, shape, start, length) -> torch.Tensor:
    dtype = DTYPES[name]
    if len(shape) > MOST_DIMENSIONS or any(type(size) is not int or not 0 <= size < 2**31 for size in shape):
        raise BrokenFrame(f"a tensor of shape {str(shape)[:80]}")
    if math.prod(shape) * dtype.itemsize != length or math.prod(size or 1 for size in shape) >= WIDEST:
        raise BrokenFrame(f"a tensor of shape {shape} in {length} bytes")
    content = numbers.part(start, length)
    if not length:
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    flat = flat != 0 if dtype is torch.bool else flat.view(dtype)  # a byte of 2 is no bool, whatever torch makes of it
    return flat.reshape(shape)


class Numbers:
    """The second part of a frame, read from its beginning to its end: a piece that were named twice would be paid for twice."""

    def __init__(self, content: bytes):
        self.content, self.read = memoryview(content), 0

    def part(self, start, length) -> memoryview:
        if type(start) is not int or type(length) is not int or not self.read <= start <= start + length <= len(self.content):
            raise BrokenFrame("numbers that lie outside of the frame, or were read before")
        self.read = start + length
        return self.content[start : self.read]
