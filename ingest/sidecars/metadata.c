/* metadata.c - see metadata.h. Each fact is looked for under the names that the tools have used for
 * it over the years, newest first. */
#include "ingest/sidecars/metadata.h"

#include <string.h>

#include "ingest/sidecars/expected_length.h"
#include "ingest/sidecars/field.h"
#include "store/json.h"
#include "store/utf8.h"

enum {
    LONGEST_ID = 255,
    LONGEST_DURATION_S = 366 * 86400,
    SHORTEST_CUT = 60, /* bytes that a tool leaves at least; a shorter "..." is the author's own */
};

/* Where a site keeps the short name and the display name of an account, when it differs from what
 * most do: TikTok's uploader_id is a number, Instagram's channel is the short name. */
static const struct site_rule {
    const char *site, *account, *account_name;
} site_rules[] = {
    {"tiktok", "uploader", "channel"},
    {"instagram", "channel", "uploader"},
};

/* Code points above ASCII at which a hashtag ends: Latin-1 signs, general punctuation (but not the
 * joiners U+200C and U+200D, which Persian and Indic words need), CJK and full-width punctuation,
 * variation selectors, private use and tags. Everything else above ASCII belongs to the word. */
static const struct {
    uint32_t first, last;
} tag_ends[] = {
    {0x0080, 0x00A9},    {0x00AB, 0x00B4}, {0x00B6, 0x00B6}, {0x00B8, 0x00B9}, {0x00BB, 0x00BF},
    {0x00D7, 0x00D7},    {0x00F7, 0x00F7}, {0x060C, 0x060C}, {0x061B, 0x061B}, {0x061F, 0x061F},
    {0x06D4, 0x06D4},    {0x0964, 0x0965}, {0x1680, 0x1680}, {0x2000, 0x200B}, {0x200E, 0x206F},
    {0x2E00, 0x2E7F},    {0x3000, 0x3004}, {0x3008, 0x3020}, {0x3030, 0x3030}, {0x303D, 0x303D},
    {0xE000, 0xF8FF},    {0xFE00, 0xFE1F}, {0xFE30, 0xFE6F}, {0xFEFF, 0xFEFF}, {0xFF01, 0xFF0F},
    {0xFF1A, 0xFF20},    {0xFF3B, 0xFF3E}, {0xFF40, 0xFF40}, {0xFF5B, 0xFF65}, {0xFFE0, 0xFFFF},
    {0xE0000, 0x10FFFF},
};

#define FULL_WIDTH_NUMBER_SIGN UINT32_C(0xFF03) /* typed on Japanese keyboards, means the same */

void metadata_init(struct metadata *m) {
    *m = (struct metadata){.created = -1,
                           .duration_ms = -1,
                           .whole_ms = -1,
                           .views = -1,
                           .likes = -1,
                           .comments = -1,
                           .shares = -1,
                           .saves = -1};
}

/* ---- hashtags ---------------------------------------------------------- */

static bool in_tag(uint32_t c) {
    if (c < 0x80) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
    }
    for (size_t i = 0; i < sizeof tag_ends / sizeof *tag_ends; i++) {
        if (c >= tag_ends[i].first && c <= tag_ends[i].last) {
            return false;
        }
    }
    return true;
}

/* Adds a tag given with or without its number sign, unless it is there already. */
static int add_tag(struct metadata *m, const char *tag, size_t size, struct arena *arena,
                   struct error *e) {
    if (m->hashtag_count == HASHTAGS_MAX) {
        return 0;
    }
    if (m->hashtags == NULL) {
        m->hashtags = arena_alloc(arena, HASHTAGS_MAX, sizeof *m->hashtags);
    }
    char *copy = m->hashtags != NULL ? arena_text(arena, tag, size) : NULL;
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    const char *name = copy;
    while (*name == '#' || *name == ' ' || strncmp(name, "\uFF03", strlen("\uFF03")) == 0) {
        name += *name == '#' || *name == ' ' ? 1 : strlen("\uFF03");
    }
    if (!*name) {
        return 0;
    }
    for (size_t i = 0; i < m->hashtag_count; i++) {
        if (name_equal(m->hashtags[i], name)) {
            return 0;
        }
    }
    m->hashtags[m->hashtag_count++] = name;
    return 0;
}

