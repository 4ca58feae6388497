from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as of_tensorboard

from burnish.sinks.tensorboard.crc32c import masked_crc32c


@given(st.lists(st.binary(max_size=80)))
def test_checksums_are_those_of_tensorboard(records):
    assert masked_crc32c(records).tolist() == list(map(of_tensorboard, records))


def test_checksums_of_records_around_the_size_of_a_table_are_those_of_tensorboard():
    sizes = [*range(1020, 1030), 2047, 2048, 2049, 65_535, 65_536, 65_537, 200_001]
    records = [bytes(place * 31 % 251 for place in range(size)) for size in sizes]
    assert masked_crc32c(records).tolist() == list(map(of_tensorboard, records))
