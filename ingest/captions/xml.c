/* xml.c - see xml.h. */
#include "ingest/captions/xml.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

#include "store/bytes.h"

struct xml_reader {
    XML_Parser parser;
    const struct caption_xml_handler *handler;
    void *context;
    struct error *e;
    int depth;
    int rc; /* the first failure of ours, or of a handler */
};

static const char *local_name(const char *name) {
    const char *colon = strrchr(name, ':');
    return colon != NULL ? colon + 1 : name;
}

const char *caption_xml_attribute(const char **attributes, const char *name) {
    for (; attributes[0] != NULL; attributes += 2) {
        if (strcmp(local_name(attributes[0]), name) == 0) {
            return attributes[1];
        }
    }
    return NULL;
}

bool caption_xml_number(const char *text, double *value, const char **rest) {
    text += strspn(text, " \t\r\n");
    const char *p = text;
    double number = 0, unit = 1;
    for (; *p >= '0' && *p <= '9'; p++) {
        number = number * 10 + (*p - '0');
    }
    if (p == text) {
        return false;
    }
    if (*p == '.' || *p == ',') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            number += (*p - '0') * unit;
        }
    }
    *value = number;
    *rest = p;
    return true;
}

static void stop(struct xml_reader *r, int rc) {
    if (rc < 0 && r->rc == 0) {
        r->rc = rc;
        XML_StopParser(r->parser, XML_FALSE);
    }
}

static void XMLCALL open_element(void *user, const XML_Char *name, const XML_Char **attributes) {
    struct xml_reader *r = user;
    if (r->depth >= CAPTION_XML_DEPTH) {
        stop(r, error_set(r->e, ERR_LIMIT, "line %lu: more than %d nested elements",
                          XML_GetCurrentLineNumber(r->parser), CAPTION_XML_DEPTH));
        return;
    }
    stop(r, r->handler->open(r->context, r->depth++, local_name(name), attributes, r->e));
}

/* After a stop expat still closes an empty element that it was in. */
static void XMLCALL close_element(void *user, const XML_Char *name) {
    struct xml_reader *r = user;
    if (r->rc == 0) {
        stop(r, r->handler->close(r->context, --r->depth, local_name(name), r->e));
    }
}

static void XMLCALL take_text(void *user, const XML_Char *text, int size) {
    struct xml_reader *r = user;
    if (r->rc == 0) {
        stop(r, r->handler->text(r->context, text, (size_t)size, r->e));
    }
}

static void XMLCALL refuse_entity(void *user, const XML_Char *name, int is_parameter,
                                  const XML_Char *value, int size, const XML_Char *base,
                                  const XML_Char *system, const XML_Char *public,
                                  const XML_Char *notation) {
    struct xml_reader *r = user;
    (void)is_parameter;
    (void)value;
    (void)size;
    (void)base;
    (void)system;
    (void)public;
    (void)notation;
    stop(r, error_set(r->e, ERR_FORMAT, "line %lu: declares the entity \"%.32s\"",
                      XML_GetCurrentLineNumber(r->parser), name));
}

/* `out` becomes expat's input, whole: in pieces it would read a long tag again with each of
 * them. */
static int clean(struct bytes *out, const char *text, size_t size, struct error *e) {
    while (size > 0 && (unsigned char)*text <= ' ') { /* nothing may stand before "<?xml" */
        text++;
        size--;
    }
    int rc = bytes_append(out, text, size, e);
    for (size_t i = 0; rc == 0 && i < out->size; i++) {
        unsigned char c = out->data[i];
        out->data[i] = c < ' ' && c != '\t' && c != '\n' ? ' ' : c;
    }
    return rc;
}

int caption_xml_read(const char *text, size_t size, const struct caption_xml_handler *handler,
                     void *context, struct error *e) {
    struct xml_reader r = {.handler = handler, .context = context, .e = e};
    struct bytes content;
    bytes_init(&content, INT_MAX);
    r.rc = clean(&content, text, size, e);
    r.parser = r.rc == 0 ? XML_ParserCreate("UTF-8") : NULL;
    if (r.parser == NULL) {
        bytes_close(&content);
        return r.rc < 0 ? r.rc : error_memory(e, NULL);
    }
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, open_element, close_element);
    XML_SetCharacterDataHandler(r.parser, take_text);
    XML_SetEntityDeclHandler(r.parser, refuse_entity);
    enum XML_Status status = XML_Parse(r.parser, bytes_text(&content), (int)content.size, XML_TRUE);
    if (status != XML_STATUS_OK && r.rc == 0) {
        enum XML_Error code = XML_GetErrorCode(r.parser);
        r.rc = code == XML_ERROR_NO_MEMORY
                   ? error_memory(e, NULL)
                   : error_set(e, ERR_FORMAT, "line %lu: %s", XML_GetCurrentLineNumber(r.parser),
                               XML_ErrorString(code));
    }
    XML_ParserFree(r.parser);
    bytes_close(&content);
    return r.rc;
}
