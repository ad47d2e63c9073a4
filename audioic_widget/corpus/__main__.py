"""``audioic corpus SOURCE... --output DATASET``: IC of many files as Parquet; run again, it goes on where it ended."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence, Set
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from audioic_widget.console import description, exit_status
from audioic_widget.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from audioic_widget.corpus import ICDataset

SETTINGS = (
    "alignment",
    "preset",
    "noise_levels",
    "noising",
    "monte_carlo_samples",
    "n_steps",
    "n_probes",
    "audio_type",
    "seed",
)
"""Fields of `ICSettings` that are options of the command."""

FAILURES_SHOWN = 10
"""Files without a result that are named at the end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 after an error of the package's own or if a file has no result, or 130 if interrupted."""
    options = parser().parse_args(arguments)
    return exit_status(lambda: run(options), options.output, "what is done is kept, and the same command goes on.")


def run(options: argparse.Namespace) -> int:
    """Do what `options` ask for; the exit status."""
    # Torch is slow to import: help and mistakes do not wait for it.
    from audioic_widget.corpus.run import compute_corpus
    from audioic_widget.corpus.sources import find_items, share
    from audioic_widget.settings import ICSettings

    fields = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    settings = ICSettings(**fields)
    items = find_items(options.sources)
    if options.dry_run:
        print(estimate(items, options.model, options.device, settings))
        return 0
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        data = compute_corpus(
            items,
            options.output,
            model=options.model,
            device=options.device,
            settings=settings,
            workers=options.workers,
            threads=options.threads,
            executor=stack.enter_context(dask_client(options.scheduler)) if options.scheduler else None,
            shard=options.shard,
            shard_files=options.shard_files,
            retry_failed=options.retry_failed,
            progress=True,
            on_shard=rows.extend,
        )
    failed = failures(data, {item.id for item in share(items, options.shard)})
    print(f"{len(rows)} of {len(items)} files computed, {len(failed)} without a result -> {options.output}")
    for file, reason in failed[:FAILURES_SHOWN]:
        print(f"  {file}: {reason}", file=sys.stderr)
    if hidden := len(failed[FAILURES_SHOWN:]):
        print(f"  {hidden} more are in the dataset's table of files.", file=sys.stderr)
    if failed:
        print("Mend what failed and call again, with --retry-failed if the cause lay elsewhere.", file=sys.stderr)
    return 2 if failed else 0


def failures(data: ICDataset, files: Set[str]) -> list[tuple[str, str]]:
    """Those of `files` that have no result, of this run and of earlier ones, with the reason."""
    import pyarrow.dataset as pads

    table = data.scan("files").to_table(columns=["file", "error"], filter=pads.field("status") != "ok")
    return [(row["file"], row["error"]) for row in table.to_pylist() if row["file"] in files]


def dask_client(address: str) -> Any:
    """A client of the Dask cluster at `address`."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ModelError(
            'A Dask cluster needs the package distributed: install it with pip install "audioic-widget[cluster]".'
        ) from error
    try:
        return Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise SettingsError(f"There is no Dask scheduler at {address}: check the address and that it runs.") from error


def estimate(items: Sequence[Any], model: str, device: str, settings: Any) -> str:
    """Hours of audio, time on one worker and size of the dataset, by a trial on 20 s of noise."""
    import numpy as np
    import soundfile

    from audioic_widget.frames import FRAME_PERIOD
    from audioic_widget.ic import compute_ic

    seconds, unreadable = 0.0, 0
    for item in items:
        try:
            whole = soundfile.info(item.path).duration
            seconds += max(min(item.end or whole, whole) - (item.start or 0.0), 0.0)
        except (soundfile.LibsndfileError, OSError):
            unreadable += 1
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * 44_100)
    begin = time.perf_counter()
    compute_ic(noise, sample_rate=44_100, model=model, device=device, settings=settings)
    rate = 20 / (time.perf_counter() - begin)
    size = seconds / FRAME_PERIOD * len(settings.noise_levels) * 10 / 1e6
    return (
        f"{len(items)} files, {unreadable} unreadable, {seconds / 3600:.2f} h of audio: about {seconds / rate / 3600:.2f} h "
        f"on one worker like this one, {size:.1f} MB."
    )


def shard(text: str) -> tuple[int, int]:
    """``i/n`` as two numbers."""
    number, count = (int(word) for word in text.split("/"))
    return number, count


def parser() -> argparse.ArgumentParser:
    """The command line; what is not given is the library's default."""
    command = argparse.ArgumentParser("audioic corpus", description=description(__doc__))
    add = command.add_argument
    add("sources", nargs="+", help="files, folders, globs, or manifests (csv, parquet: path, id, start, end)")
    add("--output", required=True, help="folder of the dataset")
    add("--model", default="mini", help="name, folder or file of the model (%(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda, ... (%(default)s)")
    add("--workers", type=int, default=0, help="local processes; 0: this one (%(default)s)")
    add("--threads", type=int, help="of PyTorch in a worker (1 in local processes)")
    add("--scheduler", help="address of a Dask scheduler to compute on, tcp://host:8786")
    add("--shard", type=shard, default=(1, 1), help="i/n: this job's share, for arrays of jobs (1/1)")
    add("--shard-files", type=int, help="files computed and written together (100, or some shards for every worker)")
    add("--retry-failed", action="store_true", help="compute files again that had an error, changed or not")
    add("--dry-run", action="store_true", help="only estimate time and size")
    add("--preset", help="draft, standard (default), pa-audioic or exact")
    add("--noise-levels", "--noise_levels", type=float, nargs="+", help="levels between 0 and 1 (0 0.3 0.6)")
    add("--noising", help="expectation (default), monte_carlo, flow or average")
    add("--monte-carlo-samples", type=int, help="draws of monte_carlo and average")
    add("--n-steps", type=int, help="of the solver")
    add("--n-probes", type=int, help="of the divergence estimate")
    add("--alignment", help="grid (default) or published")
    add("--audio-type", help="music (default) or voice")
    add("--seed", type=int, help="of everything drawn (0)")
    return command


if __name__ == "__main__":
    sys.exit(main())
