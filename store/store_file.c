/* store_file.c - is data.mdb as long as LMDB will take it to be?
 *
 * LMDB maps the file and does not look at its length: in a copy that stopped, the first page that
 * is missing would be SIGBUS. Pages may be missing at the end all the same where nothing points to
 * them (one that was taken and given back in the same transaction is never written); then the list
 * of free pages has them. So what is here reads that list, as LMDB 0.9 lays it out
 * (MDB_DATA_VERSION 1, 64 bits); anything that looks like another format is left to LMDB's own
 * refusal. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/store_state.h"

enum {
    MAGIC_VERSION = 1,
    FLAG_BRANCH = 0x01, /* of a page */
    FLAG_LEAF = 0x02,
    FLAG_META = 0x08,
    FLAG_OVERFLOW = 0x01, /* of a node: its data is on pages of its own */
    MOST_DEPTH = 32,
    TRIES = 16
};
static const uint32_t MAGIC = 0xBEEFC0DE;

struct page_header {
    uint64_t number;
    uint16_t pad, flags, lower, upper; /* lower: the end of the places of the nodes */
};

struct tree {
    uint32_t page_size;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
    struct page_header page;
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree free, main;
    uint64_t last_page, transaction;
};
_Static_assert(sizeof(struct page_header) == 16 && sizeof(struct tree) == 48, "without holes");
_Static_assert(sizeof(struct meta) == 16 + 136, "without holes");

struct file_node {
    uint16_t low, high; /* of the size of the data, or of the page below */
    uint16_t flags;     /* of a branch: the highest part of that page */
    uint16_t key_size;
};

struct data_file {
    int fd;
    uint64_t size, page_size;
    uint64_t pages, last; /* whole pages that are there; the last one that there should be */
    uint64_t free;        /* pages between them that are on the list */
    uint64_t budget;      /* bytes that are yet to be read: no page is on the list twice */
    unsigned char *path;  /* a page for each level of the tree */
};

/* ---- The list of free pages ------------------------------------------------------------- */

static bool read_at(const struct data_file *d, void *to, size_t size, uint64_t offset) {
    return pread(d->fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* A list: how many, then their numbers. */
static bool count_listed(struct data_file *d, const unsigned char *list, size_t size) {
    uint64_t count, page;
    if (size < sizeof count) {
        return false;
    }
    memcpy(&count, list, sizeof count);
    if (count > size / sizeof page - 1) {
        return false;
    }
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&page, list + i * sizeof page, sizeof page);
        d->free += page >= d->pages && page <= d->last;
    }
    return true;
}

static bool count_overflow(struct data_file *d, const unsigned char *data, size_t size) {
    uint64_t page;
    memcpy(&page, data, sizeof page);
    unsigned char *list = page < d->pages && size <= d->budget ? malloc(size) : NULL;
    d->budget -= list != NULL ? size : 0;
    bool whole = list != NULL &&
                 read_at(d, list, size, page * d->page_size + sizeof(struct page_header)) &&
                 count_listed(d, list, size);
    free(list);
    return whole;
}

static bool count_leaf(struct data_file *d, const unsigned char *page, size_t place) {
    struct file_node node;
    memcpy(&node, page + place, sizeof node);
    size_t size = node.low | (size_t)node.high << 16, data = place + sizeof node + node.key_size;
    bool away = (node.flags & FLAG_OVERFLOW) != 0;
    if (data + (away ? sizeof(uint64_t) : size) > d->page_size) {
        return false;
    }
    return away ? count_overflow(d, page + data, size) : count_listed(d, page + data, size);
}

