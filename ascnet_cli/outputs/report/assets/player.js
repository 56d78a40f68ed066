// The clock that everything follows: the video's, or one of its own where there is no picture to show.
// Its time is ours: milliseconds from the first presented frame, which lies `late` after the video's own zero.
class Player {
  constructor(video, duration, changed) {
    Object.assign(this, { video, duration, changed, clock: null, stop: null, late: null, wanted: null, starting: false, aim: 0, repeat: false, rate: 1 });
    for (const name of ["play", "pause", "seeked", "timeupdate", "loadedmetadata", "ratechange"]) {
      video.addEventListener(name, () => this.changed());
    }
    video.addEventListener("play", () => this.follow());
  }

  // From now on time goes by itself.
  withoutPicture() {
    const [time, playing] = [this.time, this.playing];
    this.video.pause();
    this.starting = false;
    this.clock = { at: time, since: null };
    if (playing) this.play();
    this.changed();
  }

  get time() {
    if (!this.clock) {
      return this.wanted ?? Math.min(Math.max(0, this.video.currentTime * 1000 - (this.late || 0)), this.duration);
    }
    const { at, since } = this.clock;
    return Math.min(since === null ? at : at + (performance.now() - since) * this.rate, this.duration);
  }

  get playing() {
    return this.clock ? this.clock.since !== null : this.starting || !this.video.paused && !this.video.ended;
  }

  seek(ms) {
    const time = Math.min(Math.max(0, ms), this.duration);
    this.stop = null;
    this.move(time);
  }

  move(time) {
    this.aim = time;
    if (this.clock) {
      this.clock.at = time;
      if (this.clock.since !== null) this.clock.since = performance.now();
    } else if (this.late === null) {
      this.wanted = time; // until it is known where the video begins
    } else {
      this.video.currentTime = (time + this.late) / 1000;
    }
    this.changed();
  }

  // The video was loaded anew: to where it was sent last.
  reloaded(playing) {
    this.move(this.aim);
    if (playing) this.play();
  }

  // The first frame's time on the video's own clock is known: now times can be translated.
  beginsAt(ms) {
    if (this.late !== null) return;
    this.late = ms;
    if (this.wanted !== null) {
      const time = this.wanted;
      this.wanted = null;
      this.move(time);
    }
    if (this.starting) {
      this.starting = false;
      this.play();
    }
  }

  play() {
    if (this.clock) {
      if (this.time >= this.duration) this.clock.at = 0;
      this.clock.since = performance.now();
      this.follow();
    } else if (this.late === null) {
      this.starting = true; // a video that runs shows no first frame
    } else {
      this.video.play().catch(() => this.changed());
    }
    this.changed();
  }

  pause() {
    if (this.clock) this.clock = { at: this.time, since: null };
    else this.video.pause();
    this.starting = false;
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
