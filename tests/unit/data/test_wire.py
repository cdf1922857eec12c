"""What decoding processes send: every value arrives, and nothing that arrives can do harm."""

import io
import json
import pickle
import struct
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medjepa.data.wire import WireError, encode, fits, num_bytes_of, receive
from medjepa.types import MedicalImage


@dataclass(frozen=True)
class Answer:
    name: str
    size: tuple[float | None, ...]
    status: Literal["good", "bad"] = "good"
    pixels: np.ndarray | None = None


def carried(value, known=(), limit=1 << 20):
    stream = io.BytesIO(b"".join(encode(value)))
    result = receive(stream.readinto, known, limit)
    assert not stream.read(), "the message was not read to its end"
    return result


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(plain)
def test_plain_values_arrive_as_they_were(value):
    assert carried(value) == value


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">u2", "<f4", ">f8", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 4)])
def test_arrays_arrive_with_dtype_and_shape(dtype, shape):
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    turned = array.T
    for sent in (array, turned):
        back = carried(sent)
        assert back.dtype == sent.dtype
        assert back.shape == sent.shape
        np.testing.assert_array_equal(back, sent)
    first, second = carried([array, (turned,)])
    np.testing.assert_array_equal(second[0], turned)
    assert num_bytes_of([first, second]) == 2 * array.nbytes


def test_dataclasses_arrive_where_they_are_expected():
    answer = Answer("a\udcff", (1, None, 2.5), pixels=np.arange(3))
    back = carried(answer, (Answer,))
    assert replace(back, pixels=None) == replace(answer, pixels=None)
    image = MedicalImage(array=np.zeros((1, 2, 2)), axes="yx", spacing=(None, 1.0), source="a",
                         facts={"view": "PA"})  # fmt: skip
    assert carried(image, (MedicalImage,)).facts == {"view": "PA"}
    with pytest.raises(WireError):
        carried(answer, ())


def message(head, body=b"", lengths=None):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<QQ", *(lengths or (len(text), len(body)))) + text + body


@pytest.mark.parametrize(
    "content",
    [
        message(b"", lengths=(2**63, 0)),
        message(b"", lengths=(0, 2**63)),
        message(b"{"),
        message({"array": ["|O", [1]]}, b"12345678"),
        message({"array": ["<u2", [2**40, 2**40]]}, b"1"),
        message({"array": ["<u2", [-1]]}, b"12"),
        message({"array": ["<u2", ["2"]]}, b"1234"),
        message({"system": {"command": "true"}}),
        message({"Answer": {"name": 7, "size": {"tuple": []}, "status": "good", "pixels": None}}),
        message({"Answer": {"name": "", "size": [], "status": "good", "pixels": None}}),
        message({"Answer": {"name": "", "size": {"tuple": []}, "status": "x", "pixels": None}}),
        message({"Answer": {"name": ""}}),
        message({"Answer": {"name": "", "size": {"tuple": []}, "status": "good", "pixels": None,
                            "further": 1}}),
        message({"mapping": 7}),
        message({"tuple": []}, lengths=(100, 0)),
        message(b"[" * 100_000),
        pickle.dumps(Answer("a", ())) + b"0" * 8,
    ],
)  # fmt: skip
def test_what_no_honest_process_sends_is_refused_and_not_run(content):
    with pytest.raises((WireError, EOFError)):
        receive(io.BytesIO(content).readinto, (Answer,), 1 << 20)


def test_a_true_is_no_number_and_a_list_no_tuple():
    assert fits(1, float)
    assert not fits(True, float)
    assert not fits(True, int)
    assert not fits([1.0], tuple[float, ...])
    assert fits((1.0, None), tuple[float | None, float | None])
    assert not fits((1.0,), tuple[float, float])
