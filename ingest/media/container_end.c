/* container_end.c - see container_end.h. Sizes are only ever compared with that of the file, never
 * trusted. */
#include "ingest/media/container_end.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOXES_MOST = 100000, TS_PACKET_MOST = 204, TS_PACKETS = 4 };

static bool read_at(int fd, int64_t at, void *out, size_t size) {
    return pread(fd, out, size, (off_t)at) == (ssize_t)size;
}

static uint64_t number(const unsigned char *p, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

/* The end of `size` bytes that begin at `at`; beyond every file when it overflows. */
static int64_t end_of(int64_t at, uint64_t size) {
    return size < (uint64_t)(INT64_MAX - at) ? at + (int64_t)size : INT64_MAX;
}

/* ---- Matroska ---------------------------------------------------------- */

/* The size after an element's id: as many further bytes as the first has leading zeros. */
static bool element_size(int fd, int64_t *at, uint64_t *size, bool *unknown) {
    unsigned char bytes[8];
    if (!read_at(fd, *at, bytes, 1) || bytes[0] == 0) {
        return false;
    }
    int length = __builtin_clz(bytes[0]) - (int)(8 * (sizeof(unsigned) - 1)) + 1;
    if (!read_at(fd, *at, bytes, (size_t)length)) {
        return false;
    }
    uint64_t most = (UINT64_C(1) << 7 * length) - 1;
    *size = number(bytes, length) & most;
    *unknown = *size == most;
    *at += length;
    return true;
}

static enum container_end matroska_end(int fd, int64_t file_size) {
    const unsigned char header[4] = {0x1A, 0x45, 0xDF, 0xA3}, segment[4] = {0x18, 0x53, 0x80, 0x67};
    unsigned char id[4];
    uint64_t size = 0;
    bool unknown = true;
    int64_t at = 4;
    if (!read_at(fd, 0, id, 4) || memcmp(id, header, 4) != 0 ||
        !element_size(fd, &at, &size, &unknown) || unknown) {
        return END_UNKNOWN;
    }
    at = end_of(at, size);
    if (at > file_size - 4 || !read_at(fd, at, id, 4) || memcmp(id, segment, 4) != 0) {
        return END_UNKNOWN;
    }
    at += 4;
    if (!element_size(fd, &at, &size, &unknown) || unknown) {
        return END_UNKNOWN;
    }
    return end_of(at, size) > file_size ? END_CUT : END_WHOLE;
}

/* ---- MP4 and RIFF ------------------------------------------------------ */

static bool is_box(const unsigned char *type) {
    static const char names[][5] = {"ftyp", "moov", "moof", "mdat", "mfra", "free",
                                    "skip", "wide", "sidx", "styp", "meta", "uuid"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (memcmp(type, names[i], 4) == 0) {
            return true;
        }
    }
    return false;
}

/* Never whole: nothing between two fragments shows whether another would follow. */
static enum container_end mp4_end(int fd, int64_t file_size) {
    int64_t at = 0;
    for (int boxes = 0; boxes < BOXES_MOST && file_size - at >= 16; boxes++) {
        unsigned char head[16];
        if (!read_at(fd, at, head, sizeof head) || !is_box(head + 4)) {
            return END_UNKNOWN;
        }
        uint64_t size = number(head, 4);
        size = size == 1 ? number(head + 8, 8) : size;
        if (size < 8) { /* 0: to the end of the file, however long */
            return END_UNKNOWN;
        }
        at = end_of(at, size);
        if (at > file_size) {
            return END_CUT;
        }
    }
    return END_UNKNOWN;
}

/* A recording that was not finished has the size 0 or all ones. */
static enum container_end riff_end(int fd, int64_t file_size) {
    int64_t at = 0;
    for (int chunks = 0; chunks < BOXES_MOST && file_size - at >= 8; chunks++) {
        unsigned char head[8];
        if (!read_at(fd, at, head, sizeof head) || memcmp(head, "RIFF", 4) != 0) {
            return END_UNKNOWN;
        }
        uint32_t size = (uint32_t)head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 |
                        (uint32_t)head[7] << 24;
        if (size == 0 || size == UINT32_MAX) {
            return END_UNKNOWN;
        }
        at = end_of(at + 8, size);
        if (at > file_size) {
            return END_CUT;
        }
        at += at % 2;
    }
    return END_UNKNOWN;
}

/* ---- Streams ----------------------------------------------------------- */

/* The packets begin where several in a row have their sync byte; those of 192 bytes have four
 * before it. */
static enum container_end transport_end(int fd, int64_t file_size) {
    static const int sizes[] = {188, 192, 204};
    unsigned char bytes[TS_PACKET_MOST * TS_PACKETS];
    if (!read_at(fd, 0, bytes, sizeof bytes)) {
        return END_UNKNOWN;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int first = 0; first < sizes[i]; first++) {
            bool synced = true;
            for (int k = 0; k < TS_PACKETS && synced; k++) {
                synced = bytes[first + k * sizes[i]] == 0x47;
            }
            if (synced) {
                int before = sizes[i] == 192 ? 4 : 0;
                return (file_size - first + before) % sizes[i] == 0 ? END_UNKNOWN : END_CUT;
            }
        }
    }
    return END_UNKNOWN;
}

