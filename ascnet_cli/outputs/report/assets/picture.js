// What can be wrong with a video in a browser, and what is done about it.
const WAIT_FOR_FRAME = 1500;
const LARGEST_WHOLE = 1e9;

// Browsers count from the file's own zero, and some from its first stream; we count from the first frame. So
// the first frame is waited for, from before the video is loaded, and where it lies the browser says itself.
function findBeginning(video, found) {
  if (!video.requestVideoFrameCallback) {
    found(0);
    return;
  }
  video.requestVideoFrameCallback((_, frame) => found(frame.mediaTime * 1000));
  video.addEventListener("loadeddata", () => {
    video.currentTime = 0; // where sound begins before the picture, no frame is shown without being asked for
    setTimeout(() => found(0), WAIT_FOR_FRAME);
  }, { once: true });
}

// A simple web server sends files whole or not at all, and a browser cannot jump in what it has not got.
// There the video is fetched whole.
function fetchWhereNoParts(video, note, loaded) {
  const check = async () => {
    const { seekable } = video;
    const canJump = seekable.length > 0 && seekable.end(seekable.length - 1) > 0;
    if (canJump || !location.protocol.startsWith("http") || video.currentSrc.startsWith("blob:")) return;
    note("This web server cannot send parts of a file: the video is being loaded whole.");
    try {
      const answer = await fetch(video.currentSrc);
      if (!answer.ok || Number(answer.headers.get("content-length")) > LARGEST_WHOLE) throw new Error("too large");
      const copy = URL.createObjectURL(await answer.blob());
      const playing = !video.paused;
      video.src = copy;
      note("");
      loaded(playing);
    } catch {
      note("This web server cannot send parts of a file, so jumping to a time does not work:"
        + " open the page from a disk, or through another server.");
    }
  };
  video.addEventListener("loadedmetadata", check);
}

// Says why there is no picture, where there is none; everything else goes on without it.
function watchForTrouble(video, name, lost) {
  const instead = " Times go by a clock instead, and everything else works.";
  if (!video.dataset.src) {
    lost(`No video file was given for this page.${instead}`);
    return;
  }
  const ending = /\.([a-z0-9]+)$/i.exec(name);
  const kind = ending ? ` (${ending[1].toLowerCase()})` : "";
  const report = () => lost(video.error && video.error.code !== MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED
    ? `The video stopped: it is damaged, or could not be read any further.${instead}`
    : `This browser cannot show ${name}${kind}: it does not know the format, or the file is no longer where`
      + ` this page looks for it.${instead} To see the picture, convert the video to H.264 in mp4 and make`
      + " the report from that.");
  video.addEventListener("error", report);
  video.addEventListener("loadedmetadata", () => video.videoWidth || report()); // no width: sound alone
}
