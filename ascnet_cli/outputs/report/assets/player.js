// The clock that everything follows: the video's, or one of its own where there is no picture to show.
class Player {
  constructor(video, duration, changed) {
    Object.assign(this, { video, duration, changed, clock: null, stop: null, repeat: false, rate: 1 });
    for (const name of ["play", "pause", "seeked", "timeupdate", "loadedmetadata", "ratechange"]) {
      video.addEventListener(name, () => this.changed());
    }
    video.addEventListener("play", () => this.follow());
  }

  // From now on time goes by itself.
  withoutPicture() {
    const [time, playing] = [this.time, this.playing];
    this.video.pause();
    this.clock = { at: time, since: null };
    if (playing) this.play();
    this.changed();
  }

  get time() {
    if (!this.clock) return Math.min(this.video.currentTime * 1000, this.duration);
    const { at, since } = this.clock;
    return Math.min(since === null ? at : at + (performance.now() - since) * this.rate, this.duration);
  }

  get playing() {
    return this.clock ? this.clock.since !== null : !this.video.paused && !this.video.ended;
  }

  seek(ms) {
    const time = Math.min(Math.max(0, ms), this.duration);
    this.stop = null;
    this.move(time);
  }

  move(time) {
    if (this.clock) {
      this.clock.at = time;
      if (this.clock.since !== null) this.clock.since = performance.now();
    } else {
      this.video.currentTime = time / 1000;
    }
    this.changed();
  }

  play() {
    if (this.clock) {
      if (this.time >= this.duration) this.clock.at = 0;
      this.clock.since = performance.now();
      this.follow();
    } else {
      this.video.play().catch(() => this.changed());
    }
    this.changed();
  }

  pause() {
    if (this.clock) this.clock = { at: this.time, since: null };
    else this.video.pause();
    this.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  // A stretch, once or again and again.
  playStretch(start, end) {
    this.seek(start);
    this.stop = { start, end };
    this.play();
  }

  setRate(rate) {
    if (this.clock && this.clock.since !== null) {
      this.clock = { at: this.time, since: performance.now() };
    }
    this.rate = rate;
    this.video.playbackRate = rate;
  }

  follow() {
    const step = () => {
      if (!this.playing) return;
      if (this.stop && this.time >= this.stop.end && !this.video.seeking) {
        if (this.repeat) {
          this.move(this.stop.start);
        } else {
          this.stop = null;
          this.pause();
        }
      } else if (this.clock && this.time >= this.duration) {
        this.pause();
      }
      this.changed();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

// Says why there is no picture, where there is none; everything else goes on without it.
function watchForTrouble(video, name, lost) {
  const ending = /\.([a-z0-9]+)$/i.exec(name);
  const kind = ending ? ` (${ending[1].toLowerCase()})` : "";
  if (!video.getAttribute("src")) {
    lost("No video file was given for this page. Times go by a clock instead, and everything else works.");
    return;
  }
  const unplayable = () => lost(video.error && video.error.code !== 4
    ? "The video stopped: it is damaged, or could not be read any further."
      + " Times go by a clock instead, and everything else works."
    : `This browser cannot show ${name}${kind}: it does not know the format, or the file is no longer where`
      + " this page looks for it. Times go by a clock instead, and everything else works."
      + " To see the picture, convert the video to H.264 in mp4 and make the report from that.");
  video.addEventListener("error", unplayable);
  // Sound alone: the picture's codec is unknown.
  video.addEventListener("loadedmetadata", () => video.videoWidth || unplayable());
  if (video.error) unplayable();
  else if (video.readyState && !video.videoWidth) unplayable();
}
