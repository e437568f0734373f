"""Proofs that other software made, checked by ours, and ours held against them byte by byte.

The numbers were published with github.com/transparency-dev/merkle (Go), whose tree is that of Certificate Transparency. They
are facts about one tree of eight leaves, the data of which is the first test's of `test_log.py`.
"""

from base64 import b64decode, b64encode

import pytest

from sync.core.log import Tree, leaf_hash, root_of, verify_consistency, verify_inclusion

DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in DATA]
EIGHT = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="

INCLUSION = [
    (0, 8, EIGHT, "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
     ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
      "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ="]),
    (5, 8, EIGHT, "QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=",
     ["vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=", "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
      "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="]),
    (2, 3, "rra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=", "ApjRIpBtz8EIkstTpzmS/FufST6kybrbJ7eRtBJ6f+c=",
     ["+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU="]),
]  # fmt: skip
CONSISTENCY = [
    (1, 8, "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=", EIGHT,
     ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
      "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ="]),
    (6, 8, "duZ9rbzfHhDht03cYIq9L5jfsW+851J3tSMqEn8gh+8=", EIGHT,
     ["DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=", "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
      "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="]),
    (2, 5, "+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=", "Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=",
     ["Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=", "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="]),
]  # fmt: skip


@pytest.fixture(scope="module")
def tree() -> Tree:
    tiles: dict[tuple[int, int], bytes] = {}
    made = Tree(lambda level, index: tiles.get((level, index), b""), 0)
    tiles.update(made.append(LEAVES))
    return made


def raw(texts: list[str]) -> list[bytes]:
    return [b64decode(one) for one in texts]


@pytest.mark.parametrize(("index", "size", "root", "leaf", "proof"), INCLUSION)
def test_an_inclusion_proof_made_by_other_software_verifies_and_ours_is_the_same(
    tree: Tree, index: int, size: int, root: str, leaf: str, proof: list[str]
) -> None:
    assert verify_inclusion(b64decode(leaf), index, size, raw(proof), b64decode(root))
    assert not verify_inclusion(b64decode(leaf), index ^ 1, size, raw(proof), b64decode(root))
    assert [b64encode(node).decode() for node in tree.inclusion(index, size)] == proof
    assert LEAVES[index] == b64decode(leaf) and root_of(LEAVES[:size]) == b64decode(root)


@pytest.mark.parametrize(("old", "new", "old_root", "new_root", "proof"), CONSISTENCY)
def test_a_consistency_proof_made_by_other_software_verifies_and_ours_is_the_same(
    tree: Tree, old: int, new: int, old_root: str, new_root: str, proof: list[str]
) -> None:
    assert verify_consistency(old, new, b64decode(old_root), b64decode(new_root), raw(proof))
    assert not verify_consistency(old, new, b64decode(new_root), b64decode(old_root), raw(proof))
    assert not verify_consistency(old, new, b64decode(old_root), b64decode(new_root), raw(proof)[::-1])
    assert [b64encode(node).decode() for node in tree.consistency(old, new)] == proof