/* The bytes of tag characters at `text`; *digits_only: it is a number ("we are #1"), not a word. */
static size_t tag_length(const char *text, size_t size, bool *digits_only) {
    size_t length = 0;
    *digits_only = true;
    while (length < size) {
        uint32_t c;
        bool valid;
        size_t used = utf8_decode(text + length, size - length, &c, &valid);
        if (!valid || !in_tag(c)) {
            break;
        }
        *digits_only &= c >= '0' && c <= '9';
        length += used;
    }
    return length;
}

int metadata_add_hashtags(struct metadata *m, const char *text, struct arena *arena,
                          struct error *e) {
    size_t size = text != NULL ? strlen(text) : 0;
    bool open = true; /* a number sign here begins a tag: not inside a word, an entity or an URL */
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < size && m->hashtag_count < HASHTAGS_MAX;) {
        uint32_t c;
        bool valid;
        at += utf8_decode(text + at, size - at, &c, &valid);
        if (open && (c == '#' || c == FULL_WIDTH_NUMBER_SIGN)) {
            bool number;
            size_t length = tag_length(text + at, size - at, &number);
            if (length && !number) {
                rc = add_tag(m, text + at, length, arena, e);
            }
            at += length; /* and stays open: "#one#two" is two tags */
        } else {
            open = !valid || !(in_tag(c) || c == '&' || c == '/');
        }
    }
    return rc;
}

/* A list of tags: strings, or objects that name their tag ({"title": ...}, {"hashtagName":
 * ...}). */
static int add_tag_list(struct metadata *m, const json_t *list, struct arena *arena,
                        struct error *e) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *tag = json_string_value(item);
        if (json_is_object(item)) {
            tag = json_get_text(item, "hashtagName");
            tag = tag != NULL ? tag : json_get_text(item, "title");
            tag = tag != NULL ? tag : json_get_text(item, "name");
        }
        size_t size = tag != NULL ? text_trim(&tag) : 0;
        int rc = size ? add_tag(m, tag, size, arena, e) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* ---- texts, names, times ----------------------------------------------- */

/* An id goes into file names and keys: a reasonable length and no control characters. */
static bool usable_id(const char *id) {
    size_t size = strlen(id);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7F) {
            return false;
        }
    }
    return size <= LONGEST_ID;
}

/* Titles that the tools made up are dropped ("TikTok video #7139980461132074283"), and those that
 * they cut are replaced by the description they were cut from (yt-dlp: 69 characters and "..."). */
static void mend_title(struct metadata *m) {
    if (m->title == NULL) {
        return;
    }
    const char *number = strrchr(m->title, '#');
    if (number != NULL && number > m->title && number[-1] == ' ' &&
        strcmp(number + 1, m->id) == 0) {
        m->title = NULL;
        return;
    }
    const char *const marks[] = {"...", "\u2026"};
    for (size_t i = 0; m->description != NULL && i < sizeof marks / sizeof *marks; i++) {
        size_t size = strlen(m->title), mark = strlen(marks[i]);
        if (size >= SHORTEST_CUT + mark && strcmp(m->title + size - mark, marks[i]) == 0 &&
            strncmp(m->title, m->description, size - mark) == 0) {
            m->title = m->description;
            return;
        }
    }
}

/* A short name as it is compared and shown: without '@', NULL when that leaves nothing. */
static const char *without_at(const char *name) {
    name = name != NULL ? name + strspn(name, "@") : NULL;
    return name != NULL && *name ? name : NULL;
}

static void add_creator(struct metadata *m, const char *name) {
    size_t count = 0;
    name = without_at(name);
    while (name != NULL && m->creator[count] != NULL) {
        if (name_equal(m->creator[count], name)) {
            return;
        }
        count++;
    }
    if (name != NULL && count < CREATOR_NAMES) {
        m->creator[count] = name;
    }
}

/* Lower case, without what follows a colon: extractor "Vimeo:album" is site "vimeo". */
static const char *site_name(struct fields *f, const json_t *root, const char *const *names) {
    const char *name = field_text(f, root, names);
    char *site = name != NULL ? arena_text(f->arena, name, strcspn(name, ":")) : NULL;
    f->exhausted |= name != NULL && site == NULL;
    for (char *p = site; p != NULL && *p; p++) {
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;
    }
    return site != NULL && *site ? site : NULL;
}

static int64_t milliseconds(double seconds) {
    return seconds > 0 && seconds <= LONGEST_DURATION_S ? (int64_t)(seconds * 1000 + 0.5) : -1;
}

