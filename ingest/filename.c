/* filename.c - see filename.h. */
#include "ingest/filename.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *const VIDEO[] = {"mp4", "m4v", "mov",  "mkv", "webm", "avi",
                                    "flv", "ts",  "m2ts", "mts", "mpg",  "mpeg",
                                    "vob", "ogv", "3gp",  "wmv", "asf",  NULL};
static const char *const AUDIO[] = {"mp3", "m4a",  "aac", "opus", "ogg",
                                    "oga", "flac", "wav", "wma",  NULL};
static const char *const IMAGE[] = {"jpg", "jpeg", "png", "webp", "image", "gif", "avif", NULL};
static const char *const CAPTION[] = {"srt",  "vtt",  "ass",  "ssa",  "json3", "srv1",
                                      "srv2", "srv3", "ttml", "dfxp", NULL};
static const char *const PARTIAL[] = {"part", "ytdl", "tmp", "temp", "crdownload", NULL};

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list; list++) {
        if (strcasecmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

/* The offset of the last dot in the first `size` bytes that has something before it, else `size`.
 */
static size_t last_dot(const char *name, size_t size) {
    for (size_t i = size; i > 1; i--) {
        if (name[i - 1] == '.') {
            return i - 1;
        }
    }
    return size;
}

static bool part_is(const char *part, size_t size, const char *word) {
    return strlen(word) == size && strncasecmp(part, word, size) == 0;
}

/* `f137`, `f140-drc`: one format of several, before yt-dlp joins them. */
static bool is_format_part(const char *part, size_t size) {
    if (size < 2 || (part[0] != 'f' && part[0] != 'F') || !isdigit((unsigned char)part[1])) {
        return false;
    }
    for (size_t i = 1; i < size; i++) {
        if (!isalnum((unsigned char)part[i]) && part[i] != '-') {
            return false;
        }
    }
    return true;
}

/* `en`, `eng-US`, `zh-Hans`, `en-orig`: two or three letters, then further subtags. */
static bool is_language(const char *part, size_t size) {
    size_t letters = 0;
    while (letters < size && isalpha((unsigned char)part[letters])) {
        letters++;
    }
    if (letters < 2 || letters > 3 || (letters < size && !strchr("-_", part[letters]))) {
        return false;
    }
    for (size_t i = letters; i < size; i++) {
        if (!isalnum((unsigned char)part[i]) && part[i] != '-' && part[i] != '_') {
            return false;
        }
    }
    return true;
}

static enum file_kind kind_of_extension(const char *extension) {
    if (is_one_of(extension, VIDEO)) {
        return FILE_VIDEO;
    }
    if (is_one_of(extension, AUDIO)) {
        return FILE_AUDIO;
    }
    if (is_one_of(extension, IMAGE)) {
        return FILE_IMAGE;
    }
    if (is_one_of(extension, CAPTION)) {
        return FILE_CAPTION;
    }
    return strcasecmp(extension, "description") == 0 ? FILE_DESCRIPTION : FILE_OTHER;
}

/* Cuts `.comments` or `_comments` off a stem; false when it has none. */
static bool cut_comments(const char *name, size_t *size) {
    static const char word[] = "comments";
    size_t length = sizeof word - 1;
    if (*size <= length + 1 || strncasecmp(name + *size - length, word, length) != 0 ||
        !strchr("._-", name[*size - length - 1])) {
        return false;
    }
    *size -= length + 1;
    return true;
}

/* Names that end in .json, .jsonl or .ndjson; `f` holds the stem before that extension. */
static void parse_json_name(const char *name, bool lines, struct file_name *f) {
    if (cut_comments(name, &f->stem_size)) {
        f->kind = FILE_COMMENTS;
        f->short_size = f->stem_size;
        return;
    }
    f->kind = lines ? FILE_OTHER : FILE_JSON;
    size_t dot = last_dot(name, f->stem_size);
    if (dot == f->stem_size || lines) {
        return;
    }
    const char *part = name + dot + 1;
    size_t size = f->stem_size - dot - 1;
    char extension[16] = "";
    if (size < sizeof extension) {
        memcpy(extension, part, size);
    }
    enum file_kind inner = kind_of_extension(extension);
    if (part_is(part, size, "info")) {
        f->kind = FILE_INFO;
        f->stem_size = f->short_size = dot;
    } else if (part_is(part, size, "live_chat")) {
        f->kind = FILE_OTHER;
    } else if (inner == FILE_VIDEO || inner == FILE_AUDIO || inner == FILE_IMAGE) {
        f->kind = FILE_GALLERY;
        f->stem_size = f->short_size = dot;
    } else if (is_language(part, size)) {
        f->short_size = dot;
    }
}

struct file_name file_name_parse(const char *name) {
    size_t length = strlen(name);
    size_t dot = last_dot(name, length);
    struct file_name f = {FILE_OTHER, dot, dot, dot < length ? name + dot + 1 : name + length};
    if (name[0] == '.') {
        return f;
    }
    if (is_one_of(f.extension, PARTIAL) || strstr(name, ".part-Frag")) {
        f.kind = FILE_PARTIAL;
        return f;
    }
    bool lines = strcasecmp(f.extension, "jsonl") == 0 || strcasecmp(f.extension, "ndjson") == 0;
    if (lines || strcasecmp(f.extension, "json") == 0) {
        parse_json_name(name, lines, &f);
        return f;
    }
    f.kind = kind_of_extension(f.extension);
    size_t inner = last_dot(name, dot);
    if (inner < dot) {
        const char *part = name + inner + 1;
        size_t size = dot - inner - 1;
        if (f.kind == FILE_CAPTION && is_language(part, size)) {
            f.short_size = inner;
        } else if ((f.kind == FILE_VIDEO || f.kind == FILE_AUDIO) &&
                   (part_is(part, size, "temp") || is_format_part(part, size))) {
            f.kind = FILE_PARTIAL;
        }
    }
    return f;
}

bool file_name_bracket_id(const char *stem, size_t size, const char **id, size_t *id_size) {
    if (size < 3 || stem[size - 1] != ']') {
        return false;
    }
    size_t open = size - 1;
    while (open > 0 && stem[open] != '[') {
        open--;
    }
    if (stem[open] != '[' || open + 2 >= size) {
        return false;
    }
    *id = stem + open + 1;
    *id_size = size - open - 2;
    return true;
}

size_t file_name_slide_base(const char *stem, size_t size) {
    size_t at = size;
    while (at > 0 && isdigit((unsigned char)stem[at - 1])) {
        at--;
    }
    size_t digits = size - at;
    return digits >= 1 && digits <= 3 && at > 1 && stem[at - 1] == '_' ? at - 1 : 0;
}