/* After the last picture of H.264 there is a tag that says so: codec 7, packet type 2. */
static enum container_end flv_end(int fd, int64_t file_size) {
    enum { TAG_HEAD = 11, VIDEO = 9, END_OF_SEQUENCE = 2 };
    unsigned char size[4], tag[TAG_HEAD + 2];
    if (file_size < 4 || !read_at(fd, file_size - 4, size, 4)) {
        return END_UNKNOWN;
    }
    int64_t at = file_size - 4 - (int64_t)number(size, 4);
    bool ended = at > 0 && read_at(fd, at, tag, sizeof tag) && tag[0] == VIDEO &&
                 number(tag + 1, 3) + TAG_HEAD == number(size, 4) && (tag[TAG_HEAD] & 0x0F) == 7 &&
                 tag[TAG_HEAD + 1] == END_OF_SEQUENCE;
    return ended ? END_WHOLE : END_UNKNOWN;
}

/* The last page: cut, marked as the end of its stream, or neither. */
static enum container_end ogg_end(int fd, int64_t file_size) {
    enum { PAGE_HEAD = 27, END_OF_STREAM = 4 };
    unsigned char bytes[PAGE_HEAD + 255 + 255 * 255];
    size_t size = file_size < (int64_t)sizeof bytes ? (size_t)file_size : sizeof bytes;
    if (!read_at(fd, file_size - (int64_t)size, bytes, size)) {
        return END_UNKNOWN;
    }
    size_t at = size < 4 ? 0 : size - 4;
    while (at > 0 && memcmp(bytes + at, "OggS", 4) != 0) {
        at--;
    }
    if (at == 0) {
        return END_UNKNOWN;
    }
    size_t end = at + PAGE_HEAD;
    size_t segments = end <= size ? bytes[end - 1] : 0;
    for (size_t i = 0; i < segments && at + PAGE_HEAD + i < size; i++) {
        end += 1 + (size_t)bytes[at + PAGE_HEAD + i];
    }
    if (end > size) {
        return END_CUT;
    }
    return bytes[at + 5] & END_OF_STREAM ? END_WHOLE : END_UNKNOWN;
}

enum container_end container_end_of(int fd, const char *format) {
    static const struct {
        const char *name;
        enum container_end (*end)(int fd, int64_t file_size);
    } kinds[] = {
        {"matroska", matroska_end}, {"mov", mp4_end},          {"avi", riff_end}, {"wav", riff_end},
        {"flv", flv_end},           {"mpegts", transport_end}, {"ogg", ogg_end},
    };
    struct stat about;
    if (fstat(fd, &about) < 0) {
        return END_UNKNOWN;
    }
    size_t length = strcspn(format, ",");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, format, length) == 0) {
            return kinds[i].end(fd, about.st_size);
        }
    }
    return END_UNKNOWN;
}
