#!/usr/bin/env python3
"""Makes the audio in this folder from Debian's package wesnoth-1.16-music.

    apt-get download wesnoth-1.16-music=1:1.16.9-1
    dpkg-deb -x wesnoth-1.16-music_*.deb unpacked
    python3 make.py unpacked      # makes every file, then checks them
    python3 make.py --check       # only checks the files that are here

It takes Python's standard library and an ffmpeg with libmp3lame, libvorbis and libopus. The noise is
seeded and the encoders are asked to write no dates and no random serial numbers, so the same ffmpeg
makes the same bytes (5.1.9 made the ones that are kept here).
"""

import array
import json
import math
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MUSIC = "usr/share/games/wesnoth/1.16/data/core/music"
ALBUM = "The Battle for Wesnoth OST"
LICENCE = "GPL-2.0-or-later"

# song in the package, title, composer, year of the copyright notice
SONGS = {
    "breaking_the_chains": ("Breaking the Chains", "Mattias Westlund", 2007),
    "knalgan_theme": ("Knalgan Theme", "Ryan Reilly", 2007),
    "the_city_falls": ("The City Falls", "Doug Kaufman", 2007),
    "loyalists": ("Loyalists", "Joseph G. Toscano (Zhaytee)", 2004),
    "the_dangerous_symphony": ("The Dangerous Symphony", "Gianmarco Leone", 2008),
    "into_the_shadows": ("Into the Shadows", "Tyler Johnson", 2009),
    "vengeful": ("Vengeful Pursuit", "Jeremy Nicoll", 2007),
    "wanderer": ("Still Another Wanderer", "Timothy Pinkham", 2006),
    "heroes_rite": ("Heroes Rite", "Doug Kaufman", 2008),
    "underground": ("Underground", "Aleksi Aubry-Carlson", 2004),
}

# song, file, where in the song the clip starts and how long it is (seconds), channels, encoder
CATALOGUE = [
    ("breaking_the_chains", "catalogue/breaking-the-chains.mp3", 82, 24, 1,
     "-ar 44100 -c:a libmp3lame -b:a 64k -id3v2_version 3 -write_id3v1 1"),
    ("knalgan_theme", "catalogue/000/knalgan-theme.mp3", 306, 26, 2,
     "-ar 22050 -c:a libmp3lame -b:a 56k -id3v2_version 4"),
    ("into_the_shadows", "catalogue/into-the-shadows.mp3", 56, 24, 1,
     "-ar 44100 -c:a libmp3lame -q:a 6 -id3v2_version 3"),
    ("the_city_falls", "catalogue/the-city-falls.ogg", 60, 25, 1,
     "-ar 44100 -c:a libvorbis -q:a 0"),
    ("loyalists", "catalogue/loyalists.ogg", 60, 24, 2,
     "-ar 32000 -c:a libvorbis -q:a 0"),
    ("the_dangerous_symphony", "catalogue/the-dangerous-symphony.m4a", 38, 28, 1,
     "-ar 44100 -c:a aac -profile:a aac_low -b:a 48k"),
    ("wanderer", "catalogue/still-another-wanderer.flac", 112, 20, 1,
     "-ar 12000 -sample_fmt s16 -c:a flac -compression_level 12"),
    ("vengeful", "catalogue/vengeful-pursuit.opus", 40, 30, 1,
     "-ar 48000 -c:a libopus -b:a 32k"),
]

