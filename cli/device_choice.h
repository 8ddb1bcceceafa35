/* device_choice.h - the options of programs that compute: on which device, in which numbers. */
#ifndef OCC_CLI_DEVICE_CHOICE_H
#define OCC_CLI_DEVICE_CHOICE_H

#include "cli/options.h"
#include "compress/device.h"

struct device_choice {
    const char *device; /* as backend_open takes it; NULL: "auto" */
    int compute;        /* index into COMPUTES */
    /* after device_choice_settle: */
    const struct backend *backend;
    enum dtype type; /* of the numbers in products */
};

extern const char *const COMPUTES[]; /* auto, f32, bf16 */

/* Rows of an option table; `field` is the struct device_choice in `type`, `names` the commands that
 * take it (option_spec). */
#define DEVICE_ROW_OF(type, field, names)                                                          \
    {                                                                                              \
        "device", 0, OPTION_TEXT, offsetof(type, field.device), "NAME",                            \
            .help = "where to compute: auto, cpu, cuda or, for the second GPU, cuda:1; default: "  \
                    "auto, the fastest device that is there",                                      \
            .choices = BACKEND_NAMES, .commands = names                                            \
    }
#define DEVICE_ROW(type, field) DEVICE_ROW_OF(type, field, NULL)
#define COMPUTE_ROW_OF(type, field, names)                                                         \
    {                                                                                              \
        "compute", 0, OPTION_CHOICE, offsetof(type, field.compute), "TYPE",                        \
            .help = "number type of matrix products; auto is bf16 where the device has it",        \
            .choices = COMPUTES, .commands = names                                                 \
    }
#define COMPUTE_ROW(type, field) COMPUTE_ROW_OF(type, field, NULL)

const char *device_choice_name(const struct device_choice *c); /* as backend_open takes it */
/* ERR_USAGE, with the reason, for a device that was named and is not there; ERR_UNSUPPORTED where
 * there is none at all, or it lacks the type. */
int device_choice_settle(struct device_choice *c, struct error *e);

#endif
