"""The peer of ingest.sh that is written in Python: PyAV, a pool of two processes.

    peer_pyav.py OUT < LIST

A line of LIST is KEYFRAMES PICTURES PATH. Of each file keyframes alone are decoded, four of them, spread
over the clip, are scaled to 320 and saved as JPEG, and the text of the subtitle track is collected.
"""

import io
import multiprocessing
import os
import sys

import av

PICTURES, SIZE = 4, 320


def save_picture(frame, path):
    scale = SIZE / max(frame.width, frame.height)
    width, height = (round(side * scale / 2) * 2 for side in (frame.width, frame.height))
    frame.reformat(width, height).to_image().save(path, quality=90)


def take_apart(task):
    number, keyframes, path, folder = task
    step, seen, saved, captions = max(1, -(-keyframes // PICTURES)), 0, 0, io.BytesIO()
    with av.open(path) as container:
        video = container.streams.video[0]
        video.thread_type = "NONE"
        video.codec_context.skip_frame = "NONKEY"
        for packet in container.demux(video, *container.streams.subtitles[:1]):
            if packet.stream.type == "subtitle":
                captions.write(bytes(packet))
                continue
            for frame in packet.decode():
                if seen % step == 0 and saved < PICTURES:
                    save_picture(frame, os.path.join(folder, f"{number}-{saved}.jpg"))
                    saved += 1
                seen += 1
    with open(os.path.join(folder, f"{number}.txt"), "wb") as out:
        out.write(captions.getvalue())


def main():
    lines = [line.rstrip("\n").split(" ", 2) for line in sys.stdin]
    tasks = [(i, int(keys), path, sys.argv[1]) for i, (keys, _, path) in enumerate(lines)]
    with multiprocessing.Pool(2) as pool:
        pool.map(take_apart, tasks, chunksize=1)


if __name__ == "__main__":
    main()