/* Milliseconds of "SS", "MM:SS" or "H:MM:SS"; -1 for everything else. */
static int64_t read_duration(const char *text) {
    int64_t total = 0;
    for (int group = 0; group < 3; group++) {
        size_t digits = strspn(text, "0123456789");
        if (digits < 1 || digits > 8) {
            return -1;
        }
        int64_t value = 0;
        for (; digits > 0; digits--, text++) {
            value = value * 10 + (*text - '0');
        }
        total = total * 60 + value;
        if (*text == 0) {
            return total > 0 && total <= LONGEST_DURATION_S ? total * 1000 : -1;
        }
        if (*text++ != ':') {
            return -1;
        }
    }
    return -1;
}

/* ---- yt-dlp ------------------------------------------------------------ */

static bool is_playlist(const json_t *root) {
    const char *type = json_get_text(root, "_type");
    if (type != NULL) {
        return strcmp(type, "playlist") == 0 || strcmp(type, "multi_video") == 0 ||
               strcmp(type, "compat_list") == 0;
    }
    return json_is_array(json_object_get(root, "entries"));
}

static const struct site_rule *rule_of(const char *site) {
    for (size_t i = 0; site != NULL && i < sizeof site_rules / sizeof *site_rules; i++) {
        if (strcmp(site, site_rules[i].site) == 0) {
            return &site_rules[i];
        }
    }
    return NULL;
}

/* The rule stated in metadata.h. */
static const char *ytdlp_account(struct fields *f, const json_t *root,
                                 const struct site_rule *rule) {
    const char *handle = field_id(f, root, FIELD_NAMES("uploader_id"));
    const char *account = handle != NULL && *handle == '@' ? without_at(handle) : NULL;
    if (account == NULL && rule != NULL) {
        account = without_at(field_text(f, root, FIELD_NAMES(rule->account)));
    }
    if (account == NULL) {
        account = without_at(field_id(
            f, root, FIELD_NAMES("uploader_id", "channel_id", "uploader", "channel", "creator")));
    }
    return account;
}

/* A clip has one display name here, so that of several creators or artists the first counts. The
 * artist comes last, being the author of the music. */
static const char *ytdlp_account_name(struct fields *f, const json_t *root,
                                      const struct site_rule *rule) {
    const char *name = rule != NULL ? field_text(f, root, FIELD_NAMES(rule->account_name)) : NULL;
    if (name == NULL) {
        name = field_text(f, root, FIELD_NAMES("channel", "creator", "uploader"));
    }
    const char *const lists[] = {"creators", "artists"};
    for (size_t i = 0; name == NULL && i < sizeof lists / sizeof *lists; i++) {
        const char *text = json_string_value(json_array_get(json_object_get(root, lists[i]), 0));
        size_t size = text != NULL ? text_trim(&text) : 0;
        name = size ? arena_text(f->arena, text, size) : NULL;
        f->exhausted |= size && name == NULL;
    }
    return name != NULL ? name : field_text(f, root, FIELD_NAMES("artist"));
}

/* What yt-dlp says about captions: the languages of those that people made, and "de-orig" among the
 * automatic ones for the language that is spoken. */
static void read_ytdlp_captions(struct fields *f, const json_t *root, struct metadata *m) {
    static const char original[] = "-orig";
    const char *language;
    json_t *subtitles = json_object_get(root, "subtitles"), *tracks;
    size_t count = 0;
    m->manual_captions =
        arena_alloc(f->arena, json_object_size(subtitles) + 1, sizeof *m->manual_captions);
    f->exhausted |= m->manual_captions == NULL;
    json_object_foreach(subtitles, language, tracks) {
        const char *copy = arena_text(f->arena, language, strlen(language));
        f->exhausted |= copy == NULL;
        if (!f->exhausted) {
            m->manual_captions[count++] = copy;
        }
    }
    m->spoken = m->language != NULL;
    json_object_foreach(json_object_get(root, "automatic_captions"), language, tracks) {
        size_t size = strlen(language), mark = sizeof original - 1;
        if (!m->spoken && size > mark && strcmp(language + size - mark, original) == 0) {
            m->language = arena_text(f->arena, language, size - mark);
            m->spoken = true;
            f->exhausted |= m->language == NULL;
        }
    }
}

