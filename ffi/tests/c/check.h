/* What tests in C check with. */
#ifndef CHECK_H
#define CHECK_H

#include <ephapse.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,     \
                    eph_last_error_message());                                      \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/* The call gives this number. */
#define EXPECT(number, call)                                                        \
    do {                                                                            \
        int got = (call);                                                           \
        if (got != (number)) {                                                      \
            fprintf(stderr, "%s:%d: %s gave %d (%s), not %s: %s\n", __FILE__,       \
                    __LINE__, #call, got, eph_strerror(got), #number,               \
                    eph_last_error_message());                                      \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

#define OK(call) EXPECT(0, call)

#define SECOND INT64_C(1000000000)

/* A hub in the domain of this directory. */
static inline eph_hub_t *open_hub(const char *directory, const char *name) {
    eph_hub_t *hub;
    eph_hub_options_t options;
    eph_hub_options_init(&options);
    options.directory = directory;
    options.directory_len = strlen(directory);
    OK(eph_hub_open_z(name, &options, &hub));
    return hub;
}

#endif