# file, catalogue file or song that is in no catalogue, where in it the recording starts and how long it
# is (seconds), sampling rate and channels while degrading, noise (kind, SNR in dB), ffmpeg filter, encoder,
# what was done in words
RECORDINGS = [
    ("recordings/noisy.m4a", "catalogue/breaking-the-chains.mp3", 7.13, 10, 44100, 1, ("white+pink", 5), None,
     "-c:a aac -profile:a aac_low -b:a 48k",
     "white and pink noise at 5 dB SNR, AAC-LC 48 kb/s mono"),
    ("recordings/phone.wav", "catalogue/loyalists.ogg", 11.37, 8, 44100, 1, ("white", 15),
     "highpass=f=300,highpass=f=300,lowpass=f=3400,lowpass=f=3400",
     "-ar 8000 -c:a pcm_s16le",
     "telephone band 300-3400 Hz, white noise at 15 dB SNR before the filter, 8 kHz mono 16-bit WAV"),
    ("recordings/clean.mp3", "catalogue/the-city-falls.ogg", 5.83, 8, 44100, 1, None, None,
     "-c:a libmp3lame -b:a 64k -write_id3v1 0",
     "no noise, MP3 64 kb/s mono"),
    ("recordings/noise0db.ogg", "catalogue/the-dangerous-symphony.m4a", 9.21, 10, 44100, 1, ("white", 0), None,
     "-c:a libvorbis -q:a 0",
     "white noise at 0 dB SNR, Vorbis mono"),
    ("recordings/pink.flac", "catalogue/vengeful-pursuit.opus", 13.77, 8, 44100, 1, ("pink", 3), None,
     "-ar 8000 -sample_fmt s16 -c:a flac -compression_level 12",
     "pink noise at 3 dB SNR, FLAC 8 kHz mono"),
    ("recordings/opus16.opus", "catalogue/000/knalgan-theme.mp3", 12.49, 9, 48000, 1, None, None,
     "-c:a libopus -b:a 16k",
     "no noise, Opus 16 kb/s mono"),
    ("recordings/quiet_stereo.wav", "catalogue/into-the-shadows.mp3", 8.64, 6, 44100, 2, None,
     "volume=-20dB",
     "-ar 11025 -c:a pcm_s16le",
     "20 dB quieter, 11.025 kHz stereo 16-bit WAV"),
    ("recordings/webm.webm", "catalogue/still-another-wanderer.flac", 6.58, 8, 48000, 1, ("white+pink", 15), None,
     "-c:a libopus -b:a 24k",
     "white and pink noise at 15 dB SNR, Opus 24 kb/s mono in WebM"),
    ("unknown/heroes-rite.m4a", "heroes_rite", 82.31, 10, 44100, 1, None, None,
     "-c:a aac -profile:a aac_low -b:a 48k",
     "not in the catalogue; no noise, AAC-LC 48 kb/s mono"),
    ("unknown/underground.ogg", "underground", 28.47, 10, 44100, 1, ("white+pink", 15), None,
     "-c:a libvorbis -q:a 0",
     "not in the catalogue; white and pink noise at 15 dB SNR, Vorbis mono"),
    ("recordings/noisy.mp3", "catalogue/loyalists.ogg", 3.21, 8, 44100, 1, ("white+pink", 5), None,
     "-c:a libmp3lame -b:a 48k -write_id3v1 0",
     "white and pink noise at 5 dB SNR, MP3 48 kb/s mono"),
]


def ffmpeg(*args, feed=None):
    cmd = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, args)]
    if feed is not None:
        cmd.remove("-nostdin")
    return subprocess.run(cmd, input=feed, stdout=subprocess.PIPE, check=True).stdout


def samples(path, rate, channels, start=0.0, length=None):
    """The file as interleaved floats, cut to the sample after decoding."""
    cut = f"atrim=start_sample={round(start * rate)}"
    if length is not None:
        cut += f":end_sample={round((start + length) * rate)}"
    raw = ffmpeg("-i", path, "-ac", 2, "-ar", rate, "-af", f"aresample={rate},{cut},asetpts=N/SR/TB",
                 "-f", "f32le", "-")
    out = array.array("f")
    out.frombytes(raw)
    if channels == 1:
        out = array.array("f", ((a + b) / 2 for a, b in zip(out[::2], out[1::2])))
    return out


def below(pcm, ceiling):
    """Turned down, if need be, so that no encoder clips: the songs are mastered up to the limit."""
    peak = max(map(abs, pcm))
    return pcm if peak <= ceiling else array.array("f", (x * ceiling / peak for x in pcm))