static void read_ytdlp_names(struct fields *f, const json_t *root, struct metadata *m) {
    const struct site_rule *rule = rule_of(m->site);
    m->account = ytdlp_account(f, root, rule);
    m->account_name = ytdlp_account_name(f, root, rule);
    add_creator(m, m->account);
    add_creator(m, field_text(f, root, FIELD_NAMES("uploader")));
    add_creator(m, field_id(f, root, FIELD_NAMES("uploader_id")));
    add_creator(m, field_text(f, root, FIELD_NAMES("channel")));
    add_creator(m, field_id(f, root, FIELD_NAMES("channel_id")));
    add_creator(m, field_text(f, root, FIELD_NAMES("creator")));
}

/* The last steps for the files of both tools; `rc` is what the tag lists gave. */
static int finish(struct metadata *m, const struct fields *f, int rc, struct error *e) {
    if (rc == 0 && f->exhausted) {
        rc = error_memory(e, NULL);
    }
    if (rc == 0 && (m->id == NULL || !usable_id(m->id))) {
        rc = error_set(e, ERR_FORMAT, "metadata without a usable id");
    }
    if (rc == 0) {
        mend_title(m);
        rc = metadata_add_hashtags(m, m->description, f->arena, e);
    }
    if (rc == 0) {
        rc = metadata_add_hashtags(m, m->title, f->arena, e);
    }
    if (rc < 0) {
        metadata_init(m);
    }
    return rc;
}

int metadata_from_ytdlp(const json_t *root, struct arena *arena, struct metadata *m,
                        struct error *e) {
    metadata_init(m);
    if (!json_is_object(root)) {
        return error_set(e, ERR_FORMAT, "metadata is not a JSON object");
    }
    if (is_playlist(root)) {
        return error_set(e, ERR_UNSUPPORTED, "describes a playlist, not a clip");
    }
    struct fields f = {.arena = arena};
    m->id = field_id(&f, root, FIELD_NAMES("id"));
    m->site = site_name(&f, root, FIELD_NAMES("extractor", "extractor_key", "ie_key"));
    m->title = field_text(&f, root, FIELD_NAMES("fulltitle", "title"));
    m->description = field_text(&f, root, FIELD_NAMES("description"));
    m->language = field_text(&f, root, FIELD_NAMES("language"));
    m->url = field_text(&f, root, FIELD_NAMES("webpage_url", "original_url"));
    m->created = field_time(root, FIELD_NAMES("timestamp"));
    if (m->created < 0) {
        const char *date = field_id(&f, root, FIELD_NAMES("upload_date"));
        m->created = date != NULL ? time_from_text(date) : -1;
    }
    m->duration_ms = milliseconds(json_get_real(root, "duration", -1));
    if (m->duration_ms < 0) {
        const char *duration = field_text(&f, root, FIELD_NAMES("duration_string"));
        m->duration_ms = duration != NULL ? read_duration(duration) : -1;
    }
    m->whole_ms = expected_length_ms(root, m->duration_ms);
    m->views = field_count(root, FIELD_NAMES("view_count"));
    m->likes = field_count(root, FIELD_NAMES("like_count"));
    m->comments = field_count(root, FIELD_NAMES("comment_count"));
    m->shares = field_count(root, FIELD_NAMES("repost_count"));
    m->saves = field_count(root, FIELD_NAMES("save_count"));
    read_ytdlp_captions(&f, root, m);
    read_ytdlp_names(&f, root, m);
    return finish(m, &f, add_tag_list(m, json_object_get(root, "tags"), arena, e), e);
}

/* ---- gallery-dl -------------------------------------------------------- */

/* "author", "user" or "owner" as an object, or NULL. */
static const json_t *person_of(const json_t *root) {
    const char *const names[] = {"author", "user", "owner"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *person = json_object_get(root, names[i]);
        if (json_is_object(person)) {
            return person;
        }
    }
    return NULL;
}

static void read_gallery_dl_names(struct fields *f, const json_t *root, struct metadata *m) {
    const json_t *person = person_of(root);
    const char *account =
        field_text(f, person, FIELD_NAMES("uniqueId", "unique_id", "username", "name"));
    if (account == NULL) {
        account = field_text(f, root, FIELD_NAMES("username", "user", "author", "uploader"));
    }
    m->account = without_at(account);
    m->account_name = field_text(f, person, FIELD_NAMES("nickname", "nick", "full_name"));
    if (m->account_name == NULL) {
        m->account_name = field_text(f, root, FIELD_NAMES("fullname", "full_name", "nickname"));
    }
    add_creator(m, m->account);
    add_creator(m, field_id(f, person, FIELD_NAMES("id", "uid")));
    add_creator(m, field_id(f, person, FIELD_NAMES("secUid", "sec_uid")));
    add_creator(m, field_id(f, root, FIELD_NAMES("owner_id", "user_id")));
    add_creator(m, m->account_name);
}

