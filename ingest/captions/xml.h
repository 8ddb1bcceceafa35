/* xml.h - captions in XML: expat with what makes it safe for files from anywhere.
 *
 * No entity may be declared, so none can grow or name another file; elements nest CAPTION_XML_DEPTH
 * deep at most. Control characters, which XML does not have, become blanks. The text is UTF-8
 * whatever it declares. */
#ifndef OCC_INGEST_CAPTIONS_XML_H
#define OCC_INGEST_CAPTIONS_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

enum { CAPTION_XML_DEPTH = 64 };

/* Names of elements come without prefix. A negative result ends the parsing. `depth`: of the root
 * element it is 0. */
struct caption_xml_handler {
    int (*open)(void *context, int depth, const char *name, const char **attributes,
                struct error *e);
    int (*close)(void *context, int depth, const char *name, struct error *e);
    int (*text)(void *context, const char *text, size_t size, struct error *e);
};

/* ERR_FORMAT with line and reason for what is not well formed, ERR_MEMORY, and what handlers
 * give. */
int caption_xml_read(const char *text, size_t size, const struct caption_xml_handler *handler,
                     void *context, struct error *e);

/* The value of the attribute with this name, whatever its prefix; NULL where there is none. */
const char *caption_xml_attribute(const char **attributes, const char *name);

/* A number that is not negative, "12" or "1.5", at the beginning of `text`, and what follows it;
 * false where there is none. */
bool caption_xml_number(const char *text, double *value, const char **rest);

#endif
