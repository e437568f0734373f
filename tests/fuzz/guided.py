"""`python -m tests.fuzz.guided PARSER CORPUS ARTIFACTS SEED SECONDS`: one parser under atheris, which follows the code that it reaches.

A process of its own, since libFuzzer ends the process that it runs in; it bounds time and memory of each input itself and
leaves the input that broke something in ARTIFACTS. Exit status 0: nothing did.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["custody", "sync", "schemas"]):
    from tests.fuzz.parsers import PARSERS, SECONDS

from sync.core.errors import Problem


def main() -> None:
    name, corpus, artifacts, seed, seconds = sys.argv[1:]
    parser = next(one for one in PARSERS if one.name == name)
    longest = max(map(len, parser.seeds()))

    def one_input(content: bytes) -> None:
        try:
            parser.read(content)
        except Problem as problem:
            problem.text("zh")

    options = [
        corpus, f"-artifact_prefix={artifacts}/{name.replace(' ', '-')}.", f"-seed={seed}", f"-max_total_time={seconds}",
        f"-timeout={round(SECONDS * 5)}", "-rss_limit_mb=1536", f"-max_len={2 * longest + 1024}", "-verbosity=1", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
