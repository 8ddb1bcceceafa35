/* filename.c - see filename.h. */
#include "ingest/archive/filename.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The meaning of extensions, frequent ones first. Media are the kinds that yt-dlp, gallery-dl and
 * phones write and that FFmpeg's demuxers know; other files that lie beside media in archives are
 * FILE_OTHER. */
static const struct {
    enum file_kind kind;
    const char *extensions; /* blanks between and around them */
} KINDS[] = {
    {FILE_VIDEO, " mp4 mkv webm mov m4v avi flv ts mpg mpeg wmv ogv 3gp asf vob m2ts mts f4v 3g2 "
                 "3gpp 3gpp2 divx xvid ogm mk3d mpe mpv m1v m2v m2t tp trp qt rm rmvb dv mxf nut "
                 "mj2 y4m ivf h264 264 h265 265 hevc obu amv wtv unknown_video "},
    {FILE_AUDIO,
     " mp3 m4a opus ogg aac flac wav wma oga weba mka aif aiff aifc m4b m4r f4a f4b "
     "alac ape ogx spx vorbis mp2 mpa ac3 eac3 ec3 dts caf au snd wv tta tak amr awb ra "
     "mpc gsm w64 rf64 adts unknown_audio "},
    {FILE_IMAGE, " jpg jpeg png webp image gif avif heic heif jfif bmp tif tiff jxl jpe "},
    {FILE_CAPTION, " vtt srt ass ssa json3 srv1 srv2 srv3 ttml dfxp "},
    {FILE_UNREAD, " itt lrc sbv smi sami scc stl sub idx sup mpl2 "
                  "usf aqt jss pjs "},
    {FILE_DESCRIPTION, " description "},
    {FILE_PARTIAL, " part ytdl tmp temp crdownload f4f "},
    {FILE_OTHER, " txt url webloc desktop lnk nfo xml html htm mhtml md log css js csv tsv pdf doc "
                 "docx rtf zip tar gz xz zst bz2 7z rar sh py bat exe dll db sqlite ini conf cfg "
                 "yaml yml toml torrent nzb sfv md5 sha1 sha256 par2 m3u m3u8 pls cue mpd f4m smil "
                 "bak old orig lock npy npz pt parquet xmp ps1 json jsonl ndjson "},
};

enum { POST_DIGITS = 17, SITE_ID = 11, EXTENSION_BYTES = 16 };

/* The offset of the last dot in the first `size` bytes that has something before it, else
 * `size`. */
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

static size_t count_digits(const char *text, size_t size) {
    size_t count = 0;
    while (count < size && isdigit((unsigned char)text[count])) {
        count++;
    }
    return count;
}

static int number_of(const char *digits, size_t size) {
    int number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number * 10 + (digits[i] - '0');
    }
    return number;
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
    if (letters < 2 || letters > 3 || (letters < size && strchr("-_", part[letters]) == NULL)) {
        return false;
    }
    for (size_t i = letters; i < size; i++) {
        if (!isalnum((unsigned char)part[i]) && part[i] != '-' && part[i] != '_') {
            return false;
        }
    }
    return true;
}

/* `cover`, `maxresdefault`, `0`: which of the covers of a clip, where yt-dlp writes all. */
static bool is_cover_part(const char *part, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)part[i]) && part[i] != '-' && part[i] != '_') {
            return false;
        }
    }
    return size > 0 && size <= 32;
}

static enum file_kind kind_of_extension(const char *extension, size_t size) {
    char word[EXTENSION_BYTES + 3];
    if (size == 0 || size > EXTENSION_BYTES || memchr(extension, ' ', size) != NULL) {
        return FILE_UNKNOWN;
    }
    word[0] = ' ';
    for (size_t i = 0; i < size; i++) {
        word[i + 1] = (char)tolower((unsigned char)extension[i]);
    }
    memcpy(word + size + 1, " ", 2);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strstr(KINDS[i].extensions, word) != NULL) {
            return KINDS[i].kind;
        }
    }
    return FILE_UNKNOWN;
}

/* Cuts `.comments` or `_comments` off a stem; false when it has none. */
static bool cut_comments(const char *name, size_t *size) {
    static const char word[] = "comments";
    size_t length = sizeof word - 1;
    if (*size <= length + 1 || strncasecmp(name + *size - length, word, length) != 0 ||
        strchr("._-", name[*size - length - 1]) == NULL) {
        return false;
    }
    *size -= length + 1;
    return true;
}