/* The pages that the tree below `number` lists. False: it cannot be read. */
static bool count_free(struct data_file *d, uint64_t number, int level) {
    unsigned char *page = d->path + (size_t)level * d->page_size;
    struct page_header header;
    if (level == MOST_DEPTH || number >= d->pages || d->budget < d->page_size) {
        return false;
    }
    d->budget -= d->page_size;
    if (!read_at(d, page, d->page_size, number * d->page_size)) {
        return false;
    }
    memcpy(&header, page, sizeof header);
    if (header.lower > d->page_size || (header.flags & (FLAG_BRANCH | FLAG_LEAF)) == 0) {
        return false;
    }
    for (size_t at = sizeof header; at + sizeof(uint16_t) <= header.lower; at += sizeof(uint16_t)) {
        struct file_node node;
        uint16_t place;
        memcpy(&place, page + at, sizeof place);
        if (place + sizeof node > d->page_size) {
            return false;
        }
        memcpy(&node, page + place, sizeof node);
        uint64_t below =
            node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32; /* of a branch */
        bool whole = (header.flags & FLAG_LEAF) != 0 ? count_leaf(d, page, place)
                                                     : count_free(d, below, level + 1);
        if (!whole) {
            return false;
        }
    }
    return true;
}

/* ---- The file ------------------------------------------------------------------------------ */

/* The newer of the two metas. False: LMDB will say what is wrong with them. */
static bool read_meta(struct data_file *d, struct meta *newest) {
    struct meta other;
    if (!read_at(d, newest, sizeof *newest, 0) || newest->magic != MAGIC ||
        newest->version != MAGIC_VERSION || (newest->page.flags & FLAG_META) == 0) {
        return false;
    }
    d->page_size = newest->free.page_size;
    if (d->page_size < 512 || d->page_size > 65536 || (d->page_size & (d->page_size - 1)) != 0) {
        return false;
    }
    if (read_at(d, &other, sizeof other, d->page_size) && other.magic == MAGIC &&
        other.transaction > newest->transaction) {
        *newest = other;
    }
    return true;
}

/* Whether all pages that are not there are free. */
static bool is_whole(struct data_file *d, const struct meta *meta) {
    d->path = malloc(MOST_DEPTH * d->page_size);
    d->free = 0;
    d->budget = d->size;
    bool whole = d->path != NULL && meta->free.depth > 0 && count_free(d, meta->free.root, 0) &&
                 d->free == d->last + 1 - d->pages;
    free(d->path);
    return whole;
}

static int check(struct data_file *d, const char *file, struct error *e) {
    struct meta meta, again;
    struct stat status;
    for (int i = 0; i < TRIES; i++) { /* a writer may be at work */
        bool known = read_meta(d, &meta);
        if (fstat(d->fd, &status) != 0) { /* after the meta: pages are written before it */
            return error_set(e, ERR_IO, "%s: cannot be read", file);
        }
        d->size = (uint64_t)status.st_size;
        if (!known) {
            return d->size >= sizeof meta && meta.magic == MAGIC && meta.version == MAGIC_VERSION
                       ? error_set(e, ERR_FORMAT, "%s: is damaged: its first page makes no sense",
                                   file)
                       : 0;
        }
        d->pages = d->size / d->page_size;
        d->last = meta.last_page;
        if (d->pages > d->last || (d->pages > 1 && is_whole(d, &meta))) {
            return 0;
        }
        if (read_meta(d, &again) && again.transaction == meta.transaction) {
            break;
        }
    }
    uint64_t most = UINT64_MAX / d->page_size - 1;
    return error_set(e, ERR_TRUNCATED,
                     "%s: has %" PRIu64 " bytes, needs %" PRIu64
                     ": it was cut short, as by a copy that stopped early",
                     file, d->size, ((d->last < most ? d->last : most) + 1) * d->page_size);
}

int store_check_file(const char *file, bool may_be_empty, struct error *e) {
    struct data_file d = {.fd = -1};
    struct stat status;
    int rc = file_open_regular(file, &d.fd, e);
    if (rc < 0) {
        return rc;
    }
    bool empty = fstat(d.fd, &status) == 0 && status.st_size == 0;
    rc = !empty ? check(&d, file, e)
         : may_be_empty
             ? 0
             : error_set(e, ERR_FORMAT, "%s: is not a token store: the file is empty", file);
    close(d.fd);
    return rc;
}