/* Counts stand in "stats", or exact and as strings in "statsV2" (TikTok), or beside the id. */
static int64_t gallery_dl_count(const json_t *root, const char *const *names) {
    int64_t count = field_count(json_object_get(root, "statsV2"), names);
    count = count >= 0 ? count : field_count(json_object_get(root, "stats"), names);
    return count >= 0 ? count : field_count(root, names);
}

int metadata_from_gallery_dl(const json_t *root, struct arena *arena, struct metadata *m,
                             struct error *e) {
    metadata_init(m);
    if (!json_is_object(root)) {
        return error_set(e, ERR_FORMAT, "metadata is not a JSON object");
    }
    struct fields f = {.arena = arena};
    m->id = field_id(&f, root, FIELD_NAMES("id", "tweet_id", "post_shortcode", "post_id"));
    m->site = site_name(&f, root, FIELD_NAMES("category"));
    m->title = field_text(&f, root, FIELD_NAMES("title", "desc", "caption"));
    m->description =
        field_text(&f, root, FIELD_NAMES("desc", "description", "content", "caption", "title"));
    m->language = field_text(&f, root, FIELD_NAMES("textLanguage", "language", "lang"));
    m->url = field_text(&f, root, FIELD_NAMES("post_url", "webpage_url"));
    m->created = field_time(root, FIELD_NAMES("createTime", "timestamp", "date"));
    m->duration_ms = milliseconds(json_get_real(json_object_get(root, "video"), "duration", -1));
    if (m->duration_ms < 0) {
        m->duration_ms = milliseconds(json_get_real(root, "duration", -1));
    }
    m->whole_ms = m->duration_ms;
    m->views = gallery_dl_count(root, FIELD_NAMES("playCount", "view_count", "views"));
    m->likes = gallery_dl_count(root, FIELD_NAMES("diggCount", "favorite_count", "likes"));
    m->comments = gallery_dl_count(root, FIELD_NAMES("commentCount", "reply_count", "comments"));
    m->shares = gallery_dl_count(root, FIELD_NAMES("shareCount", "retweet_count", "shares"));
    m->saves = gallery_dl_count(root, FIELD_NAMES("collectCount", "bookmark_count", "saves"));
    read_gallery_dl_names(&f, root, m);
    int rc = 0;
    const char *const lists[] = {"hashtags", "tags", "challenges", "textExtra"};
    for (size_t i = 0; rc == 0 && i < sizeof lists / sizeof *lists; i++) {
        rc = add_tag_list(m, json_object_get(root, lists[i]), arena, e);
    }
    return finish(m, &f, rc, e);
}

bool metadata_is_gallery_dl(const json_t *root) {
    return json_get_text(root, "category") != NULL && json_get_text(root, "extractor") == NULL &&
           json_get_text(root, "extractor_key") == NULL;
}

int metadata_fill(struct metadata *m, const struct metadata *other, struct arena *arena,
                  struct error *e) {
    const char **texts[] = {&m->account,     &m->account_name, &m->title,
                            &m->description, &m->site,         &m->url};
    const char *const others[] = {other->account,     other->account_name, other->title,
                                  other->description, other->site,         other->url};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = *texts[i] != NULL ? *texts[i] : others[i];
    }
    int64_t *numbers[] = {&m->created, &m->duration_ms, &m->whole_ms, &m->views,
                          &m->likes,   &m->comments,    &m->shares,   &m->saves};
    const int64_t more[] = {other->created, other->duration_ms, other->whole_ms, other->views,
                            other->likes,   other->comments,    other->shares,   other->saves};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        *numbers[i] = *numbers[i] < 0 ? more[i] : *numbers[i];
    }
    if (m->language == NULL || (other->spoken && !m->spoken)) {
        m->language = other->language != NULL ? other->language : m->language;
        m->spoken = other->spoken;
    }
    m->manual_captions = m->manual_captions != NULL ? m->manual_captions : other->manual_captions;
    for (size_t i = 0; i < CREATOR_NAMES; i++) {
        add_creator(m, other->creator[i]);
    }
    int rc = 0;
    for (size_t i = 0; i < other->hashtag_count && rc == 0; i++) {
        rc = add_tag(m, other->hashtags[i], strlen(other->hashtags[i]), arena, e);
    }
    return rc;
}
