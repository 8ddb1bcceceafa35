/* render.h - the sample stream with pages: what `occ render` does.
 *
 * Reads a sample stream, passes every sample on and adds pages. PACK_SAMPLE: each sample gets the
 * pages of its own text: members .pNNN.pgm (or .ppm, .png), .pNNN.txt (the rows of that page, in
 * order of reading), .pages.json. PACK_ACCOUNT: samples are passed on as they are, and pages
 * holding several of them follow as samples of their own, one page each, key ACCOUNT/pack%3ANNNNNN:
 * members .json ({"id": "pack:000000", "account", "account_name", "created": that of its newest
 * sample, "samples": keys}), .p000.pgm, .p000.txt, .pages.json. In mode base they come in the order
 * of the stream, in mode hifi newest first. They follow when the stream is at its end, in the order
 * in which their accounts came first, so that samples of an account may come in any order; earlier
 * only where more than `hold` bytes of samples would wait (render_accounts.h). Later samples of
 * such an account go on with higher pack numbers, on a fresh page. Packs of an earlier render are
 * passed on by PACK_SAMPLE, with a higher number where theirs is taken, and replaced by
 * PACK_ACCOUNT.
 *
 * The output is the same bytes whatever the number of threads. */
#ifndef OCC_RENDER_RENDER_H
#define OCC_RENDER_RENDER_H

#include <signal.h>

#include "render/content/content.h"
#include "render/page/missing.h"
#include "render/page/page_file.h"
#include "render/text/profile.h"
#include "store/stream.h"

enum render_pack { PACK_SAMPLE, PACK_ACCOUNT };
extern const char *const RENDER_PACKS[]; /* their names, NULL at the end; likewise: */
extern const char *const RENDER_MARKS[]; /* of enum content_marks */

struct render_options {
    int mode;     /* enum page_mode */
    int profile;  /* enum of profile.h */
    int format;   /* enum page_format */
    int pack;     /* enum render_pack; -1: by mode (tiny: sample; base, hifi: account) */
    int64_t hold; /* PACK_ACCOUNT: bytes of samples that wait for the end at most; > 0 */
    struct content_options content;
    int64_t threads; /* 0: one per core */
    bool progress;
};
extern const struct render_options RENDER_DEFAULTS;

struct render_result {
    struct stream_counts counts; /* of the output; partial: samples with something left out here */
    int64_t again;               /* samples whose keys came before; part of counts.skipped */
    int64_t pages, characters, missing, replaced, dropped;
    int64_t cells, inked; /* visual tokens; those with anything in their area */
    int64_t split;        /* accounts that came again after some of their pages had had to go */
    struct missing_tally scripts; /* of characters that are in no font */
};

/* Reads all streams of `in` and writes one stream to `out`; both stay the caller's. A sample whose
 * key came before is reported and skipped. *cancel is looked at every 0.2 s, except while a write
 * is blocked: then the program has to end by itself. ERR_CANCELLED, ERR_CLOSED, ERR_TRUNCATED (the
 * stage before stopped early: what came until then was rendered and passed on, without __end__). */
int render_run(struct stream_reader *in, int out, const struct render_options *options,
               const char *tool, const volatile sig_atomic_t *cancel, struct render_result *result,
               struct error *e);

#endif
