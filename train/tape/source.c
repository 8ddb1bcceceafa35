/* source.c - see source.h. */
#include "train/tape/source.h"

#include <stdarg.h>
#include <stdio.h>

enum { LONGEST_NAME = 256 };

struct node *tape_named(const struct tape_source *s, struct tape *t, const char *format, ...) {
    char name[LONGEST_NAME];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return s->find(s->context, t, name);
}

struct node *tape_named_linear(const struct tape_source *s, struct tape *t, struct node *x,
                               const char *prefix, const char *name) {
    struct node *weight = tape_named(s, t, "%s%s.weight", prefix, name);
    return tape_linear(t, x, weight, tape_named(s, t, "%s%s.bias", prefix, name));
}

struct node *tape_named_layer_norm(const struct tape_source *s, struct tape *t, struct node *x,
                                   const char *prefix, const char *name, float eps) {
    struct node *gamma = tape_named(s, t, "%s%s.weight", prefix, name);
    return tape_layer_norm(t, x, gamma, tape_named(s, t, "%s%s.bias", prefix, name), eps);
}
