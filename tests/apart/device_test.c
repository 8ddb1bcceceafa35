/* device_test.c - what the host does with memory of a device apart stops it. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tested_device.h"

static struct device *device;
static struct tensor vector, other;

/* Whether a process that does so ends by a failure. */
static bool stops(void (*act)(void)) {
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        act();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status != 0;
}

static void nothing(void) {
}

static void read_one(void) {
    printf("%g\n", (double)*(const volatile float *)vector.data);
}

static void write_last(void) {
    ((volatile float *)vector.data)[3] = 1;
}

static void compute_from_host(void) {
    float numbers[4] = {0};
    const struct tensor host = tensor_vector(numbers, DTYPE_F32, device, 4);
    device->ops->copy(device, &vector, &host, NULL);
}

static void upload_to_host(void) {
    float numbers[4] = {0}, more[4] = {0};
    const struct tensor to = tensor_vector(more, DTYPE_F32, NULL, 4);
    const struct tensor from = tensor_vector(numbers, DTYPE_F32, NULL, 4);
    device->ops->upload(device, &to, &from, NULL);
}

static void upload_from_device(void) {
    device->ops->upload(device, &vector, &other, NULL);
}

static void it_has_every_operation(void) {
    void (*const none)(void) = NULL;
    const char *table = (const char *)device->ops;
    for (size_t i = 0; i < sizeof(struct ops); i += sizeof none) {
        CHECK(memcmp(table + i, &none, sizeof none) != 0);
    }
}

static void the_host_does_not_reach_it(void) {
    CHECK(!stops(nothing));
    CHECK(stops(read_one));
    CHECK(stops(write_last));
}

static void memory_of_the_wrong_side_is_refused(void) {
    CHECK(stops(compute_from_host));
    CHECK(stops(upload_to_host));
    CHECK(stops(upload_from_device));
}

static void numbers_go_there_and_back(void) {
    const float numbers[4] = {1, 2, 3, 4};
    float back[4] = {0};
    tested_upload(&vector, numbers);
    CHECK_NUMBER(device->ops->combine(device, &other, 2, &vector, 0, NULL, NULL), 0);
    tested_download(back, &other);
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR((double)back[i], 2 * (double)numbers[i], 0);
    }
}

static void new_memory_holds_no_numbers(void) {
    struct tensor fresh = tensor_vector(NULL, DTYPE_F32, NULL, 4);
    float numbers[4];
    CHECK_NUMBER(device->ops->alloc(device, &fresh, NULL), 0);
    tested_download(numbers, &fresh);
    CHECK(isnan(numbers[0]) && isnan(numbers[3]));
    device->ops->release(device, &fresh);
    CHECK(fresh.data == NULL);
}

int main(void) {
    device = tested_device_open(DTYPE_F32);
    vector = other = tensor_vector(NULL, DTYPE_F32, NULL, 4);
    CHECK_NUMBER(device->ops->alloc(device, &vector, NULL), 0);
    CHECK_NUMBER(device->ops->alloc(device, &other, NULL), 0);
    CHECK_NUMBER(device->ops->fill(device, &vector, 0, NULL), 0);
    CHECK_NUMBER(device->ops->fill(device, &other, 0, NULL), 0);
    RUN(it_has_every_operation);
    RUN(the_host_does_not_reach_it);
    RUN(memory_of_the_wrong_side_is_refused);
    RUN(numbers_go_there_and_back);
    RUN(new_memory_holds_no_numbers);
    device->ops->release(device, &vector);
    device->ops->release(device, &other);
    CHECK_NUMBER(device->bytes, 0);
    device_close(device);
    return test_finish();
}
