/* trained.c - see trained.h. */
#include "compress/trained.h"

#include <stdio.h>
#include <string.h>

#include "compress/reading.h"
#include "render/text/profile.h"

/* A new reference to the list that the file holds, or NULL. */
static json_t *find_names(const struct encoder *encoder) {
    const char *text = encoder_metadata(encoder, READING_METADATA);
    json_t *reading = text != NULL ? json_loads(text, 0, NULL) : NULL;
    json_t *names = json_incref(json_object_get(reading, "profiles"));
    json_decref(reading);
    text = encoder_metadata(encoder, TRAINED_PROFILES);
    return names == NULL && text != NULL ? json_loads(text, 0, NULL) : names;
}

void trained_read(struct trained *t, const struct encoder *encoder) {
    size_t i, used = 0;
    const json_t *name;
    *t = (struct trained){.names = find_names(encoder)};
    json_array_foreach(t->names, i, name) {
        if (json_is_string(name) && used < sizeof t->list) {
            used += (size_t)snprintf(t->list + used, sizeof t->list - used, "%s%s",
                                     used > 0 ? ", " : "", json_string_value(name));
            t->cells = t->cells || profile_in_cells(json_string_value(name));
        }
    }
}

void trained_close(struct trained *t) {
    json_decref(t->names);
    t->names = NULL;
}

bool trained_on(const struct trained *t, const char *profile) {
    const json_t *name;
    size_t i;
    json_array_foreach(t->names, i, name) {
        if (json_is_string(name) && strcmp(json_string_value(name), profile) == 0) {
            return true;
        }
    }
    return profile[0] == '\0' || json_array_size(t->names) == 0;
}

bool profile_in_cells(const char *name) {
    for (int i = 0; i < PROFILE_COUNT; i++) {
        if (strcmp(name, PROFILE_NAMES[i]) == 0) {
            return PROFILES[i].cells;
        }
    }
    return false;
}
