"""Where results are to go: what a person asked for, checked whole before any work, and the files it means."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ascnet_cli.errors import OptionError, OutputError
from ascnet_cli.outputs import files
from ascnet_cli.outputs.folders import check_inside
from ascnet_cli.outputs.kept import check_keepable, kept_name
from ascnet_cli.outputs.media import LARGEST_FPS
from ascnet_cli.segments import Detection
from weights import atomic

BATCH_NAME = "segments"  # of a file in a folder that has all videos
VIDEO_ENDINGS = (".mp4", ".m4v", ".mov")  # that annotated videos are written with
_HEAD_BYTES = 4096  # of a report, in which it says who made it
_REPORT_MARK = b'<meta name="generator" content="ascnet">'


@dataclass(frozen=True, slots=True)
class TextTarget:
    """A file of segments, or a folder for them.

    Attributes:
        path: the file or the folder.
        formats: names of `outputs.files.FORMATS`; one for a file.
        is_folder: a file a format goes there, or a file a video and format where a format holds one video.
    """

    path: Path
    formats: tuple[str, ...]
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder, as a person wrote it: a folder is there already, or ends with a slash."""

    path: Path
    is_folder: bool

    @classmethod
    def of(cls, text: str) -> Place:
        """Read what a person wrote."""
        is_there = os.path.isdir(text)  # noqa: PTH112 - Path.is_dir raises on a name that is too long
        return cls(Path(text), is_there or text.endswith(("/", os.sep)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for beside the segments on the screen.

    Attributes:
        texts: files of segments.
        stdout: the format of what goes to standard output.
        video: the annotated video, or a folder of them.
        clips: a folder for one file a segment.
        clips_copy: cut clips at key frames, without encoding.
        report: a page for the browser.
        embed: put the videos into the page.
        truth: annotations in ActivityNet's JSON, for the report.
        fps: frame rate for formats that count frames, instead of the videos' own.
        spreadsheet_safe: no cell of a CSV can be taken for a formula.
        force: replace whatever is there, inputs excepted; files of segments are kept beside all the same.

    Raises:
        OptionError: an option that would do nothing.
    """

    texts: tuple[TextTarget, ...] = ()
    stdout: str | None = None
    video: Place | None = None
    clips: Path | None = None
    clips_copy: bool = False
    report: Path | None = None
    embed: bool = False
    truth: Path | None = None
    fps: float | None = None
    spreadsheet_safe: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        formats = self.formats
        for is_there, needs, option, what in (
            (self.clips_copy, self.clips is not None, "--clips-copy", "--clips"),
            (self.embed, self.report is not None, "--embed", "--report"),
            (self.truth is not None, self.report is not None, "--truth", "--report"),
            (self.fps is not None, "label-studio" in formats, "--fps", "the format label-studio"),
            (self.spreadsheet_safe, "csv" in formats, "--spreadsheet-safe", "a CSV"),
        ):
            if is_there and not needs:
                raise OptionError(f"{option} without {what}", hint=f"leave it out, or ask for {what} too")
        if self.fps is not None and not 0 < self.fps <= LARGEST_FPS:
            raise OptionError(
                f"--fps must lie in (0, {LARGEST_FPS:g}], not {self.fps}", hint="for example 29.97"
            )

    @property
    def formats(self) -> frozenset[str]:
        """All formats of segments."""
        said = {name for text in self.texts for name in text.formats}
        return frozenset(said if self.stdout is None else {*said, self.stdout})

    @property
    def draws(self) -> bool:
        """Whether pictures of the videos are needed."""
        return self.video is not None or self.clips is not None


@dataclass(frozen=True, slots=True)
class Source:
    """A video that results are about.

    Attributes:
        name: what outputs call it.
        path: the file; None where only features or results of it are there.
    """

    name: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class TextFile:
    """One file of segments to be written: of one video, or of all (`video` is None)."""

    path: Path
    format: str
    video: str | None = None
    folder: Path | None = None  # that was asked for; None: the file itself was


@dataclass(frozen=True, slots=True)
class Plan:
    """Every file that is to be written, settled before any work.

    Attributes:
        wanted: what was asked for.
        sources: by name.
        texts: files of segments.
        videos: annotated videos, by the name of their source.
        truth: instances by the name of the video, as far as known.
    """

    wanted: Wanted
    sources: Mapping[str, Source]
    texts: tuple[TextFile, ...] = ()
    videos: Mapping[str, Path] = field(default_factory=dict)
    truth: Mapping[str, tuple[Detection, ...]] = field(default_factory=dict)


def text_targets(outs: Sequence[str], formats: Sequence[str]) -> tuple[TextTarget, ...]:
    """Where files of segments go, from what a person wrote.

    A file takes its format from its ending, or the one format that is named beside a single file; folders
    take all formats that are named.

    Raises:
        OptionError: a format that is not known, or that no file or several could have.
    """
    for name in formats:
        files.format_of(Path(), name)
    formats = tuple(dict.fromkeys(formats))
    if formats and not outs:
        raise OptionError("--format without --out", hint="say where the segments go with --out")
    places = [Place.of(text) for text in outs]
    if "" in outs:
        raise OptionError("--out is empty", hint="name a file, or - for standard output")
    only_file = len(places) == 1 and not places[0].is_folder
    if only_file and len(formats) > 1:
        raise OptionError(
            f"{places[0].path} cannot have the formats {' and '.join(formats)}",
            hint=f"name a folder with --out {places[0].path}/, or a file for each format",
        )
    if formats and not only_file and not any(place.is_folder for place in places):
        raise OptionError(
            "--format beside several files",
            hint="their endings say their formats; a folder (--out FOLDER/) takes the formats that are named",
        )
    targets = []
    for place in places:
        if place.is_folder and formats:
            targets.append(TextTarget(place.path, formats, is_folder=True))
        elif place.is_folder:
            raise OutputError(
                f"{place.path} is a folder",
                hint="give the name of a file in it, or name formats with --format",
            )
        else:
            name = files.format_of(place.path, formats[0] if only_file and formats else None)
            targets.append(TextTarget(place.path, (name,)))
    return tuple(targets)


def check_places(wanted: Wanted) -> None:
    """Hold that everything can be written where it is asked for; folders are made.

    Raises:
        OutputError: a place that is missing, is something else, or cannot be written to.
        StorageError: the disk is full.
    """
    for text in wanted.texts:
        if text.is_folder:
            _make_folder(text.path)
        else:
            files.check_writable(text.path, text.formats[0])
            if not wanted.force:
                files.check_replaceable(text.path, text.formats[0])
    if wanted.video is not None:
        if wanted.video.is_folder:
            _make_folder(wanted.video.path)
        else:
            _check_video_ending(wanted.video.path)
            atomic.check_writable(wanted.video.path)
    if wanted.clips is not None:
        _make_folder(wanted.clips)
    if wanted.report is not None:
        if wanted.report.suffix.lower() not in (".html", ".htm"):
            raise OptionError(f"{wanted.report}: a report ends with .html", hint="give it that ending")
        atomic.check_writable(wanted.report)


def plan(
    wanted: Wanted, sources: Sequence[Source], reads: Sequence[Path] = (), *, n_videos: int | None = None
) -> Plan:
    """Settle every file, and hold that none is in the way of another or of what is read.

    Args:
        wanted: checked by `check_places`.
        sources: the videos; names are different.
        reads: other files that the run reads.
        n_videos: how many were asked for, where some are already known to have failed.

    Raises:
        OptionError: one file for several videos, files in each other's way, or a video that is not there
            though its pictures are asked for.
        OutputError: a file that is there and that ascnet did not write, or that could not be kept; a link
            that leads out of a folder that was asked for.
        PredictionsError: the ground truth cannot be read.
    """
    _check_one_video(wanted, len(sources) if n_videos is None else n_videos)
    _check_pictures(wanted, sources)
    made = Plan(
        wanted,
        {source.name: source for source in sources},
        tuple(_text_files(wanted, sources)),
        _video_files(wanted, sources),
        _truth(wanted.truth, sources) if wanted.truth is not None else {},
    )
    targets: list[tuple[Path, str | None, str | None]]
    targets = [(text.path, text.video, text.format) for text in made.texts]
    targets += [(path, video, None) for video, path in made.videos.items()]
    if wanted.report is not None:
        targets += [(path, None, None) for path in _report_files(wanted.report, sources)]
    _check_apart(targets)
    for folder, path in _below_folders(made, sources):
        check_inside(folder, path)
    inputs = [source.path for source in sources if source.path is not None]
    for path, _, name in targets:
        _check_no_input(path, [*inputs, *reads])
        if path.is_dir() or (path.parent.exists() and not path.parent.is_dir()):
            blocked = path if path.is_dir() else path.parent
            raise OutputError(f"{blocked} is in the way", hint="give another place, or move it")
        if not wanted.force:
            _check_replaceable(path, name)
        if name is not None:
            check_keepable(path)
            _check_no_input(kept_name(path), [*inputs, *reads])
    return made


def file_name(video: str, ending: str = "") -> PurePosixPath:
    """A relative path for a file about a video, which never leaves its folder.

    The tree of the videos is mirrored, and endings stay: `a.mp4` and `a.avi` have files of their own.
    """
    parts = [part.replace("\0", "_") for part in f"{video}{ending}".split("/")]
    return PurePosixPath(*(part if part not in ("", ".", "..") else "_" for part in parts))


def _below_folders(made: Plan, sources: Sequence[Source]) -> Iterator[tuple[Path, Path]]:
    """Each file that takes its name from a video, with the folder that a person named."""
    wanted = made.wanted
    for text in made.texts:
        if text.folder is not None:
            yield text.folder, text.path
    if wanted.video is not None and wanted.video.is_folder:
        for path in made.videos.values():
            yield wanted.video.path, path
    if wanted.report is not None:
        for path in _report_files(wanted.report, sources)[1:]:
            yield wanted.report.parent, path


def _text_files(wanted: Wanted, sources: Sequence[Source]) -> Iterator[TextFile]:
    for text in wanted.texts:
        for name in text.formats:
            form = files.FORMATS[name]
            if not text.is_folder:
                yield TextFile(text.path, name, sources[0].name if form.one_video and sources else None)
            elif form.one_video:
                for source in sources:
                    yield TextFile(
                        text.path / file_name(source.name, form.ending), name, source.name, text.path
                    )
            else:
                yield TextFile(text.path / f"{BATCH_NAME}{form.ending}", name, None, text.path)


def _video_files(wanted: Wanted, sources: Sequence[Source]) -> dict[str, Path]:
    if wanted.video is None:
        return {}
    if not wanted.video.is_folder:
        return {source.name: wanted.video.path for source in sources}
    found = {}
    for source in sources:
        keeps = PurePosixPath(source.name).suffix.lower() in VIDEO_ENDINGS
        found[source.name] = wanted.video.path / file_name(source.name, "" if keeps else VIDEO_ENDINGS[0])
    return found


def _report_files(report: Path, sources: Sequence[Source]) -> list[Path]:
    if len(sources) < 2:
        return [report]
    from ascnet_cli.outputs.report.write import page_name, pages_folder

    folder = pages_folder(report)
    return [report, *(folder / page_name(source.name) for source in sources)]


def _truth(path: Path, sources: Sequence[Source]) -> dict[str, tuple[Detection, ...]]:
    from ascnet_cli.datasets.activitynet_json import read_activitynet
    from ascnet_cli.names import NameIndex

    annotated = {video.video: video for video in read_activitynet(path).videos}
    index = NameIndex(annotated)
    found = {}
    for source in sources:
        names = index.find(source.name)
        if len(names) == 1:
            instances = annotated[names[0]].instances
            found[source.name] = tuple(Detection(i.label, i.segment, 1.0) for i in instances)
    return found


def _check_one_video(wanted: Wanted, n_videos: int) -> None:
    if n_videos < 2:
        return
    if wanted.stdout is not None and files.FORMATS[wanted.stdout].one_video:
        raise OptionError(
            f"{wanted.stdout} on standard output holds one video, and {n_videos} are given",
            hint=f"--out FOLDER/ --format {wanted.stdout} writes a file for each video",
        )
    for text in wanted.texts:
        if not text.is_folder and files.FORMATS[text.formats[0]].one_video:
            name = text.formats[0]
            raise OptionError(
                f"{text.path} holds one video, and {n_videos} are given",
                hint=f"--out {text.path.with_suffix('')}/ --format {name} writes a file for each video",
            )
    if wanted.video is not None and not wanted.video.is_folder:
        path = wanted.video.path
        raise OptionError(
            f"--video {path} is one file, and {n_videos} videos are given",
            hint=f"name a folder: --video {path.with_suffix('')}/",
        )


def _check_pictures(wanted: Wanted, sources: Sequence[Source]) -> None:
    """Hold that there are videos where their pictures or frame rates are asked for."""
    lacking = [source.name for source in sources if source.path is None]
    if lacking and wanted.draws:
        raise OptionError(
            f"{lacking[0]}: the video itself is not given, so that no picture of it can be drawn",
            hint="give the video, or leave out --video and --clips",
        )
    if lacking and "label-studio" in wanted.formats and wanted.fps is None:
        raise OptionError(
            f"{lacking[0]}: the video itself is not given, and Label Studio counts its frames",
            hint="say the frame rate with --fps, or give the video",
        )
    if wanted.embed:
        from ascnet_cli.outputs.report.media import check_embeddable

        for source in sources:
            if source.path is not None and source.path.is_file():
                check_embeddable(source.path)


def _check_apart(targets: Sequence[tuple[Path, str | None, str | None]]) -> None:
    """Hold that no two files are one, not on a disk either that takes capitals for small letters."""
    seen: dict[str, tuple[Path, str | None]] = {}
    for path, video, _ in targets:
        entry = (path, video)
        known = seen.setdefault(os.path.realpath(path).casefold(), entry)
        if known is entry:
            continue
        whose = f" (for {known[1]!r} and {video!r})" if video and known[1] else ""
        raise OptionError(
            f"{known[0]} and {path} would be the same file{whose}", hint="give each a place of its own"
        )


def _check_no_input(path: Path, inputs: Sequence[Path]) -> None:
    for read in inputs:
        try:
            same = path.samefile(read)
        except OSError:  # one of them is not there
            same = False
        if same:
            raise OptionError(
                f"{path} would be written over {read}, which is read", hint="give another name or folder"
            )


def _check_replaceable(path: Path, format: str | None) -> None:
    """Hold that what is there is as ascnet made it; `format` is None for a video or a report."""
    if format is not None:
        files.check_replaceable(path, format)
        return
    if not path.is_file() or path.stat().st_size == 0:
        return
    try:
        if path.suffix.lower() in VIDEO_ENDINGS:
            from ascnet_cli.outputs.video.file import is_ours

            ours = is_ours(path)
        else:
            with path.open("rb") as file:
                ours = _REPORT_MARK in file.read(_HEAD_BYTES)
    except OSError:
        ours = False
    if not ours:
        raise files.not_ours(path)


def _check_video_ending(path: Path) -> None:
    if path.suffix.lower() not in VIDEO_ENDINGS:
        raise OptionError(
            f"{path}: an annotated video ends with {', '.join(VIDEO_ENDINGS)}",
            hint="give it one of these endings, or name a folder with a slash at its end",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise atomic.write_error(error, folder) from error
