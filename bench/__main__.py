"""`python -m bench [NAME ...]`: run the named benchmarks, or all, each in a process of its own."""

import subprocess
import sys

from bench import report

NAMES = (
    "ingest",
    "processing",
    "segments",
    "segments_preview",
    "freshness",
    "decide",
    "training",
    "recommend",
    "recommenders",
    "end_to_end",
    "demo",
)


def main(names: list[str]) -> int:
    """Run each benchmark; return how many failed to run."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(
            f"unknown benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr
        )
        return 2
    failed = sum(
        subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode != 0
        for name in names or NAMES
    )
    report.main()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
