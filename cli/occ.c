/* occ.c - the launcher: "occ VERB ..." executes occ-VERB, found beside this program or on PATH.
 *
 * A process of its own for each verb keeps their libraries apart: a node that decodes needs no
 * CUDA, a node with a GPU no FFmpeg, and whoever puts an executable occ-NAME on PATH has added a
 * verb. The verbs shown are the ones that are found. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "store/arena.h"

/* In the order in which a pipeline uses them. */
static const struct {
    const char *name, *summary;
} KNOWN[] = {
    {"ingest", "video archive to thumbnails, captions, comments, audio"},
    {"render", "scripts, comments and thumbnails to pages for the encoder"},
    {"compress", "pages to visual tokens in a store"},
    {"forget", "a store's old tokens to fewer tokens"},
    {"read", "visual tokens back to text, with the encoder's reading head"},
    {"store", "inspect, check, export, merge and compact stores"},
    {"train", "train encoders, plot their progress"},
    {"generate", "go on with a text with a language model"},
    {"eval", "measure what visual tokens keep of the text"},
    {"model", "make and describe encoder files"},
};
enum { KNOWN_COUNT = sizeof KNOWN / sizeof *KNOWN };

static const struct option_spec NO_OPTIONS[] = {{0}};
static const struct tool OCC = {
    .name = "occ",
    .summary = "optical context compression: video archives to visual tokens for language models",
    .operands = "VERB [ARGUMENT...]",
    .options = NO_OPTIONS,
};

