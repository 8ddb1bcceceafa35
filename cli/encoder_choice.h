/* encoder_choice.h - the options of programs that compute with an encoder: which file, where, in
 * which numbers. */
#ifndef OCC_CLI_ENCODER_CHOICE_H
#define OCC_CLI_ENCODER_CHOICE_H

#include "cli/options.h"
#include "compress/backend.h"

struct encoder_choice {
    const char *file;    /* as named; after encoder_choice_find the bundled one where none was */
    int device, compute; /* index into DEVICES, COMPUTES */
    char bundled[4096];  /* the path of the encoder that ships with the programs */
};

extern const char *const DEVICES[];  /* auto, cpu, cuda */
extern const char *const COMPUTES[]; /* auto, f32, bf16 */

/* Rows of an option table; `field` is the struct encoder_choice in `type`. */
#define ENCODER_FILE_ROW(type, field, text)                                                        \
    {                                                                                              \
        "model", 'm', OPTION_TEXT, offsetof(type, field.file), "FILE", .help = text,               \
                                                                       .environment = "OCC_MODEL"  \
    }
#define ENCODER_DEVICE_ROW(type, field)                                                            \
    {                                                                                              \
        "device", 0, OPTION_CHOICE, offsetof(type, field.device), "NAME",                          \
            .help = "where to compute", .choices = DEVICES                                         \
    }
#define ENCODER_COMPUTE_ROW(type, field)                                                           \
    {                                                                                              \
        "compute", 0, OPTION_CHOICE, offsetof(type, field.compute), "TYPE",                        \
            .help = "number type of matrix products; auto is bf16 where the processor has it",     \
            .choices = COMPUTES                                                                    \
    }

/* ERR_USAGE: the device is not in this build. */
int encoder_choice_check(const struct encoder_choice *c, struct error *e);
/* Finds the bundled encoder where none is named. */
int encoder_choice_find(struct encoder_choice *c, struct error *e);
/* Both, for programs that do nothing without an encoder. */
int encoder_choice_settle(struct encoder_choice *c, struct error *e);
/* After that: what computes, and in which numbers. */
const struct backend_ops *encoder_choice_backend(const struct encoder_choice *c);
enum dtype encoder_choice_compute(const struct encoder_choice *c);

#endif
