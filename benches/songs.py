#!/usr/bin/env python3
"""Collect free game music from Debian packages: the middle 30 seconds of every song.

usage: songs.py OUT_DIR [PACKAGE...]      default: all of PACKAGES
Makes OUT_DIR/ref/PACKAGE/PACKAGE-NAME.mp3 (44.1 kHz stereo, 128 kb/s) and OUT_DIR/packages.txt (package, version,
songs): 938 songs of 112 packages of Debian 12. Downloads 8.4 GB; the sound files stay in OUT_DIR/src. Needs apt, and an
ffmpeg with libopenmpt for tracker modules.
"""
import glob, os, re, shutil, subprocess, sys, zipfile
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

PACKAGES = """
0ad-data a7xpg-data abe-data adonthell-data alienblaster-data amoebax-data angrydd ardentryst asc-music ballz-data
berusky2-data blockout2 bomberclone-data brainparty-data btanks-data bumprace-data caveexpress-data
colobot-common-sounds criticalmass-data cube2-data cuyo-data davegnukem-data drascula-music enigma-data
extremetuxracer-data fillets-ng-data flare-game freeciv-data freecol freedink-data freedroid-data freedroidrpg-data
freeorion-data fretsonfire-songs-muldjord fretsonfire-songs-sectoid frozen-bubble-data funnyboat gamine-data
gigalomania-data glob2-data gunroar-data hannah-data hedgewars-data heroes-sound-tracks hex-a-hop-data
holotz-castle-data hyperrogue-music lincity-ng-data lordsawar-data lugaru-data marsshooter-data mazeofgalious-data
megaglest-data miceamaze mrrescue mu-cade-data naev-data neverball-common nexuiz-music noiz2sa-data openarena-088-data
openclonk-data orbital-eunuchs-sniper-data pangzero parsec47-data pathological pax-britannica-data pekka-kana-2-data
performous phlipple-data pinball-data pinball-table-gnu-data pingus-data pink-pony-data planetblupi-music-ogg
plee-the-bear-data powermanga-data pushover-data rafkill-data raincat-data redeclipse-data renpy-demo ri-li-data
rrootage-data scorched3d-data searchandrescue-data singularity-music starfighter-data supertux-data supertuxkart-data
tecnoballz-data titanion-data tomatoes-data torcs-data torus-trooper-data trackballs-data tumiki-fighters-data
tuxfootball tuxmath-data tuxtype-data ufoai-music unknown-horizons vectoroids vodovod warmux-data warzone2100-music
wesnoth-1.16-music widelands-data wizznic-data wordwarvi-sound xmoto-data zaz-data
""".split()
MODULES = '.mod .xm .it .s3m'.split()
SOUNDS = '.ogg .oga .opus .mp3 .flac .wav'.split() + MODULES
ARCHIVES = '.pk3 .zip .love'.split()
LEAST, CLIP = 40, 30  # seconds
# Effects, voices and ambience; single instruments of a song; faster or slower copies of a song; silence
# (the last three are silent in the middle, or for half of it).
SKIP = re.compile(
    r'/(soundfx|voices?|ambient|ambience|tilesets|library|dayscape|weather|environment)/|wav/misc/|audio/sounds/'
    r'|data/sfx/(sara|static)|/(atmo|Wind|silence|guitar|27-wga|steamLocomotive)\.|AMB_'
    r'|Ambient\.|_ambient|engine_start|dynamictest|\.video\.|_(fast|f|Slow|UltraSlow|raw)\.\w+$'
    r'|pingus-2\.|/rough_journey\.|colobot/music/music01[01]\.'
)
# One of two songs that share a title, or at least 5 s of audio according to `psi-shazam duplicates` on the whole songs.
AGAIN = """
ardentryst-Sempridge2 ardentryst-World-Map2 ardentryst-battle2 ardentryst-castle2
colobot-common-sounds-Hv2 colobot-common-sounds-music008 colobot-common-sounds-music009 drascula-music-track30
flare-game-battle-theme freedroidrpg-data-HellFortressTwo freedroidrpg-data-TechBattle
glob2-data-a2 glob2-data-a3 hedgewars-data-olympics-sd megaglest-data-romans naev-data-ambient2-5
nexuiz-music-sixtyfour-revisited pinball-data-introp pinball-data-professor planetblupi-music-ogg-music003
starfighter-data-through-space supertux-data-airship-remix supertux-data-shallow-green supertux-data-voc-daytime2
supertuxkart-data-beneath-the-rabbit-hole tecnoballz-data-over-theme
tuxtype-data-game tuxtype-data-game2 tuxtype-data-game3 tuxtype-data-tuxi warmux-data-Olivier-Militon-Apnee2
warzone2100-music-menu-enhanced warzone2100-music-track15 warzone2100-music-track3-enhanced widelands-data-menu
""".split()


