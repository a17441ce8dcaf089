"""`python -m benchmarks`: runs the parts, prints their tables, and puts those of a whole run into README.md."""

import argparse
from pathlib import Path

from benchmarks import anomalies, io_manager, long_loads, one_day, real_year
from benchmarks.laboratory import CHECKOUT, open_laboratory, server_version
from benchmarks.measuring import note
from benchmarks.report import README, machine, write_part, write_results

PARTS = {
    "a": "the IO manager beside COPY and pandas",
    "b": "a real shop's year beside the usual script and dlt",
    "c": "one day's run, cold and warm",
    "d": "anomalies: unusual days found, ordinary days that alarm",
    "e": "long loads: the last day first, and ten years of days",
}
REAL_SHOP = CHECKOUT.parent / "shared" / "real_shop"
EXAMPLES = """examples:
  python -m benchmarks                          all parts, about ten minutes; writes benchmarks/README.md
  python -m benchmarks --only a --rows 100000 --repeat 1
  python -m benchmarks --only b --real-shop ~/real_shop
  python3 make.py bench --only c                in the project's own environment
  python -m benchmarks --only d --write         puts this part's new results beside the others in benchmarks/README.md
"""


def main() -> None:
    """Read the options, run the parts and tell their results."""
    options = _parser().parse_args()
    laboratory = open_laboratory()
    measured = f"Measured on {machine(server_version(laboratory))}. Repetitions: {options.repeat}."
    message = {}
    for part in options.only or PARTS:
        if part == "a":
            message[part] = io_manager.run(laboratory, options.rows, options.repeat)
        elif part == "b":
            folder: Path = options.real_shop.expanduser().absolute()
            message[part] = real_year.run(laboratory, folder.parent if folder.is_file() else folder, options.repeat)
        elif part == "c":
            message[part] = one_day.run(laboratory, options.repeat)
        elif part == "d":
            message[part] = anomalies.run()
        else:
            message[part] = long_loads.run(laboratory, options.repeat)
    text = "\n\n".join([measured, *message.values()])
    print(text)
    if options.only and options.write:
        for part, results in message.items():
            write_part(part, results, measured)
        note(f"Written to {README}.")
    elif options.only:
        note(f"Not written: {README} holds the results of whole runs.")
    else:
        write_results(text)
        note(f"Written to {README}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the pipeline beside its peers and the machine's own limits. Parts:\n"
        + "\n".join(f"  {part}  {what}" for part, what in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part only; may be given again")
    parser.add_argument("--write", action="store_true", help="write the results of the chosen parts, too")
    parser.add_argument(
        "--rows", type=_positive, default=1_000_000, metavar="N", help="rows of the ledger in part a (default: 1000000)"
    )
    parser.add_argument(
        "--repeat", type=_positive, default=3, metavar="N", help="repetitions of everything (default: 3)"
    )
    parser.add_argument(
        "--real-shop",
        type=Path,
        default=REAL_SHOP,
        metavar="PATH",
        help=f"folder of the real shop's serve.py (default: {REAL_SHOP})",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


if __name__ == "__main__":
    main()