static bool is_gallery_file(enum file_kind kind) {
    return kind == FILE_VIDEO || kind == FILE_AUDIO || kind == FILE_IMAGE || kind == FILE_CAPTION ||
           kind == FILE_UNREAD;
}

static void set_language(struct file_name *f, const char *language, size_t size) {
    static const char original[] = "-orig";
    size_t length = sizeof original - 1;
    f->language = language;
    f->language_size = size;
    if (size > length && strncasecmp(language + size - length, original, length) == 0) {
        f->origin = CAPTION_SPOKEN;
    }
}

/* Names that end in .json, .jsonl or .ndjson; `f` holds the stem before that extension. *inner:
 * kind of the file that a FILE_GALLERY describes. */
static void parse_json_name(const char *name, bool lines, struct file_name *f,
                            enum file_kind *inner) {
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
    *inner = kind_of_extension(part, size);
    if (part_is(part, file_name_original(part, size), "info")) {
        f->kind = FILE_INFO;
        f->stem_size = f->short_size = dot;
    } else if (part_is(part, size, "live_chat")) {
        f->kind = FILE_OTHER;
    } else if (is_gallery_file(*inner)) {
        f->kind = FILE_GALLERY;
        f->stem_size = f->short_size = dot;
    } else if (is_language(part, size)) {
        f->short_size = dot;
        set_language(f, part, size);
    }
}

/* The part before the extension: a language, a cover's name, or a sign of a part. */
static void parse_inner_part(const char *name, struct file_name *f) {
    size_t inner = last_dot(name, f->stem_size);
    if (inner == f->stem_size) {
        return;
    }
    const char *part = name + inner + 1;
    size_t size = f->stem_size - inner - 1;
    bool caption = f->kind == FILE_CAPTION || f->kind == FILE_UNREAD;
    if (caption && is_language(part, size)) {
        f->short_size = inner;
        set_language(f, part, size);
    } else if (f->kind == FILE_IMAGE && is_cover_part(part, size)) {
        f->short_size = inner;
    } else if ((f->kind == FILE_VIDEO || f->kind == FILE_AUDIO) &&
               (part_is(part, size, "temp") || is_format_part(part, size))) {
        f->kind = FILE_PARTIAL;
    }
}

/* "2_eng-US_ASR_1_webvtt": language and source of captions as gallery-dl names them. */
static bool parse_subtitle(const char *text, size_t size, struct file_name *f) {
    size_t at = count_digits(text, size);
    if (at == 0 || at == size || text[at] != '_') {
        return false;
    }
    const char *language = text + at + 1, *end = text + size;
    const char *source = memchr(language, '_', (size_t)(end - language));
    const char *version =
        source != NULL ? memchr(source + 1, '_', (size_t)(end - source - 1)) : NULL;
    if (version == NULL || !is_language(language, (size_t)(source - language))) {
        return false;
    }
    set_language(f, language, (size_t)(source - language));
    size_t source_size = (size_t)(version - source - 1);
    f->origin = part_is(source + 1, source_size, "ASR")  ? CAPTION_SPOKEN
                : part_is(source + 1, source_size, "MT") ? CAPTION_TRANSLATED
                                                         : CAPTION_UNSAID;
    return true;
}

/* gallery-dl's names begin with the post's id. A sound's [FILE] is a number, so that yt-dlp's
 * "15000000000000000 views [dQw4w9WgXcQ]" is not taken for one. */
static void parse_post(const char *name, struct file_name *f, enum file_kind inner) {
    struct post_name post;
    if (f->kind == FILE_INFO || !file_name_post(name, f->short_size, &post)) {
        return;
    }
    enum file_kind kind = f->kind == FILE_GALLERY ? inner : f->kind;
    bool fits = post.file_size == 0 || kind == FILE_IMAGE ||
                count_digits(post.file, post.file_size) == post.file_size;
    if (post.file_size && (kind == FILE_CAPTION || kind == FILE_UNREAD || kind == FILE_JSON)) {
        fits = parse_subtitle(post.file, post.file_size, f);
    }
    if (fits) {
        f->post_size = post.id_size;
        f->number = post.number;
    }
}

/* "STEM_03" is the third slide of STEM, "3" of the post that its folder or its .json names. */
static void parse_slide(const char *name, struct file_name *f) {
    size_t at = f->stem_size;
    while (at > 0 && isdigit((unsigned char)name[at - 1])) {
        at--;
    }
    size_t digits = f->stem_size - at;
    bool base = at > 1 && name[at - 1] == '_';
    if (digits >= 1 && digits <= 3 && (base || at == 0)) {
        f->slide_size = base ? at - 1 : 0;
        f->number = number_of(name + at, digits);
    }
}

