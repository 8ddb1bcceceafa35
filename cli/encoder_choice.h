/* encoder_choice.h - the options of programs that compute with an encoder: which file, where, in
 * which numbers. */
#ifndef OCC_CLI_ENCODER_CHOICE_H
#define OCC_CLI_ENCODER_CHOICE_H

#include "cli/device_choice.h"

struct encoder_choice {
    const char *file; /* as named; after encoder_choice_find the bundled one where none was */
    struct device_choice device;
    char bundled[4096]; /* the path of the encoder that ships with the programs */
};

/* A row of an option table; `field` is the struct encoder_choice in `type`. */
#define ENCODER_FILE_ROW(type, field, text)                                                        \
    {                                                                                              \
        "model", 'm', OPTION_TEXT, offsetof(type, field.file), "FILE", .help = text,               \
                                                                       .environment = "OCC_MODEL"  \
    }

/* Finds the bundled encoder where none is named. */
int encoder_choice_find(struct encoder_choice *c, struct error *e);
/* That, and the device, for programs that do nothing without an encoder. */
int encoder_choice_settle(struct encoder_choice *c, struct error *e);

#endif
