/* rivals.c - chooses one clip of a group and gives it the files of the others. See group.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ingest/archive/durations.h"
#include "ingest/archive/group.h"
#include "store/stream.h"

/* Lengths of the same clip may differ by a few frames between containers. */
enum { SAME_LENGTH_MS = 1000 };

/* A group of which one is to be chosen. */
struct contest {
    size_t leader;
    size_t first, count;        /* of the candidates, its media */
    const char *described_stem; /* of the first clip that is metadata without media, or NULL */
};

struct candidate {
    size_t clip, file; /* indices */
};

struct rivals {
    struct clip_groups *g;
    struct contest *contests;
    size_t contest_count, contest_capacity;
    struct candidate *candidates;
    size_t candidate_count, candidate_capacity;
    struct media_duration *lengths; /* one for each candidate */
};

static const struct clip *clip_at(const struct clip_groups *g, size_t index) {
    return &g->clips->items[index];
}

/* ---- Candidates -------------------------------------------------------- */

/* Metadata count most; media that have the stem of metadata in another folder are theirs. */
static int score_of(const struct clip_groups *g, size_t index, const char *described_stem) {
    const struct identity *own = &g->items[index];
    bool described = own->metadata || (described_stem != NULL &&
                                       strcmp(clip_at(g, index)->stem, described_stem) == 0);
    return 2 * described + own->comments;
}

static const char *described_stem(const struct clip_groups *g, size_t leader) {
    for (size_t i = leader; i != SIZE_MAX; i = g->items[i].next) {
        if (g->items[i].metadata && !clip_has_media(clip_at(g, i))) {
            return clip_at(g, i)->stem;
        }
    }
    return NULL;
}

/* A file that is an operand does not compete with its neighbours. */
static bool is_passed_over(const struct clip *clip, const struct clip_file *file) {
    bool named = false;
    for (size_t i = 0; i < clip->count; i++) {
        named |= clip->files[i].named && clip->files[i].kind == file->kind;
    }
    return named && !file->named;
}

static int add_candidates(struct rivals *r, size_t index, struct error *e) {
    const struct clip *clip = clip_at(r->g, index);
    enum file_kind kind = clip_file_of(clip, FILE_VIDEO) != NULL ? FILE_VIDEO : FILE_AUDIO;
    int rc = 0;
    for (size_t i = 0; i < clip->count && rc == 0; i++) {
        if (clip->files[i].kind != kind) {
            continue;
        }
        if (is_passed_over(clip, &clip->files[i])) {
            clip->files[i].kind = FILE_OTHER;
            continue;
        }
        void *items = r->candidates;
        rc = arena_grow(r->g->clips->arena, &items, r->candidate_count, &r->candidate_capacity,
                        sizeof *r->candidates, e);
        r->candidates = items;
        if (rc == 0) {
            r->candidates[r->candidate_count++] = (struct candidate){index, i};
        }
    }
    return rc;
}

/* Notes the media of a group; more than one make a contest. */
static int add_contest(struct rivals *r, size_t leader, struct error *e) {
    struct clip_groups *g = r->g;
    size_t first = r->candidate_count;
    int rc = 0;
    for (size_t i = leader; i != SIZE_MAX && rc == 0; i = g->items[i].next) {
        rc = clip_has_media(clip_at(g, i)) ? add_candidates(r, i, e) : 0;
    }
    if (rc < 0 || (g->items[leader].next == SIZE_MAX && r->candidate_count - first < 2)) {
        r->candidate_count = first;
        return rc;
    }
    void *contests = r->contests;
    rc = arena_grow(g->clips->arena, &contests, r->contest_count, &r->contest_capacity,
                    sizeof *r->contests, e);
    r->contests = contests;
    if (rc == 0) {
        r->contests[r->contest_count++] =
            (struct contest){leader, first, r->candidate_count - first, described_stem(g, leader)};
    }
    return rc;
}

static int measure(struct rivals *r, struct error *e) {
    struct clip_groups *g = r->g;
    r->lengths = arena_alloc(g->clips->arena, r->candidate_count, sizeof *r->lengths);
    struct media_duration *queries =
        arena_alloc(g->clips->arena, r->candidate_count, sizeof *r->lengths);
    if (r->lengths == NULL || queries == NULL) {
        return error_memory(e, NULL);
    }
    size_t count = 0, next = 0;
    for (size_t i = 0; i < r->contest_count; i++) {
        const struct contest *c = &r->contests[i];
        for (size_t k = c->first; k < c->first + c->count && c->count > 1; k++) {
            const struct candidate *own = &r->candidates[k];
            queries[count++].path = clip_at(g, own->clip)->files[own->file].path;
        }
    }
    int rc = durations_read(queries, count, g->pool, g->cancel, e);
    for (size_t i = 0; i < r->contest_count && rc == 0; i++) {
        const struct contest *c = &r->contests[i];
        for (size_t k = c->first; k < c->first + c->count && c->count > 1; k++) {
            r->lengths[k] = queries[next++];
            g->items[r->candidates[k].clip].length_ms = r->lengths[k].duration_ms;
        }
    }
    return rc;
}