static const char COMPLETION[] =
    "# bash completion of occ: the verbs on PATH, then what _occ_VERB says\n"
    "_occ() {\n"
    "    local verbs complete_verb IFS=$' \\t\\n'\n"
    "    COMPREPLY=()\n"
    "    mapfile -t verbs < <(compgen -c -- occ-)\n"
    "    if ((COMP_CWORD == 1)); then\n"
    "        verbs+=(help --help --version)\n"
    "    elif ((COMP_CWORD > 2)) || [[ ${COMP_WORDS[1]} != help ]]; then\n"
    "        complete_verb=_occ_${COMP_WORDS[1]//-/_}\n"
    "        COMP_WORDS=(\"occ-${COMP_WORDS[1]}\" \"${COMP_WORDS[@]:2}\")\n"
    "        COMP_CWORD=$((COMP_CWORD - 1))\n"
    "        if declare -F \"$complete_verb\" >/dev/null; then\n"
    "            \"$complete_verb\"\n"
    "        fi\n"
    "        return\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"${verbs[*]#occ-}\" -- "
    "\"${COMP_WORDS[COMP_CWORD]}\")\n"
    "}\n"
    "complete -o default -F _occ occ\n";

struct verbs {
    struct arena *arena; /* holds the names */
    const char **names;
    size_t count, capacity;
};

/* The folder of this program, without a final slash; "" when it cannot be known. */
static void own_folder(const char *argv0, char out[PATH_MAX]) {
    ssize_t size = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (size > 0) {
        out[size] = 0;
    } else if (argv0 == NULL || snprintf(out, PATH_MAX, "%s", argv0) >= PATH_MAX) {
        out[0] = 0;
    }
    char *slash = strrchr(out, '/');
    if (slash != NULL) {
        *slash = 0;
    } else {
        out[0] = 0;
    }
}

static int add_verb(struct verbs *verbs, const char *name, struct error *e) {
    for (size_t i = 0; i < verbs->count; i++) {
        if (strcmp(verbs->names[i], name) == 0) {
            return 0;
        }
    }
    void *names = verbs->names;
    int rc =
        arena_grow(verbs->arena, &names, verbs->count, &verbs->capacity, sizeof *verbs->names, e);
    if (rc < 0) {
        return rc;
    }
    verbs->names = names;
    verbs->names[verbs->count] = arena_text(verbs->arena, name, strlen(name));
    if (verbs->names[verbs->count] == NULL) {
        return error_set(e, ERR_MEMORY, "too many verbs");
    }
    verbs->count++;
    return 0;
}

/* Adds the executables occ-NAME of a folder; one that cannot be read (PATH is full of folders that
 * do not exist) offers no verbs. */
static int scan_folder(struct verbs *verbs, const char *folder, struct error *e) {
    DIR *stream = opendir(*folder ? folder : ".");
    int rc = 0;
    while (stream != NULL && rc == 0) {
        struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            break;
        }
        struct stat status;
        const char *name = entry->d_name;
        if (strncmp(name, "occ-", 4) == 0 && name[4] &&
            fstatat(dirfd(stream), name, &status, 0) == 0 && S_ISREG(status.st_mode) &&
            faccessat(dirfd(stream), name, X_OK, 0) == 0) {
            rc = add_verb(verbs, name + 4, e);
        }
    }
    if (stream != NULL && closedir(stream) != 0 && rc == 0) {
        rc = error_errno(e, errno, "%s", folder);
    }
    return rc;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All verbs beside this program and on PATH, sorted; the names live in `arena`. */
static int find_verbs(struct verbs *verbs, struct arena *arena, const char *folder,
                      struct error *e) {
    *verbs = (struct verbs){.arena = arena};
    int rc = *folder ? scan_folder(verbs, folder, e) : 0;
    const char *path = getenv("PATH");
    while (path != NULL && rc == 0) {
        size_t length = strcspn(path, ":");
        const char *member = arena_text(arena, path, length);
        rc = member != NULL ? scan_folder(verbs, member, e)
                            : error_set(e, ERR_MEMORY, "PATH is too long");
        path = path[length] ? path + length + 1 : NULL;
    }
    if (rc == 0 && verbs->count > 0) {
        qsort(verbs->names, verbs->count, sizeof *verbs->names, compare_names);
    }
    return rc;
}

static bool is_found(const struct verbs *verbs, const char *name) {
    for (size_t i = 0; i < verbs->count; i++) {
        if (strcmp(verbs->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_known(const char *name) {
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(KNOWN[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The description with the verbs; for the man page (`found` NULL) the ones of this package, so that
 * it is the same page wherever it is built. */
static int describe(struct bytes *out, const struct verbs *found, struct error *e) {
    int rc = bytes_append_text(out,
                               "'occ VERB' executes the program occ-VERB beside occ or on PATH; "
                               "'occ help VERB' explains it.\n\n",
                               e);
    for (size_t i = 0; i < KNOWN_COUNT && rc == 0; i++) {
        if (found == NULL || is_found(found, KNOWN[i].name)) {
            rc = bytes_printf(out, e, "  %-10s%s\n", KNOWN[i].name, KNOWN[i].summary);
        }
    }
    for (size_t i = 0; found != NULL && i < found->count && rc == 0; i++) {
        if (!is_known(found->names[i])) {
            rc = bytes_printf(out, e, "  %s\n", found->names[i]);
        }
    }
    return rc;
}

/* Handles a command line without a verb: help in its forms, version, mistakes. */
static int answer(int argc, char **argv, const struct verbs *found, struct error *e) {
    static char help[] = "--help";
    char *full_help[] = {argv[0], help, NULL};
    bool bare = argc < 2;
    if (!bare && strcmp(argv[1], "--help=bash") == 0) {
        return options_print(COMPLETION, e);
    }
    bool man = !bare && strcmp(argv[1], "--help=man") == 0;
    struct bytes description;
    bytes_init(&description, 1 << 20);
    int operands = 0;
    int rc = describe(&description, man ? NULL : found, e);
    if (rc == 0) {
        struct tool tool = OCC;
        tool.description = bytes_text(&description);
        rc = options_parse(&tool, bare ? 2 : argc, bare ? full_help : argv, NULL, &operands, e);
    }
    bytes_close(&description);
    return rc == OPTIONS_RUN ? error_set(e, ERR_USAGE, "no verb is named") : rc;
}

static int unknown_verb(const char *verb, const struct verbs *found, struct error *e) {
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < found->count; i++) {
        size_t distance = options_distance(verb, strlen(verb), found->names[i]);
        if (distance < least) {
            least = distance;
            nearest = found->names[i];
        }
    }
    if (nearest == NULL) {
        return error_set(e, ERR_USAGE, "'%s' is not an occ command", verb);
    }
    return error_set(e, ERR_USAGE, "'%s' is not an occ command (did you mean '%s'?)", verb,
                     nearest);
}

/* EACCES too: execvp says so when it found nothing and was not let into one folder of PATH. */
static bool is_absent(int error_number) {
    return error_number == ENOENT || error_number == ENOTDIR || error_number == EACCES;
}

/* Becomes occ-VERB with `argv`, whose first member is replaced. Returns 0 when there is no such
 * program, negative when it cannot be executed. */
static int execute(const char *verb, const char *folder, char **argv, struct error *e) {
    char program[NAME_MAX + 1];
    char path[PATH_MAX + NAME_MAX + 2];
    int size = snprintf(program, sizeof program, "occ-%s", verb);
    if (!*verb || strchr(verb, '/') != NULL || size < 0 || (size_t)size >= sizeof program) {
        return 0;
    }
    argv[0] = program;
    if (*folder) {
        snprintf(path, sizeof path, "%s/%s", folder, program);
        execv(path, argv);
        if (!is_absent(errno)) {
            return error_errno(e, errno, "%s", path);
        }
    }
    execvp(program, argv);
    return is_absent(errno) ? 0 : error_errno(e, errno, "%s", program);
}

static int launch(int argc, char **argv, struct error *e) {
    static char help[] = "--help";
    char folder[PATH_MAX];
    own_folder(argc > 0 ? argv[0] : NULL, folder);
    bool asks = argc > 2 && strcmp(argv[1], "help") == 0 && argv[2][0] != '-';
    const char *verb = asks ? argv[2] : argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    bool bare_help = verb != NULL && !asks && strcmp(verb, "help") == 0;
    if (verb != NULL && !bare_help) {
        char *help_arguments[] = {NULL, help, NULL};
        int rc = execute(verb, folder, asks ? help_arguments : argv + 1, e);
        if (rc < 0) {
            return rc;
        }
    }
    struct arena *arena = NULL;
    struct verbs found;
    int rc = arena_open(&arena, 16 << 20, e);
    if (rc < 0) {
        return rc;
    }
    rc = find_verbs(&found, arena, folder, e);
    if (rc == 0) {
        rc = verb != NULL && !bare_help ? unknown_verb(verb, &found, e)
                                        : answer(bare_help ? 1 : argc, argv, &found, e);
    }
    arena_close(arena);
    return rc;
}

int main(int argc, char **argv) {
    struct error e;
    return launch(argc, argv, &e) < 0 ? options_usage_error(&OCC, &e) : 0;
}