struct file_name file_name_parse(const char *name) {
    size_t length = strlen(name);
    size_t dot = last_dot(name, length);
    struct file_name f = {.stem_size = dot,
                          .short_size = dot,
                          .extension = dot < length ? name + dot + 1 : name + length,
                          .number = -1};
    if (name[0] == '.') {
        return f;
    }
    enum file_kind inner = FILE_OTHER;
    bool lines = strcasecmp(f.extension, "jsonl") == 0 || strcasecmp(f.extension, "ndjson") == 0;
    if (lines || strcasecmp(f.extension, "json") == 0) {
        parse_json_name(name, lines, &f, &inner);
    } else {
        f.kind = kind_of_extension(f.extension, strlen(f.extension));
        f.kind = strstr(name, ".part-Frag") != NULL ? FILE_PARTIAL : f.kind;
        parse_inner_part(name, &f);
    }
    if (f.kind != FILE_OTHER && f.kind != FILE_PARTIAL) {
        if (f.kind == FILE_IMAGE || f.kind == FILE_GALLERY) {
            parse_slide(name, &f);
        }
        parse_post(name, &f, inner);
    }
    return f;
}

/* ---- Ids --------------------------------------------------------------- */

/* Cuts `word`, in any case, off the end of `text`. */
static bool cut_word(const char *text, size_t *size, const char *word) {
    size_t length = strlen(word);
    if (*size <= length || strncasecmp(text + *size - length, word, length) != 0) {
        return false;
    }
    *size -= length;
    return true;
}

size_t file_name_original(const char *stem, size_t size) {
    size_t rest = size;
    if (cut_word(stem, &rest, " (copy)")) {
        return rest;
    }
    if (rest > 2 && stem[rest - 1] == ')') { /* "(1)" */
        size_t at = rest - 1;
        while (at > 0 && isdigit((unsigned char)stem[at - 1])) {
            at--;
        }
        bool number = at < rest - 1 && at > 1 && stem[at - 1] == '(';
        rest = number ? at - 1 : rest;
    } else { /* "copy 2" */
        size_t digits = 0;
        while (digits < rest && isdigit((unsigned char)stem[rest - 1 - digits])) {
            digits++;
        }
        size_t without = rest - digits;
        bool copy = digits > 0 && cut_word(stem, &without, " copy ");
        rest = copy ? without : rest;
    }
    while (rest > 1 && rest < size && stem[rest - 1] == ' ') {
        rest--;
    }
    if (!cut_word(stem, &rest, " - copy")) {
        cut_word(stem, &rest, " copy");
    }
    return rest;
}

bool file_name_bracket_id(const char *stem, size_t size, const char **id, size_t *id_size) {
    size = file_name_original(stem, size);
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

bool file_name_is_id(const char *text, size_t size) {
    bool digit = false, mixed = false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!isalnum(c) && c != '-' && c != '_') {
            return false;
        }
        digit |= isdigit(c) != 0;
        mixed |= i > 0 && isupper(c) && islower((unsigned char)text[i - 1]);
    }
    return (size >= POST_DIGITS && count_digits(text, size) == size) ||
           (size == SITE_ID && (digit || mixed));
}

bool file_name_post(const char *stem, size_t size, struct post_name *post) {
    *post = (struct post_name){.id_size = count_digits(stem, size), .number = -1};
    size_t at = post->id_size;
    if (at < POST_DIGITS) {
        return false;
    }
    size_t digits = at < size && stem[at] == '_' ? count_digits(stem + at + 1, size - at - 1) : 0;
    if (digits >= 1 && digits <= 4) {
        post->number = number_of(stem + at + 1, digits);
        at += 1 + digits;
    }
    if (at < size && stem[at] != ' ') {
        return false;
    }
    post->title = stem + at;
    post->title_size = size - at;
    if (file_name_bracket_id(post->title, post->title_size, &post->file, &post->file_size)) {
        post->title_size = (size_t)(post->file - post->title) - 1;
    }
    while (post->title_size > 0 && *post->title == ' ') {
        post->title++;
        post->title_size--;
    }
    while (post->title_size > 0 && post->title[post->title_size - 1] == ' ') {
        post->title_size--;
    }
    return true;
}