def run(*command, **options):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def fetch(package, sources):
    """Sound files of a package in sources/package; its version in sources/package.version."""
    folder = os.path.join(sources, package)
    if os.path.isdir(folder):
        return folder
    run('apt-get', 'download', '-qq', package, cwd=sources)
    deb = glob.glob(os.path.join(glob.escape(sources), f'{package}_*.deb'))[0]
    part = folder + '.part'
    shutil.rmtree(part, ignore_errors=True)
    run('dpkg-deb', '-x', deb, part)
    for path in files(part, ARCHIVES):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.lower().endswith(tuple(SOUNDS)):
                    archive.extract(name, path + '.d')
    for parent, _, names in os.walk(part):
        for name in names:
            if not name.lower().endswith(tuple(SOUNDS)):
                os.remove(os.path.join(parent, name))
    with open(folder + '.version', 'w') as file:
        file.write(unquote(os.path.basename(deb).split('_')[1]))
    os.remove(deb)
    os.rename(part, folder)
    return folder


def files(folder, endings):
    """Regular files by path."""
    paths = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(path for path in paths if path.lower().endswith(tuple(endings)) and not os.path.islink(path))


def seconds(path):
    # Audio files have at least 16 kbit/s. Tracker modules are scores, not audio, and may be smaller.
    if os.path.getsize(path) < LEAST * 2_000 and not path.lower().endswith(tuple(MODULES)):
        return 0.0
    probe = ['ffprobe', '-v', 'error', '-show_entries', 'format=duration', '-of', 'csv=p=0', path]
    found = subprocess.run(probe, capture_output=True, text=True).stdout.strip()
    return float(found) if re.fullmatch(r'[0-9.]+', found) else 0.0


def title(path):
    """A file's name in plain letters; a song called `song` or `music` is named by its folder."""
    stem = os.path.splitext(os.path.basename(path))[0]
    if stem in ('song', 'music'):
        stem = os.path.basename(os.path.dirname(path))
    return re.sub(r'[^A-Za-z0-9]+', '-', stem).strip('-')


def cut(path, length, out):
    if not os.path.exists(out):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        part = out + '.part'
        where = ['-ss', f'{(length - CLIP) / 2:.1f}', '-t', str(CLIP), '-i', path]
        form = ['-vn', '-map', 'a:0', '-ac', '2', '-ar', '44100', '-b:a', '128k', '-map_metadata', '-1', '-f', 'mp3']
        run('ffmpeg', '-v', 'error', '-y', *where, *form, part)
        os.rename(part, out)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    out = os.path.abspath(sys.argv[1])
    sources = os.path.join(out, 'src')
    os.makedirs(sources, exist_ok=True)
    lines = []
    with ThreadPoolExecutor(2) as pool:
        for package in sys.argv[2:] or PACKAGES:
            folder = fetch(package, sources)
            paths = [path for path in files(folder, SOUNDS) if not SKIP.search(path)]
            songs = {}
            for path, length in zip(paths, pool.map(seconds, paths)):
                name = f'{package}-{title(path)}'
                if length >= LEAST and name not in AGAIN:
                    songs.setdefault(name, (path, length))
            cuts = [(*song, f'{out}/ref/{package}/{name}.mp3') for name, song in songs.items()]
            list(pool.map(lambda song: cut(*song), cuts))
            with open(f'{folder}.version') as file:
                lines.append(f'{package} {file.read()} {len(cuts)}')
            print(lines[-1], flush=True)
    with open(os.path.join(out, 'packages.txt'), 'w') as file:
        file.write('\n'.join(lines) + '\n')


main()
