/* series.h - rows of measurements in time order that never pass a limit: when the series is full,
 * neighbours are averaged, and from then on each entry stands for twice as many rows. */
#ifndef OCC_INGEST_MEDIA_SERIES_H
#define OCC_INGEST_MEDIA_SERIES_H

#include "store/error.h"

struct series {
    int width, limit; /* values a row; most entries, an even number */
    int count;        /* entries complete so far */
    int merged;       /* rows that an entry is the mean of: 1, 2, 4, ... */
    float *values;    /* (limit, width), owned */
    float *sum;       /* (width) of the rows of the entry in progress; within `values`' block */
    int pending;      /* rows in `sum` */
};

int series_open(struct series *s, int limit, int width, struct error *e);
void series_close(struct series *s);
void series_add(struct series *s, const float *row);

/* Completes the entry in progress with the rows that it has. No rows after this. */
void series_finish(struct series *s);

#endif
