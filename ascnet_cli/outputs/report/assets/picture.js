// What can be wrong with a video in a browser, and what is done about it.
const WAIT_FOR_FRAME = 1500;
const LARGEST_WHOLE = 1e9;

// Browsers count from the file's own zero, and some from its first stream; we count from the first frame. So
// the first frame is looked for, and where it lies is asked of the browser itself.
function findBeginning(video, found) {
  const look = () => {
    if (!video.requestVideoFrameCallback) {
      found(0);
      return;
    }
    video.requestVideoFrameCallback((_, frame) => found(frame.mediaTime * 1000));
    video.currentTime = 0;
    setTimeout(() => found(0), WAIT_FOR_FRAME);
  };
  if (video.readyState >= 2) look();
  else video.addEventListener("loadeddata", look, { once: true });
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
  if (video.readyState >= 1) check();
}

// Says why there is no picture, where there is none; everything else goes on without it.
function watchForTrouble(video, name, lost) {
  const instead = " Times go by a clock instead, and everything else works.";
  if (!video.getAttribute("src")) {
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
  const look = () => {
    if (video.error || (video.readyState >= 1 && !video.videoWidth)) report(); // no width: sound alone
  };
  video.addEventListener("error", look);
  video.addEventListener("loadedmetadata", look);
  look();
}
