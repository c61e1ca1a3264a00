import struct
from pathlib import Path

import numpy as np
import pytest

from octopack_train.errors import TrainingError
from octopack_train.megatron.indexed import IndexedReader, IndexedWriter, token_type

DOCUMENTS = [[1, 2, 3], [4], [65499, 0, 7, 7]]


@pytest.fixture(params=[np.uint16, np.int32, np.uint8])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with IndexedWriter(tmp_path / "data", request.param) as writer:
        for document in DOCUMENTS:
            writer.add_document(np.asarray(document).astype(request.param).tolist())
    return tmp_path / "data"


def expected(prefix: Path) -> list[list[int]]:
    kind = IndexedReader(prefix)[0].dtype
    return [np.asarray(document).astype(kind).tolist() for document in DOCUMENTS]


def test_our_reader_gives_the_documents_back(prefix: Path):
    reader = IndexedReader(prefix)
    assert [reader[at].tolist() for at in range(len(reader))] == expected(prefix)
    assert reader.documents.tolist() == [0, 1, 2, 3]


def test_a_reader_written_from_the_format_alone_agrees(prefix: Path):
    index, tokens = Path(f"{prefix}.idx").read_bytes(), Path(f"{prefix}.bin").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, documents = struct.unpack_from("<QBQQ", index, 9)
    kind = {1: "<B", 4: "<i", 8: "<H"}[code]
    assert (version, sequences, documents) == (1, 3, 4)
    lengths = struct.unpack_from("<3i", index, 34)
    offsets = struct.unpack_from("<3q", index, 46)
    assert struct.unpack_from("<4q", index, 70) == (0, 1, 2, 3)
    assert len(index) == 102
    found = [
        [struct.unpack_from(kind, tokens, offset + at * struct.calcsize(kind))[0] for at in range(length)]
        for length, offset in zip(lengths, offsets, strict=True)
    ]
    assert found == expected(prefix)


def test_megatron_core_reads_it(prefix: Path):
    megatron = pytest.importorskip("megatron.core.datasets.indexed_dataset", reason="needs megatron-core")
    dataset = megatron.IndexedDataset(str(prefix))
    assert [dataset[at].tolist() for at in range(len(dataset))] == expected(prefix)
    assert dataset.document_indices.tolist() == [0, 1, 2, 3]


def test_the_token_type_follows_the_vocabulary():
    assert token_type(49152) is np.uint16
    assert token_type(65500) is np.int32


def test_an_error_while_writing_leaves_nothing(tmp_path: Path):
    with pytest.raises(OverflowError), IndexedWriter(tmp_path / "data", np.uint16) as writer:
        writer.add_document([70000])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: IndexedWriter) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexedWriter, "_write_index", full)
    with pytest.raises(OSError, match="No space"), IndexedWriter(tmp_path / "data", np.uint16) as writer:
        writer.add_document([1])
    assert list(tmp_path.iterdir()) == []


def test_damaged_data_sets_are_refused(tmp_path: Path):
    with IndexedWriter(tmp_path / "data", np.uint16) as writer:
        writer.add_document([1, 2])
    index = tmp_path / "data.idx"
    whole = index.read_bytes()
    for damage, complaint in ((whole[:30], "damaged"), (b"x" + whole[1:], "does not begin"), (b"", "begin")):
        index.write_bytes(damage)
        with pytest.raises(TrainingError, match=complaint):
            IndexedReader(tmp_path / "data")
    index.write_bytes(whole)
    (tmp_path / "data.bin").write_bytes(b"1")
    with pytest.raises(TrainingError, match="does not belong"):
        IndexedReader(tmp_path / "data")
    with pytest.raises(TrainingError, match="is missing"):
        IndexedReader(tmp_path / "other")
