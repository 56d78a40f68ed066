"""A report that opens in a browser: the video, a timeline of what was found in it, curves, a table.

    write_report([VideoPage(result, Path("clip.mp4"), curves, truth=None)], Path("report.html"))

One page is one file that loads nothing but the video; several pages lie in a folder beside an index.
"""

from ascnet_cli.outputs.report.media import EMBED_LIMIT_BYTES
from ascnet_cli.outputs.report.page import VideoPage
from ascnet_cli.outputs.report.write import write_report

__all__ = ["EMBED_LIMIT_BYTES", "VideoPage", "write_report"]
