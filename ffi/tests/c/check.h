/* What tests in C check with. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <ephapse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,     \
                    eph_last_error_message());                                      \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/* Writes down which number a function has given, if somebody keeps a ledger of that. */
static inline void note(int number, const char *call) {
    static FILE *ledger; /* open from the first error on: later there may be no descriptors left */
    const char *path = getenv("EPHAPSE_LEDGER");
    if (ledger == NULL && path != NULL) {
        CHECK((ledger = fopen(path, "a")) != NULL);
    }
    if (ledger != NULL) {
        fprintf(ledger, "%d %.*s\n", number, (int)strcspn(call, "("), call);
        fflush(ledger);
    }
}

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
        if (got != 0) {                                                             \
            note(got, #call);                                                       \
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

/* Whether a thread of this process, which is not this one, does something. */
static inline int others_run(void) {
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    int found = 0;

    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], name[20], line[256] = "";
        FILE *stat;
        snprintf(name, sizeof name, "%d", (int)getpid());
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, name) == 0) {
            continue; /* only the first thread asks */
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        stat = fopen(path, "r");
        if (stat != NULL) {
            const char *behind = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
            found |= behind != NULL && behind[2] != 'S';
            fclose(stat);
        }
    }
    closedir(tasks);
    return found;
}

/* Forks, at any time; with AddressSanitizer when all other threads sleep, because its allocator has
 * locks, and a child would find for ever taken what another thread has at that moment. */
static inline pid_t fork_now(void) {
#ifdef __SANITIZE_ADDRESS__
    while (others_run()) {
        sched_yield();
    }
#else
    (void)others_run;
#endif
    return fork();
}

#endif