/* Whether candidate `b`, which comes later, is richer than `a`. A file that is not media is worth
 * nothing. */
static bool is_richer(const struct rivals *r, const char *stem, size_t a, size_t b) {
    int64_t x = r->lengths[a].duration_ms, y = r->lengths[b].duration_ms;
    const struct candidate *first = &r->candidates[a], *second = &r->candidates[b];
    const struct clip_file *one = &clip_at(r->g, first->clip)->files[first->file];
    const struct clip_file *other = &clip_at(r->g, second->clip)->files[second->file];
    int score = score_of(r->g, first->clip, stem), more = score_of(r->g, second->clip, stem);
    if ((x < 0) != (y < 0)) {
        return x < 0;
    }
    if (score != more) {
        return more > score;
    }
    if (x - y > SAME_LENGTH_MS || y - x > SAME_LENGTH_MS) {
        return y > x;
    }
    if (one->kind != other->kind) {
        return other->kind == FILE_VIDEO;
    }
    return other->size > one->size;
}

/* The richest clip of a group without media. */
static size_t choose_described(const struct clip_groups *g, size_t leader) {
    size_t best = leader;
    int best_score = -1;
    for (size_t i = leader; i != SIZE_MAX; i = g->items[i].next) {
        bool info = g->items[i].metadata && clip_file_of(clip_at(g, i), FILE_INFO) != NULL;
        int score = 2 * score_of(g, i, NULL) + info;
        best = score > best_score ? i : best;
        best_score = score > best_score ? score : best_score;
    }
    return best;
}

/* ---- Joining what belongs together ------------------------------------- */

/* The key of a group's sample, from its metadata, yt-dlp's first. */
static const char *key_of(const struct clip_groups *g, size_t leader, size_t winner) {
    size_t described = g->items[winner].metadata ? winner : SIZE_MAX;
    bool info = described == winner && clip_file_of(clip_at(g, winner), FILE_INFO) != NULL;
    for (size_t i = leader; i != SIZE_MAX && !info; i = g->items[i].next) {
        info = g->items[i].metadata && clip_file_of(clip_at(g, i), FILE_INFO) != NULL;
        described = info || (described == SIZE_MAX && g->items[i].metadata) ? i : described;
    }
    const struct identity *own = &g->items[described == SIZE_MAX ? winner : described];
    const char *account = own->account == own->folder ? g->items[winner].folder : own->account;
    char key[STREAM_KEY_BYTES];
    stream_key(key, account, own->id);
    return arena_text(g->clips->arena, key, strlen(key));
}

static const struct clip_file *media_of(const struct clip *clip) {
    const struct clip_file *media = clip_file_of(clip, FILE_VIDEO);
    return media != NULL ? media : clip_file_of(clip, FILE_AUDIO);
}

static const char *path_of(const struct clip *clip) {
    const struct clip_file *file = media_of(clip);
    file = file != NULL ? file : clip_file_of(clip, FILE_INFO);
    return file != NULL ? file->path : clip->path;
}

/* A clip stays as a report that it gave way to another. */
static int give_way(struct clip_groups *g, size_t index, size_t winner, const char *key,
                    const char *why, bool added, struct error *e) {
    struct clip *clip = &g->clips->items[index];
    const char *path = path_of(clip_at(g, winner));
    static const char rest[] = "; the files that only this one has were added to it";
    size_t size = strlen(path) + strlen(why) + sizeof rest + 32;
    char *text = arena_alloc(g->clips->arena, size, 1);
    if (text == NULL || key == NULL) {
        return error_memory(e, NULL);
    }
    snprintf(text, size, "the same clip as %s, %s%s", path, why, added ? rest : "");
    clip->path = path_of(clip);
    clip->problem = text;
    clip->reason = "duplicate";
    clip->key = key;
    clip->left_out = true;
    return 0;
}

