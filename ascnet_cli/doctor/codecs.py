"""Which videos can be decoded here, and whether clips can be encoded."""

from __future__ import annotations

from ascnet_cli.doctor.findings import Finding

# Each codec, with FFmpeg's decoders for it. Its own decoder called "av1" needs a graphics card's help.
_DECODERS = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "vp9": ("vp9", "libvpx-vp9"),
    "av1": ("libdav1d", "libaom-av1"),
    "mpeg4": ("mpeg4",),
}
_ENCODER = "libx264"
_FIX = "install PyAV's wheel again, pip install --force-reinstall av: one built by hand may lack codecs"


def look_at_codecs() -> Finding:
    """Decoders of the usual codecs, and the encoder of clips."""
    import av

    decoders = {codec: any(_has(name, "r") for name in names) for codec, names in _DECODERS.items()}
    encoder = _has(_ENCODER, "w")
    facts: dict[str, object] = {
        "decoder": f"pyav {av.__version__}",
        "ffmpeg": str(av.ffmpeg_version_info),
        "decoders": decoders,
        "encoders": {_ENCODER: encoder},
    }
    here = " ".join(codec for codec, known in decoders.items() if known)
    text = f"FFmpeg {av.ffmpeg_version_info} by PyAV {av.__version__} decodes {here or 'none of the usual'}"
    text += f", encodes with {_ENCODER}" if encoder else ""
    missing = [codec for codec, known in decoders.items() if not known]
    if "h264" in missing:
        return Finding("codecs", "problem", text, f"h264, the most usual codec, is missing: {_FIX}", 1, facts)
    if missing or not encoder:
        lacking = ", ".join([*missing, *([] if encoder else [f"the encoder {_ENCODER}"])])
        return Finding("codecs", "warning", text, f"missing: {lacking}; {_FIX}", 0, facts)
    return Finding("codecs", "ok", text, facts=facts)


def _has(name: str, mode: str) -> bool:
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.codec.Codec(name, "r" if mode == "r" else "w")
    except UnknownCodecError:
        return False
    return True
