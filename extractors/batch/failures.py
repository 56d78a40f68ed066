"""`failures.jsonl`: the videos that have no features, and why; one JSON object a line, sorted by video.

Several processes may write it: each reads what is there, puts its own in and takes out what has succeeded
since, under a claim. There is no time in it, so that the same failures give the same bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from extractors.batch.claims import Claims
from extractors.batch.jobs import Failure, Video
from extractors.batch.state import Stamp, stamp
from weights.atomic import replacing
from weights.documents import parse_json
from weights.errors import AscnetError

NAME = "failures.jsonl"
_AGAIN_S = 0.05
Record = dict[str, str]


class FailureLog:
    """The record of one output folder.

    Args:
        folder: the output folder.
        claims: of this process; the record has one too.
    """

    def __init__(self, folder: Path, claims: Claims) -> None:
        self.path = folder / NAME
        self._claims = claims
        # No video can have this one: a video's claim is called as the video is, which ends otherwise.
        self._claim = folder / ".ascnet-failures.claim"
        self._seen: tuple[Stamp, dict[str, Record]] = (None, {})
        self._first = self.read()

    def read(self) -> dict[str, Record]:
        """What is recorded now, by video; a line that cannot be read is left out."""
        now = stamp(self.path)
        if now is None or now != self._seen[0]:
            self._seen = (now, read_records(self.path))
        return self._seen[1]

    def recorded_since(self, video: str) -> Failure | None:
        """How another process failed at a video since this one began; None where none did."""
        record = self.read().get(video)
        if record is None or record == self._first.get(video):
            return None
        return Failure(
            stage="worker",
            error_class=record.get("error_class", ""),
            message=f"{record.get('message', '')} (in another process)",
            hint=record.get("hint", ""),
        )

    def update(
        self,
        failed: Mapping[str, Record],
        succeeded: Iterable[str],
        *,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Put videos in and take others out; the file goes when it is empty.

        Args:
            failed: a record a video, from `record_of`.
            succeeded: names of videos that have features now.
            give_up: asked while another process has the file.

        Raises:
            OutputError: the folder cannot be written to.
            StorageError: the disk is full.
        """
        gone = set(succeeded)
        if not failed and not gone & self.read().keys():
            return
        while not self._claims.take(self._claim):
            if give_up():
                return
            time.sleep(_AGAIN_S)
        try:
            # What another machine wrote may not show in the file's dates yet.
            before = read_records(self.path)
            records = {name: record for name, record in {**before, **failed}.items() if name not in gone}
            if self.path.is_symlink():  # it may lead anywhere
                self.path.unlink()
            if records:
                with replacing(self.path) as file:
                    file.writelines(
                        json.dumps(record, sort_keys=True).encode() + b"\n"
                        for _, record in sorted(records.items())
                    )
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise AscnetError(f"{self.path}: cannot be removed: {error.strerror}") from error
        finally:
            self._claims.release(self._claim)


def read_records(path: Path) -> dict[str, Record]:
    """What a record says, by video; a line that cannot be read is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return {}
    records: dict[str, Record] = {}
    for line in lines:
        try:
            record = parse_json(line)
            records[str(record["video"])] = {str(key): str(value) for key, value in record.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return records


def failed_before(folder: Path) -> dict[str, str]:
    """Why videos failed in earlier runs into an output folder, in a sentence, by their names."""
    return {video: record.get("message", "") for video, record in read_records(folder / NAME).items()}


def record_of(video: Video, failure: Failure) -> Record:
    """A line of the record."""
    return {
        "video": video.name,
        "path": str(video.path),
        "stage": failure.stage,
        "error_class": failure.error_class,
        "message": failure.message,
        "hint": failure.hint,
    }