static const char *why_richer(const struct clip_groups *g, size_t winner, size_t loser,
                              const char *stem) {
    int score = score_of(g, winner, stem), other = score_of(g, loser, stem);
    if (g->items[winner].length_ms >= 0 && g->items[loser].length_ms < 0) {
        return "which can be read";
    }
    if (score != other) {
        return score / 2 != other / 2 ? "which has metadata" : "which has comments";
    }
    const struct clip_file *media = media_of(clip_at(g, winner)),
                           *less = media_of(clip_at(g, loser));
    int64_t length = g->items[winner].length_ms, shorter = g->items[loser].length_ms;
    return length - shorter > SAME_LENGTH_MS ? "which is longer"
           : media->kind != less->kind       ? "which has pictures"
           : media->size > less->size        ? "which is larger"
                                             : "a sample whose key came before";
}

/* The files of `index` go to the winner, except media, of which it has better ones. */
static int merge_clip(struct clip_groups *g, size_t index, size_t winner, const char *key,
                      const char *stem, struct error *e) {
    struct clip *from = &g->clips->items[index], *to = &g->clips->items[winner];
    bool media = clip_has_media(from);
    bool both_described =
        clip_file_of(from, FILE_INFO) != NULL && clip_file_of(to, FILE_INFO) != NULL;
    bool added = false;
    int rc = 0;
    for (size_t i = 0; i < from->count && rc == 0; i++) {
        enum file_kind kind = from->files[i].kind;
        if (kind != FILE_VIDEO && kind != FILE_AUDIO) {
            rc = clip_add_file(g->clips, to, &from->files[i], e);
            added = true;
        }
    }
    if (from->selected) {
        to->order = to->selected && to->order < from->order ? to->order : from->order;
        to->selected = true;
    }
    if (rc == 0 && (media || both_described)) {
        to->chosen = true;
        const char *why =
            media ? why_richer(g, winner, index, stem) : "which has metadata of its own";
        return give_way(g, index, winner, key, why, added, e);
    }
    from->selected = false;
    return rc;
}

/* The chosen file comes first in its clip; others of its kind become reports. */
static int prefer_file(struct clip_groups *g, size_t winner, size_t chosen, struct error *e) {
    struct clip *clip = &g->clips->items[winner];
    struct clip_file first = clip->files[chosen];
    memmove(clip->files + 1, clip->files, chosen * sizeof *clip->files);
    clip->files[0] = first;
    size_t kept = 1, count = clip->count;
    int rc = 0;
    for (size_t i = 1; i < count && rc == 0; i++) {
        struct clip_file file = g->clips->items[winner].files[i];
        if (file.kind != first.kind) {
            g->clips->items[winner].files[kept++] = file;
            continue;
        }
        size_t news = g->clips->count;
        rc = clip_new_problem(g->clips, file.path, "duplicate", "", e);
        if (rc == 0) {
            struct clip *own = &g->clips->items[news];
            own->selected = g->clips->items[winner].selected;
            own->order = g->clips->items[winner].order;
            rc = give_way(g, news, winner, key_of(g, winner, winner),
                          "which is as good or better and has the same name", false, e);
        }
    }
    g->clips->items[winner].count = kept;
    return rc;
}

static int merge_group(struct rivals *r, const struct contest *contest, struct error *e) {
    struct clip_groups *g = r->g;
    size_t best = contest->first, leader = contest->leader;
    for (size_t i = contest->first + 1; i < contest->first + contest->count; i++) {
        best = is_richer(r, contest->described_stem, best, i) ? i : best;
    }
    bool media = contest->count > 0;
    size_t winner = media ? r->candidates[best].clip : choose_described(g, leader);
    const char *key = key_of(g, leader, winner), *stem = contest->described_stem;
    int rc = key != NULL ? 0 : error_memory(e, NULL);
    if (contest->count > 1) {
        g->items[winner].length_ms = r->lengths[best].duration_ms;
    }
    if (rc == 0 && media) {
        rc = prefer_file(g, winner, r->candidates[best].file, e);
    }
    for (size_t i = leader; i != SIZE_MAX && rc == 0; i = g->items[i].next) {
        rc = i == winner ? 0 : merge_clip(g, i, winner, key, stem, e);
        g->items[i].leader = winner;
    }
    return rc;
}

int groups_merge(struct clip_groups *g, struct error *e) {
    struct rivals r = {.g = g};
    int rc = 0;
    for (size_t i = 0; i < g->count && rc == 0; i++) {
        if (g->items[i].id != NULL && g->items[i].leader == i) {
            rc = add_contest(&r, i, e);
        }
    }
    if (rc == 0) {
        rc = measure(&r, e);
    }
    for (size_t i = 0; i < r.contest_count && rc == 0; i++) {
        rc = merge_group(&r, &r.contests[i], e);
    }
    return rc;
}
