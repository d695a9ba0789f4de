/* The time of one event from process to process: half of its way there and back, over a link.
 *
 *     cc -O2 pingpong.c $(pkg-config --cflags --libs ephapse) -o pingpong && ./pingpong [TRIPS]
 */
#include "example.h"
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct sample {
    uint64_t number;
    double value[3];
};

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    sched_setaffinity(0, sizeof set, &set); /* on one processor it goes on without */
}

static eph_hub_t *spinning(const char *name) {
    eph_hub_t *hub;
    eph_hub_options_t options;

    eph_hub_options_init(&options);
    options.embedded_supervisor = EPH_ON;
    options.wait = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? EPH_WAIT_SPIN : EPH_WAIT_BLOCK;
    TRY(eph_hub_open_z(name, &options, &hub));
    return hub;
}

static int echo(long trips) {
    eph_hub_t *hub = spinning("echo");
    eph_link_t *link;
    eph_event_t event = {0};

    pin(1);
    TRY(eph_link_accept(hub, 10 * INT64_C(1000000000), &link));
    while (trips-- > 0) {
        struct sample sample;
        TRY(eph_hub_next(hub, EPH_FOREVER, &event));
        sample = *(const struct sample *)event.data;
        sample.value[0] = -sample.value[0];
        TRY(eph_link_send(link, EPH_RAW, &sample, sizeof sample, EPH_FOREVER));
    }
    TRY(eph_event_release(&event));
    TRY(eph_link_free(link));
    TRY(eph_hub_free(hub));
    return 0;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    const double percentiles[] = {50, 90, 99, 99.9, 100};
    long trips = argc > 1 ? atol(argv[1]) : 1000000, i;
    uint64_t *times, before;
    eph_event_t event = {0};
    eph_hub_t *hub;
    eph_link_t *link;
    int status;
    size_t p;
    pid_t child = fork();

    if (child == 0) {
        return echo(trips);
    }
    times = (uint64_t *)calloc((size_t)trips, sizeof *times);
    hub = spinning("ping");
    TRY(eph_hub_wait_for_z(hub, "echo", 10 * INT64_C(1000000000), NULL));
    TRY(eph_link_to_z(hub, "echo", NULL, &link));
    pin(0);
    before = now();
    for (i = 0; i < trips; i++) {
        struct sample sample = {(uint64_t)i, {(double)i + 1, 2, 3}};
        const struct sample *answer;
        uint64_t after;
        TRY(eph_link_send(link, EPH_RAW, &sample, sizeof sample, EPH_FOREVER));
        TRY(eph_hub_next(hub, EPH_FOREVER, &event));
        answer = (const struct sample *)event.data;
        if (answer->number != (uint64_t)i || answer->value[0] != -sample.value[0]) {
            fprintf(stderr, "answer %ld is wrong\n", i);
            return 1;
        }
        after = now();
        times[i] = (after - before) / 2;
        before = after;
    }
    qsort(times, (size_t)trips, sizeof *times, by_size);
    for (p = 0; p < sizeof percentiles / sizeof *percentiles; p++) {
        long at = (long)(percentiles[p] / 100 * (double)(trips - 1));
        printf("p%-5g %8llu ns one way\n", percentiles[p], (unsigned long long)times[at]);
    }
    free(times);
    TRY(eph_event_release(&event));
    TRY(eph_link_free(link));
    TRY(eph_hub_free(hub));
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
