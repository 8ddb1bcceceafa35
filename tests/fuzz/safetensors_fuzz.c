/* safetensors_fuzz.c - any bytes as a safetensors file: refused, or every tensor lies in
 * the file. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compress/model.h"
#include "store/file.h"
#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    struct safetensors *s;
    struct model_info info;
    unsigned sum = 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || file_write(fd, data, size, NULL, NULL) < 0) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (safetensors_open(&s, path, NULL) == 0) {
        for (size_t i = 0; i < safetensors_count(s); i++) {
            const struct safetensor *t = safetensors_get(s, i);
            for (size_t j = 0; j < t->bytes; j++) {
                sum += ((const uint8_t *)t->data)[j];
            }
            if (safetensors_find(s, t->name) != t) {
                abort();
            }
        }
        safetensors_close(s);
    }
    model_info(&info, path, NULL);
    close(fd);
    return sum == 0x12345678; /* so that the reads are not left out */
}