def encode(pcm, rate, channels, filters, codec, tags, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    args = ["-f", "f32le", "-ar", rate, "-ac", channels, "-i", "-", "-map_metadata", "-1"]
    if filters:
        args += ["-af", filters]
    args += codec.split()
    for key, value in tags.items():
        args += ["-metadata", f"{key}={value}"]
    ffmpeg(*args, "-fflags", "+bitexact", "-flags:a", "+bitexact", path, feed=pcm.tobytes())


def rms(pcm):
    return math.sqrt(sum(x * x for x in pcm) / len(pcm))


def noise(kind, n, rng):
    """n samples of noise with an RMS of 1."""
    if kind == "white+pink":
        mixed = [a + b for a, b in zip(noise("white", n, rng), noise("pink", n, rng))]
    elif kind == "white":
        mixed = [rng.gauss(0, 1) for _ in range(n)]
    else:  # pink: Paul Kellet's filter, good to 0.05 dB above 9 Hz at 44.1 kHz
        mixed = []
        poles = (0.99886, 0.99332, 0.96900, 0.86650, 0.55000, -0.7616)
        gains = (0.0555179, 0.0750759, 0.1538520, 0.3104856, 0.5329522, -0.0168980)
        state, last = [0.0] * 6, 0.0
        for _ in range(n):
            w = rng.gauss(0, 1)
            state = [p * s + g * w for p, s, g in zip(poles, state, gains)]
            mixed.append(sum(state) + last + 0.5362 * w)
            last = 0.115926 * w
    level = rms(mixed)
    return [x / level for x in mixed]


def make(unpacked):
    music = pathlib.Path(unpacked) / MUSIC
    clips = {}
    for song, name, start, length, channels, codec in CATALOGUE:
        title, composer, year = SONGS[song]
        clips[name] = (song, start)
        tags = {"title": title, "artist": composer, "composer": composer, "album": ALBUM, "date": year,
                "copyright": f"(C) {year} {composer}, {LICENCE}"}
        pcm = below(samples(music / f"{song}.ogg", 44100, channels, start, length), 0.9)
        encode(pcm, 44100, channels, None, codec, tags, HERE / name)
    expected = []
    for seed, (name, source, offset, length, rate, channels, dirt, filters, codec, words) in enumerate(RECORDINGS):
        # cut from the song itself, not from the clip: a recording has not been through the clip's encoder
        song, start = clips.get(source, (source, 0))
        pcm = samples(music / f"{song}.ogg", rate, channels, start + offset, length)
        if dirt:
            kind, snr = dirt
            gain = rms(pcm) * 10 ** (-snr / 20)
            pcm = array.array("f", (x + gain * z for x, z in zip(pcm, noise(kind, len(pcm), random.Random(seed)))))
        encode(below(pcm, 0.7), rate, channels, filters, codec, {}, HERE / name)
        known = source in clips
        expected.append({"file": name, "track": source if known else None,
                         "offset_seconds": offset if known else None, "condition": words})
    (HERE / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def check():
    """Measures every offset by cross-correlation at 8 kHz, 50 ms either side of the number written down."""
    total = 0
    for path in sorted(p for d in ("catalogue", "recordings", "unknown") for p in (HERE / d).rglob("*.*")):
        show = subprocess.run(
            ["ffprobe", "-v", "error", "-of", "json", "-show_entries",
             "format=duration:format_tags:stream=codec_name,sample_rate,channels:stream_tags", path],
            stdout=subprocess.PIPE, check=True).stdout
        info = json.loads(show)
        stream = info["streams"][0]
        tags = {k.lower(): v for k, v in (stream.get("tags", {}) | info["format"].get("tags", {})).items()}
        decoded = len(samples(path, 8000, 1)) / 8000
        total += path.stat().st_size
        print(f"{path.relative_to(HERE)!s:42} {path.stat().st_size:7} B {decoded:7.3f} s {stream['codec_name']:9} "
              f"{stream['sample_rate']:>5} Hz x{stream['channels']}  "
              + " / ".join(tags[k] for k in ("title", "artist", "album") if k in tags))
    print(f"{total} bytes in all")
    bad = 0
    for item in json.loads((HERE / "expected.json").read_text()):
        if item["track"] is None:
            continue
        rate, reach = 8000, 400
        clip = samples(HERE / item["track"], rate, 1)
        heard = samples(HERE / item["file"], rate, 1)[2 * rate:4 * rate]
        heard = [b - a for a, b in zip(heard, heard[1:])]  # the difference takes off the bass, and sharpens the peak
        clip = [b - a for a, b in zip(clip, clip[1:])]
        at = round(item["offset_seconds"] * rate) + 2 * rate
        def likeness(lag):
            there = clip[at + lag:at + lag + len(heard)]
            return sum(map(lambda a, b: a * b, heard, there)) / math.sqrt(
                sum(a * a for a in there) * sum(a * a for a in heard))
        best, lag = max((likeness(lag), lag) for lag in range(-reach, reach + 1))
        ok = abs(lag) <= 0.020 * rate
        bad += not ok
        print(f"{item['file']:30} in {item['track']:40} {item['offset_seconds']:6.2f} s, measured "
              f"{lag / rate * 1000:+.2f} ms off, correlation {best:.3f}{'' if ok else '  WRONG'}")
    return bad


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] != "--check":
        make(sys.argv[1])
    sys.exit(1 if check() else 0)
